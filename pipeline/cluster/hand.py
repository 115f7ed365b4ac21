"""What workers of a training on several nodes have of the run folder: they tell the scribe (`cluster.scribe`), which writes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray

from pipeline.cluster.scribe import contents
from pipeline.training.together import Silent

ASK_SECONDS, SAY_SECONDS = 0.3, 0.5
PASSING = ("loss",)
"""Events that nobody waits for: a step is not slower for being told of."""


class Quiet(Silent):
    """What a worker other than the first has of the run folder."""

    def __init__(self, folder: Path, scribe: Any) -> None:
        super().__init__(folder)
        self.scribe = scribe
        self._asked_at, self._stop = 0.0, False

    def stop_requested(self) -> bool:
        if not self._stop and time.monotonic() - self._asked_at > ASK_SECONDS:
            self._stop = ray.get(self.scribe.stop_requested.remote())
            self._asked_at = time.monotonic()
        return self._stop


class Hand(Quiet):
    """What the first worker has of it. `shared` tells whether the folder is the run's own, which all see."""

    def __init__(self, folder: Path, scribe: Any, shared: bool) -> None:
        super().__init__(folder, scribe)
        self.shared = shared
        self._said_at = 0.0

    def say(self, phase: str, done: int = 0, total: int = 0, unit: str = "", sentence: str = "") -> None:
        now = time.monotonic()
        if phase == self._phase and now - self._said_at < SAY_SECONDS and done != total:
            return
        self._phase, self._said_at = phase, now
        self.scribe.say.remote(phase, done, total, unit, sentence)

    def event(self, event: str, **fields: float | int | str | None) -> None:
        written = self.scribe.event.remote(event, fields)
        if event not in PASSING:
            ray.get(written)

    def _append(self, name: str, row: dict[str, Any]) -> None:
        ray.get(self.scribe.append.remote(name, row))

    def hand_over(self, path: Path) -> None:
        if not self.shared:
            beside = tuple(other.name for other in path.parent.glob("step-*"))
            ray.get(self.scribe.take.remote(str(path.relative_to(self.folder)), contents(path), beside))
