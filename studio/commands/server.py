"""`tunewright server`, `backup`, `restore`, `backups` and `workspaces`: the Server page, and whoever looks after a server."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from studio import backups as nouns
from studio import elsewhere, folders, starting
from studio.commands.frame import As, Told, command, group, listed, path, picked, verb, who
from studio.errors import StudioError
from studio.ui.formats import size
from studio.workspace import Row, Workspace

server, backup, restore, backups, workspaces = verb(), verb(), verb(), group(), group()
APPS = {"server": server, "backup": backup, "restore": restore, "backups": backups, "workspaces": workspaces}
BACKUP = "backup_id path taken_at journal files bytes seconds models scheduled who problem"
PLAN = "folder hours kept models who said_at"
Models = Annotated[bool, typer.Option(help="Base models and exported ones too; they can be made again.")]


@command(server, "server", without_workspace=True)
def begin(
    folder: str | None,
    host: Annotated[list[str], typer.Option(help="The name that people reach it by, as in https://NAME; may be repeated.")],
    several: Annotated[str, typer.Option("--workspaces", help="Folder of several workspaces.")] = "",
    address: Annotated[str, typer.Option(help="Where it listens; a proxy on this machine asks for it there.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Which port.")] = 8501,
    upload_mb: Annotated[int, typer.Option(min=1, help="The largest file that is taken, in MB.")] = 500,
) -> Told:
    """Serve the studio behind a reverse proxy, until SIGTERM; docs/server.md has the whole setup."""
    starting.start(host, path(folder) if folder else None, path(several) if several else None, address, port, upload_mb)
    return Told({"address": address, "port": port})


@command(backup, "backup")
def take(
    ws: Workspace,
    target: Annotated[str, typer.Argument(help="A folder, in which it gets a name, or a file that ends in .tar.")],
    models: Models = False,
    as_: As = "",
) -> Told:
    """Back a workspace up into one file, read back byte by byte, while others work in it."""
    made = nouns.backup(ws, path(target), who(as_), models)
    said = (f"Backed up: {made.files:,} files, {size(made.bytes)}, up to line {made.journal:,} of the journal, "
            f"in {made.seconds:.1f} s.")  # fmt: skip
    return Told({"backup": picked(made, BACKUP)}, [said, made.path])


@command(restore, "restore", without_workspace=True)
def bring_back(
    folder: str | None,
    archive: Annotated[str, typer.Argument(help="A backup: a file that ends in .tar.")],
    target: Annotated[str, typer.Argument(help="Where to: a folder that is empty or not there yet.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only read it through and say whether it is whole.")] = False,
) -> Told:
    """Make a workspace from a backup; every byte is held against what was packed."""
    where = target or folder or ""
    if not (check or where):
        raise StudioError("No folder is given to restore into.", "Give one that is empty or not there yet, or --check.")
    found = nouns.verify(path(archive)) if check else nouns.restore(path(archive), path(where))
    left = [] if check else elsewhere.former_homes(path(where))
    document = {"files": len(found.files), "bytes": found.bytes, "rows": sum(found.tables.values()),
                "taken_at": datetime.fromisoformat(found.taken_at), "folder": None if check else str(path(where)),
                "left_on_storages": left}  # fmt: skip
    if check:
        return Told(document, [f"Whole: {len(found.files):,} files, {size(found.bytes)}, taken at {found.taken_at[:19]} UTC."])
    return Told(document, [
        f"Restored: {len(found.files):,} files and {document['rows']:,} rows, as they were at {found.taken_at[:19]} UTC.",
        "Who was forgotten after that is in it again: forget them again.",
        *(f"The workspace that was packed may have copies of texts in {one}: delete them where it is gone." for one in left),
    ])  # fmt: skip


@command(backups, "list")
def so_far(ws: Workspace) -> Told:
    """Backups of a workspace, newest first, those that failed or are gone included; when the next one is due."""
    told = listed("backups", [_row(one) for one in nouns.every(ws)], "taken_at there bytes seconds path problem",
                  "There is no backup of this workspace.")  # fmt: skip
    plan, due = nouns.plan(ws), nouns.due(ws)
    words = ["None is taken by itself."]
    if plan and due:
        words = [f"Every {plan.hours:g} hours into {plan.folder}; the newest {plan.kept} stay; next: {due:%Y-%m-%d %H:%M} UTC."]
    return Told(told.document | {"plan": picked(plan, PLAN) if plan else None, "due": due}, [*told.words, *words])


@command(backups, "every")
def every(
    ws: Workspace,
    target: Annotated[str, typer.Argument(help="The folder for them.")],
    hours: Annotated[float, typer.Option(help="Hours between two.")] = 24,
    keep: Annotated[int, typer.Option(help="So many of the newest stay.")] = 7,
    models: Models = False,
    as_: As = "",
) -> Told:
    """Let the studio take one every so many hours, while it runs."""
    nouns.every_hours(ws, str(path(target)), hours, keep, who(as_), models)
    plan = nouns.plan(ws)
    return Told({"plan": picked(plan, PLAN)}, [f"From now on every {hours:g} hours into {path(target)}."])


@command(backups, "no-more")
def no_more(ws: Workspace, as_: As = "") -> Told:
    """Take none by itself any more; those that are there stay."""
    nouns.no_more(ws, who(as_))
    return Told({"plan": None}, ["None is taken by itself any more."])


@command(workspaces, "list")
def names(ws: Workspace) -> Told:
    """The workspaces of a server that has several."""
    return listed("workspaces", [{"name": name} for name in folders.names()], "name", "This server has one workspace only.")


@command(workspaces, "make")
def make(ws: Workspace, name: Annotated[str, typer.Argument(help="Small letters, digits and hyphens.")]) -> Told:
    """Make a new, empty workspace beside this one."""
    made = folders.make(ws, name)
    return Told({"name": made}, [f"Made: {made}."])


def _row(one: nouns.Backup) -> Row:
    return picked(one, BACKUP) | {"there": one.there}
