"""Pairs compared, and those that are kept: of each text the best, and a forest that is made of the forests of parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.dedupe import every
from pipeline.dedupe.candidates import unpacked
from pipeline.dedupe.pairs import BEST, Pairs, best, forest, nothing, ranks
from pipeline.dedupe.sharded.meeting import packed
from pipeline.dedupe.sharded.parts import Search, places_of, sets, similarity
from pipeline.dedupe.sharded.shelf import Told
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import U64

AT_ONCE = 8
"""Forests that are made into one."""


def few(search: Search, name: str) -> Told:
    """Every pair of texts that share a shingle, where neither texts nor meetings are too many: `every` says whether."""
    places = places_of(search, np.arange(search.count))
    order = np.argsort(places)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    found_sets = sets(search, "part", places[order])[back]
    found = every.pairs(found_sets, found_sets, search.floor) if search.count else nothing()
    if found is None:
        return search.shelf.keep(name, {"every": False}, {})
    once = found.left < found.right
    kept = best(Pairs(found.left[once], found.right[once], found.similarity[once]), search.count)
    return search.shelf.keep(name, {"every": True, "pairs": len(kept.left), "left_out": kept.left_out},
                             laid_out(packed(kept.left, kept.right), kept.similarity))


def compare(search: Search, name: str, low: int, high: int, met: Sequence[str]) -> Told:
    """The true similarity of the pairs of one range, each once, and those from the floor on, by left and by right text."""
    some = [_between(search.shelf.load(one, "pairs"), low, high) for one in met]
    pairs = np.unique(np.concatenate([np.empty(0, np.uint64), *some]))
    texts, of = np.unique(np.concatenate(unpacked(pairs)), return_inverse=True)
    places = places_of(search, texts)[of]
    alike = similarity(search, "part", places[: len(pairs)], places[len(pairs) :])
    high_enough = alike >= np.float32(search.floor)
    pairs, alike = pairs[high_enough], alike[high_enough]
    left, right = unpacked(pairs)
    turned = packed(right, left)
    order = np.argsort(turned)
    return search.shelf.keep(name, {"pairs": len(pairs)}, laid_out(pairs, alike) | {
        "turned": turned[order], "turned_similarity": alike[order]})


def top(search: Search, name: str, shard: int, found: Sequence[str]) -> Told:
    """The 20 best pairs of each text of a shard, and how many pairs the one with most has."""
    low, high = search.offsets[shard : shard + 2]
    degrees = np.zeros(high - low, np.int64)
    kept, alike = np.empty(0, np.uint64), np.empty(0, np.float32)
    for one in found:
        for key, values in (("pairs", "similarity"), ("turned", "turned_similarity")):
            pairs = search.shelf.load(one, key)
            begin, end = np.searchsorted(pairs, np.array([low << 32, high << 32], np.uint64))
            degrees += np.bincount(unpacked(pairs[begin:end])[0] - low, minlength=high - low)
            kept = np.concatenate((kept, pairs[begin:end]))
            alike = np.concatenate((alike, search.shelf.load(one, values)[begin:end]))
        ends, others = unpacked(kept)
        good = ranks(ends, others, alike) < BEST
        kept, alike = kept[good], alike[good]
    ends, others = unpacked(kept)
    return search.shelf.keep(name, {"most": int(degrees.max(initial=0))}, {
        "pairs": np.unique(packed(np.minimum(ends, others), np.maximum(ends, others)))})


def grow(search: Search, name: str, found: Sequence[str]) -> Told:
    """One forest of the highest similarities, of the pairs of some forests: what is not in a part's forest is in none."""
    pairs, alike = (np.concatenate([search.shelf.load(one, key) for one in found]) for key in ("pairs", "similarity"))
    texts, of = np.unique(np.concatenate(unpacked(pairs)), return_inverse=True)
    kept = forest(Pairs(of[: len(pairs)], of[len(pairs) :], alike), len(texts))
    order = np.argsort(pairs[kept])
    return search.shelf.keep(name, {"pairs": len(order)}, {"pairs": pairs[kept][order], "similarity": alike[kept][order]})


def sift(search: Search, name: str, found: str, kept: Sequence[str]) -> Told:
    """The pairs of one range that are among the best of a text, or in the forest."""
    pairs, alike = search.shelf.load(found, "pairs"), search.shelf.load(found, "similarity")
    if len(pairs):
        ends = int(pairs[0]), int(pairs[-1]) + 1
        good = np.isin(pairs, np.concatenate([_between(search.shelf.load(one, "pairs"), *ends) for one in kept]))
        pairs, alike = pairs[good], alike[good]
    left_out = len(search.shelf.load(found, "pairs")) - len(pairs)
    return search.shelf.keep(name, {"pairs": len(pairs), "left_out": left_out}, laid_out(pairs, alike))


def laid_out(pairs: U64, alike: F32) -> dict[str, np.ndarray]:
    return {"pairs": pairs, "similarity": alike, "ends": np.unique(np.concatenate(unpacked(pairs)))}


def _between(pairs: U64, low: int, high: int) -> U64:
    begin, end = np.searchsorted(pairs, np.array([low, high], np.uint64))
    return pairs[begin:end]
