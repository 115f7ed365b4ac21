"""The documented way from tickets to a verdict, with commands, with the nouns, and as the demo, with a very small model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio import models, runs
from studio.workspace import Workspace
from tests.commands import told
from tests.conftest import ROOT
from tests.test_families import saved
from tests.tickets import forty

pytestmark = pytest.mark.slow
SMALL = {"SIZES": "20,6,12", "EPOCHS": "1", "RATE": "1e-3", "TOKENS": "8"}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of random weights."""
    return saved(tmp_path_factory.mktemp("small") / "small", "llama")


def example(name: list[str], tmp_path: Path, small: Path) -> subprocess.CompletedProcess[str]:
    """An example as its head says, on forty tickets."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [*name, str(forty(tmp_path / "forty.csv")), str(tmp_path / "ws"), str(small)],
        cwd=tmp_path,
        env=os.environ | SMALL | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def kinds(folder: Path) -> list[str]:
    ws = Workspace(folder)
    found = [run.kind for run in runs.every(ws) if run.state == "done"]
    ws.close()
    return found


def test_commands_go_from_tickets_to_a_verdict(tmp_path: Path, small: Path) -> None:
    done = example(["sh", str(ROOT / "docs" / "examples" / "loop.sh")], tmp_path, small)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads((tmp_path / "ws" / "verdict.json").read_text())
    assert [one["role"] for one in verdict["verdicts"]] == ["base", "prompted base"]
    assert kinds(tmp_path / "ws") == ["evaluate", "train", "inspect", "check"]
    assert (tmp_path / "ws" / "report.md").read_text().startswith("#")


def test_the_nouns_go_from_tickets_to_a_verdict(tmp_path: Path, small: Path) -> None:
    done = example([sys.executable, str(ROOT / "docs" / "examples" / "loop.py")], tmp_path, small)
    assert (done.returncode, "the tuned model" in done.stdout) == (0, True), done.stderr
    assert kinds(tmp_path / "ws") == ["evaluate", "train", "inspect"]


def test_the_demo_goes_round_the_loop_and_prints_the_verdict_with_intervals(ws: Workspace, small: Path) -> None:
    csv = forty(ws.root.parent / "forty.csv")
    columns = ("--message", "message", "--answer", "answer")
    sizes = ("--train", "20", "--validation", "6", "--test", "12", "--epochs", "1", "--learning-rate", "1e-3")
    found = told(ws, "demo", "--csv", str(csv), *columns, *sizes, "--answer-tokens", "8", "--base", str(small))
    first = next(one for one in found["verdicts"][0]["metrics"] if one["metric"] == "rougeL")
    assert (found["import"]["rows_imported"], found["snapshot"]["test"], len(models.tuned(ws))) == (40, 12, 1)
    assert first["difference"]["low"] <= first["difference"]["value"] <= first["difference"]["high"]
