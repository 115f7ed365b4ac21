"""Labels: what people say of records under a label set, press by press.

Every press is a row that is never changed: an answer, a skip, or the taking back of one. A person's newest row that stands is
their word on a record (`label_now`). A press carries an id made where it was pressed, and is stored once, however often it is
sent.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from studio import label_sets, places, records
from studio.label_sets import Answer, Field, LabelSet
from studio.mentions import is_named, named_in
from studio.permissions import ask, needs
from studio.places import Place
from studio.records import Undone
from studio.standing import newest_row, rows_of_act
from studio.workspace import Row, Transaction, Workspace

State = Literal["answered", "skipped"]
_NOW = ("set_id", "record_id", "position", "who", "label_id", "seq", "set_version", "record_version", "answer", "state",
        "suggested", "seconds", "said_at")


@dataclass(frozen=True)
class Given:
    """One answer on its way in. `suggested` is what the person was offered, `seconds` how long the record lay before them;
    `record_version` is the wording they read, the current one where it is left out."""

    record_id: str
    answer: Answer
    suggested: Answer | None = None
    seconds: float | None = None
    record_version: int | None = None


@dataclass(frozen=True)
class Label:
    """What somebody's word on a record is now."""

    record_id: str
    who: str
    state: State
    answer: Answer
    set_version: int
    record_version: int
    label_id: str


@needs("label")
def answer(ws: Workspace, set_id: str, record_id: str, answer: Answer, who: str, label_id: str, seconds: float | None = None,
           suggested: Answer | None = None, set_version: int | None = None, record_version: int | None = None) -> None:
    """Store one person's answer under the press's id; a later one of theirs on the same record takes its place.

    `set_version` and `record_version` are what the person had before them (the newest where left out). Raises StudioError,
    with nothing stored, for an answer that the set does not allow.
    """
    if taken(ws, label_id):
        return
    label_set = label_sets.get(ws, set_id, set_version)
    _store(ws, label_set, [Given(record_id, answer, suggested, seconds, record_version)], "answered", who, label_id)


@needs("label")
def answer_many(ws: Workspace, set_id: str, given: Sequence[Given], who: str, batch_id: str) -> int:
    """Store many answers as one act that can be undone; returns how many, 0 when the press was stored before."""
    if not given or taken(ws, batch_id):
        return 0
    return _store(ws, label_sets.get(ws, set_id), given, "answered", who, batch_id)


@needs("label")
def skip(ws: Workspace, set_id: str, record_id: str, who: str, label_id: str, seconds: float | None = None) -> None:
    """Leave a record to others: it does not come back to this person unless they ask for what they skipped."""
    if not taken(ws, label_id):
        _store(ws, label_sets.get(ws, set_id), [Given(record_id, {}, None, seconds)], "skipped", who, label_id)


@needs("label")
def undo(ws: Workspace, set_id: str, who: str, press_id: str) -> Undone | None:
    """Take back this person's newest answer or skip that stands (all of them where one press gave many); None where none is.

    An empty `set_id` means any set. What they had said of the record before stands again.
    """
    with ws.transaction() as transaction:
        last = newest_row(transaction, "labels", "label_id", who, "(? = '' or l.set_id = ?)", [set_id, set_id])
        if not last or taken(transaction, press_id):
            return None
        rows = rows_of_act(transaction, "labels", "label_id", last["batch_id"], last["seq"])
        undone = [row | {"label_id": _part(press_id, place), "seq": 0, "batch_id": press_id, "state": "undone", "answer": "{}",
                         "suggested": None, "seconds": None, "undoes": row["label_id"], "said_at": ws.now()}
                  for place, row in enumerate(rows)]
        numbers = _decided(transaction, undone)
        _stands_again(ws, transaction, rows, numbers)
    what = "label" if last["state"] == "answered" else "skip"
    many = f"{what} {len(rows):,} records" if len(rows) > 1 else f"{what} {rows[0]['record_id']}"
    return Undone(f"Undone: {many}", rows[0]["record_id"])


@needs("label", looks=True)
def newest(ws: Workspace, who: str) -> int:
    """The place in the journal of this person's newest answer or skip that stands; 0 where there is none."""
    return (newest_row(ws, "labels", "label_id", who) or {"seq": 0})["seq"]  # type: ignore[no-any-return]


def taken(read: Workspace | Transaction, press_id: str) -> bool:
    """Whether a press of this id is stored; looked at again under the write lock: two tabs may send it at the same moment."""
    ask(read, "label")
    return bool(read.rows("select 1 from labels where label_id = ?", [_part(press_id, 0)]))


