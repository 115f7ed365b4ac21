"""Which lines of a test set resemble lines of the training set: exact copies, near twins, twins by meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from pipeline.dedupe import every, neighbours, shingles, sketches, texts, vectors
from pipeline.dedupe.candidates import across
from pipeline.dedupe.pairs import Pairs
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64
from pipeline.specs import Meaning

Kind = Literal["exact", "near", "meaning"]
Watch = Callable[[int, int], None]
STEPS = 100
"""What `watch` counts: 10 for reading, 30 for near twins, 60 for twins by meaning."""

Best = tuple[I64, I64, F32]
"""Rows of distinct tested questions, for each the row of the train question that resembles it most, and how much."""


@dataclass(frozen=True)
class Item:
    """One line: all that the customer says and all that the agent says, turns joined by line ends."""

    id: str
    question: str
    answer: str


@dataclass(frozen=True)
class Match:
    """The line of train that resembles a tested line most. `similarity` is of the questions, from 0 to 1: 1.0 for exact copies,
    the true Jaccard similarity of 3-word shingles for near twins, the cosine for twins by meaning; `other_similarity` is the
    true Jaccard similarity of the answers."""

    id: str
    train_id: str
    kind: Kind
    similarity: float
    other_similarity: float


def find(train: Sequence[Item], tested: Sequence[Item], near_floor: float, meaning: Meaning | None = None,
         watch: Watch = lambda done, total: None, meaning_floor: float | None = None) -> list[Match]:
    """The best match of each kind for every tested item that has one, in the order of the tested items.

    An item with an exact copy in train is not looked at further. `watch(done, of)` is called now and then and may raise
    Stopped. Raises PipelineError where the model cannot be used. The order of the items of train does not matter.
    """
    watch(0, STEPS)
    known, asked = _Distinct(train), _Distinct(tested)
    if not len(known.hashes) or not len(asked.hashes):
        return []
    at = np.minimum(np.searchsorted(known.hashes, asked.hashes), len(known.hashes) - 1)
    same = known.hashes[at] == asked.hashes
    rest = np.flatnonzero(~same)
    found: list[tuple[Kind, Best]] = [("exact", (np.flatnonzero(same), at[same], np.ones(int(same.sum()), np.float32)))]
    if len(rest):
        watch(10, STEPS)
        found.append(("near", _near(known, asked, rest, near_floor)))
    if len(rest) and meaning is not None:
        watch(40, STEPS)
        found.append(("meaning", _by_meaning(known, asked, rest, meaning, meaning_floor, watch)))
    watch(STEPS, STEPS)
    return _matches(known, asked, found)


class _Distinct:
    """The distinct questions of some items in the order of their hashes; `first` is the item, by id, that stands for each."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = sorted(items, key=lambda item: item.id)
        self.places = {item.id: place for place, item in enumerate(items)}
        words = texts.words([item.question for item in self.items])
        hashes = texts.whole(words)
        full = np.flatnonzero(hashes)
        self.hashes, first, of = np.unique(hashes[full], return_index=True, return_inverse=True)
        self.first: I64 = full[first]
        self.members: list[I64] = np.split(full[np.argsort(of, kind="stable")], np.cumsum(np.bincount(of))[:-1])

    def questions(self, rows: I64) -> list[str]:
        return [self.items[at].question for at in self.first[rows]]


def _near(known: _Distinct, asked: _Distinct, rest: I64, floor: float) -> Best:
    """The best of each tested question: of every pair that shares a shingle where those are few, else of those that share a
    band."""
    made = [shingles.shingled(texts.words(side.questions(rows))) for side, rows in (
        (known, np.arange(len(known.first))), (asked, rest))]
    sets = [shingles.as_sets(*one) for one in made]
    found = every.pairs(sets[0], sets[1], floor)
    if found is None:
        met = across(*(sketches.bands(*one) for one in made))
        both = sparse.vstack(sets, format="csr")
        similarity = shingles.jaccard(both, met.left, met.right + len(known.first))
        high = similarity >= np.float32(floor)
        found = Pairs(met.left[high], met.right[high], similarity[high])
    order = np.lexsort((found.left, -found.similarity, found.right))
    tested, places = np.unique(found.right[order], return_index=True)
    best = order[places]
    return rest[tested], found.left[best], found.similarity[best]


def _by_meaning(known: _Distinct, asked: _Distinct, rest: I64, meaning: Meaning, floor: float | None, watch: Watch) -> Best:
    """The nearest train question of each tested question, by exact products of vectors."""
    asked_for = [*known.questions(np.arange(len(known.first))), *asked.questions(rest)]
    made = vectors.of(asked_for, meaning, lambda done, of: watch(40 + 40 * done // max(of, 1), STEPS))
    begin = len(known.first)
    nearest, similarity = neighbours.nearest(made[:begin], made[begin:], lambda done, of: watch(80 + 20 * done // of, STEPS))
    high = similarity >= (vectors.suited(meaning).floor if floor is None else floor)
    return rest[high], nearest[high], similarity[high]


def _matches(known: _Distinct, asked: _Distinct, found: list[tuple[Kind, Best]]) -> list[Match]:
    """One match for every item that asks a matched question, with the similarity of the answers."""
    rows = [(kind, asked.items[member], known.items[known.first[train]], float(value))
            for kind, (tested, nearest, similarity) in found
            for row, train, value in zip(tested, nearest, similarity, strict=True) for member in asked.members[row]]
    answers = [item.answer for _, tested, train, _ in rows for item in (tested, train)]
    sets = shingles.as_sets(*shingles.shingled(texts.words(answers)))
    other = shingles.jaccard(sets, np.arange(0, len(answers), 2), np.arange(1, len(answers), 2))
    made = [Match(tested.id, train.id, kind, value, float(alike))
            for (kind, tested, train, value), alike in zip(rows, other, strict=True)]
    order: tuple[Kind, ...] = ("exact", "near", "meaning")
    return sorted(made, key=lambda match: (asked.places[match.id], order.index(match.kind)))
