"""A search for duplicates whose steps are done by the workers of a cluster, with the local engine's copies and pairs.

Ray tasks over the parts and shards of `pipeline.dedupe.sharded`, not Ray Data's groups and joins: what those shuffle lies in
the object store, which dies with its node and with the job; they cut blocks as they like, not by row groups, and cannot go on
after the last whole one; and a group for each value of a band would be 32 Python calls a text. Here what a step hands on lies
on the storage, so a killed worker repeats its part alone, and a new attempt does what is missing. Vectors come from actors
that hold the model; comparing them is one process.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.cluster import here
from pipeline.cluster.far_shelf import FarShelf
from pipeline.cluster.workers import Workers
from pipeline.dedupe import by_meaning, vectors
from pipeline.dedupe.engine import COPIES, PAIRS, TEXTS, WORK, looking
from pipeline.dedupe.pairs import Pairs
from pipeline.dedupe.sharded.parts import Search, shard_name
from pipeline.dedupe.sharded.search import Steps
from pipeline.dedupe.sharded.shelf import Shelf
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64
from pipeline.rundir import Child
from pipeline.spec_place import Place
from pipeline.specs import DedupeSpec, Meaning

ONE_PROCESS = ("Vectors were made by the workers; comparing them was one process, which held them all. Cosines may differ from "
               "another machine's by a rounding (0.000001).")


def run(child: Child, spec: DedupeSpec, place: Place) -> dict[str, Any]:
    """Search, write the two tables, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    began = time.monotonic()
    child.say("loading", sentence="Starting")
    if spec.meaning is not None:
        vectors.check(spec.meaning)
    work, file = child.folder / WORK, child.folder / TEXTS
    far = "://" in os.environ.get(here.HOME, "")
    shelf = FarShelf(work.with_name(f".{WORK}"), file) if far else Shelf(work, file)
    with pq.ParquetFile(shelf.texts()) as opened:
        search = Search(shelf, opened.num_row_groups, spec.near_floor, spec.side == "both")
    with Workers(place, partial(looking, child)) as workers:
        steps = Steps(child, search, workers.do)
        starts = np.array(steps.read(spec.records), np.int64)
        near, said = steps.near()
        meaning, told = _by_meaning(child, spec, steps.search, starts, workers, work)
        steps.tell(near, steps.keep(meaning), child.folder / COPIES, child.folder / PAIRS)
    shutil.rmtree(work, ignore_errors=True)
    shelf.clear()
    distinct = steps.search.count
    return {"records": spec.records, "distinct": distinct, "copies": steps.full - distinct,
            "empty": spec.records - steps.full, **said, "meaning_pairs": len(meaning.left),
            "meaning_left_out": meaning.left_out, **told, "workers": place.workers, "seconds": time.monotonic() - began}


def _by_meaning(child: Child, spec: DedupeSpec, search: Search, starts: I64, workers: Workers,
                work: Path) -> tuple[Pairs, dict[str, Any]]:
    """Vectors by actors, block by block, each kept as it comes; then what a run on one machine does with them."""
    stands = _stands(search, starts) if spec.meaning is not None else np.empty(0, np.int64)
    file, look = search.shelf.texts(), partial(looking, child)
    work.mkdir(exist_ok=True)
    if spec.meaning is not None and len(stands):
        blocks = list(enumerate(by_meaning.blocks(starts, np.sort(stands))))
        missing = [(number, *block) for number, block in blocks if not by_meaning.block_file(work, number).is_file()]
        child.say("embedding", 0, len(stands), "texts", "Loading what makes vectors")
        given = _maker(spec.meaning, file, starts, stands, look) if missing else ()
        done = len(stands) - sum(len(rows) for _, _, rows in missing)
        made = workers.with_state(_embedder, (search.shelf, *given), [(part, rows) for _, part, rows in missing])
        for (number, _, rows), block in zip(missing, made, strict=True):
            by_meaning.keep(by_meaning.block_file(work, number), block)
            done += len(rows)
            child.say("embedding", done, len(stands), "texts", "Turning texts into vectors")
    found, told = by_meaning.find(child, spec, file, starts, stands, work, look)
    return found, told | ({"meaning_where": ONE_PROCESS} if spec.meaning is not None else {})


def _maker(meaning: Meaning, file: Path, starts: I64, stands: I64, look: Callable[[], None]) -> tuple[Any, ...]:
    """What actors make vectors with. TF-IDF is learned once and given to all: learned twice, on other machines, its axes may
    point elsewhere."""
    if meaning.kind != "tfidf":
        return (meaning,)
    return (vectors.maker(meaning, by_meaning.sample(meaning, file, starts, stands), lambda done, total: look()),)


def _embedder(shelf: Shelf, given: Meaning | vectors.Maker) -> Callable[[int, I64], F32]:
    make = vectors.maker(given, []) if isinstance(given, Meaning) else given
    return partial(_embed, shelf, make)


def _embed(shelf: Shelf, make: vectors.Maker, part: int, rows: I64) -> F32:
    return make(by_meaning.texts_of(shelf.texts(), part, rows))


def _stands(search: Search, starts: I64) -> I64:
    """The row of the file that stands for each distinct text, by rank: eight bytes a text, only where meaning is asked for."""
    found = [np.empty(0, np.int64)]
    for shard in range(search.shards):
        rows = search.shelf.load(shard_name(shard), "rows")[search.shelf.load(shard_name(shard), "copies")[:-1]]
        found.append(starts[(rows >> np.uint64(32)).astype(np.int64)] + (rows & np.uint64(0xFFFFFFFF)).astype(np.int64))
    return np.concatenate(found)
