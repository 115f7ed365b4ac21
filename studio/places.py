"""Where records stand: the position of a record by its id, from an index in memory.

`record_now` has no key (it would cost an import more than the import itself), and looking through a million ids takes 20 ms.
Sorted hashes of the ids in memory (16 bytes a record) give the position, and the row there is read in 1 ms.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Workspace

Decision = Literal["keep", "drop", "undecided"]
_MANY = 20_000
_COLUMNS = "select record_id, position, version, decision from record_now"


@dataclass(frozen=True)
class Place:
    """What is current of one record; `position` grows in the order records came in."""

    record_id: str
    position: int
    version: int
    decision: Decision


@dataclass(frozen=True)
class Extent:
    """How many records there are, and the highest position: what is in memory of them is made anew when it changes."""

    records: int
    top: int


@dataclass(frozen=True)
class _Index:
    extent: Extent
    hashes: NDArray[Any]
    positions: NDArray[Any]


_indexes: weakref.WeakKeyDictionary[Workspace, _Index] = weakref.WeakKeyDictionary()
_building = threading.Lock()


@needs("read")
def extent(ws: Workspace) -> Extent:
    row = ws.row("select count(*) as records, coalesce(max(position), 0) as top from record_now") or {}
    return Extent(**row)


@needs("read")
def find(ws: Workspace, record_ids: Sequence[str]) -> dict[str, Place]:
    """The places of these records; those that the workspace lacks are left out."""
    ids = list(dict.fromkeys(record_ids))
    if not ids:
        return {}
    if len(ids) <= _MANY:
        positions = _near(_index(ws), ws, ids)
        found = {place.record_id: place for place in at(ws, positions)}
        if len(found.keys() & set(ids)) == len(ids):
            return {record_id: found[record_id] for record_id in ids}
    rows = ws.rows(f"{_COLUMNS} where record_id in (select unnest(?::varchar[]))", [ids])
    by_id = {row["record_id"]: Place(**row) for row in rows}
    return {record_id: by_id[record_id] for record_id in ids if record_id in by_id}


@needs("read")
def one(ws: Workspace, record_id: str) -> Place:
    """Raises StudioError when there is no such record."""
    found = find(ws, [record_id])
    if not found:
        raise StudioError(f"There is no record {record_id} in this workspace.", "Reload the page; it may have been forgotten.")
    return found[record_id]


@needs("read")
def at(ws: Workspace, positions: Sequence[int]) -> list[Place]:
    """The records at these positions, in no order; where none stands, none is given."""
    if not positions:
        return []
    rows = ws.rows(f"{_COLUMNS} where position between ? and ? and position in (select unnest(?::bigint[]))",
                   [min(positions), max(positions), list(positions)])
    return [Place(**row) for row in rows]


@needs("curate", looks=True)
def forget(ws: Workspace) -> None:
    """Positions may be given anew: look at everything again."""
    _indexes.pop(ws, None)


def _index(ws: Workspace) -> _Index:
    now = extent(ws)
    with _building:
        found = _indexes.get(ws)
        if found is None or found.extent != now:
            columns = ws.columns("select hash(record_id) as h, position from record_now order by h")
            found = _indexes[ws] = _Index(now, columns["h"], columns["position"])
    return found


def _near(index: _Index, ws: Workspace, ids: Sequence[str]) -> list[int]:
    """Positions whose id has the hash of one asked for: nearly always just those."""
    wanted = ws.columns("select hash(unnest(?::varchar[])) as h", [list(ids)])["h"]
    low, high = np.searchsorted(index.hashes, wanted, "left"), np.searchsorted(index.hashes, wanted, "right")
    return [int(position) for a, b in zip(low, high, strict=True) for position in index.positions[a:b]]
