"""Pairs that are worth comparing, from ranges of a band's values: what shares a value is always in one range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.dedupe.candidates import in_band, unpacked
from pipeline.dedupe.sharded.parts import Search, shard_name
from pipeline.dedupe.sharded.shelf import Told
from pipeline.dedupe.texts import I64, U64

_SAMPLES = 64
"""Pairs of those that a worker takes on at once by which ranges of pairs are cut."""


def meet(search: Search, name: str, band: int, at: int, ranges: int, cap: int) -> Told:
    """The pairs of one range of a band, by their ranks, and its crowds. `cap` 0: the one that suits this range alone, which is
    that of the whole band or a larger one."""
    ranks, values, following = _range(search, band, at, ranges)
    met = in_band(values, lambda: following, search.count, cap)
    left, right = unpacked(met.pairs)
    pairs = np.sort(packed(ranks[left], ranks[right]))
    told = {"pairs": len(pairs), "crowd": len(met.crowd), "left_out": met.left_out, "by_cap": met.by_cap, "cap": met.cap}
    return search.shelf.keep(name, told, {"pairs": pairs, "crowd": np.sort(ranks[met.crowd]),
                                          "samples": pairs[:: _step(search.sizes.pairs)]})


def crowded(search: Search, name: str, shard: int, met: Sequence[str]) -> Told:
    """How many texts of a shard are in a crowd of some band."""
    low, high = search.offsets[shard : shard + 2]
    mark = np.zeros(high - low, bool)
    for one in met:
        crowd = search.shelf.load(one, "crowd")
        begin, end = np.searchsorted(crowd, (low, high))
        mark[crowd[begin:end] - low] = True
    return search.shelf.keep(name, {"crowded": int(mark.sum())}, {})


def edges(search: Search, met: Sequence[str]) -> list[int]:
    """Where ranges of pairs begin so that each holds about as many as a worker takes on; the last number is behind them all."""
    samples = np.sort(np.concatenate([np.empty(0, np.uint64), *(search.shelf.load(one, "samples") for one in met)]))
    each = max(1, search.sizes.pairs // _step(search.sizes.pairs))
    return [0, *np.unique(samples[each::each]).tolist(), (1 << 64) - 1]


def packed(left: I64, right: I64) -> U64:
    return left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)


def _step(pairs: int) -> int:
    return max(1, pairs // _SAMPLES)


def _range(search: Search, band: int, at: int, ranges: int) -> tuple[I64, np.ndarray, np.ndarray]:
    """Texts whose value lies in this range, by rank: ranks, values, values of the next band."""
    low, high = (np.uint64((edge << 32) // ranges) for edge in (at, at + 1))
    ranks, values, following = [np.empty(0, np.int64)], [np.empty(0, np.uint32)], [np.empty(0, np.uint32)]
    for shard in range(search.shards):
        kept = search.shelf.load(shard_name(shard), "bands")[band]
        begin, end = np.searchsorted(kept[0].astype(np.uint64), (low, high)) if ranges > 1 else (0, kept.shape[1])
        values.append(kept[0][begin:end])
        ranks.append(kept[1][begin:end].astype(np.int64) + search.offsets[shard])
        following.append(kept[2][begin:end])
    told = np.concatenate(ranks)
    order = np.argsort(told)
    return told[order], np.concatenate(values)[order], np.concatenate(following)[order]
