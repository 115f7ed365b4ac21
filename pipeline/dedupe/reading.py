"""Texts of a Parquet file read part by part in several processes, and kept as what comparing needs: hashes, bands, shingles.

A part is a row group. It becomes the folder `part-NNNNN`, written beside and renamed in, so that a resumed run reads only what
is missing. Of texts that repeat within a part only the first is sketched.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from pipeline.dedupe import shingles, sketches, texts
from pipeline.dedupe.candidates import Met, in_band
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.sketches import BANDS, U32
from pipeline.dedupe.texts import I64, U64
from pipeline.workers import end_with_the_run

LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Parts:
    """The read parts in a folder. A place is `part << 32 | row of the part's distinct texts`."""

    folder: Path
    count: int

    def hashes(self) -> U64:
        """One hash a text, in the order of the file; 0 where it says nothing."""
        return np.concatenate([np.empty(0, np.uint64), *(self.load(part, "hashes") for part in range(self.count))])

    def starts(self) -> I64:
        """The row of the file where each part begins, and behind them the number of rows."""
        return np.cumsum([0, *(len(self.load(part, "hashes")) for part in range(self.count))])

    def firsts(self) -> tuple[U64, U64]:
        """Hash and place of every part's distinct texts."""
        hashes, places = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for part in range(self.count):
            first = self.load(part, "first")
            hashes.append(self.load(part, "hashes")[first])
            places.append(np.uint64(part << 32) | np.arange(len(first), dtype=np.uint64))
        return np.concatenate(hashes), np.concatenate(places)

    def band(self, band: int, places: U64) -> U32:
        """One band of the texts at these places."""
        columns = [self.load(part, "bands")[band] for part in range(self.count)]
        begins = np.cumsum([0, *map(len, columns)])[:-1]
        return np.concatenate(columns)[begins[(places >> np.uint64(32)).astype(np.int64)] + _rows(places)]

    def sets(self, places: U64) -> sparse.csr_array:
        """The shingle sets of the texts at these places, which must be sorted."""
        parts = (places >> np.uint64(32)).astype(np.int64)
        found = [_part_sets(self, part)[_rows(places[parts == part])] for part in np.unique(parts)]
        begins = np.concatenate(([0], np.cumsum(np.concatenate([np.diff(one.indptr) for one in found]))))
        return shingles.of_rows(np.concatenate([one.indices for one in found]), begins.astype(np.int64))

    def load(self, part: int, name: str) -> np.ndarray:
        return np.load(self.folder / f"part-{part:05}" / f"{name}.npy", mmap_mode="r")


@cache
def _part_sets(parts: Parts, part: int) -> sparse.csr_array:
    return shingles.of_rows(parts.load(part, "shingles"), np.asarray(parts.load(part, "begins")))


def _rows(places: U64) -> I64:
    return (places & LOW).astype(np.int64)


# In all processes ---------------------------------------------------------------------------------------------------------

def begin() -> None:
    """What a helping process does first."""
    end_with_the_run()
    one_thread()


def one_thread() -> None:
    """One thread a process in Arrow and rensa: there are as many processes as there are processors to use."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    pa.set_cpu_count(1)


def read(file: Path, part: int, folder: Path) -> int:
    """Read one part unless it is there; returns how many texts it holds."""
    whole = folder / f"part-{part:05}"
    with pq.ParquetFile(file) as opened:
        if whole.is_dir():
            return int(opened.metadata.row_group(part).num_rows)
        column = opened.read_row_group(part, columns=["text"], use_threads=False)["text"].combine_chunks()
    hashes, first, bands, sets = sketched(column)
    _keep(whole, {"hashes": hashes, "first": first, "bands": np.ascontiguousarray(bands.T),
                  "shingles": sets.indices.astype(np.int64), "begins": sets.indptr.astype(np.int64)})
    return len(hashes)


def sketched(column: pa.Array, by_hash: bool = False) -> tuple[U64, I64, U32, sparse.csr_array]:
    """The hashes of these texts (0 where one says nothing), the row where each distinct one stands first (in their order, or in
    that of their hashes), and of those the bands (a row each) and the sets of shingles."""
    words = texts.words(column.fill_null(""))
    hashes = texts.whole(words)
    full = np.flatnonzero(hashes)
    first = full[np.unique(hashes[full], return_index=True)[1]]
    first = first if by_hash else np.sort(first)
    found, begins = shingles.shingled(words.of(first))
    return hashes, first, sketches.bands(found, begins), shingles.as_sets(found, begins)


def by_copies(hashes: U64, ids: pa.Array) -> tuple[I64, I64]:
    """The rows of texts that say something, by hash and then by id, and where the copies of each distinct one begin in them."""
    rows = np.flatnonzero(hashes)
    rows = rows[np.argsort(hashes[rows], kind="stable")]
    told = hashes[rows]
    again = np.zeros(len(rows), bool)
    again[1:] = told[1:] == told[:-1]
    begins = np.append(np.flatnonzero(~again), len(rows))
    copied = again.copy()
    copied[:-1] |= again[1:]
    among = pa.table({"hash": told[copied], "id": ids.take(pa.array(rows[copied]))})
    rows[copied] = rows[copied][np.asarray(pc.sort_indices(among, [("hash", "ascending"), ("id", "ascending")]))]
    return rows, begins


def meet(parts: Parts, band: int) -> Met:
    """The pairs that share a band, of the texts at the places in the folder's distinct.npy."""
    places = np.load(parts.folder / "distinct.npy", mmap_mode="r")
    return in_band(parts.band(band, places), lambda: parts.band((band + 1) % BANDS, places))


def compare(parts: Parts, begin_at: int, end: int) -> F32:
    """The true similarity of a stretch of the pairs in the folder's places.npy (two rows of places)."""
    pairs = np.load(parts.folder / "places.npy", mmap_mode="r")[:, begin_at:end]
    places, of = np.unique(pairs, return_inverse=True)
    of = of.reshape(pairs.shape)
    return shingles.jaccard(parts.sets(places), of[0], of[1])


def read_other(file: Path, part: int, rows: I64) -> tuple[U64, I64, I64]:
    """The other side of some rows of a part: hash of its words, its shingles, where each row's begin."""
    with pq.ParquetFile(file) as opened:
        column = opened.read_row_group(part, columns=["other"], use_threads=False)["other"].combine_chunks()
    words = texts.words(column.take(pa.array(rows)).cast(pa.string()).fill_null(""))
    sets = shingles.as_sets(*shingles.shingled(words))
    return texts.whole(words), sets.indices.astype(np.int64), sets.indptr.astype(np.int64)


def _keep(whole: Path, arrays: dict[str, np.ndarray]) -> None:
    beside = whole.with_name(f".{whole.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(beside / f"{name}.npy", array, allow_pickle=False)
    beside.rename(whole)

