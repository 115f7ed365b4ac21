"""Functions that people wrote, run beside the child in a process of their own (`own_process`): never in the app.

A call that hangs is cut off after `CALL_SECONDS`, whatever it hangs in, and its process started anew; so is one that dies. This
keeps a slip from harming a run. It is no cage: the function may read what its writer may read.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.examples import Example

CALL_SECONDS, WHOLE_SECONDS = 5.0, 600.0
START_SECONDS = 30.0
_LINE = 1 << 16
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""All that its environment holds: no keys."""


@dataclass(frozen=True)
class Scored:
    """What came of one call: a value, or the words of what went wrong with the line of the code (none: not known)."""

    value: float | None
    words: str = ""
    line: int | None = None


class OwnFunction:
    """One function, ready to be called; a context manager that ends its process."""

    def __init__(self, name: str, source: dict[str, str], call_seconds: float = CALL_SECONDS) -> None:
        """`source` is {"code": Python} or {"pattern": a regular expression}. Raises PipelineError in words where it is none."""
        self.name, self.source, self.call_seconds = name, source, call_seconds
        self.process: subprocess.Popen[bytes] | None = None
        self._start()

    def __enter__(self) -> OwnFunction:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def score(self, answer: str, reference: str, item: Example) -> Scored:
        """Never raises for what the function does."""
        if self.process is None:
            self._start()
        asked = {"answer": answer, "reference": reference, "item": {"id": item.id, "messages": list(item.messages)}}
        said = self._asked(asked, self.call_seconds)
        return Scored(said.get("value"), said.get("words", ""), said.get("line"))

    def _start(self) -> None:
        program = Path(__file__).with_name("own_process.py")
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(), env={key: os.environ[key] for key in _KEPT if key in os.environ})
        said = self._asked(self.source, START_SECONDS)
        if "value" not in said:
            self._end()
            where = f" (line {said['line']})" if said.get("line") else ""
            raise PipelineError(f"{self.name} cannot be run{where}: {said['words']}", "Mend it, then score again.")

    def _asked(self, line: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer to one line; the process is ended where none comes in time."""
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(line).encode() + b"\n")
            self.process.stdin.flush()
            found = self._heard(time.monotonic() + seconds)
        except (BrokenPipeError, ValueError):
            found = None
        if found is not None:
            return found
        ended = self.process.poll() is not None
        self._end()
        return {"words": "Its process ended." if ended else f"It took longer than {seconds:g} seconds."}

    def _heard(self, deadline: float) -> dict[str, Any] | None:
        assert self.process is not None and self.process.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            part = os.read(self.process.stdout.fileno(), _LINE)
            if not part:
                self.process.wait(1)
                return None
            said += part
        found: dict[str, Any] = json.loads(said)
        return found

    def _end(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()
        self.process = None


def scores(function: OwnFunction, asked: Sequence[tuple[str, Example]], deadline: float) -> Iterator[Scored]:
    """One an answer, in order; `asked` are (answer, item). Past the deadline (monotonic seconds) nothing more is called."""
    for answer, item in asked:
        if time.monotonic() > deadline:
            yield Scored(None, f"Not reached: own functions may take {WHOLE_SECONDS / 60:.0f} minutes in all.")
        else:
            yield function.score(answer, item.answer, item)
