"""Ratings in whatever way a help desk writes them, read as numbers on one scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# A number alone, or one with what it is out of, its unit or its word behind it: "4/5", "80 %", "5 stars", "4 - good".
_NUMBER = re.compile(r"\s*([+-]?\d{1,4}(?:[.,]\d+)?)\s*(?:/\s*\d+|%|(?:out )?of \d+)?\s*[-–:(]?\s*[^\W\d]*[^\d]{0,30}")
_STAR, _HALF = "★⭐🌟", "½"

# From 1, the worst, to 5, the best. Sources: the answer scales of CSAT surveys as Zendesk, Freshdesk and Intercom export them.
_WORDS: dict[str, int] = {
    "very dissatisfied": 1, "very unsatisfied": 1, "very unhappy": 1, "terrible": 1, "awful": 1, "very bad": 1, "very poor": 1,
    "strongly disagree": 1, "extremely unhappy": 1,
    "dissatisfied": 2, "unsatisfied": 2, "unhappy": 2, "bad": 2, "poor": 2, "disagree": 2, "not helpful": 2, "unhelpful": 2,
    "neutral": 3, "ok": 3, "okay": 3, "average": 3, "fair": 3, "mixed": 3,
    "satisfied": 4, "happy": 4, "good": 4, "agree": 4, "helpful": 4, "great": 4,
    "very satisfied": 5, "very happy": 5, "very good": 5, "excellent": 5, "amazing": 5, "strongly agree": 5, "perfect": 5,
    "extremely happy": 5, "very helpful": 5,
    "😠": 1, "😡": 1, "🙁": 2, "☹": 2, "😞": 2, "😐": 3, "🙂": 4, "😊": 4, "😃": 5, "🤩": 5, "😍": 5}
_THUMBS: dict[str, int] = {
    "👍": 1, "👎": 0, "thumbs up": 1, "thumbs down": 0, "thumb up": 1, "thumb down": 0, "thumbs_up": 1, "thumbs_down": 0,
    "up": 1, "down": 0, "positive": 1, "negative": 0, "like": 1, "dislike": 0, "liked": 1, "disliked": 0, "yes": 1, "no": 0,
    "true": 1, "false": 0, "solved": 1, "not solved": 0, "resolved": 1, "unresolved": 0}
_NONE = {"", "none", "null", "nan", "n/a", "na", "-", "–", "offered", "unoffered", "not rated", "unrated", "no rating",
         "not offered"}


@dataclass(frozen=True)
class Scale:
    """How a column rates. `numbers` gives every value that was read its number, `unread` those that say nothing we know.

    `kind` says what the values are: "numbers" from `low` to `high`, "words" (1 the worst to 5 the best) or "thumbs" (0 and 1).
    `suggested` is a threshold to begin with: four fifths of the way up, or thumbs up.
    """

    kind: Literal["numbers", "words", "thumbs"]
    low: float
    high: float
    suggested: float
    numbers: dict[str, float]
    unread: dict[str, int]

    @property
    def share_read(self) -> float:
        """The share of different non-empty values that were read."""
        return len(self.numbers) / max(1, len(self.numbers) + len(self.unread))


def parse_number(cell: str) -> float | None:
    """The rating in a cell: "4", "4,5", "4/5", "80 %", "5 stars", "★★★☆☆"; None where it holds something else, a date say."""
    stars = sum(cell.count(mark) for mark in _STAR)
    if stars:
        return stars + 0.5 * cell.count(_HALF)
    found = _NUMBER.fullmatch(cell)
    return float(found[1].replace(",", ".")) if found else None


def read_scale(values: Mapping[str, int]) -> Scale | None:
    """Read the different values of a column, given with their counts; None where none of them rates anything.

    A column is read in the way that fits most of its cells: as numbers, as words of satisfaction, or as thumbs.
    """
    asked = {value: count for value, count in values.items() if value.strip().lower() not in _NONE}
    ways: dict[str, dict[str, float | None]] = {
        "numbers": {value: parse_number(value) for value in asked},
        "words": {value: _WORDS.get(_plain(value)) for value in asked},
        "thumbs": {value: _THUMBS.get(_plain(value), _only_good_or_bad(value, asked)) for value in asked}}
    fits = {kind: sum(asked[value] for value, number in read.items() if number is not None) for kind, read in ways.items()}
    kind = max(("thumbs", "words", "numbers"), key=lambda way: (fits[way], way == "numbers"))
    if not fits[kind]:
        return None
    numbers = {value: float(number) for value, number in ways[kind].items() if number is not None}
    low, high = {"thumbs": (0.0, 1.0), "words": (1.0, 5.0)}.get(kind, (min(numbers.values()), max(numbers.values())))
    suggested = {"thumbs": 1.0, "words": 4.0}.get(kind, max(low, 0.8 * high))
    return Scale(kind, low, high, suggested, numbers,  # type: ignore[arg-type]
                 {value: count for value, count in asked.items() if value not in numbers})


def _plain(value: str) -> str:
    return " ".join(value.strip().lower().replace("-", " ").split()).rstrip(".!")


def _only_good_or_bad(value: str, asked: Mapping[str, int]) -> int | None:
    """Zendesk's scale has two words, good and bad: a column of just these is a pair of thumbs."""
    if {_plain(other) for other in asked} <= {"good", "bad"}:
        return int(_plain(value) == "good")
    return None
