"""Texts in parts and shards: a part is a row group of texts.parquet, a shard all distinct texts whose hash lies in one range.

A text's rank is its place among all distinct texts by hash, so ranks of a shard follow each other; its place is where its
shingles are, `part << 32 | index among the part's distinct texts`. Rows of the file are `part << 32 | row of the part`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from pipeline.dedupe import reading, shingles
from pipeline.dedupe.reading import LOW
from pipeline.dedupe.sharded.shelf import Shelf, Told
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.sketches import BANDS
from pipeline.dedupe.texts import I64, U64, picked

_UP = np.uint64(32)


@dataclass(frozen=True)
class Sizes:
    """How much a worker takes on at once: distinct texts of a shard, texts and pairs that share a range of a band's values,
    shingles that are held beside each other. A worker of 1 GB does with these."""

    texts: int = 131_072
    band: int = 2_097_152
    pairs: int = 1_048_576
    shingles: int = 8_388_608


@dataclass(frozen=True)
class Search:
    """What every step is told. `offsets` are the ranks where shards begin, and the number of distinct texts behind them."""

    shelf: Shelf
    parts: int
    floor: float
    both: bool
    sizes: Sizes = Sizes()
    offsets: tuple[int, ...] = (0,)

    @property
    def shards(self) -> int:
        return len(self.offsets) - 1

    @property
    def count(self) -> int:
        return self.offsets[-1]


def part_name(part: int) -> str:
    return f"part-{part:06}"


def shard_name(shard: int) -> str:
    return f"shard-{shard:06}"


# Steps --------------------------------------------------------------------------------------------------------------------

def read(search: Search, name: str, part: int) -> Told:
    """One part: its rows and its distinct texts, both by hash."""
    with pq.ParquetFile(search.shelf.texts()) as opened:
        group = opened.read_row_group(part, columns=["record_id", "text"], use_threads=False)
    hashes, _, bands, sets = reading.sketched(group["text"].combine_chunks(), by_hash=True)
    rows = np.flatnonzero(hashes)
    rows = rows[np.argsort(hashes[rows], kind="stable")]
    return search.shelf.keep(name, {"rows": len(hashes), "full": len(rows)}, {
        "hashes": hashes[rows], "rows": rows.astype(np.uint32), "known": np.unique(hashes[rows]), "bands": bands,
        "shingles": sets.indices.astype(np.int64), "begins": sets.indptr.astype(np.int64),
        **_laid_out(group["record_id"].combine_chunks().take(pa.array(rows)))})


def gather(search: Search, name: str, shard: int, shards: int) -> Told:
    """The texts of one range of hashes, from all parts: rows by hash and id, distinct texts, and each band in its own order
    (three rows: values, texts of the shard, values of the next band)."""
    load, hashes, rows, sizes, said = search.shelf.load, [], [], [], []
    known, places, bands = [], [], []
    for part in range(search.parts):
        at, own = part_name(part), np.uint64(part << 32)
        low, high = _within(load(at, "hashes"), shard, shards)
        hashes.append(load(at, "hashes")[low:high])
        rows.append(own | load(at, "rows")[low:high].astype(np.uint64))
        starts = load(at, "id_begins")[low : high + 1]
        sizes.append(np.diff(starts))
        said.append(load(at, "ids")[starts[0] : starts[-1]])
        low, high = _within(load(at, "known"), shard, shards)
        known.append(load(at, "known")[low:high])
        places.append(own | np.arange(low, high, dtype=np.uint64))
        bands.append(load(at, "bands")[low:high])
    ids = _strings(np.concatenate(said), _begins(sizes))
    order, copies = reading.by_copies(np.concatenate(hashes), ids)
    _, first = np.unique(np.concatenate(known), return_index=True)
    return search.shelf.keep(name, {"texts": len(first), "rows": len(order)}, {
        "rows": np.concatenate(rows)[order], "copies": copies, "places": np.concatenate(places)[first],
        "bands": _each_in_order(np.concatenate(bands)[first]), **_laid_out(ids.take(pa.array(order)))})


def _within(sorted_hashes: U64, shard: int, shards: int) -> tuple[int, int]:
    """Where the hashes of a shard are among sorted ones."""
    low, high = ((edge << 64) // shards for edge in (shard, shard + 1))
    return (int(np.searchsorted(sorted_hashes, np.uint64(low))),
            int(np.searchsorted(sorted_hashes, np.uint64(high))) if high < 1 << 64 else len(sorted_hashes))


def _each_in_order(bands: np.ndarray) -> np.ndarray:
    made = np.empty((BANDS, 3, len(bands)), np.uint32)
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        made[band] = bands[order, band], order, bands[order, (band + 1) % BANDS]
    return made


# What other steps ask of parts and shards ----------------------------------------------------------------------------------

def by_shard(search: Search, ranks: I64) -> Iterator[tuple[int, I64]]:
    """(shard, texts within it) of sorted ranks."""
    edges = np.searchsorted(ranks, search.offsets)
    for shard in range(search.shards):
        if edges[shard] < edges[shard + 1]:
            yield shard, ranks[edges[shard] : edges[shard + 1]] - search.offsets[shard]


def places_of(search: Search, ranks: I64) -> U64:
    """Where the shingles are of these texts, whose ranks are sorted."""
    return np.concatenate([np.empty(0, np.uint64), *(search.shelf.load(shard_name(shard), "places")[texts]
                                                     for shard, texts in by_shard(search, ranks))])


def stands(search: Search, ranks: I64) -> tuple[pa.Array, U64]:
    """Id and row of the record that stands for each of these texts, whose ranks are sorted."""
    ids, rows = [pa.array([], pa.string())], [np.empty(0, np.uint64)]
    for shard, texts in by_shard(search, ranks):
        first = search.shelf.load(shard_name(shard), "copies")[texts]
        ids.append(ids_at(search, shard, first))
        rows.append(search.shelf.load(shard_name(shard), "rows")[first])
    return pa.concat_arrays(ids), np.concatenate(rows)


def ids_at(search: Search, shard: int, at: I64) -> pa.Array:
    name = shard_name(shard)
    return _strings(*picked(search.shelf.load(name, "ids"), search.shelf.load(name, "id_begins"), at))


def similarity(search: Search, kind: str, left: U64, right: U64) -> F32:
    """The true similarity of pairs of texts by their places; `kind` says whose shingles: "part", or "others" (their other
    side). As many at once as share the bound on shingles."""
    places, of = np.unique(np.concatenate((left, right)), return_inverse=True)
    a, b = of[: len(left)], of[len(left) :]
    sizes = _set_sizes(search, kind, places)
    turn = np.cumsum(sizes[a] + sizes[b]) // search.sizes.shingles
    cuts = [0, *(np.flatnonzero(np.diff(turn)) + 1).tolist(), len(left)]
    found = [np.empty(0, np.float32)]
    for begin, end in itertools.pairwise(cuts):
        some, at = np.unique(np.stack((a[begin:end], b[begin:end])), return_inverse=True)
        at = at.reshape(2, -1)
        found.append(shingles.jaccard(sets(search, kind, places[some]), at[0], at[1]))
    return np.concatenate(found)


def sets(search: Search, kind: str, places: U64) -> sparse.csr_array:
    """The shingle sets at these places, which must be sorted; only these are read."""
    read, sizes = [np.empty(0, np.int64)], []
    for name, at in _by_part(kind, places):
        indices, starts = picked(search.shelf.load(name, "shingles"), search.shelf.load(name, "begins"), at)
        read.append(indices)
        sizes.append(np.diff(starts))
    return shingles.of_rows(np.concatenate(read), _begins(sizes))


def _set_sizes(search: Search, kind: str, places: U64) -> I64:
    sizes = [np.empty(0, np.int64)]
    for name, at in _by_part(kind, places):
        begins = search.shelf.load(name, "begins")
        sizes.append(begins[at + 1] - begins[at])
    return np.concatenate(sizes)


def _begins(sizes: list[I64]) -> I64:
    return np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes]))


def _by_part(kind: str, places: U64) -> Iterator[tuple[str, I64]]:
    parts = places >> _UP
    for part in np.unique(parts):
        low, high = np.searchsorted(parts, [part, part + np.uint64(1)])
        yield f"{kind}-{int(part):06}", (places[low:high] & LOW).astype(np.int64)


# Ids as arrays -------------------------------------------------------------------------------------------------------------

def _laid_out(ids: pa.Array) -> dict[str, np.ndarray]:
    _, offsets, data = ids.cast(pa.large_string()).buffers()
    begins = np.frombuffer(offsets, np.int64)[: len(ids) + 1] if len(ids) else np.zeros(1, np.int64)
    said = np.frombuffer(data, np.uint8)[: begins[-1]] if data is not None else np.empty(0, np.uint8)
    return {"ids": said, "id_begins": begins}


def _strings(said: np.ndarray, begins: I64) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(begins)), pa.py_buffer(np.ascontiguousarray(said))]
    return pa.LargeStringArray.from_buffers(len(begins) - 1, buffers[1], buffers[2]).cast(pa.string())
