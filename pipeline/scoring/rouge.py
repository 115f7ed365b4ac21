"""ROUGE-1, 2 and L as rouge-score counts them (Lin 2004, without stemming), some forty times as fast.

The same words, the same counts, the same order of arithmetic: values are equal bit for bit (a property test holds the two
together). The longest common subsequence is counted a row at a time in the bits of one number (Hyyrö 2004).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

_WORD = re.compile(r"[a-z0-9]+")
KEYS = ("rouge1", "rouge2", "rougeL")
T = TypeVar("T")


@dataclass(frozen=True)
class _Read:
    """A text's words, how often each word and each pair occurs, and the places of each word as bits."""

    words: tuple[str, ...]
    ones: Counter[str]
    twos: Counter[tuple[str, str]]
    places: dict[str, int]


def score(reference: str, answer: str) -> dict[str, float]:
    """F-measures by name. References are remembered, because many candidates answer one item."""
    wanted, said = _reference(reference), _WORD.findall(answer.lower())
    return {"rouge1": _shared(wanted.ones, said), "rouge2": _shared(wanted.twos, list(pairwise(said))),
            "rougeL": _of(_common(wanted, said), len(wanted.words), len(said)) if wanted.words and said else 0.0}


@lru_cache(maxsize=4_096)
def _reference(text: str) -> _Read:
    words = tuple(_WORD.findall(text.lower()))
    places: dict[str, int] = {}
    for at, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << at
    return _Read(words, Counter(words), Counter(pairwise(words)), places)


def _shared(wanted: Counter[T], said: list[T]) -> float:
    met = sum(min(often, wanted[part]) for part, often in Counter(said).items() if part in wanted)
    return _of(met, wanted.total(), len(said))


def _common(wanted: _Read, said: Iterable[str]) -> int:
    """The length of the longest common subsequence: zeros that are left among as many bits as there are wanted words."""
    every = (1 << len(wanted.words)) - 1
    row = every
    for word in said:
        met = row & wanted.places.get(word, 0)
        row = (row + met | row - met) & every
    return len(wanted.words) - row.bit_count()


def _of(met: int, wanted: int, said: int) -> float:
    precision, recall = met / max(said, 1), met / max(wanted, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
