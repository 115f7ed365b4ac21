"""What was found, as tables: which records have twins, what their other side says, and the pairs by the records' ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.dedupe import reading
from pipeline.dedupe.candidates import unpacked
from pipeline.dedupe.reading import LOW
from pipeline.dedupe.sharded.parts import Search, ids_at, shard_name, similarity, stands
from pipeline.dedupe.sharded.shelf import Told
from pipeline.dedupe.texts import I64, U64, picked

COPIES = pa.schema({"record_id": pa.string(), "copy_of": pa.string(), "other_text": pa.uint64()})
PAIRS = pa.schema({"kind": pa.string(), "a": pa.string(), "b": pa.string(), "similarity": pa.float32(),
                      "other_similarity": pa.float32()})

def twins(search: Search, name: str, shard: int, found: Sequence[str]) -> Told:
    """The texts of a shard that have copies or are in a pair, and their rows of the file."""
    low, high = search.offsets[shard : shard + 2]
    copies = search.shelf.load(shard_name(shard), "copies")
    having = np.diff(copies) > 1
    for one in found:
        ends = search.shelf.load(one, "ends")
        begin, end = np.searchsorted(ends, (low, high))
        having[ends[begin:end] - low] = True
    texts = np.flatnonzero(having)
    rows, _ = picked(search.shelf.load(shard_name(shard), "rows"), copies, texts)
    return search.shelf.keep(name, {"rows": len(rows)}, {"texts": texts, "rows": np.sort(rows)})


def others(search: Search, name: str, part: int, found: Sequence[str]) -> Told:
    """The other side of a part's rows that have twins."""
    ends = np.array([part << 32, part + 1 << 32], np.uint64)
    some = [np.empty(0, np.uint64)]
    for one in found:
        rows = search.shelf.load(one, "rows")
        some.append(rows[slice(*np.searchsorted(rows, ends))])
    rows = np.sort(np.concatenate(some) & LOW).astype(np.int64)
    hashes, shingles, begins = reading.read_other(search.shelf.texts(), part, rows)
    return search.shelf.keep(name, {"rows": len(rows)}, {
        "rows": rows, "hashes": hashes, "shingles": shingles, "begins": begins})


def copies(search: Search, name: str, shard: int, found: str) -> Told:
    """Every record of a shard that has twins, the record it is a copy of, and the hash of its other side."""
    kept, texts = shard_name(shard), search.shelf.load(found, "texts")
    begins = search.shelf.load(kept, "copies")
    rows, starts = picked(search.shelf.load(kept, "rows"), begins, texts)
    at = np.repeat(begins[texts] - starts[:-1], np.diff(starts)) + np.arange(len(rows))
    told = pa.nulls(len(rows), pa.uint64()) if search.both else pa.array(_other_hashes(search, rows))
    first = ids_at(search, shard, begins[texts]).take(pa.array(np.repeat(np.arange(len(texts)), np.diff(starts))))
    return search.shelf.keep(name, {"rows": len(rows)}, {"table": pa.table({
        "record_id": ids_at(search, shard, at), "copy_of": first, "other_text": told})})


def pairs(search: Search, name: str, kind: str, found: str) -> Told:
    """Pairs of one range by the ids of the records that stand for the texts, and how alike their other sides are."""
    packed, alike = search.shelf.load(found, "pairs"), search.shelf.load(found, "similarity")
    texts, of = np.unique(np.concatenate(unpacked(packed)), return_inverse=True)
    ids, rows = stands(search, texts)
    left, right = of[: len(packed)], of[len(packed) :]
    other: pa.Array = pa.nulls(len(packed), pa.float32())
    if not search.both:
        places = _other_places(search, rows)
        other = pa.array(similarity(search, "others", places[left], places[right]))
    return search.shelf.keep(name, {"pairs": len(packed)}, {"table": pa.table({
        "kind": pa.array(np.repeat(kind, len(packed)), pa.string()), "a": ids.take(pa.array(left)),
        "b": ids.take(pa.array(right)), "similarity": pa.array(alike), "other_similarity": other})})


def _other_places(search: Search, rows: U64) -> U64:
    """Where the other side of these rows of the file is kept: part << 32 | index in the part's `others`."""
    result = np.empty(len(rows), np.uint64)
    for part, at in _parts(rows):
        known = search.shelf.load(f"others-{part:06}", "rows")
        found = np.searchsorted(known, (rows[at] & LOW).astype(np.int64))
        result[at] = np.uint64(part << 32) | found.astype(np.uint64)
    return result


def _other_hashes(search: Search, rows: U64) -> U64:
    places = _other_places(search, rows)
    result = np.empty(len(rows), np.uint64)
    for part, at in _parts(rows):
        result[at] = search.shelf.load(f"others-{part:06}", "hashes")[(places[at] & LOW).astype(np.int64)]
    return result


def _parts(rows: U64) -> list[tuple[int, I64]]:
    """(part, which of these rows are in it)."""
    parts = (rows >> np.uint64(32)).astype(np.int64)
    order = np.argsort(parts, kind="stable")
    known, begins = np.unique(parts[order], return_index=True)
    return list(zip(known.tolist(), np.split(order, begins)[1:], strict=True))
