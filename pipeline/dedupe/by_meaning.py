"""Twins by meaning within a search: vectors of the distinct texts, kept block by block, then neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedupe import neighbours, vectors
from pipeline.dedupe.pairs import Pairs, nothing
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64
from pipeline.rundir import Child
from pipeline.specs import DedupeSpec, Meaning

BLOCK = 1_024
"""Texts whose vectors are kept at once: what a crash, or a stop, loses of what an endpoint was paid for."""

Look = Callable[[], None]


def find(child: Child, spec: DedupeSpec, file: Path, starts: I64, stands: I64, work: Path, look: Look
         ) -> tuple[Pairs, dict[str, Any]]:
    """Pairs of places in `stands` whose texts mean the same, and what the run says of how they were found.

    `stands` are rows of the file, `starts` the first row of each part of it. `look` raises Stopped when asked to stop.
    """
    if spec.meaning is None:
        return nothing(), {"meaning": None, "meaning_threshold": None}
    suited = vectors.suited(spec.meaning)
    floor = suited.floor if spec.meaning_floor is None else spec.meaning_floor
    told = {"meaning": spec.meaning.model_dump(), "meaning_threshold": suited.threshold, "meaning_floor": floor}
    if not len(stands):
        return nothing(), told | {"meaning_every": True, "meaning_recall": 1.0}
    rows = _vectors(child, spec.meaning, file, starts, stands, work, look)

    def watch(done: int, total: int) -> None:
        look()
        child.say("meaning", done, total, "texts", "Comparing by meaning")

    near = neighbours.within(rows, floor, watch)
    return near.pairs, told | {"meaning_every": near.every, "meaning_recall": near.recall}


def _vectors(child: Child, meaning: Meaning, file: Path, starts: I64, stands: I64, work: Path, look: Look) -> F32:
    """One row for each of `stands`; blocks that an earlier attempt kept are not made again."""
    order = np.argsort(stands)
    every = list(blocks(starts, stands[order]))
    child.say("embedding", 0, len(stands), "texts", "Loading what makes vectors")
    make: vectors.Maker | None = None
    done, made = 0, []
    for number, (part, rows) in enumerate(every):
        look()
        kept = block_file(work, number)
        if not kept.is_file():
            make = make or vectors.maker(meaning, sample(meaning, file, starts, stands), lambda a, b: look())
            keep(kept, make(texts_of(file, part, rows)))
        made.append(np.load(kept, mmap_mode="r"))
        done += len(rows)
        child.say("embedding", done, len(stands), "texts", "Turning texts into vectors")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return np.concatenate(made)[back]


def block_file(work: Path, number: int) -> Path:
    return work / f"vectors-{number:06}.npy"


def blocks(starts: I64, rows: I64) -> Iterator[tuple[int, I64]]:
    """(part, rows within it) of at most 1,024 rows each; `rows` of the file are sorted."""
    edges = np.searchsorted(rows, starts)
    for part in range(len(starts) - 1):
        inside = rows[edges[part] : edges[part + 1]] - starts[part]
        for begin in range(0, len(inside), BLOCK):
            yield part, inside[begin : begin + BLOCK]


def sample(meaning: Meaning, file: Path, starts: I64, stands: I64) -> list[str]:
    """What TF-IDF learns its words from: all texts, or every so many of them, in an order that is not the file's."""
    if meaning.kind != "tfidf":
        return []
    step = -(-len(stands) // vectors.SAMPLE)
    return sorted(text for part, rows in blocks(starts, np.sort(stands[::step])) for text in texts_of(file, part, rows))


def texts_of(file: Path, part: int, rows: I64) -> list[str]:
    with pq.ParquetFile(file) as opened:
        column = opened.read_row_group(part, columns=["text"])["text"].combine_chunks()
    found: list[str] = column.take(pa.array(rows)).to_pylist()
    return found


def keep(path: Path, rows: F32) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    beside.replace(path)
