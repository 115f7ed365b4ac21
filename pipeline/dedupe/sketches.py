"""Sketches of shingle sets (rensa's R-MinHash) folded into bands: two texts that share a band are worth comparing."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from pipeline.dedupe.texts import I64, U64, mixed

SLOTS, BANDS, SEED = 128, 32, 42
_ROWS_AT_ONCE = 250
"""rensa hands a sketch over as Python numbers: few at a time stay in the processor's cache (benchmarks/NOTES.md)."""

U32 = np.ndarray[Any, np.dtype[np.uint32]]


def chance(similarity: float) -> float:
    """How likely a pair of this true similarity shares a band, 0 to 1 (Leskovec et al., Mining of Massive Datasets, 3.4.2)."""
    return 1 - (1 - similarity ** (SLOTS // BANDS)) ** BANDS


def bands(shingles: U64, begins: I64) -> U32:
    """A hash for each of the 32 bands of four slots of n texts: n rows."""
    from rensa import RMinHash

    n = len(begins) - 1
    numbers = array("I")  # filled row by row: a third quicker than np.array of lists
    for first in range(0, n, _ROWS_AT_ONCE):
        places = begins[first : min(n, first + _ROWS_AT_ONCE) + 1]
        made = RMinHash.digest_matrix_from_flat_token_hashes(
            np.ascontiguousarray(shingles[places[0] : places[-1]]), (places - places[0]).astype(np.uint64), SLOTS, SEED)
        for row in made.to_rows():
            numbers.fromlist(row)
    slots = np.frombuffer(numbers, np.uint32).view(np.uint64).reshape(n, BANDS, 2)
    return (mixed(slots[:, :, 0] * np.uint64(0x9E3779B97F4A7C15) + slots[:, :, 1]) >> np.uint64(32)).astype(np.uint32)
