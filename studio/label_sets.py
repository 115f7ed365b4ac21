"""Label sets: what people are asked about a record. Every change is a new version, and old answers are read under their own.

A set is never deleted: one that is not used any more is archived, and its answers stay.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from studio import label_fields
from studio.errors import StudioError
from studio.label_fields import COMPARED, Field, Option, in_words, once, plain_text, values_of
from studio.mentions import without
from studio.permissions import Given, needs, of_one
from studio.records import Turns
from studio.workspace import Row, Transaction, Workspace

Answer = dict[str, Any]
COLOURS = ("#3366cc", "#b8580a", "#2e7d32", "#a83279", "#00798c", "#8a6d00", "#6a4fb3", "#5f6b76")
MOST_NEEDED = 20
_kept: weakref.WeakKeyDictionary[Workspace, dict[tuple[str, int | None], LabelSet]] = weakref.WeakKeyDictionary()
"""Sets as they were read: every press asks for one, and only this process can change them."""


@dataclass(frozen=True)
class Example:
    """A record worth showing beside the guidelines, with why, and the answer it should get (may be empty)."""

    record_id: str
    why: str
    answer: Answer


@dataclass(frozen=True)
class LabelSet:
    """One version of a set. Each record needs `needed` answers, and a share of `overlap` (0 to 1) of them needs one more."""

    set_id: str
    version: int
    name: str
    guidelines: str
    examples: tuple[Example, ...]
    needed: int
    overlap: float
    fields: tuple[Field, ...]
    archived: bool
    who: str
    said_at: datetime

    def field(self, key: str) -> Field:
        """Raises StudioError when the set has no such field."""
        found = next((field for field in self.fields if field.key == key), None)
        if found is None:
            raise StudioError(f"The label set {self.name} has no field called {key}.",
                              f"Its fields are {', '.join(field.key for field in self.fields)}.")
        return found

    @property
    def compared(self) -> tuple[Field, ...]:
        """The fields in which people agree or not."""
        return tuple(field for field in self.fields if field.kind in COMPARED)


@dataclass(frozen=True)
class Shown:
    """One field of an answer, in words. `offered` is false where the newest version of the set no longer has it."""

    key: str
    title: str
    words: str
    offered: bool


def _veiled(ws: Workspace, found: list[LabelSet], given: Given) -> list[LabelSet]:
    return [replace(one, examples=()) for one in found]  # what is said of a record, and by what answer, may quote it


@needs("read", veil=_veiled)
def every(ws: Workspace, archived: bool = False) -> list[LabelSet]:
    """The newest version of every set, by name; archived ones only on demand."""
    found = [_read(row) for row in ws.rows("""select * from label_sets
        qualify row_number() over (partition by set_id order by version desc) = 1""")]
    return sorted((one for one in found if archived or not one.archived), key=lambda one: (one.name.lower(), one.set_id))


@needs("read", veil=of_one(_veiled))
def get(ws: Workspace, set_id: str, version: int | None = None) -> LabelSet:
    """A set in its newest version, or in the one asked for. Raises StudioError when there is none."""
    kept = _kept.setdefault(ws, {})
    if (set_id, version) not in kept:
        row = ws.row("""select * from label_sets where set_id = ? and (? is null or version = ?)
                        order by version desc limit 1""", [set_id, version, version])
        if row is None:
            raise StudioError("There is no such label set in this workspace.", "Choose or make one on the Label page.")
        kept[set_id, version] = _read(row)
    return kept[set_id, version]


@needs("curate")
def save(ws: Workspace, definition: Row, who: str, set_id: str = "") -> LabelSet:
    """Store a definition as a new set, or as the next version of `set_id`. Saved again unchanged, it stays the version it is.

    Raises StudioError, with nothing stored, for a definition that cannot be asked or read.
    """
    checked = parse(definition)
    with ws.transaction() as transaction:
        before = get(ws, set_id) if set_id else None
        if before and definition_of(before) == checked:
            return before
        _check_change(ws, before, checked, set_id)
        set_id = set_id or ws.new_id()
        version = before.version + 1 if before else 1
        row = {"version_id": f"{set_id}-{version}", "seq": 0, "set_id": set_id, "version": version,
               "definition": json.dumps(checked, ensure_ascii=False), "who": who, "said_at": ws.now()}
        transaction.decided("label_sets", [row])
    _kept.pop(ws, None)
    return _read(row)


@needs("curate")
def archive(ws: Workspace, set_id: str, who: str, archived: bool = True) -> LabelSet:
    """Take a set out of use, or back into it. Its answers stay."""
    return save(ws, definition_of(get(ws, set_id)) | {"archived": archived}, who, set_id)


def definition_of(label_set: LabelSet) -> Row:
    """What was saved, as plain JSON values: what an editor starts from."""
    kept = {key: value for key, value in asdict(label_set).items() if key not in ("set_id", "version", "who", "said_at")}
    return json.loads(json.dumps(kept))  # type: ignore[no-any-return]


def parse(definition: Row) -> Row:
    """A definition with every part in place. Raises StudioError with what is wrong, in a sentence."""
    name = plain_text(definition.get("name"))
    if not name or len(name) > 80:
        raise StudioError("A label set needs a name of at most 80 characters.")
    needed, overlap = definition.get("needed", 1), definition.get("overlap", 0.0)
    if not isinstance(needed, int) or isinstance(needed, bool) or not 1 <= needed <= MOST_NEEDED:
        raise StudioError(f"A record needs between 1 and {MOST_NEEDED} answers, not {needed}.")
    if not isinstance(overlap, int | float) or not 0 <= overlap <= 1:
        raise StudioError("The share of records that get one more answer lies between 0 and 1.")
    fields = [label_fields.parse(field) for field in definition.get("fields") or []]
    if not fields:
        raise StudioError("A label set needs at least one field.", "Add a question to it.")
    once("key", [field["key"] for field in fields], "Two fields")
    examples = [{"record_id": plain_text(one.get("record_id")), "why": plain_text(one.get("why")),
                 "answer": one.get("answer") or {}} for one in definition.get("examples") or []]
    return {"name": name, "guidelines": str(definition.get("guidelines") or ""), "examples": examples, "needed": needed,
            "overlap": float(overlap), "fields": fields, "archived": bool(definition.get("archived", False))}


def check(label_set: LabelSet, answer: Answer, messages: Turns) -> Answer:
    """An answer as it is stored: known fields in their order, empty ones left out. `messages` are the wording it is about.

    Raises StudioError, in a sentence that names the field, for what the set does not allow.
    """
    for key in answer:
        label_set.field(key)
    clean = {}
    for field in label_set.fields:
        value = answer.get(field.key)
        if value is None or value in ("", []):
            if field.required:
                raise StudioError(f"{field.title} needs an answer.")
            continue
        clean[field.key] = label_fields.check(field, value, messages)
    return clean


def shown(given_under: LabelSet, newest: LabelSet, answer: Answer) -> list[Shown]:
    """An answer in words, as the version it was given under has them, marked where the newest no longer offers that."""
    now = {field.key: field for field in newest.fields}
    found = []
    for field in given_under.fields:
        if field.key in answer:
            values = values_of(field, answer[field.key])
            current = now.get(field.key)
            offered = current is not None and (not field.options or
                                               set(values) <= {option.value for option in current.options})
            found.append(Shown(field.key, field.title, ", ".join(in_words(field, answer[field.key])), offered))
    return found


@needs("read")
def starter_sets(ws: Workspace) -> list[Row]:
    """Ready definitions: intent (its options are the records' tags), quality, sentiment."""
    tags = [row["tags"] for row in ws.rows("""select tags from record_now where tags is not null
                                              group by tags order by count(*) desc, tags limit 30""")]
    intent = tags or ["question", "problem", "order", "refund", "other"]
    faults = ["wrong", "incomplete", "unfriendly", "too long", "off topic"]
    moods = ["angry", "unhappy", "neutral", "happy"]
    return [
        {"name": "Intent", "guidelines": "What does the customer want? Choose the one thing that the answer has to deal with.",
         "fields": [{"key": "intent", "title": "Intent", "kind": "choice", "options": _options(intent)}]},
        {"name": "Quality", "guidelines": "Would you be glad if a model answered like this? 1 is harmful, 5 is exemplary.",
         "fields": [{"key": "rating", "title": "Quality of the answer", "kind": "scale", "low": 1, "high": 5},
                    {"key": "faults", "title": "What is wrong with it", "kind": "multi", "required": False,
                     "options": _options(faults)},
                    {"key": "note", "title": "Note", "kind": "text", "required": False}]},
        {"name": "Sentiment", "guidelines": "How does the customer sound in the first message?",
         "fields": [{"key": "sentiment", "title": "Sentiment", "kind": "choice", "options": _options(moods)}]}]


def about(row: Row, record_ids: Collection[str], words: Sequence[str]) -> bool:
    """Whether a row of `label_sets` shows one of these records as an example, or names one of the words (lower case)."""
    said = json.loads(row["definition"])
    return bool(_without(said, record_ids, words) != said)


@needs("own")
def forget(ws: Workspace, transaction: Transaction, record_ids: Collection[str], words: Sequence[str]) -> None:
    """Take these records out of every version's examples, and the words out of what it says; the set itself stays."""
    for row in transaction.rows("select * from label_sets"):
        if about(row, record_ids, words):
            said = _without(json.loads(row["definition"]), record_ids, words)
            transaction.execute("delete from label_sets where version_id = ?", [row["version_id"]])
            transaction.decided("label_sets", [row | {"definition": json.dumps(said, ensure_ascii=False)}])
    _kept.pop(ws, None)


def _options(values: Sequence[str]) -> list[Row]:
    keys = "123456789"
    return [{"value": value, "title": value, "colour": COLOURS[place % len(COLOURS)], "key": keys[place:place + 1]}
            for place, value in enumerate(values)]


def _read(row: Row) -> LabelSet:
    said = json.loads(row["definition"])
    fields = tuple(Field(**field | {"options": tuple(Option(**option) for option in field["options"])})
                   for field in said.pop("fields"))
    examples = tuple(Example(**one) for one in said.pop("examples"))
    return LabelSet(set_id=row["set_id"], version=row["version"], who=row["who"], said_at=row["said_at"], fields=fields,
                    examples=examples, **said)


def _check_change(ws: Workspace, before: LabelSet | None, checked: Row, set_id: str) -> None:
    names = {one.name.lower() for one in every(ws) if one.set_id != set_id}
    if checked["name"].lower() in names and not checked["archived"]:
        raise StudioError(f"There is a label set called {checked['name']} already.", "Choose another name, or change that one.")
    kinds = {field.key: field.kind for field in before.fields} if before else {}
    for field in checked["fields"]:
        if kinds.get(field["key"], field["kind"]) != field["kind"]:
            raise StudioError(f"The field {field['key']} was of another kind ({kinds[field['key']]}), and its answers still "
                              "are.", "Give the new question another key.")


def _without(said: Any, record_ids: Collection[str], words: Sequence[str]) -> Any:
    """A definition, or a part of it, without these records and words."""
    if isinstance(said, dict):
        return {key: _without(part, record_ids, words) for key, part in said.items()}
    if isinstance(said, list):
        kept = [part for part in said if not (isinstance(part, dict) and part.get("record_id") in record_ids)]
        return [_without(part, record_ids, words) for part in kept]
    return without(said, words) if isinstance(said, str) else said


