"""`tunewright logs`: logs of production, from the page Monitor."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from studio import files, log_columns, receiving, runs, starts, traffic, watching
from studio import logs as nouns
from studio.commands import follow
from studio.commands.calls import pause, say
from studio.commands.frame import As, Table, Told, command, group, listed, path, picked, who
from studio.errors import StudioError
from studio.log_staging import Look
from studio.workspace import Row, Workspace

logs = group()
APPS = {"logs": logs}
REPORT = "source_id name shape how rows_in rows_added rows_already rows_refused bytes who read_at same told_later"
SourceId = Annotated[str, typer.Argument(metavar="LOG", help="Its id, as `logs list` says it.")]
RowIds = Annotated[list[str], typer.Argument(metavar="ROW...", help="Ids of rows.")]


@command(logs, "read")
def read(
    ws: Workspace,
    paths: Annotated[list[str], typer.Argument(help="Files, or folders of files.")],
    role: Annotated[
        list[str] | None, typer.Option(help="ROLE=FIELD, several times; nothing behind =: it is not there.")
    ] = None,
    look: Annotated[bool, typer.Option("--look", help="Only say how it would be read.")] = False,
    as_: As = "",
) -> Told:
    """Read logs in: JSONL, CSV or Parquet. The same rows again add nothing. Targets are judged afterwards."""
    found = files.expand([path(one) for one in paths])
    seen = [_chosen(nouns.look(ws, one), role or []) for one in found]
    if look:
        return Told(
            {"logs": [_look(one) for one in seen]}, [f"{one.name}: {log_columns.SHAPES[one.found.shape]}" for one in seen]
        )
    reports = []
    for one in seen:
        reports.append(nouns.add(ws, one, "path", who(as_), lambda share, sentence: say(f"  {sentence}")))
    watching.after(ws)
    rows = [picked(one, REPORT) for one in reports]
    return Told(
        {"logs": [_look(one) for one in seen], "read": rows},
        [
            f"{one.name}: {one.rows_in:,} rows, of which {one.rows_added:,} are new, {one.rows_already:,} were "
            f"here and {one.rows_refused:,} could not be read."
            for one in reports
        ],
    )


@command(logs, "list")
def every(ws: Workspace, limit: Annotated[int, typer.Option(min=1)] = 50) -> Told:
    """Logs that were read."""
    return listed(
        "logs",
        [picked(one, REPORT) for one in nouns.sources(ws, limit)],
        "source_id name shape rows_in rows_added rows_refused read_at",
        "No log was read yet.",
    )


@command(logs, "refused")
def refused(ws: Workspace, source: SourceId) -> Told:
    """Lines that were no rows."""
    return listed("refused", nouns.refused(ws, source), "line reason excerpt", "No line was refused.")


@command(logs, "take-out")
def take_out(ws: Workspace, source: SourceId) -> Told:
    """Undo the reading of one log; records that were made of its rows stay."""
    gone = nouns.take_out(ws, source)
    return Told({"rows": gone}, [f"{gone:,} rows went."])


@command(logs, "watch")
def watch(ws: Workspace, folder: Annotated[str, typer.Argument()], as_: As = "") -> Told:
    """Let the studio look every two seconds for new files and lines in a folder, while it runs."""
    watching.watch(ws, str(path(folder)), who(as_))
    return folders(ws)


@command(logs, "unwatch")
def unwatch(ws: Workspace, folder: Annotated[str, typer.Argument()], as_: As = "") -> Told:
    """Watch a folder no more; what was read stays."""
    found = next((one for one in watching.folders(ws) if one.path in (folder, str(path(folder)))), None)
    if found is None:
        raise StudioError(f"The folder {folder} is not watched.", "`tunewright logs folders` has those that are.")
    watching.unwatch(ws, found, who(as_))
    return folders(ws)


@command(logs, "folders")
def folders(ws: Workspace) -> Told:
    """Folders that are watched."""
    return listed(
        "folders",
        [picked(one, "folder_id path files problems who said_at") for one in watching.folders(ws)],
        "path files problems",
        "No folder is watched.",
    )


@command(logs, "look")
def look_now(ws: Workspace) -> Told:
    """Look into watched folders and what was received, once, now; judge the targets."""
    rows = [picked(one, REPORT) for one in watching.look(ws)]
    return Told({"read": rows}, Table(rows, "name rows_in rows_added", "Nothing new.").lines())


@command(logs, "receive")
def receive(
    ws: Workspace,
    port: Annotated[int, typer.Option(min=1, max=65535)] = receiving.PORT,
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone.")] = "127.0.0.1",
) -> Told:
    """Start a small server that takes rows by POST. Its token is read from TUNEWRIGHT_LOG_TOKEN; `runs stop` ends it."""
    run_id = receiving.start(ws, port, host)
    while (run := runs.get(ws, run_id)).moving and not receiving.address(run):
        pause(0.1)
    if not run.moving:
        runs.collect(ws)
        return follow.started(ws, run_id, True)
    return Told({"run": follow.row(run), "address": receiving.address(run)}, [f"Rows are taken at {receiving.address(run)}."])


@command(logs, "rows")
def rows(ws: Workspace, ids: RowIds) -> Told:
    """Rows of production, whole."""
    found = [_row(one) for one in traffic.every(ws, ids)]
    return listed("rows", found, "row_id happened_at model question answer", "They are not here any more.")


@command(logs, "queue")
def queue(
    ws: Workspace,
    ids: RowIds,
    why: Annotated[str, typer.Option(help="Why they come back.")] = "rated down",
    check: Annotated[bool, typer.Option("--check", help="Check them for personal data at once.")] = False,
    as_: As = "",
) -> Told:
    """Make rows records for the label queue. No snapshot takes one before somebody keeps it or rewrites its answer."""
    done = traffic.to_queue(ws, ids, why, who(as_))
    run = follow.follow(ws, starts.check(ws)) if check and done.new else None
    return Told(
        picked(done, "new already unusable") | {"check": follow.row(run) if run else None},
        [f"{done.new} records are new, {done.already} were records already, {done.unusable} lack a question or an answer."],
    )


def _chosen(seen: Look, pairs: list[str]) -> Look:
    found = seen.found
    for pair in pairs:
        role, _, field = pair.partition("=")
        if role not in log_columns.ROLES or (field and field not in found.leaves):
            raise StudioError(
                f"{pair!r} names no role, or no field of {seen.name}.",
                f"Roles are {', '.join(log_columns.ROLES)}; fields are {', '.join(list(found.leaves)[:20])}.",
            )
        found = log_columns.choose(found, role, field or None)
    return replace(seen, found=found)


def _look(seen: Look) -> Row:
    return {
        "name": seen.name,
        "shape": seen.found.shape,
        "fields": list(seen.found.leaves),
        "roles": {role: list(places) for role, places in seen.found.roles.items() if places},
    }


def _row(one: Row) -> Row:
    return {
        key: one[key]
        for key in (
            "row_id",
            "happened_at",
            "model",
            "slice",
            "question",
            "answer",
            "rating",
            "success",
            "latency_s",
            "record_id",
        )
    } | {"messages": traffic.conversation(one)}
