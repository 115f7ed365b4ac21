"""The run folder: how the app and a child process talk. Each file has one writer; the result is written last.

`docs/architecture.md` has the table of files. Functions with `folder` as first argument are for both sides; `Child` is
the child's side, `prepare`, `note_launch`, `ask_to_stop` and `take_back_stop` are the app's.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["starting", "running", "done", "failed", "stopped", "lost"]
Outcome = Literal["done", "failed", "stopped"]

LOG, JOB_LOG = "log.txt", "job.log"

STARTING_SECONDS = 60.0
"""A child that has not taken its lock this long after launch is lost (a cold start of torch takes under 20 s)."""

RATE_SECONDS = 60.0
"""How far back a rate looks."""


@dataclass(frozen=True)
class Status:
    """Where a running child is. `rate` is units a second, `eta_s` seconds to the end of the phase, `at` unix seconds."""

    phase: str
    done: int = 0
    total: int = 0
    unit: str = ""
    sentence: str = ""
    rate: float | None = None
    eta_s: float | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Result:
    attempt: int
    outcome: Outcome
    message: str
    hint: str
    data: dict[str, Any]
    at: float


def write_atomic(path: Path, text: str) -> None:
    """Write beside, flush to disk, rename in: a reader sees the old text or the new, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def read_lines(path: Path, skip: int = 0) -> list[dict[str, Any]]:
    """Whole JSON lines of an append-only file; a last line without its newline is still being written and is left out."""
    if not path.exists():
        return []
    with path.open("r", encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]
    return [json.loads(line) for line in lines[skip:] if line.strip()]


@dataclass(frozen=True)
class Mark:
    """How far an append-only file was read: which file it was, and the byte after its last whole line."""

    inode: int = 0
    offset: int = 0


