"""The run folder of a training on several nodes: workers tell the scribe, an actor beside the job, and it alone writes.

Where the storage is a folder that all see, checkpoints are written there by the first worker; else it hands them over. Light:
its process loads no torch.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.rundir import Child

Files = dict[str, bytes]


@dataclass(frozen=True)
class Verdict:
    """How a run ended that did not come to its end; all workers that begin after it leave at once."""

    outcome: Literal["stopped", "failed"]
    message: str
    hint: str = ""


class Scribe:
    """What the workers are told of the run, and what they have written down. Lives in a process of its own."""

    def __init__(self, folder: Path, attempts: int) -> None:
        self.child, self.attempts = Child(folder), attempts
        self.ended: Verdict | None = None
        self._deaths, self._step = 0, -1

    def verdict(self) -> Verdict | None:
        return self.ended

    def conclude(self, verdict: Verdict) -> None:
        self.ended = self.ended or verdict

    def stop_requested(self) -> bool:
        return self.child.stop_requested()

    def say(self, phase: str, done: int, total: int, unit: str, sentence: str) -> None:
        self.child.say(phase, done, total, unit, sentence)

    def event(self, event: str, fields: dict[str, Any]) -> None:
        if event == "checkpoint" and fields["step"] > self._step:
            self._step, self._deaths = fields["step"], 0
        self.child.event(event, **fields)

    def append(self, name: str, row: dict[str, Any]) -> None:
        self.child._append(name, row)

    def died(self, sentence: str) -> None:
        """A worker is gone: say so; where that happens again and again without a new checkpoint, it is the end."""
        self._deaths += 1
        self.child.event("note", sentence=sentence)
        if self._deaths > self.attempts:
            self.conclude(Verdict("failed", f"Workers were lost {self._deaths} times without a new checkpoint.",
                                  "The log says how. Resume goes on from the last checkpoint."))

    def take(self, relative: str, files: Files, beside: tuple[str, ...]) -> None:
        """A folder of the run that a worker made; of its neighbours those that it no longer keeps are deleted."""
        target = self.child.folder / relative
        part = target.with_name(f".{target.name}.coming")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, content in files.items():
            (part / name).write_bytes(content)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(part, target)
        for other in target.parent.glob("step-*"):
            if other.name not in beside:
                shutil.rmtree(other, ignore_errors=True)

    def checkpoints(self) -> dict[str, Files]:
        """All that are kept, by the name of their folder."""
        return {folder.name: contents(folder) for folder in sorted((self.child.folder / "checkpoints").glob("step-*"))}


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
