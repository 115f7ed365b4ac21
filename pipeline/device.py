"""The device: one run computes at a time, and the others have their turns in the order they were started."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline import rundir, specs
from pipeline.errors import Stopped
from pipeline.rundir import Child
from pipeline.spec_place import PLACE
from pipeline.specs import AnySpec

LOOK_AGAIN_SECONDS = 0.5
QUEUED = "queued"
"""The phase of a run that waits for the device."""


@contextmanager
def held(child: Child, workspace: Path, needs: Callable[[AnySpec], bool]) -> Iterator[None]:
    """Wait for the runs that were started before, saying how many, and hold the lock of the device until the end.

    A lock alone would give the turn to whoever asks first. `needs` tells which runs want the device at all. Raises Stopped
    when the wait is to end.
    """
    path = workspace / "runs" / "device.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    older = started_before(child.folder, needs)
    with path.open("a") as file:
        while True:
            older = [folder for folder in older if _waits_before(folder, child.folder)]
            if not older and _locked(file.fileno()):
                break
            _say(child, len(older))
            if child.stop_requested():
                raise Stopped("Stopped while it was waiting for another run; nothing was begun.")
            time.sleep(LOOK_AGAIN_SECONDS)
        yield


@contextmanager
def if_free(workspace: Path) -> Iterator[bool]:
    """Hold the device while something short is measured, where nobody computes on it; False where somebody does."""
    path = workspace / "runs" / "device.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield _locked(file.fileno())


class Hold:
    """The device for one who computes now and then: taken only where nobody else has it or waits for it."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        self.folder, self.path = folder, workspace / "runs" / "device.lock"
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def take(self) -> bool:
        """Whether it is held from now on."""
        if self._file is None and not is_waited_for(self.folder):
            file = self.path.open("a")
            if _locked(file.fileno()):
                self._file = file
            else:
                file.close()
        return self.held

    def give_back(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def is_waited_for(folder: Path) -> bool:
    """Whether any other run waits for the device."""
    others = [path.parent for path in folder.parent.glob("*/status.json") if path.parent != folder]
    return any((found := rundir.status(other)) is not None and found.phase == QUEUED and rundir.is_alive(other)
               for other in others)


def kinds_at_work(folder: Path) -> set[str]:
    """The kinds of the other runs that are going on and wait for nothing."""
    found = set()
    for other in (path.parent for path in folder.parent.glob("*/alive.lock") if path.parent != folder):
        said = rundir.status(other)
        if rundir.is_alive(other) and (said is None or said.phase != QUEUED) and not (other / PLACE).exists():
            try:
                found.add(str(specs.read(other).kind))
            except (specs.SpecError, OSError):
                continue
    return found


def started_before(folder: Path, needs: Callable[[AnySpec], bool]) -> list[Path]:
    """Folders of runs that were started before this one, want the device and have not ended.

    Looked up once: what is started later has a later time, so this list only gets shorter.
    """
    found = [path.parent for path in folder.parent.glob("*/launch.json") if path.parent != folder]
    return [other for other in found if _waits_before(other, folder) and _wants(other, needs)]


def _waits_before(other: Path, own: Path) -> bool:
    """A run that died, ended, or was started again since, is not waited for."""
    return _started(other) < _started(own) and rundir.state(other, time.time()) in ("starting", "running")


def _started(folder: Path) -> tuple[float, str]:
    return rundir.launched(folder)[1], folder.name


def _wants(folder: Path, needs: Callable[[AnySpec], bool]) -> bool:
    if (folder / PLACE).exists():  # it computes elsewhere
        return False
    try:
        return needs(specs.read(folder))
    except (specs.SpecError, OSError):
        return False


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(child: Child, before: int) -> None:
    words = {0: "Waiting for another run to finish", 1: "Waiting: one run was started before it"}
    child.say(QUEUED, sentence=words.get(before, f"Waiting: {before} runs were started before it"))
