"""Texts that lie near each other by their vectors (rows of length 1, so a product is a cosine)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64

Watch = Callable[[int, int], None]
BLOCK = 2_048


def nearest(known: F32, tested: F32, watch: Watch = lambda done, total: None) -> tuple[I64, F32]:
    """For each tested row the known row with the highest cosine (the first of equals), and that cosine. Exact."""
    best = np.full(len(tested), -1.0, np.float32)
    at = np.zeros(len(tested), np.int64)
    for begin in range(0, len(known), BLOCK):
        watch(begin, len(known))
        for first in range(0, len(tested), BLOCK):
            part = tested[first : first + BLOCK] @ known[begin : begin + BLOCK].T
            place = part.argmax(axis=1)
            value = part[np.arange(len(part)), place]
            better = value > best[first : first + BLOCK]
            best[first : first + BLOCK][better] = value[better]
            at[first : first + BLOCK][better] = place[better] + begin
    return at, np.minimum(best, 1.0)
