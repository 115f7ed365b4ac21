"""`tunewright labels`: the Label page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from studio import adjudicate, exports, key_maps, label_sets, queues, record_table, records, runs, starts, suggestions
from studio import labels as nouns
from studio.boards import Show
from studio.commands import follow
from studio.commands.frame import (
    As,
    Limit,
    Skip,
    Table,
    Told,
    Wait,
    command,
    group,
    json_of,
    lines_of,
    listed,
    picked,
    plain,
    who,
    write,
)
from studio.commands.records import Ids, filtered, known, undone
from studio.errors import StudioError
from studio.label_sets import LabelSet
from studio.labels import Given
from studio.queues import Order, QueueFilter
from studio.record_table import Wanted
from studio.ui.formats import count
from studio.workspace import Row, Workspace

labels = group()
APPS = {"labels": labels}
SET = "set_id version name needed overlap archived who said_at"
Set = Annotated[str, typer.Argument(metavar="SET", help="A label set's id or name.")]
Values = Annotated[list[str], typer.Argument(metavar="FIELD=VALUE...", help="What is answered; several values: a,b.")]


@command(labels, "sets")
def sets(
    ws: Workspace, archived: Annotated[bool, typer.Option("--archived", help="Also those that were put away.")] = False
) -> Told:
    """Label sets, and definitions to start from."""
    rows = [picked(one, SET) | {"fields": [field.key for field in one.fields]} for one in label_sets.every(ws, archived)]
    told = listed("sets", rows, "set_id name version fields needed", "There is no label set yet.")
    return Told(told.document | {"starters": label_sets.starter_sets(ws)}, told.words)


@command(labels, "set")
def one_set(ws: Workspace, name: Set) -> Told:
    """The definition of a set, as `labels save` takes it."""
    found = _set(ws, name)
    definition = label_sets.definition_of(found)
    return Told({"set": picked(found, SET), "definition": definition}, [json.dumps(definition, indent=1, ensure_ascii=False)])


@command(labels, "save")
def save(
    ws: Workspace,
    definition: Annotated[str, typer.Argument(help="A JSON file; - is stdin; or a starter's name.")] = "-",
    over: Annotated[str, typer.Option("--set", help="The next version of this set; without it a new one.")] = "",
    as_: As = "",
) -> Told:
    """Make a label set, or change one: answers that were given stay readable."""
    ready = {one["name"]: one for one in label_sets.starter_sets(ws)}
    made = label_sets.save(ws, ready.get(definition) or json_of(definition), who(as_), _set(ws, over).set_id if over else "")
    return Told({"set": picked(made, SET)}, [f"{made.name}, version {made.version}: {made.set_id}."])


@command(labels, "archive")
def archive(
    ws: Workspace, name: Set, back: Annotated[bool, typer.Option("--back", help="Offer it again.")] = False, as_: As = ""
) -> Told:
    """Put a set away; its answers stay."""
    found = label_sets.archive(ws, _set(ws, name).set_id, who(as_), not back)
    return Told({"set": picked(found, SET)}, [f"{found.name} is {'offered again' if back else 'put away'}."])


@command(labels, "queue")
def queue(
    ws: Workspace,
    name: Set,
    show: Annotated[Show, typer.Option(help="Which records.")] = "open",
    order: Annotated[Order, typer.Option()] = "oldest",
    words: Annotated[str, typer.Option()] = "",
    tag: Annotated[str, typer.Option()] = "",
    marked: Annotated[str, typer.Option(help="A tag of people.")] = "",
    finding: Annotated[str, typer.Option()] = "",
    import_id: Annotated[str, typer.Option("--import")] = "",
    snapshot: Annotated[str, typer.Option()] = "",
    split: Annotated[str, typer.Option()] = "",
    rated_from: Annotated[float | None, typer.Option()] = None,
    rated_to: Annotated[float | None, typer.Option()] = None,
    limit: Limit = 25,
    as_: As = "",
) -> Told:
    """Records that wait for an answer, with their texts and what is suggested. Nothing is reserved."""
    found, me = _set(ws, name), who(as_)
    chosen = QueueFilter(found.set_id, show, finding, import_id, tag, rated_from, rated_to, snapshot, split, words, marked)
    session = f"command-{ws.new_id()}"
    ids = queues.window(ws, chosen, order, me, session, limit)
    queues.leave(ws, session)
    told = suggestions.of(ws, found.set_id, ids)
    rows = [
        {
            "record_id": record.record_id,
            "messages": record.messages,
            "decision": record.decision,
            "suggested": {key: picked(one, "value confidence") for key, one in told.get(record.record_id, {}).items()},
        }
        for record in records.every(ws, ids)
    ]
    return Told(
        {"set": picked(found, SET), "records": rows, "waiting": queues.size(ws, chosen, me)},
        Table([row | {"question": _asked(row)} for row in rows], "record_id question suggested").lines(),
    )


@command(labels, "answer")
def answer(
    ws: Workspace, name: Set, record: Annotated[str, typer.Argument(help="The record's id.")], values: Values, as_: As = ""
) -> Told:
    """Answer a set's questions about one record."""
    found = _set(ws, name)
    nouns.answer(ws, found.set_id, known(ws, [record])[0], _answer(found, values), who(as_), ws.new_id())
    return Told({"labelled": 1}, ["Labelled 1 record."])


