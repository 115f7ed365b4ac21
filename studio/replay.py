"""What the journal knows and the database lacks, put back: a damaged write-ahead log loses rows without a word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from studio.journal import FORGOTTEN, Journal
from studio.rebuilds import REBUILD_AUTHORED, REBUILD_LABELS, REBUILD_NOW, REBUILD_WORDS

Row = dict[str, Any]


def put_back(cursor: Any, journal: Journal) -> int:
    """Insert every journaled row that the database lacks, in one transaction; returns how many those were."""
    seen = {row["n"] for row in rows(cursor, "select n from journaled")}
    void = {entry.row["n"] for entry in journal.entries if entry.table == "void"}
    missing = [e for e in journal.entries if e.table not in ("void", FORGOTTEN) and e.n not in seen and e.n not in void]
    if not missing:
        return 0
    cursor.execute("begin")
    for entry in missing:
        _insert(cursor, entry.table, entry.row)
    cursor.execute("insert into journaled select unnest(?::bigint[])", [[entry.n for entry in missing]])
    cursor.execute(REBUILD_AUTHORED + REBUILD_NOW + REBUILD_LABELS + REBUILD_WORDS)
    cursor.execute("commit")
    return len(missing)


def rows(cursor: Any, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """What a statement finds, as dicts."""
    cursor.execute(sql, list(parameters))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def plain(row: Row) -> Row:
    """A row as JSON can hold it."""
    return {key: value.isoformat(sep=" ") if isinstance(value, datetime) else value for key, value in row.items()}


def _insert(cursor: Any, table: str, row: Row) -> None:
    """Insert a journaled row unless it is there; wordings have no key of their own, so they are looked for."""
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    if table == "record_versions":
        found = rows(cursor, "select 1 from record_versions where record_id = ? and version = ?",
                     [row["record_id"], row["version"]])
        if not found:
            cursor.execute(f"insert into {table} ({columns}) values ({marks})", list(row.values()))
        return
    cursor.execute(f"insert or ignore into {table} ({columns}) values ({marks})", list(row.values()))
