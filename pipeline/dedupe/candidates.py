"""Which pairs are worth comparing: those that share a band. Crowded bands stay bounded, and what is left out is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.dedupe.sketches import U32
from pipeline.dedupe.texts import I64, U64

PAIRS_A_BAND = 200_000
"""Of each band at least so many pairs are compared, and one for each text where that is more: the bound on time and memory."""

LARGEST = 512
CAPS = (LARGEST, 256, 128, 64, 32, 16, 8)
WINDOW = 4
A_TESTED_TEXT = 64
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Candidates:
    """Distinct pairs of row numbers, left < right. `crowded` texts share a band with more others than were compared with all.

    `left_out` counts the pairs of crowded bands that were not made; a pair of several bands counts several times.
    """

    left: I64
    right: I64
    crowded: int
    left_out: int


@dataclass(frozen=True)
class Met:
    """What one band yields: pairs packed as left << 32 | right, rows in its crowds, pairs of its crowds that were not made.

    `by_cap` is how many pairs runs of at most that many rows make, for each of CAPS; `cap` the one that was kept to.
    """

    pairs: U64
    crowd: I64
    left_out: int
    by_cap: tuple[int, ...]
    cap: int


def candidates(count: int, bands: Iterable[Met]) -> Candidates:
    """The pairs of all bands, each once."""
    crowded = np.zeros(count, bool)
    found: U64 = np.empty(0, np.uint64)
    fresh: list[U64] = []
    left_out = 0
    for met in bands:
        crowded[met.crowd] = True
        left_out += met.left_out
        fresh.append(met.pairs)
        if sum(map(len, fresh)) > 4 * limit(count):
            found, fresh = np.unique(np.concatenate([found, *fresh])), []
    return Candidates(*unpacked(np.unique(np.concatenate([found, *fresh]))), int(crowded.sum()), left_out)


def in_band(band: U32, next_band: Callable[[], U32], count: int = 0, cap: int = 0) -> Met:
    """All pairs of rows that share this band; of its crowds each row with the next few and with the first.

    Rows must be in an order that depends on the texts alone (by their hash), then the result does too. Where the rows are only
    some of `count`, the cap that suits all of them is told (0: the one that suits these).
    """
    rows, begins, sizes = _runs(band)
    by_cap = tuple(_pairs(sizes[sizes <= most]) for most in CAPS)
    cap = cap or fitting(by_cap, count or len(band))
    small, crowds = sizes <= cap, sizes > cap
    made = [_all_of(rows, begins[sizes == size], int(size)) for size in np.unique(sizes[small])]
    if not crowds.any():
        return Met(np.concatenate([np.empty(0, np.uint64), *made]), np.empty(0, np.int64), 0, by_cap, cap)
    some, members = _some_of(rows, begins[crowds], sizes[crowds], next_band())
    return Met(np.concatenate([*made, some]), members, _pairs(sizes[crowds]) - len(some), by_cap, cap)


def fitting(by_cap: Sequence[int], count: int) -> int:
    """The longest runs of a band that are compared pair by pair, of so many texts."""
    return next((cap for cap, made in zip(CAPS, by_cap, strict=True) if made <= limit(count)), CAPS[-1])


def across(bands: U32, tested: U32) -> Candidates:
    """Pairs of a row of `bands` (left) and a row of `tested` (right) that share a band.

    A tested row is compared with 64 rows of a band, or with fewer where very many are tested; `crowded` counts those that met
    more.
    """
    most = int(np.clip(20_000_000 // (bands.shape[1] * max(len(tested), 1)), 4, A_TESTED_TEXT))
    found, crowded, left_out = [], np.zeros(len(tested), bool), 0
    for band in range(bands.shape[1]):
        order = np.argsort(bands[:, band], kind="stable")
        known = bands[order, band]
        first = np.searchsorted(known, tested[:, band], "left")
        met = np.searchsorted(known, tested[:, band], "right") - first
        crowded |= met > most
        left_out += int(np.maximum(met - most, 0).sum())
        taken = np.minimum(met, most)
        step = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        left = order[np.repeat(first, taken) + step].astype(np.uint64)
        right = np.repeat(np.arange(len(tested), dtype=np.uint64), taken)
        found.append(left << np.uint64(32) | right)
    return Candidates(*unpacked(np.unique(np.concatenate(found))), int(crowded.sum()), left_out)


def _runs(band: U32) -> tuple[U64, I64, I64]:
    """Rows that share a value with another: the rows in runs, and where each run begins and how long it is."""
    packed = np.sort(band.astype(np.uint64) << np.uint64(32) | np.arange(len(band), dtype=np.uint64))
    values = packed >> np.uint64(32)
    begins = np.flatnonzero(np.concatenate((np.ones(min(1, len(values)), bool), values[1:] != values[:-1])))
    sizes = np.diff(np.append(begins, len(values)))
    return packed & _LOW, begins[sizes > 1], sizes[sizes > 1]


def limit(count: int) -> int:
    """The pairs of a band of so many texts that are compared at most, crowds apart."""
    return max(PAIRS_A_BAND, count)


def _pairs(sizes: I64) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _all_of(rows: U64, begins: I64, size: int) -> U64:
    """Every pair within each of these runs of one length; rows of a run are in order."""
    a, b = np.triu_indices(size, 1)
    members = rows[begins[:, None] + np.arange(size)]
    return (members[:, a] << np.uint64(32) | members[:, b]).ravel()


def _some_of(rows: U64, begins: I64, sizes: I64, next_band: U32) -> tuple[U64, I64]:
    """Each member of a crowd with the four that follow and with the first; and all members.

    They come in the order of their next band, so that those that resemble each other more stand together.
    """
    of = np.repeat(np.arange(len(sizes)), sizes)
    members = rows[np.repeat(begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())].astype(np.int64)
    members = members[np.lexsort((members, next_band[members], of))]
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    far = np.arange(len(members)) - first > WINDOW
    pairs = [(members[first[far]], members[far])]
    for step in range(1, WINDOW + 1):
        same = of[step:] == of[:-step]
        pairs.append((members[:-step][same], members[step:][same]))
    a, b = (np.concatenate(ends).astype(np.uint64) for ends in zip(*pairs, strict=True))
    return np.minimum(a, b) << np.uint64(32) | np.maximum(a, b), members


def unpacked(pairs: U64) -> tuple[I64, I64]:
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & _LOW).astype(np.int64)

