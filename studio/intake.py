"""Files become records: preview with guessed columns, then one import that says what became of every row.

rows in = imported + filtered + refused + already here, always.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from studio import records, sample, tables
from studio.errors import StudioError
from studio.tables import Line, Table
from studio.workspace import Row, Workspace

MIN_CONVERSATIONS = 10
"""Fewer cannot be split into train, validation and test (fine-tuning services also ask for at least ten)."""

DEFAULT_SYSTEM_PROMPT = "You are a helpful customer support agent."
_NUMBER = re.compile(r"\s*(-?\d+(?:[.,]\d+)?)")

_NAMES: dict[str, tuple[str, ...]] = {
    "message": ("customer_message", "customer message", "message", "question", "instruction", "ticket description",
                "ticket_description", "description", "prompt", "query", "body", "text", "input", "utterance", "subject"),
    "answer": ("agent_response", "agent response", "response", "answer", "reply", "resolution", "completion", "output",
               "solution", "category", "label", "intent"),
    "rating": ("satisfaction_score", "satisfaction score", "customer satisfaction rating", "rating", "csat", "score",
               "stars", "feedback"),
    "ticket": ("ticket_id", "ticket id", "ticketid", "ticket", "conversation_id", "thread_id", "case_id", "id"),
    "tags": ("tags", "tag", "intent", "topic", "category", "ticket type", "type"),
}


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None where the file has no such column."""

    message: str | None = None
    answer: str | None = None
    rating: str | None = None
    ticket: str | None = None
    tags: str | None = None

    @property
    def in_order(self) -> tuple[str | None, ...]:
        return self.message, self.answer, self.rating, self.ticket, self.tags


@dataclass(frozen=True)
class Preview:
    """What a file looks like before it is imported. `head` holds the first rows, `sampled` up to 200."""

    table: Table
    rows: int
    head: tuple[dict[str, str], ...]
    sampled: tuple[dict[str, str], ...]
    guess: Columns


@dataclass(frozen=True)
class Scale:
    """What ratings run from and to in a file, and a threshold to begin with: four fifths of the top."""

    low: float
    high: float
    suggested: float


@dataclass(frozen=True)
class Choices:
    """How a person wants the file imported. Rows with the same ticket become one conversation when `join` is on."""

    columns: Columns
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    rating_min: float | None = None
    keep_unrated: bool = True
    join: bool = True


@dataclass(frozen=True)
class Refused:
    line: int
    reason: str
    excerpt: str


@dataclass(frozen=True)
class Report:
    """What became of every row of a file."""

    import_id: str
    source_name: str
    rows_in: int
    rows_imported: int
    rows_filtered: int
    rows_refused: int
    rows_already_here: int
    conversations: int
    refused: tuple[Refused, ...]


@dataclass
class _Ticket:
    """A conversation being put together from the rows of one ticket."""

    line: int
    external_id: str | None
    rows: int = 0
    turns: list[dict[str, str]] = field(default_factory=list)
    rating: float | None = None
    tags: str | None = None


def preview(path: Path, head: int = 8) -> Preview:
    """Read the whole file once, so that what is wrong with it is said before anything is chosen."""
    table = tables.open_table(path)
    rows, shown = 0, []
    sampled: list[dict[str, str]] = []
    for line in tables.lines(table):
        rows += 1
        if not line.problem and len(sampled) < 200:
            sampled.append(dict(zip(table.columns, line.cells, strict=True)))
    if not rows:
        raise StudioError(f"{path.name} has a header but no rows.", "Export the tickets again and choose that file.")
    shown = sampled[:head]
    return Preview(table, rows, tuple(shown), tuple(sampled), guess_columns(path.name, table.columns, sampled))