@command(labels, "answer-all")
@filtered
def answer_all(
    ws: Workspace,
    wanted: Wanted,
    name: Set,
    value: Annotated[str, typer.Argument(metavar="FIELD=VALUE")],
    ids: Ids = None,
    as_: As = "",
) -> Told:
    """Give many records the same answer, as one act."""
    if not ids and wanted == Wanted():
        raise StudioError("Which records are meant?", "Name their ids, or give a filter.")
    found = _set(ws, name)
    given = [Given(one, _answer(found, [value])) for one in (known(ws, ids) if ids else record_table.matching_ids(ws, wanted))]
    done = nouns.answer_many(ws, found.set_id, given, who(as_), ws.new_id())
    return Told({"labelled": done}, [f"Labelled {count(done, 'record')}. `tunewright records undo` takes it back."])


@command(labels, "import")
def bring_in(
    ws: Workspace, name: Set, file: Annotated[str, typer.Argument(help="JSON lines; - is stdin.")] = "-", as_: As = ""
) -> Told:
    """Store answers that were given elsewhere, as one act: lines of {"record_id", "answer": {field: value}}."""
    found, given = _set(ws, name), []
    for number, line in enumerate(lines_of(file), start=1):
        said = line.get("answer")
        if not isinstance(said, dict) or not isinstance(line.get("record_id"), str):
            raise StudioError(f"Line {number} has no record_id, or no answer that is an object.")
        given.append(Given(line["record_id"], said))
    known(ws, [one.record_id for one in given])
    done = nouns.answer_many(ws, found.set_id, given, who(as_), ws.new_id())
    return Told({"labelled": done}, [f"Labelled {count(done, 'record')}. `tunewright labels undo` takes it back."])


@command(labels, "skip")
def skip(ws: Workspace, name: Set, record: Annotated[str, typer.Argument(help="The record's id.")], as_: As = "") -> Told:
    """Leave one record to others."""
    nouns.skip(ws, _set(ws, name).set_id, known(ws, [record])[0], who(as_), ws.new_id())
    return Told({"skipped": 1}, ["Skipped."])


@command(labels, "undo")
def undo(ws: Workspace, name: Set, as_: As = "") -> Told:
    """Take back your newest answer or skip in a set."""
    return undone(nouns.undo(ws, _set(ws, name).set_id, who(as_), ws.new_id()))


@command(labels, "export")
def export(ws: Workspace, name: Set, out: Annotated[str, typer.Option("--out", help="A .csv or .jsonl file.")] = "") -> Told:
    """Every answer that stands, a row each, with what counts at the end."""
    rows = nouns.export(ws, _set(ws, name).set_id)
    if not out:
        return Told({"answers": rows, "file": None}, [json.dumps(plain(one), ensure_ascii=False) for one in rows])
    lines = "".join(f"{json.dumps(plain(one), ensure_ascii=False)}\n" for one in rows)
    target = write(out, lines if out.endswith(".jsonl") else exports.csv_text(rows))
    return Told({"answers": rows, "file": target}, [f"{len(rows):,} answers written: {target}"])


@command(labels, "progress")
def progress(ws: Workspace, name: Set) -> Told:
    """How far the set is, and who did how much."""
    found = queues.progress(ws, _set(ws, name).set_id)
    people = [picked(one, "who answered skipped today per_hour median_seconds") for one in found.people]
    return Told(
        picked(found, "total done answers") | {"people": people},
        [f"{found.done:,} of {found.total:,} records have all their answers.", *Table(people, "who answered skipped").lines()],
    )


@command(labels, "agreement")
def agreement(ws: Workspace, name: Set) -> Told:
    """How far people agree, field by field, with 95 % intervals."""
    found = _set(ws, name)
    fields = [
        picked(one, "field level records answers raw alpha")
        | {"pairs": [picked(pair, "first second records raw kappa") for pair in one.pairs]}
        for one in adjudicate.agreements(ws, found.set_id)
    ]
    spans = [picked(one, "field records f1") for one in adjudicate.overlaps(ws, found.set_id)]
    return Told(
        {"fields": fields, "spans": spans},
        [
            f"{one['field']}: α {one['alpha'].value:.2f} [{one['alpha'].low:.2f}, {one['alpha'].high:.2f}] on "
            f"{one['records']:,} records"
            for one in fields
            if one["records"]
        ]
        or ["No record was answered by two people."],
    )


@command(labels, "disagreements")
def disagreements(
    ws: Workspace, name: Set, limit: Limit = 25, only_ties: Annotated[bool, typer.Option("--only-ties")] = False
) -> Told:
    """Records on which people differ."""
    found = _set(ws, name)
    rows = [
        {
            "record_id": one.record_id,
            "fields": one.fields,
            "majority": one.majority,
            "answers": [picked(said, "who answer") for said in one.answers],
        }
        for one in adjudicate.queue(ws, found.set_id, limit, "", only_ties)
    ]
    return Told(
        {"disagreements": rows, "open": adjudicate.count(ws, found.set_id)},
        Table(rows, "record_id fields majority", "People agree wherever several answered.").lines(),
    )


