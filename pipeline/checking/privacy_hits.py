"""One place in one text where a check saw personal data, before overlaps are settled and placeholders given."""

from __future__ import annotations

import re
from typing import NamedTuple


class Hit(NamedTuple):
    """`start` and `end` are code points of the text; `evidence` says why and never repeats the text."""

    kind: str
    start: int
    end: int
    score: float
    evidence: str


# Stands for every character of what must not be searched; no pattern takes it.
VEIL = "\ufffc"

# Help desks paste from phones and PDFs: spaces that do not break, dashes of all lengths, digits of other scripts.
# One character becomes one character, so places stay what they were.
FLAT = str.maketrans(
    dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2007\u2008\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe58\ufe63\uff0d", "-")
    | {"\uff0b": "+"}
    | {chr(zero + digit): str(digit) for zero in (0x0660, 0x06F0, 0xFF10) for digit in range(10)}
)
TYPOGRAPHIC = re.compile(f"[{''.join(map(chr, FLAT))}]")


def flat(text: str) -> str:
    """The text with typographic spaces, dashes and digits in their ASCII form; the length stays."""
    return text if text.isascii() or not TYPOGRAPHIC.search(text) else text.translate(FLAT)


def words(*alternatives: str) -> re.Pattern[str]:
    """A pattern for any of these words or phrases, whole and in any case."""
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", re.IGNORECASE)
