"""Sets of 3-word shingles, and the true Jaccard similarity of pairs of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from pipeline.dedupe.texts import I64, U64, Words, mixed, whole

SIZE = 3
_COLUMNS = 2**63 - 1
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers that tell the places of the words apart."""

F32 = np.ndarray[Any, np.dtype[np.float32]]


def shingled(found: Words) -> tuple[U64, I64]:
    """The shingles of n texts, one after the other with repeats, and the n + 1 places where each text's begin.

    A shingle is the hash of three words that follow each other; a text of fewer words has one, the hash of them all.
    """
    hashes, offsets, counts = found.hashes, found.offsets, found.counts
    kept = np.ones(len(hashes), bool)
    for back in range(1, SIZE):
        kept[offsets[1:][counts >= back] - back] = False
    short = (counts > 0) & (counts < SIZE)
    kept[offsets[:-1][short]] = True
    made = np.zeros_like(hashes)
    if len(hashes) >= SIZE:
        made[:-2] = mixed(hashes[:-2] * _FIRST + hashes[1:-1] * _SECOND + hashes[2:])
    made[offsets[:-1][short]] = whole(found)[short]
    begins = np.concatenate(([0], np.cumsum(np.where(short, 1, np.maximum(counts - SIZE + 1, 0)))))
    return made[kept], begins.astype(np.int64)


def as_sets(shingles: U64, begins: I64) -> sparse.csr_array:
    """One row a text: the distinct shingles, by their upper 63 bits, in order."""
    rows = sparse.csr_array((np.ones(len(shingles), np.int8), (shingles >> np.uint64(1)).astype(np.int64), begins.copy()),
                            shape=(len(begins) - 1, _COLUMNS))
    rows.sum_duplicates()
    return rows


def of_rows(indices: I64, begins: I64) -> sparse.csr_array:
    """Sets that were written out before, as rows again."""
    rows = sparse.csr_array((np.ones(len(indices), np.int8), indices, begins), shape=(len(begins) - 1, _COLUMNS))
    rows.has_canonical_format = True
    return rows


def jaccard(sets: sparse.csr_array, left: I64, right: I64, batch: int = 50_000) -> F32:
    """Shared shingles over all shingles of each pair of rows, 0 to 1; 0 where neither has any."""
    sizes = np.diff(sets.indptr)
    result = np.zeros(len(left), np.float32)
    for begin in range(0, len(left), batch):
        a, b = left[begin : begin + batch], right[begin : begin + batch]
        shared = np.diff(sets[a].multiply(sets[b]).tocsr().indptr)
        result[begin : begin + batch] = shared / np.maximum(sizes[a] + sizes[b] - shared, 1)
    return result
