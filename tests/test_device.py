"""The device: turns in the order in which runs were started, and nobody waits for the dead."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import device, rundir
from pipeline.errors import Stopped
from pipeline.rundir import Child
from pipeline.specs import AnySpec, CheckSpec, EvaluateSpec, TrainSpec, dumps
from tests.conftest import STARTER


def needs(spec: AnySpec) -> bool:
    return isinstance(spec, TrainSpec | EvaluateSpec)


def launched(workspace: Path, name: str, ago: float, spec: AnySpec | None = None) -> Path:
    """A run's folder as it is `ago` seconds after its launch."""
    folder = workspace / "runs" / name
    training = TrainSpec(run_id=name, base=STARTER, train_file="t", validation_file="v")
    rundir.prepare(folder, dumps(spec or training))
    rundir.write_atomic(folder / "launch.json", json.dumps({"attempt": 1, "at": time.time() - ago}))
    return folder


@contextmanager
def busy(workspace: Path) -> Iterator[None]:
    """Somebody computes."""
    (workspace / "runs").mkdir(exist_ok=True, parents=True)
    with (workspace / "runs" / "device.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Waiters:
    """Children, each in a thread of its own, that note when they have their turn."""

    def __init__(self, workspace: Path) -> None:
        self.workspace, self.turns = workspace, list[str]()
        self.threads: list[threading.Thread] = []

    def begin(self, folder: Path) -> None:
        self.threads.append(threading.Thread(target=self._wait, args=(folder,)))
        self.threads[-1].start()

    def _wait(self, folder: Path) -> None:
        with Child(folder) as child, device.held(child, self.workspace, needs):
            self.turns.append(folder.name)

    def waiting(self, *folders: Path) -> None:
        """Until all of them say that they wait."""
        deadline = time.time() + 20
        while not all((status := rundir.status(folder)) and status.phase == "queued" for folder in folders):
            assert time.time() < deadline
            time.sleep(0.02)

    def end(self) -> list[str]:
        for thread in self.threads:
            thread.join(20)
        return self.turns


def test_turns_come_in_the_order_of_the_starts(tmp_path: Path) -> None:
    folders = [launched(tmp_path, name, ago) for name, ago in (("c", 3.0), ("a", 2.0), ("b", 1.0))]
    waiters = Waiters(tmp_path)
    with busy(tmp_path):
        for folder in reversed(folders):
            waiters.begin(folder)
        waiters.waiting(*folders)
    assert waiters.end() == ["c", "a", "b"]


def test_a_run_that_comes_up_slowly_keeps_its_turn(tmp_path: Path) -> None:
    first, second = launched(tmp_path, "first", 2.0), launched(tmp_path, "second", 1.0)
    waiters = Waiters(tmp_path)
    waiters.begin(second)
    waiters.waiting(second)
    waiters.begin(first)
    assert waiters.end() == ["first", "second"]


def test_nobody_waits_for_a_run_that_died(tmp_path: Path) -> None:
    launched(tmp_path, "dead", rundir.STARTING_SECONDS + 5)
    waiters = Waiters(tmp_path)
    waiters.begin(launched(tmp_path, "alive", 1.0))
    assert waiters.end() == ["alive"]


def test_a_waiter_that_dies_lets_the_next_one_through(tmp_path: Path) -> None:
    dead, alive = launched(tmp_path, "dead", rundir.STARTING_SECONDS + 5), launched(tmp_path, "alive", 1.0)
    waiters = Waiters(tmp_path)
    with Child(dead):
        waiters.begin(alive)
        waiters.waiting(alive)
    assert waiters.end() == ["alive"]


def test_nobody_waits_for_a_run_that_needs_no_device(tmp_path: Path) -> None:
    check = launched(tmp_path, "check", 3.0, CheckSpec(run_id="check", records=1, to_check=1))
    waiters = Waiters(tmp_path)
    with Child(check):
        waiters.begin(launched(tmp_path, "train", 1.0))
        assert waiters.end() == ["train"]


def test_a_run_that_was_started_again_goes_to_the_end_of_the_queue(tmp_path: Path) -> None:
    again, other = launched(tmp_path, "again", 5.0), launched(tmp_path, "other", 2.0)
    waiters = Waiters(tmp_path)
    with busy(tmp_path):
        waiters.begin(other)
        waiters.waiting(other)
        rundir.note_launch(again, time.time())
        waiters.begin(again)
        waiters.waiting(again)
    assert waiters.end() == ["other", "again"]


def test_a_waiter_says_how_many_are_before_it(tmp_path: Path) -> None:
    folders = [launched(tmp_path, name, ago) for name, ago in (("a", 3.0), ("b", 2.0), ("c", 1.0))]
    waiters = Waiters(tmp_path)
    with busy(tmp_path):
        for folder in folders:
            waiters.begin(folder)
            waiters.waiting(folder)
        said = [status.sentence for folder in folders if (status := rundir.status(folder))]
    waiters.end()
    assert said == [
        "Waiting for another run to finish",
        "Waiting: one run was started before it",
        "Waiting: 2 runs were started before it",
    ]


def test_a_waiter_that_is_asked_to_stop_stops(tmp_path: Path) -> None:
    folder = launched(tmp_path, "a", 1.0)
    rundir.ask_to_stop(folder)
    with (
        busy(tmp_path),
        Child(folder) as child,
        pytest.raises(Stopped, match="nothing was begun"),
        device.held(child, tmp_path, needs),
    ):
        pass
