"""A search for duplicates: texts read in several processes, candidates by bands, true similarities, pairs, copies.

Reads `texts.parquet` (record_id, text, other), which the app wrote and deletes when it collects the run, for it holds personal
data. Keeps read parts and vectors in `work/`, so that a run goes on after the last whole part. Writes `copies.parquet`
(record_id, copy_of, other_text: every record that has twins) and `pairs.parquet` (kind, a, b, similarity, other_similarity),
then removes `work/`. On a cluster its workers do all this (`pipeline.cluster.duplicates`). Nothing depends on the order of the
rows: distinct texts go by their hashes, copies by their ids.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.cluster import here
from pipeline.dedupe import by_meaning, reading, shingles, vectors
from pipeline.dedupe.candidates import Met, candidates
from pipeline.dedupe.every import MOST_TEXTS, pairs
from pipeline.dedupe.pairs import Pairs, best, nothing
from pipeline.dedupe.reading import Parts
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.sketches import BANDS
from pipeline.dedupe.texts import I64, U64
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.specs import DedupeSpec
from pipeline.workers import Helpers

TEXTS, COPIES, PAIRS, WORK = "texts.parquet", "copies.parquet", "pairs.parquet", "work"
PAIRS_AT_ONCE = 50_000
KINDS = ("near", "meaning")


@dataclass(frozen=True)
class _Texts:
    """All texts by their hashes: `rows` (by hash, then id) and where the copies of each distinct text begin in them.

    `stands` is the row with the smallest id among the copies; `places` where the text's shingles are. Texts that say nothing
    are in none of these.
    """

    ids: pa.Array
    rows: I64
    begins: I64
    places: U64

    @property
    def stands(self) -> I64:
        return self.rows[self.begins[:-1]]

    @property
    def count(self) -> int:
        return len(self.begins) - 1


def run(child: Child, spec: DedupeSpec, workspace: Path) -> dict[str, Any]:
    """Search, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    file = child.folder / TEXTS
    if not file.is_file():
        raise PipelineError("The texts to compare are gone from the run folder.", "Start a new search.")
    place = here.spread("dedupe")
    if place:
        from pipeline.cluster import duplicates

        return duplicates.run(child, spec, place)
    began = time.monotonic()
    with pq.ParquetFile(file) as opened:
        parts = Parts(child.folder / WORK, opened.num_row_groups)
    child.say("loading", sentence="Starting")
    if spec.meaning is not None:
        vectors.check(spec.meaning)
    reading.one_thread()
    with Helpers(min(spec.workers, parts.count) - 1, reading.begin, lambda: looking(child)) as helpers:
        _read(child, spec, parts, helpers)
        texts = _distinct(file, parts)
        near, said = _near(child, spec, parts, texts, helpers)
        meaning, told = by_meaning.find(child, spec, file, parts.starts(), texts.stands, parts.folder, lambda: looking(child))
        _write(child, spec, file, parts, texts, (near, meaning), helpers)
    shutil.rmtree(parts.folder)
    return {"records": spec.records, "distinct": texts.count, "copies": len(texts.rows) - texts.count,
            "empty": spec.records - len(texts.rows), "near_pairs": len(near.left), "near_left_out": near.left_out,
            **said, "meaning_pairs": len(meaning.left),
            "meaning_left_out": meaning.left_out, **told, "seconds": time.monotonic() - began}


def done_words(data: dict[str, Any]) -> str:
    found = f"{data['copies']:,} exact copies, {data['near_pairs']:,} near pairs"
    by_meaning = f", {data['meaning_pairs']:,} pairs by meaning" if data["meaning"] else ""
    return f"Compared {data['records']:,} records: {found}{by_meaning}."


def looking(child: Child) -> None:
    if child.stop_requested():
        raise Stopped("Stopped as asked; the texts that were read are kept.")


def _read(child: Child, spec: DedupeSpec, parts: Parts, helpers: Helpers) -> None:
    """Every part in a worker, unless an earlier attempt read it."""
    jobs = [(child.folder / TEXTS, part, parts.folder) for part in range(parts.count)]
    done = 0
    for read in helpers.do(reading.read, jobs):
        done += read
        child.say("reading", done, spec.records, "records", "Reading the texts")


def _distinct(file: Path, parts: Parts) -> _Texts:
    ids = pq.read_table(file, columns=["record_id"])["record_id"].combine_chunks()
    rows, begins = reading.by_copies(parts.hashes(), ids)
    _, first = np.unique((firsts := parts.firsts())[0], return_index=True)
    return _Texts(ids, rows, begins, firsts[1][first])


