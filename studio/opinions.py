"""Opinions: what a reviewer can say of two answers side by side, in words that nouns, desk and exports share. Pure.

The browser speaks of the left and the right answer; what is counted speaks of candidates a and b of the pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from studio.errors import StudioError
from studio.workspace import Row

Verdict = Literal["left", "right", "tie", "both_bad"]
Winner = Literal["a", "b", "tie", "both_bad"]
Side = Literal["left", "right"]
VERDICTS: dict[str, str] = {"left": "Left is better", "right": "Right is better", "tie": "Both good", "both_bad": "Both bad"}
FAULTS: dict[str, str] = {"made_up": "Made-up fact", "tone": "Tone", "missing": "Missing step", "unsafe": "Unsafe",
                          "format": "Format", "other": "Other"}
CRITERIA: dict[str, str] = {"correct": "Correct", "complete": "Complete", "tone": "Tone", "safe": "Safe", "format": "Format"}
SCALE = (1, 5)
MAX_NOTE, MAX_BETTER, MAX_FAULTS = 4_000, 40_000, 200


@dataclass(frozen=True)
class Fault:
    """A stretch of one answer that is wrong: characters `start` to `end` (the one behind the last, counted as Python does).

    `side` is "left" or "right" as the reviewer saw it, "a" or "b" where it is counted. An empty stretch means the whole answer.
    """

    side: str
    start: int
    end: int
    kind: str
    note: str = ""


@dataclass(frozen=True)
class Opinion:
    """One reviewer's whole word on one card. `scores` are side → criterion → 1 to 5; `better` is an answer they wrote."""

    verdict: str
    scores: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    note: str = ""
    better: str = ""

    def data(self) -> Row:
        """All but the verdict and the note, as it is stored."""
        return {"scores": {side: dict(given) for side, given in self.scores.items() if given},
                "faults": [asdict(fault) for fault in self.faults], "better": self.better}


@dataclass(frozen=True)
class Judged:
    """One standing opinion with everything behind it, sides turned into candidates.

    `a` and `b` are candidate ids of the pair, in the session's order. `again` marks the hidden repeat of a pair that this
    person saw before. `blind` is False where they had looked at the live result before they said it: then it does not count.
    """

    card_id: str
    pair_id: str
    item_id: str
    a: str
    b: str
    winner: Winner
    left_is_a: bool
    again: bool
    who: str
    said_at: datetime
    scores: Mapping[str, Mapping[str, int]]
    faults: tuple[Fault, ...]
    note: str
    better: str
    blind: bool = True


def hidden(one: Judged, hide: Callable[[str], str]) -> Judged:
    """An opinion with what somebody wrote as `hide` leaves it: notes and better answers quote what they are about."""
    faults = tuple(replace(fault, note=hide(fault.note)) for fault in one.faults)
    return replace(one, note=hide(one.note), better=hide(one.better), faults=faults)


def read(press: Mapping[str, Any], left: str, right: str) -> Opinion:
    """A press of the browser as an opinion on these two texts. Raises StudioError for what cannot be meant."""
    verdict = str(press.get("verdict", ""))
    if verdict not in VERDICTS:
        raise StudioError(f"{verdict!r} is not a verdict.")
    texts = {"left": left, "right": right}
    faults = tuple(_fault(one, texts) for one in press.get("faults") or ())
    if len(faults) > MAX_FAULTS:
        raise StudioError(f"At most {MAX_FAULTS} marks fit on one pair.")
    return Opinion(verdict, _scores(press.get("scores") or {}), faults, str(press.get("note") or "")[:MAX_NOTE],
                   _better(press.get("better")))


def stored(verdict: str, note: str, data: Mapping[str, Any]) -> Opinion:
    """An opinion as it was stored."""
    return Opinion(verdict, data.get("scores") or {}, tuple(Fault(**one) for one in data.get("faults") or ()), note,
                   str(data.get("better") or ""))


def winner(verdict: str, left_is_a: bool) -> Winner:
    """Who won, by the candidates of the pair."""
    if verdict in ("tie", "both_bad"):
        return "tie" if verdict == "tie" else "both_bad"
    return "a" if (verdict == "left") == left_is_a else "b"


def turned(side: str, left_is_a: bool) -> Literal["a", "b"]:
    """Which candidate stood on a side."""
    return "a" if (side == "left") == left_is_a else "b"


def _scores(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for side, values in given.items():
        for criterion, value in values.items():
            if side not in ("left", "right") or criterion not in CRITERIA:
                raise StudioError("A score is given to the left or the right answer, by one of the criteria.")
            if not isinstance(value, int) or not SCALE[0] <= value <= SCALE[1]:
                raise StudioError(f"A score is a whole number from {SCALE[0]} to {SCALE[1]}.")
            found.setdefault(side, {})[criterion] = value
    return found


def _fault(one: Mapping[str, Any], texts: Mapping[str, str]) -> Fault:
    side, kind = str(one.get("side", "")), str(one.get("kind", ""))
    if side not in texts or kind not in FAULTS:
        raise StudioError("A mark lies on the left or the right answer and says what is wrong there.")
    start, end = int(one.get("start", 0)), int(one.get("end", 0))
    if not 0 <= start <= end <= len(texts[side]):
        raise StudioError("A mark lies outside the answer.", "Mark the words again.")
    return Fault(side, start, end, kind, str(one.get("note") or "")[:MAX_NOTE])


def _better(text: Any) -> str:
    written = str(text or "").strip()
    if len(written) > MAX_BETTER:
        raise StudioError(f"An answer has at most {MAX_BETTER:,} characters.")
    return written
