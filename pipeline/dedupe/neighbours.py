"""Texts that lie near each other by their vectors (rows of length 1, so a product is a cosine).

Every pair is looked at while that takes about a minute. Beyond, each text is compared within the cells of vectors nearest to
it, and how many of the pairs that finds is measured on some texts and said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.dedupe.pairs import BEST, Pairs, best, nothing
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64

Watch = Callable[[int, int], None]
BLOCK = 2_048
EXACT_PRODUCTS = 4e12
"""texts² × dimensions up to which every pair is looked at: about a minute on two cores of 2023."""

PROBES, ROUNDS, TRIED = 6, 6, 500


@dataclass(frozen=True)
class Near:
    """Pairs at or above the floor. `recall` is the share of them that was found: 1.0 where all were looked at, else measured
    on 500 texts. `every` says which."""

    pairs: Pairs
    every: bool
    recall: float


def within(vectors: F32, floor: float, watch: Watch = lambda done, total: None, most: float = EXACT_PRODUCTS) -> Near:
    """Pairs of rows whose cosine is at or above the floor: of each row the 20 best, and those that hold groups together."""
    n, dimensions = vectors.shape
    if float(n) * n * dimensions <= most:
        return Near(_exact(vectors, floor, watch), True, 1.0)
    found = _by_cells(vectors, floor, watch)
    return Near(found, False, _recall(vectors, found, floor))


def nearest(known: F32, tested: F32, watch: Watch = lambda done, total: None) -> tuple[I64, F32]:
    """For each tested row the known row with the highest cosine (the first of equals), and that cosine. Exact."""
    highest = np.full(len(tested), -1.0, np.float32)
    at = np.zeros(len(tested), np.int64)
    for begin in range(0, len(known), BLOCK):
        watch(begin, len(known))
        for first in range(0, len(tested), BLOCK):
            part = tested[first : first + BLOCK] @ known[begin : begin + BLOCK].T
            place = part.argmax(axis=1)
            value = part[np.arange(len(part)), place]
            better = value > highest[first : first + BLOCK]
            highest[first : first + BLOCK][better] = value[better]
            at[first : first + BLOCK][better] = place[better] + begin
    return at, np.minimum(highest, 1.0)


def _exact(vectors: F32, floor: float, watch: Watch) -> Pairs:
    """Blocks of rows against all rows behind them."""
    n = len(vectors)
    found = [nothing()]
    for begin in range(0, n, BLOCK):
        watch(begin, n)
        rows = np.arange(begin, min(n, begin + BLOCK))
        for first in range(begin, n, 8 * BLOCK):
            others = np.arange(first, min(n, first + 8 * BLOCK))
            found.append(_close(vectors, rows, others, floor))
    return _together(found, n)


def _by_cells(vectors: F32, floor: float, watch: Watch) -> Pairs:
    """Spherical k-means; the members of each cell against all texts that have it among their six nearest (inverted file,
    Jégou et al. 2011)."""
    n = len(vectors)
    cells = max(2, int(np.sqrt(n)))
    centres = _centres(vectors, cells, watch)
    probes = np.empty((n, min(PROBES, cells)), np.int32)
    for begin in range(0, n, BLOCK):
        watch(begin, 2 * n)
        close = vectors[begin : begin + BLOCK] @ centres.T
        some = np.argpartition(-close, probes.shape[1] - 1, axis=1)[:, : probes.shape[1]]
        probes[begin : begin + BLOCK] = np.take_along_axis(some, np.argsort(-np.take_along_axis(close, some, 1), 1), 1)
    found, compared = [nothing()], 0
    order = np.argsort(probes[:, 0], kind="stable")
    visits = np.argsort(probes.ravel(), kind="stable")
    own = np.searchsorted(probes[order, 0], np.arange(cells + 1))
    met = np.searchsorted(probes.ravel()[visits], np.arange(cells + 1))
    for cell in range(cells):
        members, visitors = order[own[cell] : own[cell + 1]], visits[met[cell] : met[cell + 1]] // probes.shape[1]
        for begin in range(0, len(members), BLOCK):
            watch(n + compared, 2 * n)
            found.append(_close(vectors, members[begin : begin + BLOCK], visitors, floor, False))
            compared += len(members[begin : begin + BLOCK])
    return _together(found, n)


def _close(vectors: F32, rows: I64, others: I64, floor: float, behind: bool = True) -> Pairs:
    """Pairs of a row and another at or above the floor, the 20 best of each row; `behind`: only others that come after it."""
    cosines = vectors[rows] @ vectors[others].T
    cosines[(others[None, :] <= rows[:, None]) if behind else (others[None, :] == rows[:, None])] = -2
    high = cosines >= floor
    over = high.sum(axis=1) > BEST
    left_out = 0
    if over.any():
        kept = np.zeros((int(over.sum()), len(others)), bool)
        np.put_along_axis(kept, np.argpartition(-cosines[over], BEST - 1, axis=1)[:, :BEST], True, axis=1)
        left_out = int(high[over].sum() - kept.sum())
        high[over] = kept
    a, b = np.nonzero(high)
    left, right = rows[a], others[b]
    return Pairs(np.minimum(left, right), np.maximum(left, right), np.minimum(cosines[a, b], 1.0), left_out)


def _together(found: list[Pairs], count: int) -> Pairs:
    """All pairs once, in order, and of each row the best."""
    left, right = (np.concatenate([getattr(one, end) for one in found]) for end in ("left", "right"))
    _, once = np.unique(left * count + right, return_index=True)
    similarity = np.concatenate([one.similarity for one in found])[once]
    return best(Pairs(left[once], right[once], similarity, sum(one.left_out for one in found)), count)


def _centres(vectors: F32, cells: int, watch: Watch) -> F32:
    """Centres of cells from at most 64 texts a cell, taken at even steps; the first ones are texts themselves."""
    sample = vectors[:: max(1, len(vectors) // (64 * cells))]
    centres = sample[:: max(1, len(sample) // cells)][:cells].copy()
    for _ in range(ROUNDS):
        watch(0, 2 * len(vectors))
        at, _ = nearest(centres, sample, lambda done, total: watch(0, 2 * len(vectors)))
        sums = np.zeros_like(centres)
        np.add.at(sums, at, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres)
    return centres


def _recall(vectors: F32, found: Pairs, floor: float) -> float:
    """The share of all pairs of 500 texts, taken at even steps, that is among the found ones (of each text its 20 best)."""
    n = len(vectors)
    rows = np.arange(0, n, max(1, n // TRIED))[:TRIED]
    parts = [_close(vectors, rows, np.arange(begin, min(n, begin + 32 * BLOCK)), floor, False) for begin in
             range(0, n, 32 * BLOCK)]
    true = _together(parts, n)
    if not len(true.left):
        return 1.0
    return float(np.isin(true.left * n + true.right, found.left * n + found.right).mean())
