"""A step on a GPU as a CUDA graph: the host begins it once, not kernel by kernel, so that small models are not slowed by it.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pipeline.errors import is_out_of_memory

LEAST_COLUMNS = 256


class Graphs:
    """Steps over `rows` × `columns`, caught by size. `compute` does one for (rows, columns) and asks the device nothing; what
    it does to rows and columns that are not in use must not matter, because sizes are rounded up to a few."""

    def __init__(self, compute: Callable[[int, int], None], rows: int, columns: int) -> None:
        self.compute, self.rows, self.columns = compute, rows, columns
        self.caught: dict[tuple[int, int], Any] = {}
        self.seen: set[tuple[int, int]] = set()
        self.pool: Any = None
        self.usable = True

    def step(self, rows: int, columns: int) -> None:
        """One step. The first one of a size is computed as it is written, which also makes ready what a capture cannot; the
        second is caught. A model that cannot be caught is computed as it is written."""
        if not self.usable:
            self.compute(rows, columns)
            return
        size = rounded(rows, self.rows, 1, 4), rounded(columns, self.columns, LEAST_COLUMNS, 2)
        if size not in self.seen:
            self.seen.add(size)
            self.compute(*size)
            return
        if size not in self.caught:
            self._catch(size)
        if self.usable:
            self.caught[size].replay()
        else:
            self.compute(rows, columns)

    def _catch(self, size: tuple[int, int]) -> None:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                self.compute(*size)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self.usable = False
            self.caught.clear()
            return
        self.pool = self.pool or graph.pool()
        self.caught[size] = graph


def rounded(wanted: int, most: int, least: int, factor: int) -> int:
    """The smallest of least, least × factor, least × factor² … that holds what is wanted, at most `most`."""
    size = least
    while size < wanted:
        size *= factor
    return min(size, most)
