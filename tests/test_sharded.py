"""A base that several processes hold together teaches what a whole one does, also when memory runs out in one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.training import quantised, rows, together
from pipeline.training.decoder import Decoder
from pipeline.training.learner import Learner
from tests.test_packing import SHAPE, TICKETS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random layers of Llama's layout, saved."""
    from transformers import AutoConfig, AutoModelForCausalLM

    made = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SHAPE)).save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def shared(folder: Path) -> list[dict[str, Any]]:
    """What two processes found, the first one first."""
    port = str(together._free_port())
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.sharing_processes", str(rank), port, str(folder)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for rank in range(2)
    ]
    return [json.loads(child.communicate(timeout=120)[0]) for child in children]


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[float, torch.Tensor, int]:
    """Loss, slopes and bytes of codes of one process that has everything."""
    base = quantised.load_base(folder, torch.float32, torch.device("cpu"))
    size = sum(part.numel() for part in base.parameters() if part.dtype == torch.uint8)
    decoder = Decoder(quantised.add_adapter(base, 8, seed=1), torch.float32, hold=False)
    decoder.adapters.values.normal_(0, 0.05, generator=torch.Generator().manual_seed(2))
    decoder.adapters.refresh()
    return float(Learner(decoder).learn([rows.row(TICKETS)], 1)), decoder.adapters.slopes, size


def test_two_processes_that_share_the_base_have_the_slopes_of_one(
    shared: list[dict[str, Any]], whole: tuple[float, torch.Tensor, int]
) -> None:
    loss, slopes, _ = whole
    assert shared[0]["loss"] == pytest.approx(loss, rel=1e-5)
    assert float((torch.tensor(shared[0]["slopes"]) - slopes).norm() / slopes.norm()) < 1e-5


def test_each_holds_half_of_the_codes(shared: list[dict[str, Any]], whole: tuple[float, torch.Tensor, int]) -> None:
    assert [found["bytes"] for found in shared] == [whole[2] // 2] * 2


def test_where_memory_runs_out_in_one_of_them_both_begin_the_step_again(shared: list[dict[str, Any]]) -> None:
    assert [found["again"] for found in shared] == [1, 1]
