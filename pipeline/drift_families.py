"""Families: few texts that are near each other because one cause made them (one ticket reworded, one customer asking again).

Shuffling labels text by text takes every text for a draw of its own. Where a family came to one side as a whole that is not
so: two halves of one snapshot, split with twins held together, then look unlike. A family shows: its members are each other's
nearest and on one side, while those a little farther away are not. A topic that is new is different: there, those farther away
are on the same side too. So families of up to eight are found and shuffled as one; what is larger is a topic.
"""

from __future__ import annotations

import numpy as np

from pipeline.drift_texts import F32, Ints

NEAREST, FARTHER = 16, 10
SIZES, EQUAL = (2, 4, 8), np.float32(1e-5)
SURE = 2.5
"""Standard errors. Without families 2 to 5 of 100 comparisons pass it (10 to 15 where a topic of 20 % is new), and lose some
power by it: seen in 30 to 150 trials on Bitext and Banking77. What few families below it do was not measured."""


def find(vectors: F32, labels: F32, dice: np.random.Generator) -> tuple[Ints, float]:
    """The family of each text (numbers from 0), and about which share of texts is in families; 0 where none can be told."""
    near = nearest(vectors, min(NEAREST, len(vectors) - 1), dice)
    alone = np.arange(len(labels))
    excess, error = _excess(near, labels, alone)
    if excess <= SURE * error:
        return alone, 0.0
    family = alone
    for size in SIZES:
        family = _grouped(near, labels, size)
        left, error = _excess(near, labels, family)
        if left <= SURE * error:
            break
    chance = float(2 * labels.mean() * (1 - labels.mean()))
    return family, min(1.0, excess / chance)


def nearest(vectors: F32, count: int, dice: np.random.Generator) -> Ints:
    """The places of the nearest others of each text, the nearest first (texts, count). Equals come in any order: else one of
    many copies would be the nearest of all the others."""
    alike = vectors @ vectors.T
    alike += dice.random(alike.shape, np.float32) * EQUAL
    np.fill_diagonal(alike, -np.inf)
    found = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(alike, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1).astype(np.int64)


def _excess(near: Ints, labels: F32, family: Ints) -> tuple[float, float]:
    """How much more often the nearest text of another family is on a text's own side than texts farther away are, with its
    standard error."""
    same = labels[near] == labels[:, None]
    other = family[near] != family[:, None]
    first = same[np.arange(len(labels)), other.argmax(axis=1)]
    apart = first - same[:, FARTHER:].mean(axis=1)
    return float(apart.mean()), float(apart.std() / np.sqrt(len(apart)))


def _grouped(near: Ints, labels: F32, size: int) -> Ints:
    """Families of at most `size`: each text, in turn, takes in those of its nearest that are on its side, until a second one of
    the other side comes."""
    family = np.full(len(labels), -1, np.int64)
    number = 0
    for text, others in enumerate(near):
        if family[text] >= 0:
            continue
        mine = others[: int(np.append(np.flatnonzero(labels[others] != labels[text]), (len(others), len(others)))[1])]
        mine = mine[(labels[mine] == labels[text]) & (family[mine] < 0)][: size - 1]
        family[[text, *mine]] = number
        number += 1
    return family
