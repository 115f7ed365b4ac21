"""remote.json of a run elsewhere: which job does it, what was put on the storage, and whether anything is left there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline import rundir

REMOTE = "remote.json"


class Remote:
    """Only the ferry writes. A job's id is written down before it is submitted: after a kill it can be found again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / REMOTE
        self._now: dict[str, Any] = {"attempt": 0, "submitted": 0, "submission": "", "inputs": {}, "left": False,
                                     "ended": None, "ended_in": 0}
        if self.path.exists():
            self._now |= json.loads(self.path.read_text(encoding="utf-8"))

    @property
    def submission(self) -> str:
        return str(self._now["submission"])

    @property
    def attempt(self) -> int:
        """The attempt of the run that the job is of."""
        return int(self._now["attempt"])

    @property
    def submitted(self) -> int:
        """How many jobs this run had so far."""
        return int(self._now["submitted"])

    @property
    def inputs(self) -> dict[str, str]:
        """Files of the run folder that the app wrote, and their size and time when they were put."""
        return dict(self._now["inputs"])

    @property
    def left(self) -> bool:
        """Whether copies of the run may lie on the storage."""
        return bool(self._now["left"])

    def home_but_unsaid(self, folder: Path) -> dict[str, Any] | None:
        """How the job ended, where everything came home and the ferry was killed before it wrote the result."""
        if not self._now["ended"]:
            return None
        path = folder / "result.json"
        said = json.loads(path.read_text(encoding="utf-8"))["attempt"] if path.exists() else 0
        return dict(self._now["ended"]) if said < self._now["ended_in"] else None

    def wish(self, submission: str, attempt: int) -> None:
        self._save(submission=submission, attempt=attempt, submitted=self.submitted + 1, ended=None)

    def put(self, inputs: dict[str, str]) -> None:
        self._save(inputs=inputs)

    def begin(self) -> None:
        """From now on there may be copies on the storage."""
        self._save(left=True, ended=None)

    def end(self, ended: dict[str, Any], attempt: int) -> None:
        """Everything is here; `attempt` is that of the run which brought it."""
        self._save(ended=ended, ended_in=attempt)

    def clean(self) -> None:
        self._save(left=False, submission="")

    def _save(self, **changes: Any) -> None:
        self._now |= changes
        rundir.write_atomic(self.path, json.dumps(self._now, indent=1))