@needs("raw")
def of_records(ws: Workspace, set_id: str, record_ids: Sequence[str]) -> dict[str, list[Label]]:
    """Everybody's word on these records, in the order it was given."""
    positions = [place.position for place in places.find(ws, record_ids).values()]
    found: dict[str, list[Label]] = defaultdict(list)
    for row in ws.rows("""select record_id, who, state, answer, set_version, record_version, label_id from label_now
                          where position between ? and ? and position in (select unnest(?::bigint[])) and set_id = ?
                          and state <> 'undone' order by seq""",
                       [min(positions, default=0), max(positions, default=0), positions, set_id]):
        found[row["record_id"]].append(Label(**row | {"answer": json.loads(row["answer"])}))
    return dict(found)


@needs("raw")
def votes(ws: Workspace, set_id: str) -> Iterator[tuple[str, str, Answer]]:
    """Every answer that stands: (record id, who, answer), record by record in the order they came in."""
    for row in ws.rows("""select record_id, who, answer from label_now where set_id = ? and state = 'answered'
                          order by position, seq""", [set_id]):
        yield row["record_id"], row["who"], json.loads(row["answer"])


@needs("raw")
def final(ws: Workspace, set_id: str) -> dict[str, Answer]:
    """One answer a record: the adjudicated one, else the majority's, else the only one; a tie is left out.

    The majority is taken field by field; a record is left out where one of the compared fields is tied. Texts and marks on the
    text are the newest answer's.
    """
    label_set = label_sets.get(ws, set_id)
    by_record: dict[str, list[Answer]] = defaultdict(list)
    for record_id, _, given in votes(ws, set_id):
        by_record[record_id].append(given)
    found = {record_id: merged for record_id, answers in by_record.items()
             if (merged := majority(label_set, answers)) is not None}
    settled = ws.rows("select record_id, answer from settled_now where set_id = ?", [set_id])
    return found | {row["record_id"]: json.loads(row["answer"]) for row in settled}


def majority(label_set: LabelSet, answers: Sequence[Answer]) -> Answer | None:
    """What most say, field by field; None where a compared field is tied."""
    if len(answers) == 1:
        return answers[0]
    merged: Answer = {}
    for field in label_set.fields:
        said = [given.get(field.key) for given in answers]
        if field in label_set.compared:
            counted = Counter(map(_comparable, said)).most_common(2)
            if len(counted) == 2 and counted[0][1] == counted[1][1]:
                return None
            value = next(one for one in said if _comparable(one) == counted[0][0])
        else:
            value = next((one for one in reversed(said) if one), None)
        if value is not None:
            merged[field.key] = value
    return merged


def differing(label_set: LabelSet, answers: Sequence[Answer]) -> list[Field]:
    """The compared fields in which these answers are not the same."""
    return [field for field in label_set.compared if len({_comparable(given.get(field.key)) for given in answers}) > 1]


@needs("export")
def export(ws: Workspace, set_id: str) -> list[Row]:
    """One row an answer that stands, flat: record, ticket, who, when, and a column a field; then what counts at the end."""
    label_set, finals = label_sets.get(ws, set_id), final(ws, set_id)
    rows = ws.rows("""select n.record_id, r.external_id, n.who, n.said_at, n.set_version, n.record_version, n.seconds, n.answer
                      from label_now n join records r using (record_id)
                      where n.set_id = ? and n.state = 'answered' order by n.position, n.seq""", [set_id])
    found = []
    for row in rows:
        given, end = json.loads(row.pop("answer")), finals.get(row["record_id"])
        keys = list(dict.fromkeys([*(field.key for field in label_set.fields), *given]))
        found.append(row | {key: _cell(given.get(key)) for key in keys}
                     | {f"final_{key}": _cell((end or {}).get(key)) for key in keys})
    return found


@needs("read")
def total(ws: Workspace) -> int:
    """Records that have an answer in any set."""
    return int(ws.value("select count(distinct position) from label_now where state = 'answered'"))


@needs("raw")
def about(ws: Workspace, words: Sequence[str]) -> list[str]:
    """The ids of labels, marks and settled answers whose text names one of the words (lower case)."""
    found = ws.rows(
        f"""with w as (select unnest(?::varchar[]) as word)
            select label_id as id from labels l, w where {named_in(_SAID)} or {named_in(_OFFERED)}
            union select mark_id from record_marks m, w where {named_in("m.value")}
            union select adjudication_id from adjudications l, w where {named_in(_SAID)} order by all""", [list(words)])
    return [row["id"] for row in found]


