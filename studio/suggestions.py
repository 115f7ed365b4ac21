"""Suggestions: what the light model would label each record, how far it can be trusted, and which labels it doubts.

All of it is derived from the labels of one set and replaced by the next run; what a person accepts of it is a label like any
other, which keeps what was suggested.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from studio import labels, verdicts
from studio.errors import StudioError
from studio.label_sets import Field, LabelSet
from studio.labels import Given
from studio.permissions import needs
from studio.verdicts import Interval
from studio.workspace import Row, Transaction, Workspace

LEARNED = ("choice", "multi")
LEAST_LABELS = 20
"""Fewer labels teach nothing that could be tested; `pipeline/suggestions.py` looks at every field by itself."""

_ACCEPTED = "accept-"
_TEXT = """array_to_string(list_transform(list_filter(from_json(v.messages, '[{"role": "VARCHAR", "content": "VARCHAR"}]'),
    lambda turn: turn.role <> 'system'), lambda turn: turn.content), chr(10))"""
_SUGGESTIONS = """{field: 'varchar', record_id: 'varchar', record_version: 'integer', value: 'varchar', confidence: 'double',
    rank: 'bigint'}"""
_DOUBTS = "{field: 'varchar', record_id: 'varchar', given: 'varchar', likely: 'varchar', doubt: 'double'}"
_SURE = """select s.record_id, s.record_version, list(s.field) as fields, list(s.value) as said,
        product(s.confidence) as confidence
    from suggestions s join record_now n on n.record_id = s.record_id and n.version = s.record_version
    where s.set_id = $1 and s.confidence >= $2 and n.decision <> 'drop' and not exists (
        from label_now l where l.set_id = $1 and l.record_id = s.record_id and l.state = 'answered')
    group by s.record_id, s.record_version
    having len(list_intersect(list(s.field), $3::varchar[])) = len($3::varchar[])"""


@dataclass(frozen=True)
class Suggestion:
    """A value for one field, and how sure the model is of it (0 to 1)."""

    value: Any
    confidence: float


@dataclass(frozen=True)
class Level:
    """Of the labels that the model was at least `confidence` sure of, without having seen them: how many, how many it hit."""

    confidence: float
    tested: int
    right: int


@dataclass(frozen=True)
class Learned:
    """What a run learned of one field. `accuracy` is cross-validated; `baseline` is what always saying the most common value
    would reach; `left_out` are values with too few labels to be suggested. `too_few` says why nothing was learned, or is empty.
    """

    key: str
    title: str
    too_few: str
    accuracy: Interval
    baseline: float
    left_out: tuple[str, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Standing:
    """The newest run of a set: from how many labels, for how many records, and how many labels given since."""

    run_id: str
    started_at: datetime
    labelled: int
    suggested: int
    doubted: int
    new_labels: int
    fields: tuple[Learned, ...]


@dataclass(frozen=True)
class Preview:
    """What accepting everything above a confidence would do: `count` labels, of which about `wrong` are expected to be wrong.

    `error` is the share of errors among labels of that confidence in cross-validation, of the field that did worst.
    """

    count: int
    wrong: float
    error: Interval


def learnable(label_set: LabelSet) -> tuple[Field, ...]:
    """The fields that a model can learn: a choice, or several of a list."""
    return tuple(field for field in label_set.fields if field.kind in LEARNED)


@needs("read")
def too_few(ws: Workspace, label_set: LabelSet) -> str:
    """Why nothing can be learned from this set yet, in a sentence; empty when it can be tried."""
    if not learnable(label_set):
        return f"{label_set.name} has no field to choose from, so there is nothing that a model could suggest."
    given = len(labels.final(ws, label_set.set_id))
    if given < LEAST_LABELS:
        return f"Too few labels: {given} of the {LEAST_LABELS} that a suggestion needs at least."
    return ""


@needs("read")
def standing(ws: Workspace, set_id: str) -> Standing | None:
    """What the newest run that is done showed; None before the first."""
    row = ws.row("""select r.run_id, r.started_at, e.data from runs r join run_results e using (run_id)
                    where r.kind = 'suggest' and e.outcome = 'done' and json_extract_string(r.spec, '$.set_id') = ?
                    order by r.started_at desc limit 1""", [set_id])
    if row is None:
        return None
    data = json.loads(row["data"])
    new = ws.value("""select count(distinct record_id) from label_now where set_id = ? and state = 'answered'
                      and said_at > ?""", [set_id, row["started_at"]])
    return Standing(row["run_id"], row["started_at"], data["labelled"], data["suggested"], data["doubted"], int(new),
                    tuple(_learned(report) for report in data["fields"]))


@needs("raw")
def of(ws: Workspace, set_id: str, record_ids: Sequence[str]) -> dict[str, dict[str, Suggestion]]:
    """What is suggested for these records as they are worded now: record id → field → suggestion."""
    found: dict[str, dict[str, Suggestion]] = defaultdict(dict)
    for row in ws.rows("""select s.record_id, s.field, s.value, s.confidence from suggestions s
                          join record_now n on n.record_id = s.record_id and n.version = s.record_version
                          where s.set_id = ? and s.record_id in (select unnest(?::varchar[]))""", [set_id, list(record_ids)]):
        found[row["record_id"]][row["field"]] = Suggestion(json.loads(row["value"]), row["confidence"])
    return dict(found)


@needs("raw")
def doubts(ws: Workspace, set_id: str, limit: int, skip: int = 0) -> list[Row]:
    """Labels that the model doubts, the most doubtful first: record_id, field, given, likely, doubt (0 to 1)."""
    found = ws.rows("""select record_id, field, given, likely, doubt from label_doubts where set_id = ?
                       order by doubt desc, record_id limit ? offset ?""", [set_id, limit, skip])
    return [row | {"given": json.loads(row["given"]), "likely": json.loads(row["likely"])} for row in found]


@needs("read")
def hit_rate(ws: Workspace, set_id: str) -> dict[str, tuple[Interval, int]]:
    """By field: how often people chose what had been suggested to them (with Wilson's interval), and of how many labels.

    Labels that were accepted in bulk do not count: nobody looked at them.
    """
    shown: dict[str, list[bool]] = defaultdict(list)
    for row in ws.rows("""select n.answer, n.suggested from label_now n join labels l using (label_id)
                          where n.set_id = ? and n.state = 'answered' and n.suggested is not null
                          and not starts_with(l.batch_id, ?)""", [set_id, _ACCEPTED]):
        answer, suggested = json.loads(row["answer"]), json.loads(row["suggested"])
        for key, value in suggested.items():
            shown[key].append(answer.get(key) == (value or None))
    return {key: (verdicts.wilson(sum(hits), len(hits)), len(hits)) for key, hits in shown.items()}


@needs("read")
def obstacle(ws: Workspace, label_set: LabelSet) -> str:
    """Why labels cannot be accepted in bulk, in a sentence; empty when they can."""
    now = standing(ws, label_set.set_id)
    if now is None:
        return "Nothing is suggested yet."
    learned = {one.key for one in now.fields if not one.too_few}
    missing = [field.title for field in label_set.fields if field.required and field.key not in learned]
    return f"{missing[0]} is required, and no model suggests it: somebody has to read each record." if missing else ""


@needs("read")
def preview(ws: Workspace, label_set: LabelSet, confidence: float) -> Preview:
    """What `accept` would do at this confidence."""
    row = ws.row(f"select count(*) as n, coalesce(sum(1 - confidence), 0) as wrong from ({_SURE})",
                 [label_set.set_id, confidence, _required(label_set)]) or {}
    now = standing(ws, label_set.set_id)
    errors = [_error(one, confidence) for one in (now.fields if now else ()) if not one.too_few]
    worst = max(errors, key=lambda error: error.high, default=verdicts.wilson(0, 0))
    return Preview(row["n"], row["wrong"], worst)


@needs("curate")
def accept(ws: Workspace, label_set: LabelSet, confidence: float, who: str, press_id: str) -> int:
    """Label every unlabelled record as suggested where the model is at least this sure of it; returns how many.

    One act: undo takes all of them back. Each label keeps what was suggested. Values that the set no longer offers are left
    out. Raises StudioError where a required field has no suggestions.
    """
    reason = obstacle(ws, label_set)
    if reason:
        raise StudioError(reason)
    found = ws.rows(_SURE, [label_set.set_id, confidence, _required(label_set)])
    answers = [(row, _answer(label_set, row)) for row in found]
    given = [Given(row["record_id"], answer, answer, None, row["record_version"]) for row, answer in answers if answer]
    return labels.answer_many(ws, label_set.set_id, given, who, f"{_ACCEPTED}{press_id}")


# What a run needs -------------------------------------------------------------------------------------------------------

@needs("run", looks=True)
def write_out(ws: Workspace, set_id: str, path: Path) -> None:
    """Every record nobody dropped, the labelled ones first, the others in no order; written beside and renamed in."""
    final = labels.final(ws, set_id)
    beside = path.with_name(f".{path.name}.tmp")
    name = str(beside).replace("'", "''")
    ws.rows(f"""copy (
        select n.record_id as id, n.version, {_TEXT} as text, g.given::json as given
        from record_now n join record_versions v on v.record_id = n.record_id and v.version = n.version
        left join (select unnest(?::varchar[]) as record_id, unnest(?::varchar[]) as given) g on g.record_id = n.record_id
        where n.decision <> 'drop' order by g.given is null, hash(n.record_id)) to '{name}' (format json)""",
            [list(final), [json.dumps(answer, ensure_ascii=False) for answer in final.values()]])
    beside.rename(path)


@needs("read")
def counts(ws: Workspace, set_id: str) -> tuple[int, int]:
    """(records that nobody dropped, those of them with a label that counts)."""
    row = ws.row("""select count(*) as every, count(*) filter (record_id in (select unnest(?::varchar[]))) as labelled
                    from record_now where decision <> 'drop'""", [list(labels.final(ws, set_id))]) or {}
    return row["every"], row["labelled"]


def collect(transaction: Transaction, run_id: str, set_id: str, suggested: Path, doubted: Path) -> None:
    """What a run says, in place of what the run of this set before it had said."""
    transaction.execute("delete from suggestions where set_id = ?", [set_id])
    transaction.execute("delete from label_doubts where set_id = ?", [set_id])
    if suggested.stat().st_size:
        transaction.execute(
            f"""insert into suggestions select ?, field, record_id, record_version, value, confidence, rank, ?
                from read_json(?, format = 'newline_delimited', columns = {_SUGGESTIONS})""", [set_id, run_id, str(suggested)])
    if doubted.stat().st_size:
        transaction.execute(
            f"""insert into label_doubts select ?, field, record_id, given, likely, doubt, ?
                from read_json(?, format = 'newline_delimited', columns = {_DOUBTS})""", [set_id, run_id, str(doubted)])


def _learned(report: Row) -> Learned:
    if report["too_few"]:
        return Learned(report["key"], report["title"], report["too_few"], verdicts.wilson(0, 0), 0.0, (), ())
    return Learned(report["key"], report["title"], "", verdicts.wilson(report["right"], report["tested"]),
                   report["most_common"] / report["tested"], tuple(report["left_out"]),
                   tuple(Level(*level) for level in report["levels"]))


def _error(learned: Learned, confidence: float) -> Interval:
    """The share of wrong ones among tested labels of at least the next lower confidence that was counted."""
    level = max((one for one in learned.levels if one.confidence <= confidence), key=lambda one: one.confidence,
                default=learned.levels[0])
    return verdicts.wilson(level.tested - level.right, level.tested)


def _required(label_set: LabelSet) -> list[str]:
    """The fields that must be suggested for a label to be whole; where none is required, any of those that can be learned."""
    return [field.key for field in label_set.fields if field.required]


def _answer(label_set: LabelSet, row: Row) -> dict[str, Any] | None:
    """The suggested answer of a record; None where a required field would be empty or a value is not offered any more."""
    answer = {key: json.loads(value) for key, value in zip(row["fields"], row["said"], strict=True)}
    offered = {field.key: {option.value for option in field.options} for field in label_set.fields}
    known = {key: value for key, value in answer.items() if value and key in offered
             and set(value if isinstance(value, list) else [value]) <= offered[key]}
    return known if known and set(_required(label_set)) <= set(known) else None
