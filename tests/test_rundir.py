"""The run folder: each state from its files alone, and what a killed process leaves is mended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import rundir, specs
from pipeline.rundir import Child
from pipeline.specs import SpecError
from tests.conftest import ROOT

HOLDS = """
import sys, pathlib
from pipeline.rundir import Child
child = Child(pathlib.Path(sys.argv[1])).__enter__()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rundir.prepare(tmp_path / "run", "{}")
    return tmp_path / "run"


def test_a_run_just_launched_is_starting_and_later_lost(folder: Path) -> None:
    rundir.note_launch(folder, 1000.0)
    assert (rundir.state(folder, 1030.0), rundir.state(folder, 1061.0)) == ("starting", "lost")


def test_a_held_lock_means_running_and_a_killed_child_means_lost(folder: Path) -> None:
    rundir.note_launch(folder, 0.0)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    running = rundir.state(folder, 1e9)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (running, rundir.state(folder, 1e9)) == ("running", "lost")


@pytest.mark.parametrize("outcome", ["done", "failed", "stopped"])
def test_a_result_is_the_state_once_the_lock_is_free(folder: Path, outcome: rundir.Outcome) -> None:
    rundir.note_launch(folder, 0.0)
    with Child(folder) as child:
        child.finish(outcome, "words")
    assert rundir.state(folder, 1e9) == outcome


def test_the_result_of_an_earlier_attempt_does_not_count(folder: Path) -> None:
    rundir.note_launch(folder, 0.0)
    with Child(folder) as child:
        child.finish("failed", "words")
    rundir.note_launch(folder, 0.0)
    assert (rundir.result(folder), rundir.state(folder, 1e9)) == (None, "lost")


def test_a_last_line_without_newline_is_not_read_and_is_cut_before_the_next(folder: Path) -> None:
    rundir.note_launch(folder, 0.0)
    (folder / "events.jsonl").write_text('{"event": "loss", "step": 1}\n{"event": "lo')
    before = rundir.read_lines(folder / "events.jsonl")
    Child(folder).event("loss", step=2)
    assert ([row["step"] for row in before], [row["step"] for row in rundir.read_lines(folder / "events.jsonl")]) == (
        [1],
        [1, 2],
    )


def test_two_children_cannot_work_on_one_run(folder: Path) -> None:
    moments = iter(range(0, 1000, 6))
    with Child(folder), pytest.raises(RuntimeError, match="already works"):
        Child(folder, clock=lambda: float(next(moments))).__enter__()


def test_the_status_says_rate_and_end_from_this_phase(folder: Path) -> None:
    now = [0.0]
    child = Child(folder, clock=lambda: now[0])
    child.say("training", 0, 100, "steps")
    now[0] = 10.0
    child.say("training", 20, 100, "steps")
    status = rundir.status(folder)
    assert status is not None and (status.rate, status.eta_s) == (2.0, 40.0)


def test_a_slow_start_leaves_the_rate_after_a_minute(folder: Path) -> None:
    now = [0.0]
    child = Child(folder, clock=lambda: now[0])
    for at, done in ((0.0, 0), (50.0, 1), (60.0, 21), (110.0, 121)):
        now[0] = at
        child.say("training", done, 200, "steps")
    status = rundir.status(folder)
    assert status is not None and status.rate == 2.0


def test_status_is_written_at_most_once_a_second(folder: Path) -> None:
    now = [0.0]
    child = Child(folder, clock=lambda: now[0])
    child.say("training", 1, 100)
    now[0] = 0.5
    child.say("training", 2, 100)
    status = rundir.status(folder)
    assert status is not None and status.done == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ('{"kind": "cook"}', "kind"),
        (json.dumps({"kind": "train", "run_id": "x"}), "base"),
        (
            json.dumps(
                {
                    "kind": "train",
                    "run_id": "x",
                    "base": {"kind": "starter", "name": "s"},
                    "train_file": "a",
                    "validation_file": "b",
                    "epochs": 0,
                }
            ),
            "epochs",
        ),
        (
            json.dumps(
                {
                    "kind": "train",
                    "run_id": "x",
                    "base": {"kind": "starter", "name": "s"},
                    "train_file": "a",
                    "validation_file": "b",
                    "api_key": "secret",
                }
            ),
            "api_key",
        ),
    ],
)
def test_a_spec_that_cannot_be_run_names_its_field(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        specs.loads(text)


def test_a_broken_spec_ends_as_a_failed_run_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r"
    rundir.prepare(folder, '{"kind": "cook"}')
    rundir.note_launch(folder, 0.0)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", str(folder), "--workspace", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    ended = rundir.result(folder)
    assert ended is not None and (done.returncode, ended.outcome, "spec.json" in ended.message) == (1, "failed", True)


def test_a_child_that_came_up_and_died_without_a_word_is_lost_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rundir.prepare(folder, "{}")
    rundir.note_launch(folder, 1_000.0)
    before = rundir.state(folder, 1_001.0)
    with Child(folder):
        pass
    assert (before, rundir.state(folder, 1_001.0)) == ("starting", "lost")


def test_a_new_attempt_of_such_a_run_is_starting(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rundir.prepare(folder, "{}")
    rundir.note_launch(folder, 1_000.0)
    with Child(folder):
        pass
    rundir.note_launch(folder, 1_002.0)
    assert rundir.state(folder, 1_003.0) == "starting"
