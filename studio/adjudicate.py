"""Adjudication: records on which people disagree, as a queue with every answer, and the answer that somebody settled on.

A settled answer is a row of its own beside everybody's labels, which stay as they were said; it wins in `labels.final`, and it
can be taken back like every other act.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from studio import agreement, label_sets, labels, places, records
from studio.agreement import FieldAgreement, Level, Overlap, Span, Value
from studio.errors import StudioError
from studio.label_sets import Answer, Field, LabelSet
from studio.labels import Label
from studio.permissions import ask, needs
from studio.records import Undone
from studio.workspace import Transaction, Workspace

_STANDS = "a.undoes is null and not exists (from adjudications u where u.undoes = a.adjudication_id)"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Disagreement:
    """One record with everybody's answer, in the order they were given; `fields` are the keys in which they differ. `majority`
    is what most say in each field, None where that is a tie."""

    record_id: str
    answers: tuple[Label, ...]
    fields: tuple[str, ...]
    majority: Answer | None


@dataclass(frozen=True)
class Settled:
    record_id: str
    answer: Answer
    who: str


@needs("raw")
def disagreed(ws: Workspace, label_set: LabelSet, among: NDArray[Any] | None = None) -> NDArray[Any]:
    """Positions of the records whose answers differ in a field that is compared and that nobody settled, in their order; of
    those `among` these positions (at least one), where they are named."""
    near = "" if among is None else f"""and position between {int(among.min())} and {int(among.max())}
        and position in (select unnest($3::bigint[]))"""
    return ws.columns(
        f"""with said as (select position, record_id, answer from label_now where set_id = $1 and state = 'answered' {near}),
                many as (select position from said group by position having count(*) > 1)
           select l.position from said l join many using (position)
           where l.record_id not in (select record_id from settled_now where set_id = $1)
           group by l.position having count(distinct json_extract(l.answer, $2::varchar[])) > 1 order by l.position""",
        [label_set.set_id, [f"$.{field.key}" for field in label_set.compared],
         *([] if among is None else [among])])["position"]


@needs("raw")
def stamp(ws: Workspace, set_id: str) -> tuple[Any, ...]:
    """Changes whenever something is settled in the set, or taken back, or forgotten."""
    row = ws.row("select count(*) as n, max(seq) as newest from adjudications where set_id = ?", [set_id]) or {}
    return tuple(row.values())


@needs("read")
def count(ws: Workspace, set_id: str) -> int:
    """How many records wait to be settled."""
    return len(disagreed(ws, label_sets.get(ws, set_id)))


@needs("raw")
def queue(ws: Workspace, set_id: str, limit: int, after: str = "", only_ties: bool = False,
          named: bool = True) -> list[Disagreement]:
    """Disagreements in the order the records came in, those behind the record `after` where one is named.

    With `named` false the people are called A, B, C in the order of their answers, so that nobody is judged by name.
    """
    label_set = label_sets.get(ws, set_id)
    positions = disagreed(ws, label_set)
    if after:
        place = places.find(ws, [after]).get(after)
        positions = positions[positions > (place.position if place else 0)]
    found: list[Disagreement] = []
    for start in range(0, len(positions), limit):
        there = sorted(places.at(ws, [int(one) for one in positions[start:start + limit]]), key=lambda place: place.position)
        said = labels.of_records(ws, set_id, [place.record_id for place in there])
        shown = [_disagreement(label_set, place.record_id, said[place.record_id], named) for place in there]
        found += [one for one in shown if not only_ties or one.majority is None]
        if len(found) >= limit:
            break
    return found[:limit]


@needs("raw")
def get(ws: Workspace, set_id: str, record_id: str, named: bool = True) -> Disagreement:
    """One record with everybody's answer, settled or not. Raises StudioError where nobody answered."""
    said = labels.of_records(ws, set_id, [record_id]).get(record_id)
    if not said:
        raise StudioError(f"Nobody has labelled the record {record_id} in this set.")
    return _disagreement(label_sets.get(ws, set_id), record_id, said, named)


@needs("curate")
def settle(ws: Workspace, set_id: str, record_id: str, answer: Answer, who: str, press_id: str) -> None:
    """Say which answer counts. Raises StudioError, with nothing stored, for an answer that the set does not allow."""
    if taken(ws, press_id):
        return
    label_set, place = label_sets.get(ws, set_id), places.one(ws, record_id)
    marked = any(field.kind == "spans" and answer.get(field.key) for field in label_set.fields)
    checked = label_sets.check(label_set, answer,
                               records.wording(ws, record_id, place.position, place.version) if marked else [])
    with ws.transaction() as transaction:
        if not taken(transaction, press_id):
            transaction.decided("adjudications", [
                {"adjudication_id": press_id, "seq": 0, "set_id": set_id, "record_id": record_id,
                 "answer": json.dumps(checked, ensure_ascii=False, sort_keys=True), "undoes": None, "who": who,
                 "said_at": ws.now()}])


