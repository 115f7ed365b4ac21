"""Is a text the near twin of one of many others? The true Jaccard similarity of 3-word shingles, as everywhere in the house.

A text that is at least `at` alike must share one of a few of its shingles (prefix filtering, Chaudhuri et al. 2006), so only
those that share one of its rarest few are compared: some tenths of a millisecond among 100,000 questions.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from pipeline.dedupe.shingles import as_sets, shingled
from pipeline.dedupe.texts import I64, mixed, normalised, words

AT_ONCE = 20_000


def shingles_of(text: str, of: str = "") -> I64:
    """The distinct shingles of one text, in order; with `of`, such as no text has that belongs to another `of`."""
    made = shingled(words([_storable(text)]))[0]
    if of and len(made):
        made = mixed(made ^ _mark(of))
    return np.unique((made >> np.uint64(1)).astype(np.int64))


def rarest(count: int, at: float) -> int:
    """How many shingles of a text that has `count` must be looked up, so that no text that is `at` alike is missed."""
    return count - math.ceil(at * count - 1e-9) + 1


class Fixed:
    """Texts that do not change, in arrays: some 20 bytes a shingle, so 25 MB for 100,000 questions of 15 words."""

    def __init__(self, texts: Iterable[str]) -> None:
        sets = [as_sets(*shingled(words(some))) for some in _blocks(texts)]
        self.shingles = np.concatenate([np.empty(0, np.int64), *(one.indices for one in sets)])
        self.begins = np.cumsum(np.concatenate([np.zeros(1, np.int64), *(np.diff(one.indptr) for one in sets)]))
        order = np.argsort(self.shingles, kind="stable")
        rows = np.repeat(np.arange(len(self.begins) - 1, dtype=np.int32), np.diff(self.begins))
        self.rows = rows[order]
        self.known, first = np.unique(self.shingles[order], return_index=True)
        self.first = np.append(first, len(self.rows))

    def nearest(self, asked: I64, at: float) -> float:
        """The highest similarity of a text that is at least `at` alike; 0 where there is none."""
        if not len(asked) or not len(self.known):
            return 0.0
        place = np.minimum(np.searchsorted(self.known, asked), len(self.known) - 1)
        place = place[self.known[place] == asked]
        unknown = len(asked) - len(place)
        sizes = self.first[place + 1] - self.first[place]
        looked = place[np.argsort(sizes, kind="stable")][: max(0, rarest(len(asked), at) - unknown)]
        if not len(looked):
            return 0.0
        found = np.unique(np.concatenate([self.rows[self.first[one] : self.first[one + 1]] for one in looked]))
        lengths = self.begins[found + 1] - self.begins[found]
        fits = (lengths >= at * len(asked) - 1e-9) & (lengths * at <= len(asked) + 1e-9)
        found, lengths = found[fits], lengths[fits]
        if not len(found):
            return 0.0
        steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        theirs = self.shingles[np.repeat(self.begins[found], lengths) + steps]
        shared = np.add.reduceat(np.isin(theirs, asked).astype(np.int64), np.cumsum(lengths) - lengths)
        best = float((shared / (lengths + len(asked) - shared)).max())
        return best if best >= at - 1e-9 else 0.0


class Growing:
    """Texts that come one by one."""

    def __init__(self) -> None:
        self.sets: list[frozenset[int]] = []
        self.rows: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, shingles: I64) -> None:
        for one in shingles.tolist():
            self.rows[one].append(len(self.sets))
        self.sets.append(frozenset(shingles.tolist()))

    def nearest(self, asked: I64, at: float) -> float:
        """The highest similarity of a text that is at least `at` alike; 0 where there is none."""
        mine = frozenset(asked.tolist())
        looked = sorted(mine, key=lambda one: (len(self.rows.get(one, ())), one))[: rarest(len(mine), at)] if mine else []
        found = {row for one in looked for row in self.rows.get(one, ())}
        best = max((len(mine & self.sets[row]) / len(mine | self.sets[row]) for row in found), default=0.0)
        return best if best >= at - 1e-9 else 0.0


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time that their words fit into little memory."""
    rest = iter(texts)
    while some := [_storable(text) for text in islice(rest, AT_ONCE)]:
        yield some


def _storable(text: str) -> str:
    """Half of a pair of code units (a broken escape in JSON) is no character; Arrow takes none."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _mark(of: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(normalised(_storable(of)).encode()).digest()[:8], "big"))