def read_new(path: Path, mark: Mark) -> tuple[list[dict[str, Any]], Mark, bool]:
    """Whole JSON lines after the mark, the new mark, and whether the file is another one than it was (was written anew): then
    the lines are all of it, and what was read before is void."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            anew = found.st_ino != mark.inode or found.st_size < mark.offset
            start = 0 if anew else mark.offset
            file.seek(start)
            raw = file.read()
    except FileNotFoundError:
        return [], Mark(), mark != Mark()
    whole = raw.rfind(b"\n") + 1
    return [json.loads(line) for line in raw[:whole].split(b"\n") if line.strip()], Mark(found.st_ino, start + whole), anew


def prepare(folder: Path, spec_text: str) -> None:
    folder.mkdir(parents=True, exist_ok=False)
    write_atomic(folder / "spec.json", spec_text)


def note_launch(folder: Path, now: float) -> int:
    """Record one more attempt and return its number, from 1."""
    attempt = launched(folder)[0] + 1
    write_atomic(folder / "launch.json", json.dumps({"attempt": attempt, "at": now}))
    return attempt


def launched(folder: Path) -> tuple[int, float]:
    """(attempt, unix seconds of its launch); (0, 0.0) when it was never launched."""
    try:
        found = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0, 0.0
    return int(found["attempt"]), float(found["at"])


def ask_to_stop(folder: Path) -> None:
    (folder / "stop").touch()


def take_back_stop(folder: Path) -> None:
    (folder / "stop").unlink(missing_ok=True)


def is_alive(folder: Path) -> bool:
    """True while a child holds the lock. The probe takes it shared and gives it back, so probes do not see each other."""
    try:
        handle = os.open(folder / "alive.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def result(folder: Path) -> Result | None:
    """The end of the newest attempt; a result of an earlier attempt does not count."""
    try:
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    ended = Result(**found)
    return ended if ended.attempt >= launched(folder)[0] else None


def status(folder: Path) -> Status | None:
    try:
        return Status(**json.loads((folder / "status.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def state(folder: Path, now: float) -> State:
    """What a run is doing, from its lock, then its result, then whether its child came up, or how long ago it was launched."""
    came_up = _came_up(folder)  # before the lock is looked at: a child that comes up in between is no dead one
    if is_alive(folder):
        return "running"
    ended = result(folder)
    if ended is not None:
        return ended.outcome
    attempt, at = launched(folder)
    return "starting" if came_up < attempt and now - at < STARTING_SECONDS else "lost"


def _came_up(folder: Path) -> int:
    """The newest attempt whose child took its lock; 0 where none did (or by an older Tunewright, which did not note it)."""
    try:
        return int((folder / "alive.lock").read_text() or 0)
    except FileNotFoundError:
        return 0


def log_tail(folder: Path, lines: int = 40) -> str:
    """The end of what the run printed: here, then, where it runs elsewhere, there."""
    text = "".join(_end_of(folder / name) for name in (LOG, JOB_LOG))
    return "\n".join(text.splitlines()[-lines:])


def _end_of(path: Path) -> str:
    try:
        return path.read_bytes()[-64_000:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


class Child:
    """The child's side of a run folder. Use as a context manager: the lock is held from enter to death."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.clock = clock
        self.attempt = launched(folder)[0]
        self._lock: int | None = None
        self._status_written = -math.inf
        self._phase = ""
        self._marks: deque[tuple[float, int]] = deque()

    def __enter__(self) -> Child:
        handle = os.open(self.folder / "alive.lock", os.O_RDWR | os.O_CREAT, 0o644)
        deadline = self.clock() + 10
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # another child, or a probe that is gone in a moment
                if self.clock() > deadline:
                    os.close(handle)
                    raise RuntimeError(f"another process already works on {self.folder.name}") from None
                time.sleep(0.02)
        os.pwrite(handle, f"{self.attempt}".encode(), 0)
        self._lock = handle
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def stop_requested(self) -> bool:
        return (self.folder / "stop").exists()

    def say(self, phase: str, done: int = 0, total: int = 0, unit: str = "", sentence: str = "") -> None:
        """Write status.json, at most once a second within a phase; rate and end come from this phase's last minute."""
        now = self.clock()
        if phase != self._phase:
            self._phase, self._status_written = phase, -math.inf
            self._marks.clear()
        if now - self._status_written < 1.0 and done != total:
            return
        self._status_written = now
        self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] <= now - RATE_SECONDS:  # a slow start must not spoil the rest
            self._marks.popleft()
        passed, made = now - self._marks[0][0], done - self._marks[0][1]
        rate = made / passed if made > 0 and passed > 0 else None
        eta = (total - done) / rate if rate and total else None
        words = Status(phase, done, total, unit, sentence, rate, eta, now)
        write_atomic(self.folder / "status.json", json.dumps(words.__dict__, ensure_ascii=False))

    def event(self, event: str, **fields: float | int | str | None) -> None:
        self._append("events.jsonl", {"event": event, "at": self.clock(), "attempt": self.attempt} | fields)

    def sample(self, row: dict[str, Any]) -> None:
        self._append("samples.jsonl", row)

    def output(self, row: dict[str, Any]) -> None:
        self._append("outputs.jsonl", row)

    def judgement(self, row: dict[str, Any]) -> None:
        self._append("judgements.jsonl", row)

    def piece(self, row: dict[str, Any]) -> None:
        self._append("pieces.jsonl", row)

    def example(self, row: dict[str, Any]) -> None:
        self._append("examples.jsonl", row)

    def call(self, row: dict[str, Any]) -> None:
        self._append("calls.jsonl", row)

    def hand_over(self, path: Path) -> None:
        """A file or folder of the run folder is whole: who keeps the run folder elsewhere sends it there."""

    def finish(self, outcome: Outcome, message: str, hint: str = "", data: dict[str, Any] | None = None) -> None:
        ended = Result(self.attempt, outcome, message, hint, data or {}, self.clock())
        write_atomic(self.folder / "result.json", json.dumps(ended.__dict__, ensure_ascii=False, indent=1))

    def _append(self, name: str, row: dict[str, Any]) -> None:
        append(self.folder / name, [row])


def append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add whole lines to a file of which the caller is the only writer."""
    mend_last_line(path)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def mend_last_line(path: Path) -> None:
    """Cut off a last line that a killed process left without its newline, so that the next line starts clean."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