def _near(child: Child, spec: DedupeSpec, parts: Parts, texts: _Texts, helpers: Helpers) -> tuple[Pairs, dict[str, Any]]:
    """Every pair that shares a shingle where those are few; else candidates by bands. And what the run says of it."""
    every = _every(child, spec, parts, texts) if texts.count <= MOST_TEXTS else None
    if every is not None:
        return best(every, texts.count), {"near_every": True, "crowded": 0, "uncompared": 0}
    np.save(parts.folder / "distinct.npy", texts.places)

    def bands() -> Iterator[Met]:
        for band, met in enumerate(helpers.do(reading.meet, [(parts, band) for band in range(BANDS)])):
            child.say("pairing", band, BANDS, "bands", "Looking for texts that may be twins")
            yield met

    met = candidates(texts.count, bands())
    np.save(parts.folder / "places.npy", np.stack((texts.places[met.left], texts.places[met.right])))
    similarity = _compared(child, parts, len(met.left), helpers)
    high = similarity >= np.float32(spec.near_floor)
    found = Pairs(met.left[high], met.right[high], similarity[high])
    return best(found, texts.count), {"near_every": False, "crowded": met.crowded, "uncompared": met.left_out}


def _every(child: Child, spec: DedupeSpec, parts: Parts, texts: _Texts) -> Pairs | None:
    child.say("pairing", sentence="Looking for texts that may be twins")
    if not texts.count:
        return nothing()
    order = np.argsort(texts.places)
    sets = parts.sets(texts.places[order])
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    sets = sets[back]
    found = pairs(sets, sets, spec.near_floor)
    once = found.left < found.right if found else None
    return Pairs(found.left[once], found.right[once], found.similarity[once]) if found else None


def _compared(child: Child, parts: Parts, total: int, helpers: Helpers) -> F32:
    """True similarities of the candidates in places.npy."""
    jobs = [(parts, at, min(total, at + PAIRS_AT_ONCE)) for at in range(0, total, PAIRS_AT_ONCE)]
    found: list[F32] = [np.empty(0, np.float32)]
    done = 0
    for similarity in helpers.do(reading.compare, jobs):
        found.append(similarity)
        done += len(similarity)
        child.say("comparing", done, total, "pairs", "Comparing word by word")
    return np.concatenate(found)


def _write(child: Child, spec: DedupeSpec, file: Path, parts: Parts, texts: _Texts, found: tuple[Pairs, ...],
           helpers: Helpers) -> None:
    """The two tables, each written beside and renamed in. Of records with twins the other side is read too."""
    child.say("writing", sentence="Writing down what was found")
    sizes = np.diff(texts.begins)
    twins = np.zeros(texts.count, bool)
    twins[sizes > 1] = True
    for one in found:
        twins[one.left] = twins[one.right] = True
    ranks = np.repeat(np.arange(texts.count), sizes)
    rows, ranks = texts.rows[twins[ranks]], ranks[twins[ranks]]
    stand = texts.ids.take(pa.array(texts.stands[ranks]))
    told: pa.Array = pa.nulls(len(rows), pa.uint64())
    alike = [pa.nulls(len(one.left), pa.float32()) for one in found]
    if spec.side != "both":
        other, sets = _others(child, spec, file, parts, rows, helpers)
        told = pa.array(other)
        at = np.full(texts.count, -1)  # where in `rows` the record stands that stands for a text
        first = np.diff(ranks, prepend=-1) > 0
        at[ranks[first]] = np.flatnonzero(first)
        alike = [pa.array(shingles.jaccard(sets, at[one.left], at[one.right])) for one in found]
    _table(child.folder / COPIES, {"record_id": texts.ids.take(pa.array(rows)), "copy_of": stand, "other_text": told})
    _table(child.folder / PAIRS, {
        "kind": pa.array(np.repeat(KINDS, [len(one.left) for one in found]), pa.string()),
        "a": texts.ids.take(pa.array(texts.stands[np.concatenate([one.left for one in found])])),
        "b": texts.ids.take(pa.array(texts.stands[np.concatenate([one.right for one in found])])),
        "similarity": pa.array(np.concatenate([one.similarity for one in found])),
        "other_similarity": pa.concat_arrays(alike)})


def _others(child: Child, spec: DedupeSpec, file: Path, parts: Parts, rows: I64, helpers: Helpers
            ) -> tuple[U64, Any]:
    """The other side of these rows: hash of the words and shingle set of each, in their order."""
    starts = parts.starts()
    order = np.argsort(rows)
    edges = np.searchsorted(rows[order], starts)
    jobs = [(file, part, rows[order[edges[part] : edges[part + 1]]] - starts[part]) for part in range(parts.count)
            if edges[part] < edges[part + 1]]
    read = list(helpers.do(reading.read_other, jobs))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    begins = np.concatenate(([0], np.cumsum(np.concatenate([np.empty(0, np.int64), *(np.diff(one[2]) for one in read)]))))
    sets = shingles.of_rows(np.concatenate([np.empty(0, np.int64), *(one[1] for one in read)]), begins.astype(np.int64))
    return np.concatenate([np.empty(0, np.uint64), *(one[0] for one in read)])[back], sets[back]


def _table(path: Path, columns: dict[str, pa.Array]) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.table(columns), beside, compression="snappy")
    beside.replace(path)