def guess_columns(name: str, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> Columns:
    """Guess by column name, then by content: the two wordiest columns. Raises StudioError when no two hold text."""
    wordy = {column: _mean_words(column, rows) for column in columns}
    textual = [column for column in columns if wordy[column] >= 0.5]
    if len(textual) < 2:
        only = f"only the column {textual[0]!r} holds" if textual else "none of its columns holds"
        raise StudioError(f"{name} cannot be used: {only} text (its columns: {', '.join(columns[:8])}).",
                          "Choose a file with one column of customer messages and one of answers.")
    message = _by_name("message", textual) or max(textual, key=lambda column: wordy[column])
    others = [column for column in textual if column != message]
    answer = _by_name("answer", others) or max(others, key=lambda column: wordy[column])
    left = [column for column in columns if column not in (message, answer)]
    rating = next((c for c in [_by_name("rating", left)] if c and _is_rating(c, rows)), None)
    ticket = next((c for c in [_by_name("ticket", left)] if c and _is_identity(c, rows)), None)
    tags = _by_name("tags", [column for column in left if column not in (rating, ticket)])
    return Columns(message, answer, rating, ticket, tags)


def import_file(ws: Workspace, path: Path, source_name: str, choices: Choices) -> Report:
    """Import a file in one transaction. Raises StudioError, with the workspace unchanged, when it cannot be used."""
    table = tables.open_table(path)
    _check_choices(table, choices)
    rows = list(tables.lines(table))
    refused, tickets = _gather(table, rows, choices)
    kept = [ticket for ticket in tickets if _passes(ticket, choices)]
    _check_enough(source_name, len(rows), tickets, kept, choices)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    fresh, known = _new_records(ws, kept, digest)
    import_id = ws.new_id()
    rows_in, filtered = len(rows), sum(t.rows for t in tickets) - sum(t.rows for t in kept)
    imported = sum(ticket.rows for _, ticket in fresh)
    report = Report(import_id, source_name, rows_in, imported, filtered, len(refused), known, len(fresh), tuple(refused))
    _keep_raw_file(ws, path, digest)
    _store(ws, report, fresh, digest, choices)
    if ws.path("uploads/waiting") in path.parents:  # the raw file is kept under its hash: one copy is enough
        shutil.rmtree(path.parent)
    return report


def import_sample(ws: Workspace) -> Report:
    """Write the sample tickets and import them as a person would: four stars and better."""
    path = ws.path("uploads/sample_tickets.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    sample.write_sample(path)
    found = preview(path)
    return import_file(ws, path, "sample_tickets.csv", Choices(found.guess, rating_min=4, keep_unrated=False))


def save_upload(ws: Workspace, name: str, content: bytes) -> Path:
    """Put an uploaded file where it can be previewed; its name is cut to its last part."""
    folder = ws.path(f"uploads/waiting/{hashlib.sha256(content).hexdigest()[:16]}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (Path(name.replace("\\", "/")).name or "upload.csv")
    path.write_bytes(content)
    return path


def rating_scale(found: Preview, column: str) -> Scale:
    """The scale of a rating column, from the rows that were sampled. Raises StudioError when it holds no numbers."""
    values = [value for row in found.sampled if (value := parse_rating(row[column])) is not None]
    if not values:
        raise StudioError(f"The column {column!r} holds no numbers, so it cannot be a rating.",
                          "Choose another column, or none.")
    low, high = min(values), max(values)
    return Scale(low, high, max(low, 0.8 * high))


def get(ws: Workspace, import_id: str) -> Report:
    """Raises StudioError when there is no such import."""
    found = next((report for report in imports(ws) if report.import_id == import_id), None)
    if found is None:
        raise StudioError(f"There is no import {import_id} in this workspace.", "Open Import and choose a file.")
    return found


def imports(ws: Workspace) -> list[Report]:
    """Every import, newest first, without its refused rows (see `refused_rows`)."""
    found = ws.rows("""select import_id, source_name, rows_in, rows_imported, rows_filtered, rows_refused,
                       rows_already_here, conversations from imports order by imported_at desc""")
    return [Report(**row, refused=()) for row in found]


def refused_rows(ws: Workspace, import_id: str) -> list[Refused]:
    found = ws.rows("select line, reason, excerpt from refused_rows where import_id = ? order by line", [import_id])
    return [Refused(**row) for row in found]


def _mean_words(column: str, rows: Sequence[dict[str, str]]) -> float:
    """Words of letters in a cell, on average: zero for numbers, dates and ids."""
    cells = [row[column] for row in rows if row[column].strip()]
    words = [sum(any(letter.isalpha() for letter in word) and len(word) > 1 for word in cell.split()) for cell in cells]
    return sum(words) / len(words) if words else 0.0


def _by_name(role: str, columns: Sequence[str]) -> str | None:
    plain = {column.lower().strip().replace("-", "_"): column for column in reversed(columns)}
    return next((plain[name] for name in _NAMES[role] if name in plain), None)


def _is_rating(column: str, rows: Sequence[dict[str, str]]) -> bool:
    cells = [row[column] for row in rows if row[column].strip()]
    return bool(cells) and sum(parse_rating(cell) is not None for cell in cells) >= 0.8 * len(cells)


def _is_identity(column: str, rows: Sequence[dict[str, str]]) -> bool:
    cells = [row[column] for row in rows if row[column].strip()]
    return bool(cells) and len(set(cells)) >= len(cells) / 3


def parse_rating(cell: str) -> float | None:
    """The number a rating cell begins with ("4", "4,5", "5 stars"), or None."""
    found = _NUMBER.match(cell)
    return float(found[1].replace(",", ".")) if found else None


def _check_choices(table: Table, choices: Choices) -> None:
    wanted = asdict(choices.columns)
    for role in ("message", "answer"):
        if wanted[role] is None:
            raise StudioError(f"No column is chosen for the {'customer message' if role == 'message' else 'answer'}.",
                              f"Choose one of: {', '.join(table.columns[:12])}.")
    missing = [name for name in wanted.values() if name is not None and name not in table.columns]
    if missing:
        raise StudioError(f"{table.path.name} has no column {missing[0]!r} (its columns: {', '.join(table.columns[:12])}).",
                          "Choose one of its columns.")
    if wanted["message"] == wanted["answer"]:
        raise StudioError("The same column is chosen for the message and for the answer.", "Choose two columns.")


def _gather(table: Table, rows: Sequence[Line], choices: Choices) -> tuple[list[Refused], list[_Ticket]]:
    """Refuse what cannot be used and join the rest into tickets, in the order in which they first appear."""
    refused: list[Refused] = []
    tickets: dict[str, _Ticket] = {}
    for line in rows:
        cells = dict(zip(table.columns, line.cells, strict=False))
        reason = line.problem or _missing(cells, choices.columns)
        if reason:
            refused.append(Refused(line.line, reason, " | ".join(line.cells)[:160].replace("\0", "")))
            continue
        own = cells[choices.columns.ticket].strip() if choices.columns.ticket else ""
        ticket = tickets.setdefault(own if choices.join and own else f"line {line.line}", _Ticket(line.line, own or None))
        _add_row(ticket, cells, choices.columns)
    return refused, list(tickets.values())


def _missing(cells: dict[str, str], columns: Columns) -> str:
    if not cells[columns.message or ""].strip():
        return "no customer message"
    return "" if cells[columns.answer or ""].strip() else "no answer"


def _add_row(ticket: _Ticket, cells: dict[str, str], columns: Columns) -> None:
    ticket.rows += 1
    ticket.turns += [{"role": "user", "content": cells[columns.message or ""].strip().replace("\r\n", "\n")},
                     {"role": "assistant", "content": cells[columns.answer or ""].strip().replace("\r\n", "\n")}]
    rating = parse_rating(cells[columns.rating]) if columns.rating else None
    ticket.rating = rating if rating is not None else ticket.rating
    ticket.tags = (cells[columns.tags].strip() if columns.tags else "") or ticket.tags


def _passes(ticket: _Ticket, choices: Choices) -> bool:
    if choices.rating_min is None or choices.columns.rating is None:
        return True
    return choices.keep_unrated if ticket.rating is None else ticket.rating >= choices.rating_min


def _check_enough(name: str, rows: int, tickets: list[_Ticket], kept: list[_Ticket], choices: Choices) -> None:
    if len(tickets) < MIN_CONVERSATIONS:
        raise StudioError(f"{name} has {rows} rows, of which {len(tickets)} make a conversation: too few to learn from "
                          f"and to test on (at least {MIN_CONVERSATIONS}).", "Choose a larger export.")
    if len(kept) < MIN_CONVERSATIONS:
        raise StudioError(f"Only {len(kept)} of {len(tickets)} conversations have a rating of {choices.rating_min:g} or "
                          f"better (at least {MIN_CONVERSATIONS} are needed).",
                          "Lower the rating threshold, or keep unrated conversations too.")


def _new_records(ws: Workspace, tickets: list[_Ticket], digest: str) -> tuple[list[tuple[str, _Ticket]], int]:
    """Name each conversation by its file and line; those the workspace has already are counted in rows, not added."""
    named = [("r" + hashlib.sha256(f"{digest}:{ticket.line}".encode()).hexdigest()[:15], ticket) for ticket in tickets]
    have = records.known(ws, [record_id for record_id, _ in named])
    fresh = [(record_id, ticket) for record_id, ticket in named if record_id not in have]
    return fresh, sum(ticket.rows for record_id, ticket in named if record_id in have)


def _keep_raw_file(ws: Workspace, path: Path, digest: str) -> None:
    kept = ws.path(f"uploads/{digest}.csv")
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        shutil.copyfile(path, kept.with_suffix(".tmp"))
        kept.with_suffix(".tmp").rename(kept)


def _store(ws: Workspace, report: Report, fresh: list[tuple[str, _Ticket]], digest: str, choices: Choices) -> None:
    system = [{"role": "system", "content": choices.system_prompt.strip()}] if choices.system_prompt.strip() else []
    added: list[records.NewRecord] = [
        records.NewRecord(record_id, ticket.line, ticket.external_id, ticket.rating, ticket.tags, system + ticket.turns)
        for record_id, ticket in fresh]
    row: Row = {key: value for key, value in asdict(report).items() if key != "refused"}
    row |= {"source_sha256": digest, "choices": json.dumps(asdict(choices)), "imported_at": ws.now()}
    with ws.transaction() as transaction:
        transaction.insert("imports", [row])
        transaction.insert("refused_rows", [{"import_id": report.import_id} | asdict(r) for r in report.refused])
        records.add(ws, transaction, report.import_id, added)