def forget(transaction: Transaction, record_ids: Sequence[str], spoken: Sequence[str], words: Sequence[str]) -> None:
    """Delete what people said of these records, what was settled and what was suggested; of the labels and marks of others in
    `spoken`, take out the texts that name one of the words."""
    for table in ("labels", "label_now", "record_marks", "adjudications", "suggestions", "label_doubts"):
        transaction.execute(f"delete from {table} where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
    transaction.execute("delete from record_marks where mark_id in (select unnest(?::varchar[]))", [list(spoken)])
    for table, key in (("labels", "label_id"), ("label_now", "label_id"), ("adjudications", "adjudication_id")):
        for row in transaction.rows(f"select * from {table} where {key} in (select unnest(?::varchar[]))", [list(spoken)]):
            for column in ("answer", "suggested"):
                if row.get(column):
                    transaction.execute(f"update {table} set {column} = ? where {key} = ?",
                                        [_unnamed(row[column], words), row[key]])


_SAID = "array_to_string(json_extract_string(l.answer, '$.*'), chr(10))"
_OFFERED = "coalesce(array_to_string(json_extract_string(l.suggested, '$.*'), chr(10)), '')"


def _store(ws: Workspace, label_set: LabelSet, given: Sequence[Given], state: State, who: str, batch_id: str) -> int:
    where = places.find(ws, [one.record_id for one in given])
    rows = []
    for place, one in enumerate(given):
        stands = where.get(one.record_id) or places.one(ws, one.record_id)
        checked = _checked(ws, label_set, one, stands) if state == "answered" else {}
        rows.append({"label_id": _part(batch_id, place), "seq": 0, "batch_id": batch_id, "set_id": label_set.set_id,
                     "set_version": label_set.version, "record_id": one.record_id,
                     "record_version": one.record_version or stands.version, "answer": _json(checked), "state": state,
                     "suggested": None if one.suggested is None else _json(one.suggested), "seconds": one.seconds,
                     "undoes": None, "who": who, "said_at": ws.now()})
    with ws.transaction() as transaction:
        if taken(transaction, batch_id):
            return 0
        numbers = _decided(transaction, rows)
        _now(transaction, [row | {"seq": n, "position": where[one.record_id].position}
                           for row, n, one in zip(rows, numbers, given, strict=True)])
    return len(rows)


def _checked(ws: Workspace, label_set: LabelSet, given: Given, stands: Place) -> Answer:
    """Wordings are read only where something on them is marked."""
    marked = any(field.kind == "spans" and given.answer.get(field.key) for field in label_set.fields)
    version = given.record_version or stands.version
    messages = records.wording(ws, given.record_id, stands.position, version) if marked else []
    return label_sets.check(label_set, given.answer, messages)


def _decided(transaction: Transaction, rows: Sequence[Row]) -> list[int]:
    """Store label rows; returns their numbers in the journal."""
    before = len(transaction.journaled)
    transaction.decided("labels", rows)
    return [row["seq"] for _, row in transaction.journaled[before:]]


def _now(transaction: Transaction, rows: Sequence[Row]) -> None:
    """Make these the current words of their people; the newest of the same person on the same record counts."""
    newest = list({(row["set_id"], row["position"], row["who"]): row for row in rows}.values())
    if not newest:
        return
    positions = [row["position"] for row in newest]
    transaction.execute(
        """delete from label_now using (select unnest(?::varchar[]) as set_id, unnest(?::bigint[]) as position,
               unnest(?::varchar[]) as who) said
           where label_now.position between ? and ? and label_now.set_id = said.set_id
           and label_now.position = said.position and label_now.who = said.who""",
        [[row["set_id"] for row in newest], positions, [row["who"] for row in newest], min(positions), max(positions)])
    transaction.insert("label_now", [{column: row[column] for column in _NOW} for row in newest])


def _stands_again(ws: Workspace, transaction: Transaction, undone: Sequence[Row], numbers: Sequence[int]) -> None:
    """After labels were taken back: the word before each, or none, under the number of the taking back."""
    said = {_whose(row): n for row, n in zip(undone, numbers, strict=True)}
    near = transaction.rows("select * from labels where record_id in (select unnest(?::varchar[])) order by seq",
                            [[record_id for _, record_id, _ in said]])
    taken_back = {row["undoes"] for row in near}
    now = {_whose(row): row | {"state": "undone", "answer": "{}", "suggested": None, "seconds": None} for row in undone}
    now |= {_whose(row): row for row in near
            if not row["undoes"] and row["label_id"] not in taken_back and _whose(row) in said}
    where = places.find(ws, [record_id for _, record_id, _ in said])
    _now(transaction, [row | {"seq": said[key], "position": where[key[1]].position} for key, row in now.items()])


def _whose(row: Row) -> tuple[str, str, str]:
    return row["set_id"], row["record_id"], row["who"]


def _part(press_id: str, place: int) -> str:
    """The id of one label of a press: the press's own, and a number behind it from the second on."""
    return f"{press_id}-{place}" if place else press_id


def _json(answer: Answer) -> str:
    return json.dumps(answer, ensure_ascii=False, sort_keys=True)


def _unnamed(answer: str, words: Sequence[str]) -> str:
    return _json({key: value for key, value in json.loads(answer).items()
                  if not (isinstance(value, str) and is_named(value, words))})


def _comparable(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _cell(value: object) -> object:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return "" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
