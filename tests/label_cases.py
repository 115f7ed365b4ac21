"""Literal label sets and short ways to say things under them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from studio import label_sets, labels, records
from studio.label_fields import Field, Option
from studio.label_sets import LabelSet
from studio.records import Filter, Turns
from studio.workspace import Workspace
from tests.tickets import THINGS, TROUBLES

MOOD: dict[str, Any] = {
    "name": "Mood",
    "fields": [
        {
            "key": "mood",
            "title": "Mood",
            "kind": "choice",
            "options": [
                {"value": "good", "title": "Good", "key": "1"},
                {"value": "bad", "title": "Bad", "key": "2"},
                {"value": "odd"},
            ],
        }
    ],
}
EVERYTHING: dict[str, Any] = {
    "name": "Everything",
    "guidelines": "Read it twice.",
    "needed": 2,
    "fields": [
        *MOOD["fields"],
        {
            "key": "faults",
            "title": "Faults",
            "kind": "multi",
            "required": False,
            "options": [{"value": "late"}, {"value": "rude"}],
        },
        {"key": "stars", "title": "Stars", "kind": "scale", "low": 1, "high": 5},
        {"key": "note", "title": "Note", "kind": "text", "required": False},
        {"key": "marks", "title": "Marks", "kind": "spans", "required": False, "options": [{"value": "thing"}]},
    ],
}


def unsaved(definition: dict[str, Any]) -> LabelSet:
    """A definition as a set that stands nowhere."""
    said = label_sets.parse(definition)
    fields = tuple(
        Field(**field | {"options": tuple(Option(**option) for option in field["options"])}) for field in said["fields"]
    )
    return LabelSet("s", 1, **said | {"fields": fields, "examples": (), "who": "ann", "said_at": datetime(2026, 1, 1)})


def forty_records(ws: Workspace) -> None:
    """The forty tickets of `tickets.forty`, put in at once: what an import does is tested elsewhere."""
    named = [(n, thing, trouble) for n, (thing, trouble) in enumerate((a, b) for a in THINGS for b in TROUBLES)]
    rows = [
        f"('r{n:02}', {n}, {n + 2}, 'T{n}', {1 + n % 5}, '{trouble.split()[-1]}', null, null::timestamp, null, null,"
        f" '{json.dumps(turns(f'My {thing} {trouble}.', f'Hello! We are sorry that your {thing} {trouble}.'))}')"
        for n, thing, trouble in named
    ]
    arriving = f"""(values {", ".join(rows)}) t(record_id, position, source_line, external_id, rating, tags, status,
                   happened_at, name, email, messages)"""
    with ws.transaction() as transaction:
        records.add(ws, transaction, "import1", f"select * exclude (messages) from {arriving}",
                    f"select record_id, position, messages from {arriving}")  # fmt: skip


def turns(question: str, answer: str) -> Turns:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def mood(ws: Workspace, needed: int = 1, **changes: Any) -> LabelSet:
    """Forty records and a set with one choice."""
    forty_records(ws)
    return label_sets.save(ws, MOOD | {"needed": needed} | changes, "ann")


def ids(ws: Workspace, limit: int = 40) -> list[str]:
    return [record.record_id for record in records.page(ws, Filter(), limit)]


def say(ws: Workspace, label_set: LabelSet, who: str, *values: str) -> list[str]:
    """One person's moods of the first records, each by its own press; returns the records."""
    found = ids(ws, len(values))
    for place, (record_id, value) in enumerate(zip(found, values, strict=True)):
        labels.answer(ws, label_set.set_id, record_id, {"mood": value}, who, f"{who}-{place}-{value}", seconds=2.0)
    return found


def moods(ws: Workspace, label_set: LabelSet, record_id: str) -> dict[str, object]:
    """Who says what of a record now."""
    said = labels.of_records(ws, label_set.set_id, [record_id]).get(record_id, [])
    return {label.who: label.answer.get("mood", label.state) for label in said}