@command(labels, "settle")
def settle(
    ws: Workspace, name: Set, record: Annotated[str, typer.Argument(help="The record's id.")], values: Values, as_: As = ""
) -> Told:
    """Say which answer counts where people differ."""
    found = _set(ws, name)
    adjudicate.settle(ws, found.set_id, known(ws, [record])[0], _answer(found, values), who(as_), ws.new_id())
    return Told({"settled": 1}, ["Settled."])


@command(labels, "settled")
def settled(ws: Workspace, name: Set) -> Told:
    """Records that were settled, and by whom."""
    rows = [picked(one, "record_id answer who") for one in adjudicate.settled(ws, _set(ws, name).set_id)]
    return listed("settled", rows, "record_id answer who", "Nothing was settled.")


@command(labels, "suggest", elsewhere=True)
def suggest(ws: Workspace, name: Set, wait: Wait = True) -> Told:
    """Let the light model learn from a set's labels and suggest labels for the other records."""
    return follow.started(ws, starts.suggestions(ws, _set(ws, name).set_id), wait)


@command(labels, "suggestions")
def suggested(
    ws: Workspace,
    name: Set,
    confidence: Annotated[float, typer.Option(min=0.5, max=1, help="Where it is at least this sure.")] = 0.95,
) -> Told:
    """How good the light model is, and what accepting its suggestions would do."""
    found = _set(ws, name)
    chosen = suggestions.hit_rate(ws, found.set_id)
    now, newest = suggestions.standing(ws, found.set_id), runs.latest_suggestions(ws, found.set_id)
    obstacle = suggestions.too_few(ws, found) if now is None else suggestions.obstacle(ws, found)
    coming = None if now is None or obstacle else suggestions.preview(ws, found, confidence)
    fields = [picked(one, "key title too_few accuracy baseline left_out") for one in now.fields] if now else []
    return Told(
        {
            "run": follow.row(newest) if newest else None,
            "obstacle": obstacle,
            "fields": fields,
            "standing": picked(now, "labelled suggested doubted new_labels") if now else None,
            "accepting": picked(coming, "count wrong error") if coming else None,
            "chosen": {key: {"share": share, "labels": labels} for key, (share, labels) in chosen.items()},
        },
        [obstacle]
        if obstacle
        else [f"{coming.count:,} records would be labelled; about {coming.wrong:.0f} wrongly."]
        if coming
        else [],
    )


@command(labels, "accept")
def accept(
    ws: Workspace,
    name: Set,
    confidence: Annotated[float, typer.Option(min=0.5, max=1, help="Where it is at least this sure.")] = 0.95,
    as_: As = "",
) -> Told:
    """Label every record as suggested where the light model is sure, as one act."""
    done = suggestions.accept(ws, _set(ws, name), confidence, who(as_), ws.new_id())
    return Told({"labelled": done}, [f"Labelled {count(done, 'record')}. `tunewright labels undo` takes it back."])


@command(labels, "doubts")
def doubts(ws: Workspace, name: Set, limit: Limit = 25, skip_: Skip = 0) -> Told:
    """Labels that the light model doubts, the most doubted first."""
    rows = suggestions.doubts(ws, _set(ws, name).set_id, limit, skip_)
    return Told({"doubts": rows}, [json.dumps(plain(one), ensure_ascii=False) for one in rows] or ["It doubts none."])


@command(labels, "keys")
def keys(
    ws: Workspace, changes: Annotated[list[str] | None, typer.Argument(metavar="ACT=KEY...")] = None, as_: As = ""
) -> Told:
    """Which key does what on the label desk; with ACT=KEY, change some."""
    me = who(as_)
    if changes:
        pairs = dict(_pair(one) for one in changes)
        key_maps.save(ws, me, key_maps.get(ws, me) | pairs, ws.new_id())
    now = key_maps.get(ws, me)
    return Told({"keys": now}, [f"{act}: {key}" for act, key in now.items()])


def _set(ws: Workspace, name: str) -> LabelSet:
    named = [one for one in label_sets.every(ws, True) if one.name == name and not one.archived]
    return named[0] if len(named) == 1 else label_sets.get(ws, name)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _answer(found: LabelSet, values: Sequence[str]) -> Row:
    """`field=value` pairs as the set's fields take them."""
    kinds = {field.key: field.kind for field in found.fields}
    said: dict[str, Any] = {}
    for key, value in map(_pair, values):
        if key not in kinds:
            raise StudioError(f"{found.name} asks nothing called {key!r}.", f"Its fields are {', '.join(kinds)}.")
        said[key] = (
            value.split(",")
            if kinds[key] == "multi"
            else int(value)
            if kinds[key] == "scale" and value.isdigit()
            else (json_of(value) if kinds[key] == "spans" else value)
        )
    return said


def _asked(row: Row) -> str:
    return next((turn["content"] for turn in row["messages"] if turn["role"] == "user"), "")
