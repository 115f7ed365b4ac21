"""Files become records: read, look, choose, import, and say what became of every row.

rows in = imported + updated + already here + edited here + filtered + refused, always.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from studio import columns, files, mappings, plans, records, sample, wordings
from studio.columns import Choices, Guess
from studio.errors import StudioError
from studio.files import Source
from studio.mappings import Mapping
from studio.permissions import needs
from studio.ratings import Scale
from studio.staging import Overrides, Say, Staging, check_rows, stage
from studio.workspace import Side, Transaction, Workspace

MIN_CONVERSATIONS = 10
"""Fewer cannot be split into train, validation and test (fine-tuning services also ask for at least ten)."""

SAMPLED = 400
SAMPLE_NAME = "sample_tickets.csv"


@dataclass(frozen=True)
class Preview:
    """What files look like before they are imported. `head` holds the first rows; `choices` are those that were made for
    such files `before`, or else follow from the guess."""

    rows: int
    head: tuple[dict[str, str], ...]
    guess: Guess
    choices: Choices
    before: Mapping | None


@dataclass(frozen=True)
class Outlook:
    """What an import would do, or did: rows by what became of them, and conversations.

    `rows_updated` belong to tickets whose words changed at the desk: they get a newer version. `rows_kept_by_hand` changed
    too, but a person edited the record here: their wording stays. `reasons` counts the filtered and refused rows by reason.
    """

    rows_in: int
    rows_imported: int
    rows_updated: int
    rows_already_here: int
    rows_kept_by_hand: int
    rows_filtered: int
    rows_refused: int
    conversations: int
    conversations_passing: int
    conversations_read: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Report:
    """One import of the past: what became of every row."""

    import_id: str
    source_name: str
    rows_in: int
    rows_imported: int
    rows_updated: int
    rows_already_here: int
    rows_kept_by_hand: int
    rows_filtered: int
    rows_refused: int
    conversations: int


@dataclass(frozen=True)
class Refused:
    """A row that was not imported: where it begins, why, and how it begins."""

    source_name: str
    line: int
    reason: str
    excerpt: str


@needs("curate")
def read(ws: Workspace, paths: Sequence[Path], say: Say = lambda share, sentence: None,
         opened: Callable[[Side], None] = lambda side: None, written: Overrides | None = None,
         folder: str = "") -> Staging:
    """Read files, and every known file in folders, whole, so that what is wrong is said before anything is chosen.

    Raises StudioError when one of them cannot be used. Discard the staging when it is not needed any more.
    """
    sources = [_open(path, written or Overrides()) for path in files.expand(paths)]
    staging = stage(ws, sources, say, opened, folder)
    try:
        check_rows(staging)
    except StudioError:
        staging.discard()
        raise
    return staging


def _open(path: Path, written: Overrides) -> Source:
    source = files.open_source(path, encoding=written.encoding, delimiter=written.delimiter, sheet=written.sheet)
    if written.headless and source.kind == "delimited":
        names = tuple(f"column {place}" for place in range(1, len(source.columns) + 1))
        return replace(source, columns=names, headed=False)
    return source


@needs("curate", looks=True)
def look(ws: Workspace, staging: Staging, head: int = 8) -> Preview:
    """The first rows and the guessed choices. Raises StudioError when nothing in the files is text to learn from."""
    sampled = staging.sample(SAMPLED)
    found = columns.guess(staging.files[0].name, staging.columns, sampled, staging.form)
    senders = tuple(staging.values(found.columns.sender, 50)) if found.columns.sender else ()
    agents = columns.agents_among(found.columns.sender or "", senders)
    earlier = mappings.offered(ws, staging.columns)
    choices = earlier[0].choices if earlier else Choices(found.columns, layout=found.layout, agents=agents)
    return Preview(staging.rows, tuple(sampled[:head]), found, choices, earlier[0] if earlier else None)


def scale(staging: Staging, column: str) -> Scale:
    """How a column rates. Raises StudioError when it holds nothing that can be read as a rating."""
    found = plans.scale_of(staging, column)
    if found is None:
        raise StudioError(f"The column {column!r} holds no ratings that can be read.", "Choose another column, or none.")
    return found


def days(staging: Staging, column: str) -> tuple[date, date] | None:
    """The first and the last day of a time column; None where it holds no times."""
    return plans.days_of(staging, column)


@needs("curate", looks=True)
def outlook(ws: Workspace, staging: Staging, choices: Choices) -> Outlook:
    """What an import with these choices would do; nothing is changed. Raises StudioError when they do not fit the files."""
    plans.make(staging, choices)
    _compare(staging, choices)
    return _count(staging)


@needs("curate")
def import_staged(ws: Workspace, staging: Staging, choices: Choices, source_name: str = "",
                  say: Say = lambda share, sentence: None) -> Report:
    """Import what was read, in one transaction. Raises StudioError, with the workspace unchanged, when it cannot be used."""
    name = source_name or " + ".join(file.name for file in staging.files)[:200]
    say(0.1, "Putting conversations together")
    found = outlook(ws, staging, choices)
    _check_enough(name, found, records.counts(ws).total)
    say(0.3, "Keeping the raw files")
    _keep_raw_files(ws, staging)
    report = Report(ws.new_id(), name, **{key: value for key, value in asdict(found).items()
                                          if key in Report.__dataclass_fields__})
    say(0.4, "Writing records")
    staging.side.check()
    with ws.transaction() as transaction:
        _store(ws, transaction, staging, report, choices)
        staging.side.check()
    return report


@needs("curate")
def import_file(ws: Workspace, path: Path, source_name: str, choices: Choices) -> Report:
    """Read and import one file at once."""
    staging = read(ws, [path])
    try:
        return import_staged(ws, staging, choices, source_name)
    finally:
        staging.discard()


@needs("curate", looks=True)
def preview(ws: Workspace, path: Path) -> Preview:
    """Look at one file and let go of it."""
    staging = read(ws, [path])
    try:
        return look(ws, staging)
    finally:
        staging.discard()


@needs("curate")
def import_sample(ws: Workspace) -> Report:
    """Write the sample tickets and import them as a person would: four stars and better."""
    path = ws.path(f"uploads/{SAMPLE_NAME}")
    path.parent.mkdir(parents=True, exist_ok=True)
    sample.write_sample(path)
    guessed = preview(ws, path).guess.columns
    return import_file(ws, path, SAMPLE_NAME, Choices(guessed, rating_min=4, keep_unrated=False))


@needs("read")
def get(ws: Workspace, import_id: str) -> Report:
    """Raises StudioError when there is no such import."""
    found = next((report for report in imports(ws) if report.import_id == import_id), None)
    if found is None:
        raise StudioError(f"There is no import {import_id} in this workspace.", "Open Import and choose a file.")
    return found


@needs("read")
def imports(ws: Workspace) -> list[Report]:
    """Every import, newest first."""
    return [Report(**row) for row in ws.rows(f"select {', '.join(Report.__dataclass_fields__)} from imports "
                                             "order by imported_at desc")]


@needs("raw")
def refused_rows(ws: Workspace, import_id: str, limit: int = 1_000_000) -> list[Refused]:
    found = ws.rows("""select source_name, line, reason, excerpt from refused_rows where import_id = ?
                       order by source_name, line limit ?""", [import_id, limit])
    return [Refused(**row) for row in found]


@needs("read")
def filtered_reasons(ws: Workspace, import_id: str) -> dict[str, int]:
    """Rows that were left out on purpose, by reason."""
    found = ws.rows("select reason, row_count from filtered_rows where import_id = ? order by row_count desc", [import_id])
    return {row["reason"]: row["row_count"] for row in found}


def _compare(staging: Staging, choices: Choices) -> None:
    """`side.fresh`: for each conversation that passes, whether the workspace has it, and with the same words.

    Whoever edited a record here keeps their wording; the desk's newer one is counted, not taken.
    """
    side = staging.side
    side.execute("""create or replace table side.known as select c.conversation, c.record_id, n.version
                    from side.conversations c join record_now n using (record_id) where c.reason is null""")
    theirs = wordings.without_system(wordings.messages(choices, "t.turns"))
    side.execute(f"""create or replace table side.fresh as
        with imported as (select record_id, arg_max(messages, version) as messages, max(version) as version
                          from record_versions where who = 'import' and record_id in (select record_id from side.known)
                          group by record_id)
        select k.conversation, case when {wordings.without_system('i.messages')} = {theirs} then 'same'
               when k.version > i.version then 'kept' else 'changed' end as fresh
        from side.known k join imported i using (record_id) join side.turns t using (conversation)""")


def _count(staging: Staging) -> Outlook:
    side = staging.side
    refused = {row["reason"]: row["n"] for row in side.rows("select reason, count(*) as n from side.refused group by reason")}
    fates = side.rows("""select p.fate, p.reason, coalesce(f.fresh, 'new') as fresh, count(*) as n
                         from side.plan p left join side.fresh f using (conversation) group by all""")

    def total(fate: str, fresh: str = "") -> int:
        return sum(row["n"] for row in fates if row["fate"] == fate and (not fresh or row["fresh"] == fresh))

    reasons: dict[str, int] = dict(refused)
    for row in fates:
        if row["reason"]:
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["n"]
    conversations = side.rows("""select count(*) as read, count(*) filter (reason is null) as passing,
        count(*) filter (reason is null and f.fresh is null) as fresh
        from side.conversations left join side.fresh f using (conversation)""")[0]
    return Outlook(staging.rows, total("in", "new"), total("in", "changed"), total("in", "same"), total("in", "kept"),
                   total("filtered"), total("refused") + sum(refused.values()), conversations["fresh"],
                   conversations["passing"], conversations["read"], dict(sorted(reasons.items(), key=lambda item: -item[1])))


def _check_enough(name: str, found: Outlook, here: int) -> None:
    """A workspace begins with enough to be split; once it has that, an export may bring one ticket, or none that is new."""
    least = 1 if here >= MIN_CONVERSATIONS else MIN_CONVERSATIONS
    if found.conversations_read < least:
        why = "".join(f"; {count:,} rows: {reason}" for reason, count in list(found.reasons.items())[:2])
        few = f"too few to learn from and to test on (at least {least})" if least > 1 else "nothing to import"
        raise StudioError(f"{name} has {found.rows_in:,} rows, of which {found.conversations_read} make a conversation: "
                          f"{few}{why}.", "Choose a larger export.")
    if found.conversations_passing < least:
        raise StudioError(f"Only {found.conversations_passing} of {found.conversations_read:,} conversations pass what was "
                          f"chosen (at least {least} are needed).",
                          "Lower the rating threshold, keep unrated conversations too, or widen the other choices.")


def _keep_raw_files(ws: Workspace, staging: Staging) -> None:
    for file in staging.files:
        kept = ws.path(f"uploads/{file.sha256}{file.source.path.suffix.lower()}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            os.link(file.kept, kept)


def _store(ws: Workspace, transaction: Transaction, staging: Staging, report: Report, choices: Choices) -> None:
    named = staging.side.named
    transaction.insert("imports", [asdict(report) | {
        "source_sha256": " ".join(file.sha256 for file in staging.files), "choices": mappings.written(choices),
        "desk": choices.desk, "synthetic": choices.synthetic, "written_as": staging.files[0].source.written_as,
        "imported_at": ws.now()}])
    mappings.remember(ws, transaction, staging.columns, choices)
    names = "[" + ", ".join(wordings.text(file.name) for file in staging.files) + "]"
    cells = ", ".join(f"c.c{place}" for place in range(len(staging.columns)))
    transaction.execute(named(f"""insert into refused_rows
        select ?, p.line, p.reason, left(concat_ws(' | ', {cells}), 160), {names}[p.file + 1]
        from side.plan p join side.cells c on c.r = p.r where p.fate = 'refused'
        union all select ?, line, reason, excerpt, {names}[file + 1] from side.refused"""), [report.import_id] * 2)
    transaction.execute(named("""insert into filtered_rows select ?, reason, count(*) from side.plan where fate = 'filtered'
                                 group by reason"""), [report.import_id])
    arriving = """side.conversations join side.gathered using (conversation)
                  where reason is null and conversation not in (select conversation from side.fresh)"""
    whole = wordings.messages(choices, "t.turns")
    with staging.side.stored("zstd"):  # looking for the best one takes longer than writing
        records.add(
            ws, transaction, report.import_id,
            named(f"""select record_id, conversation as position, line as source_line,
                      coalesce(ticket, message_id) as external_id, rating, tags, status, happened_at, name, email
                      from {arriving}"""),
            named(f"""select a.record_id, a.conversation as position, {whole} as messages
                      from (select record_id, conversation from {arriving}) a
                      join side.turns t using (conversation)"""))
        records.add_wordings(ws, transaction, named(f"""
            select c.record_id, {whole} as messages from side.conversations c join side.fresh f using (conversation)
            join side.turns t using (conversation) where f.fresh = 'changed'"""))
