"""`tunewright records`: the Curate page, its table and its marks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import typer

from studio import acts, marks, places, record_table
from studio import records as nouns
from studio.commands.frame import As, Limit, Table, Told, command, group, json_of, listed, picked, who
from studio.errors import StudioError
from studio.marks import MarkKind
from studio.places import Decision
from studio.record_columns import Column
from studio.record_table import Facet, Found, Order, Wanted
from studio.records import Record, Undone
from studio.ui.formats import count as counted
from studio.workspace import Row, Workspace

records = group()
APPS = {"records": records}
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of records; without any, everything that the filter shows.")]
One = Annotated[str, typer.Argument(help="The record's id.")]
FILTER = {
    "decision": Annotated[Literal["keep", "drop", "undecided", "all"], typer.Option(help="Decided so.")],
    "tag": Annotated[str, typer.Option(help="With this tag of the desk.")],
    "words": Annotated[str, typer.Option(help="With a word that begins with each of these.")],
    "import_id": Annotated[str, typer.Option("--import", help="Of this import, by its id.")],
    "rated_from": Annotated[float | None, typer.Option(help="Rated at least so.")],
    "rated_to": Annotated[float | None, typer.Option(help="Rated at most so.")],
    "finding": Annotated[str, typer.Option(help="With an open finding of this kind.")],
    "flagged": Annotated[bool, typer.Option("--flagged", help="Flagged by somebody.")],
    "marked": Annotated[str, typer.Option(help="With this tag of people.")],
}
NONE: Row = {
    "decision": "all",
    "tag": "",
    "words": "",
    "import_id": "",
    "rated_from": None,
    "rated_to": None,
    "finding": "",
    "flagged": False,
    "marked": "",
}


def filtered(work: Callable[..., Told]) -> Callable[..., Told]:
    """Give a command the options of the filter, in place of its `wanted`."""
    seen = inspect.signature(work, eval_str=True)
    own = [one for one in seen.parameters.values() if one.annotation is not Wanted]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=NONE[name], annotation=FILTER[name]) for name in FILTER
    ]

    def run(ws: Workspace, **given: Any) -> Told:
        said = {name: given.pop(name) for name in FILTER}
        wanted = Wanted(
            None if said["decision"] == "all" else said["decision"],
            said["tag"] or None,
            said["words"],
            said["import_id"],
            said["rated_from"],
            said["rated_to"],
            said["finding"],
            said["flagged"],
            said["marked"],
        )
        return work(ws, wanted=wanted, **given)

    kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    run.__signature__ = inspect.Signature([*kept, *more])  # type: ignore[attr-defined]
    run.__doc__, run.__name__ = work.__doc__, work.__name__
    return run


@command(records, "list")
@filtered
def every(
    ws: Workspace,
    wanted: Wanted,
    order: Annotated[Column, typer.Option(help="Sorted by.")] = "position",
    highest_first: Annotated[bool, typer.Option("--highest-first")] = False,
    limit: Limit = 25,
    page: Annotated[int, typer.Option(min=1, help="Of so many as --limit says.")] = 1,
) -> Told:
    """Records that a filter shows."""
    found = Found(ws, wanted).page(Order(order, highest_first), page, limit)
    rows = [row(line.record) | {"characters": line.characters} for line in found.lines]
    return Told(
        {"records": rows, "matching": found.matching, "page": found.number, "pages": found.pages},
        [
            *Table(rows, "record_id decision rating tags question answer", "No record matches.", 40).lines(),
            f"{found.matching:,} match; page {found.number:,} of {found.pages:,}.",
        ],
    )


@command(records, "count")
@filtered
def count(ws: Workspace, wanted: Wanted, by: Annotated[Facet, typer.Option(help="Counted by.")] = "decision") -> Told:
    """How many records of a filter have which decision, tag, import, rating or finding."""
    found = Found(ws, wanted)
    rows = [{"value": value, "records": number} for value, number in found.facet(by)]
    return Told({"by": by, "counts": rows, "matching": found.matching}, Table(rows, "value records").lines())


@command(records, "show")
def show(ws: Workspace, record_id: One) -> Told:
    """One record: its turns, its marks, and everything that happened to it."""
    record = nouns.get(ws, record_id)
    put = [picked(one, "kind value who") for one in marks.of(ws, [record_id]).get(record_id, [])]
    past = [picked(one, "at who kind sentence standing act_id") for one in acts.history(ws, record_id)]
    return Told(
        {"record": row(record) | {"messages": record.messages}, "marks": put, "history": past},
        [
            f"{record_id} · {record.decision} · wording {record.version}",
            *(f"{turn['role']}: {turn['content']}" for turn in record.messages),
            *(f"{one['who']} {one['sentence']}" for one in past),
        ],
    )


@command(records, "keep")
@filtered
def keep(ws: Workspace, wanted: Wanted, ids: Ids = None, as_: As = "") -> Told:
    """Mark records as read and stood by."""
    return _decide(ws, wanted, ids, "keep", as_)


@command(records, "drop")
@filtered
def drop(ws: Workspace, wanted: Wanted, ids: Ids = None, as_: As = "") -> Told:
    """Take records out of everything that is frozen from now on."""
    return _decide(ws, wanted, ids, "drop", as_)


@command(records, "reset")
@filtered
def reset(ws: Workspace, wanted: Wanted, ids: Ids = None, as_: As = "") -> Told:
    """Leave records undecided again."""
    return _decide(ws, wanted, ids, "undecided", as_)


@command(records, "tag")
@filtered
def tag(
    ws: Workspace,
    wanted: Wanted,
    name: Annotated[str, typer.Argument(help="The tag.")],
    ids: Ids = None,
    off: Annotated[bool, typer.Option("--off", help="Take it off instead.")] = False,
    as_: As = "",
) -> Told:
    """Put a tag on records, or take it off, as one act."""
    if not ids and wanted == Wanted():
        raise _everything()
    done = (
        marks.put_many(ws, known(ws, ids), "tag", name, who(as_), ws.new_id(), not off)
        if ids
        else record_table.tag_matching(ws, wanted, name, who(as_), not off)
    )
    return Told({"changed": done}, [f"{'Took the tag off' if off else 'Tagged'} {counted(done, 'record')}."])


@command(records, "mark")
def mark(
    ws: Workspace,
    record_id: One,
    kind: Annotated[MarkKind, typer.Argument(help="flag, rating, tag or comment.")],
    value: Annotated[str, typer.Argument(help="A rating from 1 to 5, a tag, a comment.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Take it off instead.")] = False,
    as_: As = "",
) -> Told:
    """Flag, rate, tag or comment one record."""
    marks.put(ws, known(ws, [record_id])[0], kind, value, who(as_), ws.new_id(), not off)
    return Told({"changed": 1}, [f"{'Took off' if off else 'Put'}: {kind} {value}".rstrip()])


@command(records, "edit")
def edit(
    ws: Workspace,
    record_id: One,
    messages: Annotated[str, typer.Argument(help="A JSON file with the list of turns; - is stdin.")] = "-",
    as_: As = "",
) -> Told:
    """Give a record a new wording: a list of {"role", "content"} that ends with the agent."""
    turns = json_of(messages)
    if not isinstance(turns, list) or not all(isinstance(one, dict) and {"role", "content"} <= set(one) for one in turns):
        raise StudioError("A wording is a list of turns, each with a role and a content.")
    nouns.edit(ws, record_id, [{"role": str(one["role"]), "content": str(one["content"])} for one in turns], who(as_))
    record = nouns.get(ws, record_id)
    return Told({"record": row(record) | {"messages": record.messages}}, [f"{record_id} is at wording {record.version}."])


@command(records, "undo")
def undo(ws: Workspace, as_: As = "") -> Told:
    """Take back your own newest act, of any kind and any day."""
    return undone(acts.undo(ws, who(as_), ws.new_id()))


@command(records, "tags")
def tags(ws: Workspace) -> Told:
    """Tags of the desk, and tags that people put on records."""
    of_desk, of_people = record_table.tags(ws), marks.tags(ws)
    return Told({"tags": of_desk, "marked": of_people}, [*of_desk, *(f"# {one}" for one in of_people)])


@command(records, "sources")
def sources(ws: Workspace) -> Told:
    """Imports that brought records, for --import."""
    return listed(
        "sources", [picked(one, "import_id name imported_at") for one in record_table.sources(ws)], "import_id name imported_at"
    )


def row(record: Record) -> Row:
    """A record in the fields that every list of records has."""
    return picked(record, "record_id import_id external_id rating tags status happened_at version decision question answer")


def undone(found: Undone | None) -> Told:
    """What an undo took back."""
    sentence = found.sentence if found else "There is nothing of yours to undo."
    return Told({"undone": bool(found), "sentence": sentence, "record_id": found.record_id if found else ""}, [sentence])


def known(ws: Workspace, ids: Sequence[str]) -> list[str]:
    """These ids. Raises StudioError for one that no record has."""
    there = places.find(ws, ids)
    if gone := [one for one in ids if one not in there]:
        raise StudioError(f"There is no record {gone[0]} in this workspace.", "`tunewright records list` has the ids.")
    return list(ids)


def _decide(ws: Workspace, wanted: Wanted, ids: Sequence[str] | None, decision: Decision, name: str) -> Told:
    if ids:
        nouns.decide(ws, known(ws, ids), decision, who(name))
        done = len(ids)
    elif wanted == Wanted():
        raise _everything()
    else:
        done = record_table.decide_matching(ws, wanted, decision, who(name))
    said = f"{counted(done, 'record')}: {decision}. `tunewright records undo` takes it back."
    return Told({"decision": decision, "changed": done}, [said])


def _everything() -> StudioError:
    return StudioError(
        "Which records are meant?", "Name their ids, or give a filter; for all undecided ones: --decision undecided."
    )
