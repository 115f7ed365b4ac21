"""What a check found in one record: the words shared by every check, the run that applies them and the studio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["privacy", "cleaning", "quality"]
Messages = list[dict[str, str]]
"""A conversation: `{"role": "system" | "user" | "assistant", "content": ...}` turns, the agent's last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one wording of a record.

    `turn` is the turn's place from 0, or -1 for the whole record; `start` and `end` mark code points of that turn's content
    (both 0 where the whole turn or record is meant). `score` runs from 0 to 1: how sure the check is, or how much of the text
    it concerns; thresholds are applied when reading. `evidence` is a short sentence for a person and holds no personal data.
    `replacement` is what would stand there once applied, None where nothing can be mended by itself.
    """

    kind: str
    turn: int
    start: int
    end: int
    score: float
    evidence: str
    replacement: str | None = None


@dataclass(frozen=True)
class Kind:
    """A sort of finding, in words. Findings scored under `threshold` are kept but not shown until a person lowers it."""

    key: str
    group: Group
    title: str
    explanation: str
    threshold: float = 0.5
    fixable: bool = False
