"""The table of records: filter, sort, count and page any number of them, and decide on all that a filter shows.

What a filter and an order need of every record (numbers, not texts) is kept in memory by position, 25 MB a million: a page is
found in a few milliseconds, and only its own rows are read from the database. Decisions are read again when somebody decided;
the rest when records came or went.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from studio import findings, places, records, search
from studio.places import Decision, Extent
from studio.records import Filter, Record
from studio.workspace import Workspace

Column = Literal["position", "rating", "date", "length", "decision"]
COLUMNS: tuple[Column, ...] = get_args(Column)
Facet = Literal["decision", "tag", "import", "rating", "finding"]
FACETS: tuple[Facet, ...] = get_args(Facet)
DECISIONS: tuple[Decision, ...] = ("undecided", "keep", "drop")
MOST_VALUES = 24
KEPT_SEARCHES = 8
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Wanted(Filter):
    """Which records the table shows; on top of decision, tag and words: one import, ratings of `rating_low` to `rating_high`,
    an open finding of a kind, or a flag that stands. None or empty means all."""

    import_id: str = ""
    rating_low: float | None = None
    rating_high: float | None = None
    finding: str = ""
    flagged: bool = False


@dataclass(frozen=True)
class Order:
    """By which column. Records without a value come last, those of the same value in the order they came in."""

    column: Column = "position"
    descending: bool = False


@dataclass(frozen=True)
class Line:
    """One row of the table. `happened_at` is the ticket's own time, in the record."""

    record: Record
    characters: int | None


@dataclass(frozen=True)
class Page:
    """Some lines, and how many records match; `number` counts from 1."""

    lines: tuple[Line, ...]
    matching: int
    number: int
    pages: int


@dataclass(frozen=True)
class Source:
    """One import: its id and the file's name."""

    import_id: str
    name: str
    imported_at: datetime


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


