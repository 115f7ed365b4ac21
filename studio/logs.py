"""Logs: files of production come in: looked at, read at the database's speed, each row once.

A file is read into a side database without the write lock, and then stored in one transaction. What is no row is listed with
its line and the reason, and harms nothing. The same bytes add nothing; nor does a row that is here already: it is known by what
it says (`log_sql.FINISHED`), so that overlapping exports can be read one after the other. A rating or a success that comes
later for the same request is put to its row.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from studio import files, log_columns, log_staging
from studio.errors import StudioError
from studio.log_staging import LISTED, READING, Kind, Look
from studio.moments import formats_of
from studio.permissions import needs
from studio.ratings import read_scale
from studio.staging import Say
from studio.workspace import Refused, Row, Side, Transaction, Workspace

_SAMPLED, _HEAD = 200, 4 << 20
alone = threading.RLock()
"""Held while a log is read; who takes things out of the whole workspace holds it too."""


@dataclass(frozen=True)
class Report:
    """What became of a log: rows in = added + already here + refused, always. `same`: it was read before, and nothing was done.
    `told_later` rows got a rating or a success that came after them."""

    source_id: str
    name: str
    shape: str
    how: str
    rows_in: int
    rows_added: int
    rows_already: int
    rows_refused: int
    bytes: int
    who: str
    read_at: datetime
    same: bool = False
    told_later: int = 0


@needs("curate", looks=True)
def look(ws: Workspace, path: Path, name: str = "") -> Look:
    """See what a file holds. Raises StudioError where it can be no log."""
    name = name or path.name
    kind = _kind(path)
    if kind == "table":
        source = files.open_source(path)
        lines = list(itertools.islice((line for line in files.lines(source) if not line.problem), _SAMPLED))
        head: list[dict[str, Any]] = [dict(zip(source.columns, line.cells, strict=True)) for line in lines]
        columns: Sequence[str] = source.columns
    elif kind == "parquet":
        head, columns = _parquet_head(path)
    else:
        head, columns = list(itertools.islice(_objects(path, kind), _SAMPLED)), ()
    if not head:
        raise StudioError(
            f"{name} holds no rows that can be read.", "Choose a file of JSON objects, one a line, CSV or Parquet."
        )
    found = log_columns.look(head, columns, chosen_before(ws))
    if not any(found.roles[role] for role in ("messages", "question", "answer", *log_columns.FIGURES)):
        leaves = ", ".join(_short(leaf) for leaf in list(found.leaves)[:8])
        raise StudioError(
            f"{name} is no log of a model: neither questions and answers nor figures were found in its columns ({leaves}).",
            "It needs a question, an answer, or a latency, say.",
        )
    moments = [cell for leaf in found.places("time") for cell in leaf.examples]
    return Look(path, name, kind, found, tuple(head[:5]), formats_of(moments))


@needs("curate", looks=True)
def chosen_before(ws: Workspace) -> list[dict[str, list[str]]]:
    """Roles that people chose for earlier logs, the newest first."""
    rows = ws.rows("""select columns from log_sources where json_extract_string(columns, '$.said') = 'true'
                      order by read_at desc limit 20""")
    return [json.loads(row["columns"])["roles"] for row in rows]


@needs("curate")
def add(
    ws: Workspace,
    seen: Look,
    how: str,
    who: str,
    say: Say = lambda share, sentence: None,
    opened: Callable[[Side], None] = lambda side: None,
) -> Report:
    """Read a log into the workspace. Raises StudioError, with nothing stored, where the file cannot be read."""
    with alone:
        say(0.02, "Reading its bytes")
        sha256, size = digest(seen.path)
        if (earlier := _read_before(ws, sha256)) is not None:
            return replace(earlier, same=True)
        return _add(ws, seen, sha256, size, how, who, say, opened)


def _add(
    ws: Workspace, seen: Look, sha256: str, size: int, how: str, who: str, say: Say, opened: Callable[[Side], None]
) -> Report:
    folder = ws.path(f"{READING}/log-{uuid.uuid4().hex[:12]}")
    side = ws.side(f"{folder.relative_to(ws.root)}/rows.duckdb")
    try:
        opened(side)
        say(0.1, f"Reading {seen.name}")
        listed, refused = log_staging.stage(ws, side, folder, seen)
        say(0.6, "Storing the rows that are new")
        with ws.transaction() as transaction:
            return _store(ws, transaction, side, seen, listed, refused, sha256, size, how, who)
    except Refused as error:
        raise StudioError(f"{seen.name} cannot be read: {error}.", "Nothing of it was stored.") from None
    finally:
        side.close()
        shutil.rmtree(folder, ignore_errors=True)


@needs("read")
def sources(ws: Workspace, limit: int = 50) -> list[Report]:
    """What was read, the newest first."""
    return [_report(row) for row in ws.rows("select * from log_sources order by read_at desc, source_id limit ?", [limit])]


@needs("raw")
def refused(ws: Workspace, source_id: str) -> list[Row]:
    """Lines that were no rows: line, reason and how they begin."""
    return ws.rows(
        "select line, reason, excerpt from log_refused where source_id = ? order by line limit ?", [source_id, LISTED]
    )


@needs("curate")
def take_out(ws: Workspace, source_id: str) -> int:
    """Undo the reading of one log: its rows go, and the file can be read again in another way. Returns how many went."""
    with ws.transaction() as transaction:
        gone = transaction.rows("select count(*) as n from log_rows where source_id = ?", [source_id])[0]["n"]
        for table in ("log_rows", "log_refused", "log_sources"):
            transaction.execute(f"delete from {table} where source_id = ?", [source_id])
    return int(gone)


def digest(path: Path) -> tuple[str, int]:
    """The hash and the size of a file. Raises StudioError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    except OSError as error:
        raise StudioError(f"{path.name} cannot be opened: {error.strerror}.", "Check the path, and who may read it.") from None