@needs("raw")
def settled(ws: Workspace, set_id: str) -> list[Settled]:
    """What was settled and stands, the newest first."""
    return [Settled(row["record_id"], json.loads(row["answer"]), row["who"]) for row in ws.rows(
        "select record_id, answer, who from settled_now where set_id = ? order by seq desc", [set_id])]


@needs("raw")
def newest(ws: Workspace, who: str) -> int:
    """The place in the journal of what this person settled last and did not take back; 0 where there is nothing."""
    return int(ws.value(f"select coalesce(max(seq), 0) from adjudications a where who = ? and {_STANDS}", [who]))


@needs("curate")
def undo(ws: Workspace, who: str, press_id: str) -> Undone | None:
    """Take back what this person settled last; the record is in the queue again, or as it was settled before."""
    with ws.transaction() as transaction:
        last = transaction.rows(f"select * from adjudications a where who = ? and {_STANDS} order by seq desc limit 1", [who])
        if not last or taken(transaction, press_id):
            return None
        transaction.decided("adjudications", [last[0] | {
            "adjudication_id": press_id, "seq": 0, "answer": "{}", "undoes": last[0]["adjudication_id"], "said_at": ws.now()}])
    return Undone(f"Undone: settle {last[0]['record_id']}", last[0]["record_id"])


def taken(read: Workspace | Transaction, press_id: str) -> bool:
    """Whether a press of this id is stored."""
    ask(read, "raw")
    return bool(read.rows("select 1 from adjudications where adjudication_id = ?", [press_id]))


@needs("read")
def agreements(ws: Workspace, set_id: str) -> list[FieldAgreement]:
    """How far people agree in each field that can be compared, over records with at least two answers."""
    label_set = label_sets.get(ws, set_id)
    said: dict[str, dict[str, dict[str, Value]]] = {field.key: defaultdict(dict) for field in label_set.compared}
    for record_id, who, answer in _shared(ws, set_id):
        for field in label_set.compared:
            if field.key in answer or not field.required:
                said[field.key][record_id][who] = _value(field, answer.get(field.key))
    return [agreement.of_field(field.key, said[field.key], _level(field)) for field in label_set.compared]


@needs("read")
def overlaps(ws: Workspace, set_id: str) -> list[Overlap]:
    """How far people's marks on the text meet, for each field of marks, over records with at least two answers."""
    fields = [field for field in label_sets.get(ws, set_id).fields if field.kind == "spans"]
    said: dict[str, dict[str, dict[str, list[Span]]]] = {field.key: defaultdict(dict) for field in fields}
    for record_id, who, answer in _shared(ws, set_id) if fields else []:
        for field in fields:
            said[field.key][record_id][who] = [(span["turn"], span["start"], span["end"], span["value"])
                                               for span in answer.get(field.key) or []]
    return [agreement.of_marks(field.key, said[field.key]) for field in fields]


def _shared(ws: Workspace, set_id: str) -> list[tuple[str, str, Answer]]:
    rows = ws.rows("""with many as (select position from label_now where set_id = $1 and state = 'answered'
                                    group by position having count(*) > 1)
                      select record_id, who, answer from label_now join many using (position)
                      where set_id = $1 and state = 'answered' order by position, who""", [set_id])
    return [(row["record_id"], row["who"], json.loads(row["answer"])) for row in rows]


def _value(field: Field, value: Any) -> Value:
    """What is compared: a scale's number; several options as one value; nothing chosen is a value too."""
    if field.kind == "scale" and value is not None:
        return int(value)
    return " + ".join(value) if isinstance(value, list) else str(value or "(none)")


def _level(field: Field) -> Level:
    """A scale that must be answered has an order; one that may be left out has a value without a number."""
    return "ordinal" if field.kind == "scale" and field.required else "nominal"


def _disagreement(label_set: LabelSet, record_id: str, said: Sequence[Label], named: bool) -> Disagreement:
    given = [label for label in said if label.state == "answered"]
    if not named:
        given = [replace(label, who=_LETTERS[place % len(_LETTERS)]) for place, label in enumerate(given)]
    answers = [label.answer for label in given]
    fields = tuple(field.key for field in labels.differing(label_set, answers))
    return Disagreement(record_id, tuple(given), fields, labels.majority(label_set, answers))
