"""Near twins without chance: every pair that shares a shingle, where those are few enough to look at."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pipeline.dedupe.pairs import Pairs

MOST_TEXTS, MOST_MEETINGS = 50_000, 20_000_000
"""Beyond these, pairs are looked for by sketches. A meeting is a shingle that two texts share: 20 million take a second."""


def pairs(left: sparse.csr_array, right: sparse.csr_array, floor: float) -> Pairs | None:
    """All pairs of a row of `left` and a row of `right` with a Jaccard similarity of at least `floor`, which must be above 0.

    None where too many would have to be looked at.
    """
    if left.shape[0] + right.shape[0] > 2 * MOST_TEXTS:
        return None
    known, places = np.unique(np.concatenate((left.indices, right.indices)), return_inverse=True)
    of_left, of_right = places[: left.nnz], places[left.nnz :]
    if float(np.bincount(of_left, minlength=len(known)) @ np.bincount(of_right, minlength=len(known))) > MOST_MEETINGS:
        return None
    rows = [sparse.csr_array((np.ones(len(of), np.int32), of, one.indptr), shape=(one.shape[0], len(known)))
            for one, of in ((left, of_left), (right, of_right))]
    shared = (rows[0] @ rows[1].T).tocoo()
    a, b = (one.astype(np.int64) for one in shared.coords)
    sizes = np.diff(left.indptr)[a] + np.diff(right.indptr)[b]
    similarity = (shared.data / (sizes - shared.data)).astype(np.float32)
    high = similarity >= np.float32(floor)
    order = np.lexsort((b[high], a[high]))
    return Pairs(a[high][order], b[high][order], similarity[high][order])
