"""`tunewright import` and `imports`: the Import page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

import typer

from studio import intake, mappings, portrait
from studio.columns import Choices, Columns, Condition
from studio.commands.calls import say
from studio.commands.frame import Limit, Table, Told, command, group, json_of, listed, path, picked, verb
from studio.errors import StudioError
from studio.intake import Outlook, Preview, Report
from studio.staging import Overrides, Staging
from studio.workspace import Row, Workspace

bring, past = verb(), group()
APPS = {"import": bring, "imports": past}
REPORT = (
    "import_id source_name rows_in rows_imported rows_updated rows_already_here rows_kept_by_hand rows_filtered rows_refused "
    "conversations"
)
COUNTS = (
    "rows_in rows_imported rows_updated rows_already_here rows_kept_by_hand rows_filtered rows_refused conversations "
    "conversations_passing conversations_read"
)


Roles = Annotated[
    list[str] | None,
    typer.Option(
        help="ROLE=COLUMN, several times: message=body, answer=reply, rating=stars, ticket, tags, subject, status, time, name, "
        "email, sender, message_id, reply_to. Nothing behind = takes the role away."
    ),
]


@command(bring, "import")
def bring_in(
    ws: Workspace,
    files: Annotated[list[str] | None, typer.Argument(help="Files, or folders of files.")] = None,
    sample: Annotated[bool, typer.Option(help="The sample instead: about 650 made-up tickets.")] = False,
    look: Annotated[bool, typer.Option("--look", help="Only say what would come in.")] = False,
    column: Roles = None,
    layout: Annotated[Literal["", "ticket", "message", "conversation"], typer.Option(help="What a row is.")] = "",
    agent: Annotated[list[str] | None, typer.Option(help="A sender who is the agent, several times.")] = None,
    rating_min: Annotated[float | None, typer.Option(help="Leave lower ratings out.")] = None,
    unrated: Annotated[bool, typer.Option(help="Keep conversations without a rating.")] = True,
    join: Annotated[bool, typer.Option(help="Rows of one ticket make one conversation.")] = True,
    only: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE,VALUE: only rows with one of these.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Up to this day.")] = None,
    desk: Annotated[str, typer.Option(help="The desk they come from: the choices are offered again for it.")] = "",
    synthetic: Annotated[bool, typer.Option(help="A model wrote them: they are marked so.")] = False,
    subject: Annotated[bool, typer.Option(help="Put the subject before the customer's message.")] = False,
    system_prompt: Annotated[str | None, typer.Option(help="The system turn that every record gets.")] = None,
    choices: Annotated[str, typer.Option(help="A JSON file of all choices, as --look --json tells them; - is stdin.")] = "",
    encoding: Annotated[str, typer.Option(help="Without it as detected.")] = "",
    delimiter: Annotated[str, typer.Option(help="Without it as detected.")] = "",
    sheet: Annotated[str, typer.Option(help="Of an Excel file; without it the first with a table.")] = "",
    headless: Annotated[bool, typer.Option(help="The first row is a ticket, not the names of columns.")] = False,
) -> Told:
    """Bring in files of tickets. Columns are guessed; --look says how, and changes nothing."""
    if sample:
        return became(ws, intake.import_sample(ws))
    if not files:
        raise StudioError("No file is named.", "Name files or folders, or add --sample.")
    said: Row = {
        "layout": layout or None,
        "agents": tuple(agent or ()) or None,
        "keep_unrated": None if unrated else False,
        "rating_min": rating_min,
        "join": None if join else False,
        "conditions": tuple(map(_condition, only or ())) or None,
        "desk": desk or None,
        "since": since.date() if since else None,
        "until": until.date() if until else None,
        "synthetic": synthetic or None,
        "with_subject": subject or None,
        "system_prompt": system_prompt,
    }
    written = Overrides(encoding, delimiter.replace("\\t", "\t"), sheet, headless)
    staging = intake.read(ws, [path(one) for one in files], written=written)
    try:
        return _staged(ws, staging, choices, column or (), said, look)
    finally:
        staging.discard()


def _staged(ws: Workspace, staging: Staging, choices: str, roles: Sequence[str], said: Row, look: bool) -> Told:
    """Import what was read, or only look; what nobody `said` (None) is as guessed, or as `choices` have it."""
    seen = intake.look(ws, staging)
    chosen = mappings.read(json.dumps(json_of(choices))) if choices else seen.choices
    chosen = replace(_columns(chosen, roles, staging), **{key: value for key, value in said.items() if value is not None})
    if look:
        return _looked(seen, chosen, intake.outlook(ws, staging, chosen), staging)
    return became(ws, intake.import_staged(ws, staging, chosen, say=lambda share, sentence: say(f"  {sentence}")))


@command(past, "list")
def every(ws: Workspace) -> Told:
    """Every import, newest first."""
    return listed(
        "imports",
        [picked(one, REPORT) for one in intake.imports(ws)],
        "import_id source_name rows_in rows_imported rows_refused conversations",
        "Nothing was imported yet.",
    )


@command(past, "show")
def show(ws: Workspace, import_id: Annotated[str, typer.Argument()]) -> Told:
    """One import: what became of every row, and what the data looks like."""
    return became(ws, intake.get(ws, import_id))


@command(past, "refused")
def refused(ws: Workspace, import_id: Annotated[str, typer.Argument()], limit: Limit = 1_000_000) -> Told:
    """Rows that were refused: where they are, why, how they begin."""
    intake.get(ws, import_id)
    rows = [picked(one, "source_name line reason excerpt") for one in intake.refused_rows(ws, import_id, limit)]
    return listed("refused", rows, "source_name line reason excerpt", "No row was refused.")


def _columns(chosen: Choices, pairs: Sequence[str], staging: Staging) -> Choices:
    columns = chosen.columns
    for pair in pairs:
        role, _, name = pair.partition("=")
        if role not in Columns.__dataclass_fields__:
            raise StudioError(f"A column has no role {role!r}.", f"Roles are {', '.join(Columns.__dataclass_fields__)}.")
        if name and name not in staging.columns:
            raise StudioError(f"There is no column {name!r}.", f"The columns are {', '.join(staging.columns)}.")
        columns = columns.changed(role, name or None)
    return replace(chosen, columns=columns)


def _condition(pair: str) -> Condition:
    column, _, values = pair.partition("=")
    return Condition(column, tuple(values.split(",")))


def _looked(seen: Preview, chosen: Choices, found: Outlook, staging: Staging) -> Told:
    guessed = [
        {"role": role, "column": getattr(seen.guess.columns, role), "confidence": sure, "why": seen.guess.why.get(role, "")}
        for role, sure in seen.guess.confidence.items()
    ]
    said: Row = {
        "outlook": picked(found, COUNTS),
        "reasons": found.reasons,
        "columns": list(staging.columns),
        "guessed": guessed,
        "choices": json.loads(mappings.written(chosen)),
        "head": list(seen.head),
    }
    return Told(
        said,
        [
            *Table(guessed, "role column confidence why").lines(),
            _sum(found),
            f"{found.conversations:,} new conversations would come in. Nothing was changed.",
        ],
    )


def became(ws: Workspace, report: Report) -> Told:
    reasons = intake.filtered_reasons(ws, report.import_id)
    seen = portrait.of_import(ws, report.import_id)
    shape = picked(seen, "conversations threads question answer repeated_answers tags ratings") if seen else None
    return Told(
        {"import": picked(report, REPORT), "reasons": reasons, "portrait": shape},
        [
            f"Imported {report.source_name}: {_sum(report)} ({report.conversations:,} conversations)",
            *(f"  {number:,} filtered: {reason}" for reason, number in reasons.items()),
            f"Import {report.import_id}.",
        ],
    )


def _sum(found: Outlook | Report) -> str:
    rarer = [(found.rows_updated, "updated"), (found.rows_kept_by_hand, "edited here, left as they are")]
    return (
        f"{found.rows_in:,} rows = {found.rows_imported:,} imported + {found.rows_filtered:,} filtered + "
        f"{found.rows_refused:,} refused + {found.rows_already_here:,} already here"
        + "".join(f" + {number:,} {word}" for number, word in rarer if number)
    )
