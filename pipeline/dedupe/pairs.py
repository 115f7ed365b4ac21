"""Pairs that are kept: of each text the best, and those that hold groups together, so that crowds stay readable and quick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64

BEST = 20


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows, left < right, and their similarity. `left_out` more reached the floor and are not here."""

    left: I64
    right: I64
    similarity: F32
    left_out: int = 0


def nothing() -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def best(found: Pairs, count: int, most: int = BEST) -> Pairs:
    """The `most` best pairs of each of `count` rows and a maximum spanning forest: groups by single linkage at any threshold
    are the same with these pairs as with all of them (Gower and Ross 1969)."""
    degrees = np.bincount(np.concatenate((found.left, found.right)), minlength=count)
    if not len(found.left) or degrees.max() <= most:
        return found
    kept = _best_of_each(found, most) | forest(found, count)
    return Pairs(found.left[kept], found.right[kept], found.similarity[kept], found.left_out + int((~kept).sum()))


def ranks(ends: I64, others: I64, similarity: F32) -> I64:
    """How many better pairs each row of `ends` has than this one, of those given: more alike, or equally and with an earlier
    row."""
    order = np.lexsort((others, -similarity, ends))
    begins = np.flatnonzero(np.diff(ends[order], prepend=-1))
    found = np.empty(len(ends), np.int64)
    found[order] = np.arange(len(ends)) - np.repeat(begins, np.diff(np.append(begins, len(ends))))
    return found


def forest(found: Pairs, count: int) -> np.ndarray:
    """Whether a pair belongs to the forest of the highest similarities; of equal ones the pair of the earlier rows comes first,
    so there is but one such forest, and it can be made of the forests of parts."""
    from scipy.sparse import csgraph  # a tenth of a second, and seldom needed

    weights = np.empty(len(found.left))
    weights[np.lexsort((found.right, found.left, -found.similarity))] = np.arange(1, len(weights) + 1)
    graph = sparse.csr_array((weights, (found.left, found.right)), shape=(count, count))
    tree = csgraph.minimum_spanning_tree(graph).tocoo()
    return np.isin(found.left * count + found.right, tree.row.astype(np.int64) * count + tree.col)


def _best_of_each(found: Pairs, most: int) -> np.ndarray:
    """Whether a pair is among the best of either of its rows."""
    n = len(found.left)
    ends, others = np.concatenate((found.left, found.right)), np.concatenate((found.right, found.left))
    good = ranks(ends, others, np.concatenate((found.similarity, found.similarity))) < most
    return good[:n] | good[n:]
