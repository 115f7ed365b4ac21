"""The table of records: filter, sort, count and page any number of them, and decide on all that a filter shows.

A filter and an order are answered from columns in memory (`studio/record_columns.py`); only the rows of the page itself are
read from the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio import findings, marks, places, record_columns, records
from studio.permissions import ask, needs
from studio.places import Decision
from studio.record_columns import DECISIONS, Column, Columns, Mask
from studio.records import Filter, Record
from studio.workspace import Workspace

Facet = Literal["decision", "tag", "import", "rating", "finding"]
MOST_VALUES, MOST_TAGS = 24, 1_000


@dataclass(frozen=True)
class Wanted(Filter):
    """Which records the table shows; on top of decision, tag and words: one import, ratings of `rating_low` to `rating_high`,
    an open finding of a kind, a flag that stands, or a tag that people put on them. None or empty means all."""

    import_id: str = ""
    rating_low: float | None = None
    rating_high: float | None = None
    finding: str = ""
    flagged: bool = False
    marked: str = ""


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


class Found:
    """What a filter shows, as it stands at one moment: every question about it is answered from the same numbers."""

    def __init__(self, ws: Workspace, wanted: Filter) -> None:
        ask(ws, "raw")
        self._ws = ws
        self._now = record_columns.now(ws)
        self._mask = _mask(ws, self._now, wanted)
        self.matching = int(np.count_nonzero(self._mask))

    @property
    def positions(self) -> NDArray[Any]:
        return np.flatnonzero(self._mask)

    def page(self, order: Order, number: int, size: int) -> Page:
        """One page of the rows; a number beyond the last page gives the last."""
        pages = max(1, -(-self.matching // size))
        number = min(max(1, number), pages)
        cut = _cut(self._now, self._mask, order, (number - 1) * size, size)
        return Page(_lines(self._ws, self._now, cut), self.matching, number, pages)

    def undecided_so(self, decision: Decision) -> NDArray[Any]:
        """The positions of those that are not decided so yet."""
        return np.flatnonzero(self._mask & (self._now.decision != DECISIONS.index(decision)))

    def tagged_so(self, tag: str, standing: bool) -> NDArray[Any]:
        """The positions of those that do not bear this tag of people yet; with `standing` false, of those that do."""
        bears = self._now.at(marks.positions(self._ws, "tag", tag))
        return np.flatnonzero(self._mask & (~bears if standing else bears))

    def facet(self, by: Facet) -> list[tuple[str, int]]:
        """How many of the records have which value, the most frequent first, at most 24; values without records are left out.
        Ratings are written as numbers; a record may have findings of several kinds."""
        now, mask = self._now, self._mask
        if by == "finding":
            counted = [(one.kind.key, int(np.count_nonzero(mask & now.at(findings.positions_of(self._ws, one.kind.key)))))
                       for one in findings.kinds(self._ws) if one.open]
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
        return sorted((one for one in counted if one[1]), key=lambda one: (-one[1], one[0]))[:MOST_VALUES]


@needs("raw")
def matching(ws: Workspace, wanted: Filter) -> int:
    """How many records the filter shows."""
    return Found(ws, wanted).matching


@needs("raw")
def window(ws: Workspace, wanted: Filter, limit: int, after: str = "") -> list[Record]:
    """The next records in the order they came in, those behind the record `after` where one is named."""
    positions = Found(ws, wanted).positions
    place = places.find(ws, [after]).get(after) if after else None
    if place is not None:
        positions = positions[np.searchsorted(positions, place.position, "right"):]
    return _records_at(ws, positions[:limit])


@needs("read")
def tags(ws: Workspace) -> list[str]:
    """Every tag there is, in alphabetical order, at most a thousand."""
    return record_columns.now(ws).tags[:MOST_TAGS]


@needs("read")
def sources(ws: Workspace) -> list[Source]:
    """The imports that brought records, newest first."""
    return [Source(**row) for row in ws.rows("""select import_id, source_name as name, imported_at from imports
                                                where conversations > 0 order by imported_at desc limit 200""")]


@needs("curate")
def decide_matching(ws: Workspace, wanted: Filter, decision: Decision, who: str) -> int:
    """Keep, drop or leave open every record that the filter shows and that is not so yet, as one act; returns how many."""
    ids = record_ids(ws, Found(ws, wanted).undecided_so(decision))
    records.decide(ws, ids, decision, who)
    return len(ids)


@needs("curate")
def tag_matching(ws: Workspace, wanted: Filter, tag: str, who: str, standing: bool = True) -> int:
    """Put a tag on every record that the filter shows and that lacks it, as one act; with `standing` false, take it off those
    that bear it. Returns how many."""
    ids = record_ids(ws, Found(ws, wanted).tagged_so(tag.strip(), standing))
    return marks.put_many(ws, ids, "tag", tag, who, ws.new_id(), standing)


@needs("raw")
def matching_ids(ws: Workspace, wanted: Filter) -> list[str]:
    """The ids of everything the filter shows, in the order the records came in."""
    return record_ids(ws, Found(ws, wanted).positions)


@needs("raw")
def record_ids(ws: Workspace, positions: NDArray[Any]) -> list[str]:
    """The ids at these positions, in the order of positions."""
    if not len(positions):
        return []
    found = ws.columns("""select record_id from record_now where position between ? and ?
                          and position in (select unnest(?::bigint[])) order by position""",
                       [int(positions.min()), int(positions.max()), positions])
    return [str(record_id) for record_id in found["record_id"]]


def _mask(ws: Workspace, now: Columns, wanted: Filter) -> Mask:
    """For every position, whether the filter shows it."""
    mask = now.there.copy()
    if wanted.decision:
        mask &= now.decision == DECISIONS.index(wanted.decision)
    if wanted.tag:
        mask &= now.tag == _code(now.tags, wanted.tag)
    if wanted.text.strip():
        mask &= now.at(now.found(ws, wanted.text))
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
        mask &= now.at(findings.positions_of(ws, wanted.finding))
    if wanted.flagged:
        mask &= now.at(marks.positions(ws, "flag"))
    if wanted.marked:
        mask &= now.at(marks.positions(ws, "tag", wanted.marked))
    return mask


def _code(values: Sequence[str], value: str) -> int:
    """A value's place among the known ones; one that no record has is no place at all."""
    return values.index(value) if value in values else -2


def _cut(now: Columns, mask: Mask, order: Order, skip: int, size: int) -> NDArray[Any]:
    if order.column == "position" and not order.descending:
        return np.flatnonzero(mask)[skip:skip + size]
    ordered = now.ordered(order.column, order.descending)
    return ordered[mask[ordered]][skip:skip + size]


def _lines(ws: Workspace, now: Columns, positions: NDArray[Any]) -> tuple[Line, ...]:
    lengths = [now.length[position] for position in positions]
    return tuple(Line(record, None if np.isnan(length) else int(length))
                 for record, length in zip(_records_at(ws, positions), lengths, strict=True))


def _records_at(ws: Workspace, positions: NDArray[Any]) -> list[Record]:
    there = {place.position: place for place in places.at(ws, [int(position) for position in positions])}
    return records.standing_at(ws, [there[int(position)] for position in positions])
