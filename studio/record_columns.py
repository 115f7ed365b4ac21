"""What a filter and an order need of every record, in memory: numbers by position, 25 MB a million records.

A page of a million records is found in them in a few milliseconds. Decisions are read again when somebody decided, lengths when
the index of words read on, the rest when records came or went.
"""

from __future__ import annotations

import copy
import threading
import weakref
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio import places, search
from studio.permissions import needs
from studio.places import Decision, Extent
from studio.workspace import Workspace

Column = Literal["position", "rating", "date", "length", "decision"]
Mask = NDArray[np.bool_]
DECISIONS: tuple[Decision, ...] = ("undecided", "keep", "drop")
KEPT_SEARCHES = 8


class Columns:
    """Numbers of every record by position. Hold `lock` while they are brought up to date; read from a copy taken under it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.there = np.zeros(0, bool)
        self.decision = np.zeros(0, np.uint8)
        self.tag = self.source = np.zeros(0, np.int32)
        self.rating = self.date = self.length = np.zeros(0, np.float32)
        self.tags: list[str] = []
        self.sources: list[str] = []
        self._records: tuple[Any, ...] = ()
        self._decided: tuple[Any, ...] = ()
        self._sized: tuple[Any, ...] = ()
        self._orders: dict[str, NDArray[np.int32]] = {}
        self._found: dict[str, NDArray[Any]] = {}

    def sync(self, ws: Workspace) -> None:
        """Read again what changed since the last time."""
        extent = places.extent(ws)
        imported = (extent, ws.value("select count(*) from imports"))
        if imported != self._records:
            self._read_records(ws, extent)
            self._records, self._decided, self._sized, self._orders, self._found = imported, (), (), {}, {}
        decided = tuple((ws.row("select count(*) as n, max(seq) as newest from decisions") or {}).values())
        if decided != self._decided:
            self._read_decisions(ws)
            self._decided = decided
            self._drop_order("decision")
        sized = tuple((ws.row("""select up_to, (select count(*) from words_unread) as unread,
                                 (select count(*) from record_sizes) as sizes from words_read""") or {}).values())
        if sized != self._sized:
            found = ws.columns("select position, characters from record_sizes where position <= ?", [extent.top])
            self.length = self._spread(found["position"], found["characters"].astype(np.float32), np.float32(np.nan))
            self._sized, self._found = sized, {}
            self._drop_order("length")

    def ordered(self, column: Column, descending: bool) -> NDArray[np.int32]:
        """Every position in this order; kept for columns that seldom change."""
        key = f"{column} {descending}"
        if key not in self._orders:
            by_name: dict[str, NDArray[Any]] = {
                "rating": self.rating, "date": self.date, "length": self.length, "decision": self.decision.astype(np.int8),
                "position": np.arange(len(self.there))}
            values = by_name[column]
            self._orders[key] = np.argsort(-values if descending else values, kind="stable").astype(np.int32)  # NaN last
        return self._orders[key]

    def found(self, ws: Workspace, text: str) -> NDArray[Any]:
        """Where these words are; a page turn looks for the same ones again."""
        if text not in self._found:
            if len(self._found) >= KEPT_SEARCHES:
                self._found.clear()
            self._found[text] = search.positions(ws, text)
        return self._found[text]

    def _drop_order(self, column: Column) -> None:
        """Copies that are still in use keep theirs."""
        self._orders = {key: order for key, order in self._orders.items() if not key.startswith(column)}

    def _read_records(self, ws: Workspace, extent: Extent) -> None:
        found = ws.columns("""select n.position, n.rating::float as rating, epoch(r.happened_at)::double as date,
                              n.version from record_now n join records r on r.position = n.position""")
        where = found["position"]
        self.there = np.zeros(extent.top + 1, bool)
        self.there[where] = True
        self.rating = self._spread(where, _filled(found["rating"]), np.float32(np.nan))
        self.date = self._spread(where, _filled(found["date"]), np.float64(np.nan))
        self.tags, self.tag = self._coded(ws, "tags")
        self.sources, self.source = self._coded(ws, "import_id")

    def _coded(self, ws: Workspace, column: str) -> tuple[list[str], NDArray[np.int32]]:
        """The different values of a text column, and each record's place among them, -1 for none."""
        values = [row["value"] for row in ws.rows(f"""select distinct {column} as value from record_now
                                                      where {column} is not null order by value""")]
        found = ws.columns(f"""select n.position, c.code from record_now n join (
            select unnest(?::varchar[]) as value, unnest(range(?))::integer as code) c on c.value = n.{column}""",
                           [values, len(values)])
        return values, self._spread(found["position"], found["code"], np.int32(-1))

    def _read_decisions(self, ws: Workspace) -> None:
        found = ws.columns("""select position, case decision when 'undecided' then 0 when 'keep' then 1 else 2 end::utinyint
                              as code from record_now""")
        self.decision = self._spread(found["position"], found["code"], np.uint8(0))

    def _spread(self, where: NDArray[Any], values: NDArray[Any], empty: Any) -> NDArray[Any]:
        spread = np.full(len(self.there), empty)
        spread[where] = values
        return spread

    def at(self, positions: NDArray[Any]) -> Mask:
        """For every position, whether it is among these."""
        found = np.zeros(len(self.there), bool)
        found[positions[positions < len(found)]] = True
        return found


_columns: weakref.WeakKeyDictionary[Workspace, Columns] = weakref.WeakKeyDictionary()
_making = threading.Lock()


@needs("raw")
def now(ws: Workspace) -> Columns:
    """The columns as they stand; what is handed out does not change any more."""
    with _making:
        found = _columns.setdefault(ws, Columns())
    with found.lock:
        found.sync(ws)
        return copy.copy(found)


def _filled(values: Any) -> NDArray[Any]:
    """Nulls as NaN."""
    found: NDArray[Any] = np.ma.filled(values, np.nan)
    return found
