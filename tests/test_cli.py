"""`tunewright demo`: the same nouns without a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio import models, runs
from studio.workspace import Workspace
from tests.bad_files import write
from tests.conftest import ROOT
from tests.tickets import forty, freeze_forty, recorded_training


def demo(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from studio.cli import main; main()", "demo", "--workspace", str(workspace), *arguments],
        cwd=ROOT, env=os.environ | {"COLUMNS": "120"}, capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_goes_round_the_loop_and_prints_the_verdict_with_intervals(with_starter: Path) -> None:
    csv = forty(with_starter.parent / "forty.csv")
    sizes = (
        "--train",
        "20",
        "--validation",
        "6",
        "--test",
        "12",
        "--epochs",
        "3",
        "--learning-rate",
        "1e-3",
        "--answer-tokens",
        "24",
    )
    done = demo(with_starter, "--csv", str(csv), "--message", "message", "--answer", "answer", *sizes)
    ws = Workspace(with_starter)
    found = [run.kind for run in runs.every(ws) if run.state == "done"], len(models.tuned(ws))
    ws.close()
    line = next(line for line in done.stdout.splitlines() if line.startswith("ROUGE-L"))
    assert (done.returncode, found, line.split()[-1], line.count("["), "40 rows = 40 imported" in done.stdout) == (
        0, (["evaluate", "train", "inspect"], 1), "better", 3, True)  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("cut.csv", (), "ends inside a quoted cell"),
        ("utf16.csv", (), "too few"),
        ("five.csv", ("--message", "message", "--answer", "answer"), "too few"),
        ("five.csv", ("--message", "question", "--answer", "answer"), "no column 'question'"),
    ],
)
def test_a_wrong_file_ends_the_demo_with_one_sentence(
    tmp_path: Path, name: str, arguments: tuple[str, ...], words: str
) -> None:
    done = demo(tmp_path / "ws", "--csv", str(write(tmp_path, name)), *arguments)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.mark.heavy
def test_validating_prints_every_problem_and_fails_where_there_are_errors(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("broken\n" * 12)
    command = [sys.executable, "-c", "from studio.cli import main; main()", "validate", str(tmp_path / "bad.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("The line is not JSON"), "Not ready" in done.stdout) == (1, 12, True)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    done = demo(tmp_path / "ws", "--csv", str(tmp_path / "nothing.csv"))
    assert (done.returncode, "There is no file" in done.stderr) == (1, True)


def tunewright(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", "from studio.cli import main; main()", *arguments], cwd=ROOT,
                          env=os.environ | {"COLUMNS": "120"}, capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.heavy
def test_serving_what_is_gone_ends_in_words_and_so_does_an_export_of_another_form(ws: Workspace) -> None:
    recorded_training(ws, freeze_forty(ws))
    ws.close()
    served = tunewright("serve", "latest", "--workspace", str(ws.root))
    exported = tunewright("export", "latest", "--workspace", str(ws.root), "--form", "zip")
    assert (served.returncode, exported.returncode) == (1, 1)
    assert "The adapter of Forty in style (tuned) is gone." in served.stderr
    assert "There is no 'zip' to choose." in exported.stderr
