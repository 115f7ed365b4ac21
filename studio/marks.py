"""Marks: what people put on a record whatever the label set: a flag, a rating, a tag, a comment.

Each is a row that is never changed, like a label. A flag and a tag belong to the record: anybody may take them off. A rating
and a comment are somebody's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio import places
from studio.errors import StudioError
from studio.permissions import ask, needs
from studio.records import Undone
from studio.standing import newest_row, rows_of_act
from studio.workspace import Row, Transaction, Workspace

MarkKind = Literal["flag", "rating", "tag", "comment"]
LONGEST = {"flag": 200, "rating": 1, "tag": 60, "comment": 10_000}
MOST_TAGS = 200
_FEW = 2_000
"""So many records are found by their ids; more of them by a join."""


@dataclass(frozen=True)
class Mark:
    """A flag, rating, tag or comment that stands on a record, with the one who said it last."""

    record_id: str
    kind: MarkKind
    value: str
    who: str


@needs("label")
def put(ws: Workspace, record_id: str, kind: MarkKind, value: str, who: str, press_id: str, standing: bool = True) -> None:
    """Flag a record, rate it 1 to 5, tag it or comment on it; with `standing` false, take that mark off again.

    Raises StudioError, with nothing stored, for a mark that says nothing or is too long, and where there is no such record.
    """
    places.one(ws, record_id)
    put_many(ws, [record_id], kind, value, who, press_id, standing)


@needs("label")
def put_many(ws: Workspace, record_ids: Sequence[str], kind: MarkKind, value: str, who: str, press_id: str,
             standing: bool = True) -> int:
    """The same for many records as one act that can be undone; returns how many, 0 when the press was stored before."""
    value = _checked(kind, value, standing)
    if not record_ids or taken(ws, press_id):
        return 0
    with ws.transaction() as transaction:
        if taken(transaction, press_id):
            return 0
        transaction.decided("record_marks", [
            {"mark_id": _part(press_id, place), "seq": 0, "record_id": record_id, "kind": kind, "value": value,
             "standing": standing, "undoes": None, "who": who, "said_at": ws.now(), "batch_id": press_id}
            for place, record_id in enumerate(record_ids)])
    return len(record_ids)


@needs("raw")
def of(ws: Workspace, record_ids: Sequence[str]) -> dict[str, list[Mark]]:
    """The marks that stand on these records, oldest first."""
    found: dict[str, list[Mark]] = defaultdict(list)
    for row in ws.rows("""select record_id, kind, value, who from marks_now
                          where record_id in (select unnest(?::varchar[])) order by seq""", [list(record_ids)]):
        found[row["record_id"]].append(Mark(**row))
    return dict(found)


@needs("raw")
def positions(ws: Workspace, kind: MarkKind, value: str = "") -> NDArray[Any]:
    """The positions of the records that bear a mark of this kind, of this value where one is named, in no order."""
    marked = "select distinct record_id from marks_now where kind = $1 and ($2 = '' or value = $2)"
    ids = ws.columns(marked, [kind, value])["record_id"]
    if len(ids) > _FEW:
        return ws.columns(f"select position from record_now where record_id in ({marked})", [kind, value])["position"]
    return np.array([place.position for place in places.find(ws, list(ids)).values()], dtype=np.int64)


@needs("read")
def tags(ws: Workspace) -> list[str]:
    """The tags that people put on records and that stand, the most frequent first, at most 200."""
    return [row["value"] for row in ws.rows("""select value from marks_now where kind = 'tag' group by value
                                               order by count(*) desc, value limit ?""", [MOST_TAGS])]


@needs("label", looks=True)
def newest(ws: Workspace, who: str) -> int:
    """The place in the journal of this person's newest mark that was not taken back; 0 where there is none."""
    return (newest_row(ws, "record_marks", "mark_id", who) or {"seq": 0})["seq"]  # type: ignore[no-any-return]


@needs("label")
def undo(ws: Workspace, who: str, press_id: str) -> Undone | None:
    """Take back this person's newest act of marking, or of taking marks off; what stood before stands again."""
    with ws.transaction() as transaction:
        last = newest_row(transaction, "record_marks", "mark_id", who)
        if not last or taken(transaction, press_id):
            return None
        rows = [last] if last["batch_id"] is None else rows_of_act(
            transaction, "record_marks", "mark_id", last["batch_id"], last["seq"])
        transaction.decided("record_marks", [
            row | {"mark_id": _part(press_id, place), "seq": 0, "value": "", "undoes": row["mark_id"], "said_at": ws.now(),
                   "batch_id": press_id} for place, row in enumerate(rows)])
    return Undone(f"Undone: {_words(rows)}", rows[0]["record_id"])


def taken(read: Workspace | Transaction, press_id: str) -> bool:
    """Whether a press of this id is stored; looked at again under the write lock: two tabs may send it at the same moment."""
    ask(read, "label")
    return bool(read.rows("select 1 from record_marks where mark_id = ?", [press_id]))


def _checked(kind: str, value: str, standing: bool) -> str:
    value = value.strip()
    if kind not in LONGEST or len(value) > LONGEST[kind]:
        raise StudioError(f"That is too long for a {kind}." if kind in LONGEST else f"There is no mark called {kind}.")
    if (kind == "rating" and standing and value not in tuple("12345")) or (kind in ("tag", "comment") and not value):
        raise StudioError("A rating is a number from 1 to 5." if kind == "rating" else f"The {kind} is empty.")
    return value


def _words(rows: Sequence[Row]) -> str:
    first = rows[0]
    off = "" if first["standing"] else "the taking off of a "
    return f"{off}{first['kind']} " + (f"on {len(rows):,} records" if len(rows) > 1 else first["record_id"])


def _part(press_id: str, place: int) -> str:
    """The id of one mark of an act: the act's own, and a number behind it from the second on."""
    return f"{press_id}-{place}" if place else press_id
