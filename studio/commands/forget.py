"""`tunewright forget` and `forgotten`: the Forget page."""

from __future__ import annotations

from typing import Annotated

import typer

from studio import customers, forgetting, traffic
from studio.commands.frame import As, Told, command, listed, picked, verb, who
from studio.workspace import Workspace

forget, forgotten = verb(), verb()
APPS = {"forget": forget, "forgotten": forgotten}
FORGOTTEN = "forget_id records snapshot_lines files who said_at"


@command(forget, "forget")
def take_out(
    ws: Workspace,
    words: Annotated[str, typer.Argument(help="An e-mail address, a name as the tickets have it, or a ticket number.")],
    mentions: Annotated[bool, typer.Option(help="Also conversations of others in which they are named.")] = True,
    spare: Annotated[list[str] | None, typer.Option(help="Leave this record out: somebody else of the same name, say.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only say what would go.")] = False,
    as_: As = "",
) -> Told:
    """Take one customer's data out of every table and file of a workspace. There is no undo."""
    customer = customers.find(ws, words)
    ids = [one for one in (*customer.own, *(customer.mentions if mentions else ())) if one not in (spare or ())]
    said, in_logs = customers.sentences(ws, customer, ids), traffic.about(ws, customer.said)
    document = {
        "own": customer.own,
        "mentions": customer.mentions,
        "meant": ids,
        "emails": customer.emails,
        "log_rows": in_logs,
        "files": forgetting.raw_files(ws, customer, ids),
        "sentences": said,
        "forgotten": None,
        "backups": [],
    }
    if not ids and not in_logs:
        return Told(document, [*said, "Nothing here is theirs or names them."])
    if not yes:
        return Told(document, [*said, "Nothing was changed. Add --yes to forget them for good."])
    done = forgetting.forget(ws, customer, ids, who(as_))
    held = [one.path for one in forgetting.in_backups(ws, done)]
    return Told(
        document | {"forgotten": picked(done, FORGOTTEN), "backups": held},
        [
            *said,
            f"Forgotten: {done.records:,} records, {done.snapshot_lines:,} lines of snapshots, {done.files:,} files.",
            *(f"Still in this backup, which you must delete, with every copy of it: {one}" for one in held),
        ],
    )


@command(forgotten, "forgotten")
def so_far(ws: Workspace) -> Told:
    """Who was forgotten when, in numbers: nothing says any more who it was."""
    return listed(
        "forgotten",
        [picked(one, FORGOTTEN) for one in forgetting.every(ws)],
        "said_at who records snapshot_lines files",
        "Nobody was forgotten.",
    )
