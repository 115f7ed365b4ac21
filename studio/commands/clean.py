"""`tunewright check`, `findings` and `validate`: the pages Clean and Validate."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from studio import findings as nouns
from studio import leaving, snapshots, starts, validation
from studio.commands import follow
from studio.commands.frame import As, Limit, Skip, Table, Told, Wait, command, group, listed, opened, path, picked, verb, who
from studio.commands.records import undone
from studio.errors import StudioError
from studio.findings import Open, Style
from studio.splits import SplitName
from studio.ui.formats import count
from studio.workspace import Row, Workspace

check, findings, validate = verb(), group(), verb()
APPS = {"check": check, "findings": findings, "validate": validate}
Kind = Annotated[str, typer.Argument(help="A kind of finding, as `findings list` names it.")]


@command(check, "check", elsewhere=True)
def begin(
    ws: Workspace,
    every: Annotated[bool, typer.Option("--all", help="Also those that were checked as they are.")] = False,
    names_model: Annotated[str, typer.Option(help="A spaCy model that finds names: installed, or its folder.")] = "",
    context_tokens: Annotated[int, typer.Option(help="Longer records are findings.")] = starts.CONTEXT_TOKENS,
    wait: Wait = True,
) -> Told:
    """Look for personal data, mail remains and weak answers; nothing is changed."""
    told = follow.started(ws, starts.check(ws, not every, context_tokens, names_model), wait)
    if not wait:
        return told
    rows = _kinds(ws)
    return Told(told.document | {"findings": rows}, [*told.words, *_table(rows)])


@command(findings, "list")
def kinds(ws: Workspace) -> Told:
    """How many findings of each kind are open."""
    rows = _kinds(ws)
    return Told({"findings": rows, "unchecked": nouns.unchecked(ws)}, _table(rows))


@command(findings, "show")
def show(
    ws: Workspace,
    kind: Kind,
    limit: Limit = 25,
    skip: Skip = 0,
    least_sure_first: Annotated[bool, typer.Option("--least-sure-first")] = False,
) -> Told:
    """Open findings of a kind, each with its place in the text."""
    rows = [_row(one) for one in nouns.page(ws, _known(kind), limit, skip, least_sure_first)]
    return listed("findings", rows, "record_id turn start end score found replacement", "None of this kind is open.")


@command(findings, "fix")
def fix(
    ws: Workspace,
    kinds_: Annotated[list[str], typer.Argument(metavar="KIND...", help="Kinds of findings.")],
    record: Annotated[list[str] | None, typer.Option(help="Only in these records.")] = None,
    style: Annotated[Style, typer.Option(help="What takes the place of personal data.")] = "placeholder",
    as_: As = "",
) -> Told:
    """Make the fixes of open findings, as one act that can be undone."""
    done = nouns.apply(ws, [_known(one) for one in kinds_], who(as_), record, style)
    return Told(picked(done, "changed left"), [f"Changed {done.changed:,} records. `tunewright findings undo` takes it back."])


@command(findings, "drop")
def drop(ws: Workspace, kind: Kind, as_: As = "") -> Told:
    """Drop every record with an open finding of this kind."""
    done = nouns.drop(ws, _known(kind), who(as_))
    return Told({"changed": done}, [f"Dropped {count(done, 'record')}. `tunewright findings undo` takes it back."])


@command(findings, "dismiss")
def dismiss(
    ws: Workspace,
    kind: Kind,
    record: Annotated[str, typer.Argument(help="The record's id.")],
    turn: Annotated[int | None, typer.Option(help="Only in this turn, from 0.")] = None,
    start: Annotated[int | None, typer.Option(help="Only at this character of the turn.")] = None,
    as_: As = "",
) -> Told:
    """Say that findings in a record are not a problem."""
    meant = [
        one
        for one in nouns.of_record(ws, record)
        if one.kind == _known(kind) and turn in (None, one.turn) and start in (None, one.start)
    ]
    if not meant:
        raise StudioError("No such finding is open there.", f"`tunewright findings show {kind}` has them.")
    for one in meant:
        nouns.dismiss(ws, one, who(as_))
    return Told({"changed": len(meant)}, [f"{len(meant)} findings are no problem."])


@command(findings, "threshold")
def threshold(
    ws: Workspace, kind: Kind, value: Annotated[float, typer.Argument(min=0, max=1, help="0 to 1.")], as_: As = ""
) -> Told:
    """Count findings of a kind from this score on. Nothing is checked again."""
    nouns.set_threshold(ws, _known(kind), value, who(as_))
    now = next(one for one in _kinds(ws) if one["kind"] == kind)
    return Told({"finding": now}, [f"{now['open']:,} of {now['seen']:,} findings count."])


@command(findings, "gate")
def gate(ws: Workspace, only_kept: Annotated[bool, typer.Option("--only-kept")] = False) -> Told:
    """What stands between the records and the outside. Exit status 1 while personal data is open or unchecked."""
    found = nouns.privacy_gate(ws, only_kept)
    return Told(
        picked(found, "open_records unchecked_records ever_checked clear"),
        [leaving.sentence(found) or "All records were checked, and no personal data is open."],
        0 if found.clear else 1,
    )


@command(findings, "undo")
def undo(ws: Workspace, as_: As = "") -> Told:
    """Take back your newest fix, drop or "not a problem"."""
    return undone(nouns.undo(ws, who(as_)))


@command(validate, "validate", without_workspace=True)
def form(
    folder: str | None,
    file: Annotated[str, typer.Argument(help="A JSONL file of conversations.")] = "",
    tokens: Annotated[int, typer.Option(help="Longest example that is allowed, in tokens.")] = starts.CONTEXT_TOKENS,
    snapshot: Annotated[str, typer.Option(help="A snapshot's file instead, in the workspace.")] = "",
    split: Annotated[SplitName, typer.Option(help="Which of its files.")] = "train",
) -> Told:
    """Check the form of a training file; print every problem by line. Exit status 1 when it is not ready. Without --workspace
    nothing is kept."""
    if folder is not None or snapshot:
        with opened(folder) as ws:
            name = snapshots.get(ws, snapshot).file(split) if snapshot else str(path(file))
            return _validated(ws, name, tokens)
    with tempfile.TemporaryDirectory() as beside:
        ws = Workspace(Path(beside))
        try:
            return _validated(ws, str(path(file)), tokens)
        finally:
            ws.close()


def _validated(ws: Workspace, file: str, tokens: int) -> Told:
    run = follow.follow(ws, validation.start(ws, file, tokens))
    rows = [picked(one, "line turn severity kind sentence") for one in validation.problems(ws, run)]
    data = run.result.data if run.result else {"errors": 1}
    words = [
        f"{one['severity']}: {'line ' + str(one['line']) if one['line'] else 'whole file'}"
        f"{', turn ' + str(one['turn']) if one['turn'] else ''}: {one['sentence']}"
        for one in rows
    ]
    return Told({"run": follow.row(run), "problems": rows, "ready": not data["errors"]}, words, 1 if data["errors"] else 0)


def _kinds(ws: Workspace) -> list[Row]:
    return [
        {"kind": one.kind.key, "group": one.kind.group, "title": one.kind.title, "fixable": one.fixable}
        | picked(one, "threshold open records seen")
        for one in nouns.kinds(ws)
    ]


def _table(rows: list[Row]) -> list[str]:
    return Table([one for one in rows if one["seen"]], "kind group title open records threshold", "Nothing was found.").lines()


def _known(kind: str) -> str:
    if kind not in nouns.BY_KEY:
        raise StudioError(f"There is no kind of finding called {kind!r}.", f"Kinds are {', '.join(nouns.BY_KEY)}.")
    return kind


def _row(one: Open) -> Row:
    return picked(one, "kind turn start end score evidence replacement") | {
        "record_id": one.record.record_id,
        "found": one.text[one.start : one.end],
    }