def _report(row: Row) -> Report:
    return Report(**{key: row[key] for key in Report.__dataclass_fields__ if key in row})


def _read_before(ws: Workspace, sha256: str) -> Report | None:
    row = ws.row("select * from log_sources where sha256 = ? limit 1", [sha256])
    return _report(row) if row else None


def _short(column: str) -> str:
    """A column's name as a sentence bears it: what is no table has whole lines for names."""
    return column if len(column) <= 40 else f"{column[:39].rstrip()}…"


def _kind(path: Path) -> Kind:
    try:
        with path.open("rb") as file:
            head = file.read(64 << 10)
    except OSError as error:
        raise StudioError(f"{path.name} cannot be opened: {error.strerror}.", "Check the path, and who may read it.") from None
    begins = head.lstrip()[:2]
    if not begins:
        raise StudioError(f"{path.name} is empty.", "Choose a file that holds rows.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if begins[:1] == b"{" or path.suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    return "array" if begins[:1] == b"[" else "table"


def _objects(path: Path, kind: Kind) -> Iterator[dict[str, Any]]:
    """The first objects of a JSON file, as many as its first megabytes hold."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if kind == "array":
        yield from _of_list(head.decode("utf-8", "replace"))
        return
    for line in head.split(b"\n"):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _of_list(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            found, at = decoder.raw_decode(text, at)
        except ValueError:
            return
        if isinstance(found, dict):
            yield found


def _parquet_head(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=_SAMPLED), None)
            return (batch.to_pylist() if batch is not None else []), list(file.schema_arrow.names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise StudioError(
            f"{path.name} is a damaged Parquet file ({reason}).", "Export it again and choose that file."
        ) from None


def _store(
    ws: Workspace,
    transaction: Transaction,
    side: Side,
    seen: Look,
    listed: Sequence[Row],
    refused_rows: int,
    sha256: str,
    size: int,
    how: str,
    who: str,
) -> Report:
    named, source_id = side.named, ws.new_id()
    told, ratings, scores = _ratings(transaction, side)
    _know_rows(transaction, side)
    transaction.execute(
        """create or replace temp table rates as select unnest(?::varchar[]) as rated, unnest(?::tinyint[]) as
        rating, unnest(?::double[]) as score""",
        [told, ratings, scores],
    )
    total = transaction.rows(named("select count(*) as n from side.ready where problem is null"))[0]["n"]
    before = transaction.rows("select count(*) as n from log_rows")[0]["n"]
    transaction.execute(
        named("""insert into log_rows select k.row_id, ?, r.happened_at, r.model, r.slice, r.question, r.answer,
        r.messages, t.rating, t.score, r.success, r.latency_s, r.prompt_tokens, r.new_tokens, r.cost, '', r.person, r.request_id
        from side.ready r join fresh k using (n) left join rates t using (rated)"""),
        [source_id],
    )
    later = _told_later(transaction, named)
    added = transaction.rows("select count(*) as n from log_rows")[0]["n"] - before
    for table in ("rates", "fresh"):
        transaction.execute(f"drop table {table}")
    report = Report(
        source_id,
        seen.name,
        seen.found.shape,
        how,
        total + refused_rows,
        added,
        total - added,
        refused_rows,
        size,
        who,
        ws.now(),
        told_later=later,
    )
    columns = {"roles": {role: list(labels) for role, labels in seen.found.roles.items() if labels}, "said": seen.found.said}
    transaction.insert(
        "log_sources",
        [
            {
                **{key: value for key, value in asdict(report).items() if key not in ("same", "told_later")},
                "sha256": sha256,
                "columns": json.dumps(columns, ensure_ascii=False),
            }
        ],
    )
    transaction.insert("log_refused", [{"source_id": source_id, **row} for row in listed])
    return report


def _ratings(transaction: Transaction, side: Side) -> tuple[list[str], list[int | None], list[float]]:
    """Every rating that stands in the log, with the thumb it means (-1, 0, 1) and its number."""
    counted = {
        row["rated"]: row["n"]
        for row in side.rows("""select rated, count(*) as n from side.ready
        where rated <> '' and problem is null group by rated order by n desc limit 1000""")
    }
    scale = read_scale(counted)
    if scale is None:
        return [], [], []
    stars = scale.high > 1 or (
        scale.kind == "numbers" and bool(transaction.rows("select 1 from log_rows where score > 1 limit 1"))
    )  # a file with nothing but ones, where others had stars
    low, high = _middle(max(scale.high, 5.0 if stars else 1.0), scale.low)
    told = list(scale.numbers)
    return (
        told,
        [1 if scale.numbers[one] >= high else -1 if scale.numbers[one] <= low else 0 for one in told],
        [scale.numbers[one] for one in told],
    )


def _middle(top: float, bottom: float) -> tuple[float, float]:
    """Up to which number a rating is a thumb down, and from which it is one up: 2 and 4 of 5 stars, 40 and 70 of 100."""
    if top <= 1:
        return (-0.5, 0.5) if bottom < 0 else (0.49, 0.5)
    return (2.0, 4.0) if top <= 5 else (0.4 * top, 0.7 * top)


def _know_rows(transaction: Transaction, side: Side) -> None:
    """`fresh` (n, row_id): the rows that are not here yet. Equal rows of one file without an id of their own are told apart by
    how often they came before."""
    named = side.named
    rows = "from side.ready where problem is null and not feedback"
    twice = side.rows(f"select count(*) > count(distinct h) as twice {rows}")[0]["twice"]
    each = (
        named(f"select n, h as row_id {rows}")
        if not twice
        else named(f"""
        select n, case when o = 1 then h else left(md5(h || '/' || o), 16) end as row_id from (
            select n, h, request_id, row_number() over (partition by h order by n) as o {rows})
        where o = 1 or request_id = ''""")
    )
    transaction.execute(
        f"create or replace temp table fresh as select * from ({each}) where row_id not in (select row_id from log_rows)"
    )


def _told_later(transaction: Transaction, named: Callable[[str], str]) -> int:
    """Ratings and successes of requests that are here already, from rows that say nothing else, or say the same again."""
    transaction.execute(
        named("""create or replace temp table told as
        select r.request_id, any_value(t.rating) as rating, any_value(t.score) as score, any_value(r.success) as success
        from side.ready r left join rates t using (rated)
        where r.problem is null and r.request_id <> '' and (t.rating is not null or r.success is not null)
              and r.n not in (select n from fresh) group by r.request_id""")
    )
    matching = """l.request_id = t.request_id and ((l.rating is null and t.rating is not null)
                  or (l.success is null and t.success is not null))"""
    found = transaction.rows(f"select count(*) as n from log_rows l join told t on {matching}")[0]["n"]
    if found:
        transaction.execute(f"""update log_rows l set rating = coalesce(l.rating, t.rating), score = coalesce(l.score, t.score),
                                success = coalesce(l.success, t.success) from told t where {matching}""")
    transaction.execute("drop table told")
    return int(found)