_columns: weakref.WeakKeyDictionary[Workspace, Columns] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def page(ws: Workspace, wanted: Wanted, order: Order, number: int, size: int) -> Page:
    """One page of what the filter shows; a number beyond the last page gives the last."""
    now = _now(ws)
    mask = _mask(ws, now, wanted)
    matching = int(np.count_nonzero(mask))
    pages = max(1, -(-matching // size))
    number = min(max(1, number), pages)
    positions = _cut(now, mask, order, (number - 1) * size, size)
    return Page(_lines(ws, now, positions), matching, number, pages)


def matching(ws: Workspace, wanted: Filter) -> int:
    """How many records the filter shows."""
    return int(np.count_nonzero(_mask(ws, _now(ws), wanted)))


def window(ws: Workspace, wanted: Filter, limit: int, after: str = "") -> list[Record]:
    """The next records in the order they came in, those behind the record `after` where one is named."""
    found = np.flatnonzero(_mask(ws, _now(ws), wanted))
    place = places.find(ws, [after]).get(after) if after else None
    if place is not None:
        found = found[np.searchsorted(found, place.position, "right"):]
    return [line.record for line in _lines(ws, _now(ws), found[:limit])]


def facet(ws: Workspace, wanted: Wanted, by: Facet) -> list[tuple[str, int]]:
    """How many of the matching records have which value, the most frequent first, at most 24; values without records are left
    out. Ratings are written as numbers; a record may have findings of several kinds."""
    now = _now(ws)
    mask = _mask(ws, now, wanted)
    if by == "finding":
        counted = [(one.kind.key, int(np.count_nonzero(mask & _at(now, findings.positions_of(ws, one.kind.key)))))
                   for one in findings.kinds(ws) if one.open]
    elif by == "rating":
        rated, often = np.unique(now.rating[mask & ~np.isnan(now.rating)], return_counts=True)
        counted = [(f"{value:g}", int(number)) for value, number in zip(rated, often, strict=True)]
    else:
        codes: dict[str, tuple[NDArray[Any], Sequence[str]]] = {
            "decision": (now.decision.astype(np.int32), DECISIONS), "tag": (now.tag, now.tags),
            "import": (now.source, now.sources)}
        code, names = codes[by]
        chosen = code[mask]
        numbers = np.bincount(chosen[chosen >= 0], minlength=len(names))
        counted = [(name, int(number)) for name, number in zip(names, numbers, strict=True)]
    found = sorted((one for one in counted if one[1]), key=lambda one: (-one[1], one[0]))
    return found[:MOST_VALUES]


def sources(ws: Workspace) -> list[Source]:
    """The imports that brought records, newest first."""
    return [Source(**row) for row in ws.rows("""select import_id, source_name as name, imported_at from imports
                                                where conversations > 0 order by imported_at desc limit 200""")]


def to_change(ws: Workspace, wanted: Wanted, decision: Decision) -> int:
    """How many of the matching records are not decided so yet."""
    now = _now(ws)
    return int(np.count_nonzero(_mask(ws, now, wanted) & (now.decision != DECISIONS.index(decision))))


def decide_matching(ws: Workspace, wanted: Filter, decision: Decision, who: str) -> int:
    """Keep, drop or leave open every record that the filter shows and that is not so yet, as one act; returns how many."""
    now = _now(ws)
    mask = _mask(ws, now, wanted) & (now.decision != DECISIONS.index(decision))
    ids = record_ids(ws, np.flatnonzero(mask))
    records.decide(ws, ids, decision, who)
    return len(ids)


def matching_ids(ws: Workspace, wanted: Filter) -> list[str]:
    """The ids of everything the filter shows, in the order the records came in."""
    return record_ids(ws, np.flatnonzero(_mask(ws, _now(ws), wanted)))


def record_ids(ws: Workspace, positions: NDArray[Any]) -> list[str]:
    """The ids at these positions, in the order of positions."""
    if not len(positions):
        return []
    found = ws.columns("""select record_id from record_now where position between ? and ?
                          and position in (select unnest(?::bigint[])) order by position""",
                       [int(positions.min()), int(positions.max()), positions])
    return [str(record_id) for record_id in found["record_id"]]


def _now(ws: Workspace) -> Columns:
    with _making:
        found = _columns.setdefault(ws, Columns())
    with found.lock:
        found.sync(ws)
        return copy.copy(found)


def _mask(ws: Workspace, now: Columns, wanted: Filter) -> Mask:
    """For every position, whether the filter shows it."""
    mask = now.there.copy()
    if wanted.decision:
        mask &= now.decision == DECISIONS.index(wanted.decision)
    if wanted.tag:
        mask &= now.tag == _code(now.tags, wanted.tag)
    if wanted.text.strip():
        mask &= _at(now, now.found(ws, wanted.text))
    if isinstance(wanted, Wanted):
        mask &= _more(ws, now, wanted)
    return mask


def _more(ws: Workspace, now: Columns, wanted: Wanted) -> Mask:
    mask = np.ones(len(now.there), bool)
    if wanted.import_id:
        mask &= now.source == _code(now.sources, wanted.import_id)
    if wanted.rating_low is not None:
        mask &= now.rating >= np.float32(wanted.rating_low)
    if wanted.rating_high is not None:
        mask &= now.rating <= np.float32(wanted.rating_high)
    if wanted.finding:
        mask &= _at(now, findings.positions_of(ws, wanted.finding))
    if wanted.flagged:
        ids = [row["record_id"] for row in ws.rows("select distinct record_id from marks_now where kind = 'flag'")]
        mask &= _at(now, np.array([place.position for place in places.find(ws, ids).values()], dtype=np.int64))
    return mask


def _code(values: Sequence[str], value: str) -> int:
    """A value's place among the known ones; one that no record has is no place at all."""
    return values.index(value) if value in values else -2


def _at(now: Columns, positions: NDArray[Any]) -> Mask:
    found = np.zeros(len(now.there), bool)
    found[positions[positions < len(found)]] = True
    return found


def _cut(now: Columns, mask: Mask, order: Order, skip: int, size: int) -> NDArray[Any]:
    if order.column == "position" and not order.descending:
        return np.flatnonzero(mask)[skip:skip + size]
    ordered = now.ordered(order.column, order.descending)
    return ordered[mask[ordered]][skip:skip + size]


def _lines(ws: Workspace, now: Columns, positions: NDArray[Any]) -> tuple[Line, ...]:
    there = {place.position: place.record_id for place in places.at(ws, [int(position) for position in positions])}
    found = {record.record_id: record for record in records.every(ws, list(there.values()))}
    lengths = {int(position): now.length[position] for position in positions}
    return tuple(Line(found[there[position]], None if np.isnan(length) else int(length))
                 for position, length in lengths.items() if position in there)


def _filled(values: Any) -> NDArray[Any]:
    """Nulls as NaN."""
    found: NDArray[Any] = np.ma.filled(values, np.nan)
    return found
