"""The kernels that only GPUs run, held against plain torch in Triton's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.heavy

TRITON = Path(sys.prefix) / "triton"
ROUNDING = 2**-6
"""Two steps of bfloat16, relative: some values are rounded twice."""


@pytest.fixture(scope="module")
def differences() -> dict[str, float]:
    """By what each kernel makes, its largest difference."""
    if not TRITON.is_dir():
        pytest.skip("Triton could not be fetched")
    places = os.pathsep.join([str(ROOT), str(TRITON)])
    made = subprocess.run(
        [sys.executable, "-m", "tests.kernels_in_interpreter"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": places},
        timeout=240,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return dict(json.loads(made.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "what",
    [
        "sum",
        "norm",
        "norm, slope",
        "product",
        "product, slopes",
        "product, again",
        "rotary",
        "rotary, taken back",
        "loss",
        "loss, slope",
        "nf4",
    ],
)
def test_a_kernel_makes_what_plain_torch_makes(differences: dict[str, float], what: str) -> None:
    assert differences[what] <= ROUNDING


@pytest.mark.parametrize("what", ["norm, spare columns", "nf4, spare columns"])
def test_a_kernel_leaves_the_columns_beside_alone(differences: dict[str, float], what: str) -> None:
    assert differences[what] == 0
