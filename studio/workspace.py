"""One folder, one DuckDB file, one process: open, read, transaction, migrations. The only module that imports duckdb."""

from __future__ import annotations

import os
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from numpy.typing import NDArray

from studio import audit, locks
from studio.errors import StudioError
from studio.gate import Gate
from studio.journal import FORGOTTEN, Journal
from studio.migrations import STEPS
from studio.rebuilds import REBUILD_AUTHORED, REBUILD_LABELS, REBUILD_NOW, REBUILD_WORDS
from studio.seen import Seen

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
CHUNK = 2_000


def utc_now() -> datetime:
    """Now, in UTC, without a zone: how times are stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def default_folder() -> Path:
    return Path(os.environ.get("STUDIO_WORKSPACE") or ROOT / "workspace")


class Transaction:
    """One write: everything in it is stored, or nothing. Rows given to `decided` are journaled before the commit."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
        self._cursor, self._workspace = cursor, workspace
        self.journaled: list[tuple[str, Row]] = []
        self.wrote = False

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return _rows(self._cursor, sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The rows as an Arrow table: for hundreds of thousands of them."""
        return self._cursor.sql(sql, params=list(parameters)).to_arrow_table()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Write many rows at once with SQL, where they are in the database already."""
        self.wrote = True
        self._cursor.execute(sql, list(parameters))

    def load(self, sql: str, name: str, table: Any) -> None:
        """Run a statement that reads an Arrow table under `name`."""
        self._cursor.register(name, table)
        try:
            self._cursor.execute(sql)
        finally:
            self._cursor.unregister(name)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows that share their keys, in chunks of parameter lists (row by row is 100 times slower)."""
        self.wrote = True
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            columns = list(chunk[0])
            types = self._workspace.column_types(table, self._cursor)
            values = ", ".join(f"unnest(?::{types[column]}[])" for column in columns)
            self._cursor.execute(
                f"insert into {table} ({', '.join(columns)}) select {values}",
                [[row[column] for row in chunk] for column in columns])

    def decided(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows that a person decided; a column `seq` is filled with the row's place in the journal."""
        rows = [dict(row) for row in rows]
        first = self._workspace.journal.next_n + len(self.journaled)
        for offset, row in enumerate(rows):
            if "seq" in row:
                row["seq"] = first + offset
        self.insert(table, rows)
        self.journaled += [(table, row) for row in rows]


class Side:
    """A database file beside the workspace's own, for what is not imported yet: written without the write lock.

    Tables are named `side.<table>` in its statements. `cancel` may come from any thread: what runs stops with `Cancelled`.
    Wordings are stored uncompressed there, because looking for the best compression takes longer than reading the file.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, alias: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.alias, self._cursor = alias, connection.cursor()
        self._cancelled = self._closed = False
        self._cursor.execute(f"attach if not exists '{_quoted(path)}' as {alias}")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._run(lambda: self._cursor.execute(self.named(sql), list(parameters)))

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._run(lambda: _rows(self._cursor, self.named(sql), parameters))

    def load(self, sql: str, name: str, table: Any) -> None:
        """Run a statement that reads an Arrow table under `name`."""
        self._cursor.register(name, table)
        try:
            self.execute(sql)
        finally:
            self._cursor.unregister(name)

    @contextmanager
    def stored(self, how: str) -> Iterator[None]:
        """Let the database store what is written meanwhile in one way ("uncompressed", "zstd"): it looks for none."""
        self._cursor.execute(f"set force_compression = '{how}'")
        try:
            yield
        finally:
            self._cursor.execute("set force_compression = 'auto'")

    def named(self, sql: str) -> str:
        return sql.replace("side.", f"{self.alias}.")

    def cancel(self) -> None:
        self._cancelled = True
        self._cursor.interrupt()

    def check(self) -> None:
        """Raises Cancelled once somebody cancelled."""
        if self._cancelled:
            raise Cancelled

    def progress(self) -> float:
        """The share of the running statement that is done, 0 to 1; 0 where it is not known."""
        return 0.0 if self._closed else max(0.0, self._cursor.query_progress()) / 100

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let go of the file; it can be deleted then."""
        if not self._closed:
            self._closed = True
            self._cursor.execute(f"detach database if exists {self.alias}")
            self._cursor.close()

    def _run(self, work: Callable[[], Any]) -> Any:
        self.check()
        try:
            return work()
        except duckdb.InterruptException:
            raise Cancelled from None
        except duckdb.Error as error:
            self.check()
            raise Refused(str(error).splitlines()[0]) from None


class Cancelled(Exception):
    """A person stopped what was going on; nothing of it is kept."""


class Refused(Exception):
    """The database could not do a statement on a side file (a file that is not as it looked)."""


class Workspace(Seen):
    """An open workspace. `now` and `new_id` are where time and randomness come from; tests give their own."""

    def __init__(self, root: Path, now: Callable[[], datetime] = utc_now,
                 new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:12]) -> None:
        self.root = root.resolve()
        self.now = now
        self.new_id = new_id
        self.warnings: list[str] = []
        self._writing = threading.RLock()
        self._types: dict[str, dict[str, str]] = {}
        self._sides: weakref.WeakSet[Side] = weakref.WeakSet()
        self._gate = Gate()
        self._handles = {}
        self.closed = False
        self._lock = locks.take(self.root)
        try:
            self._connection = _connect(self.root / "studio.duckdb")
            self._migrate()
            self.journal = Journal(self.root / "journal.jsonl")
            self._replay()
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        self.closed = True  # for threads of the app that look again and again
        with self._writing, self._gate.alone():
            for side in list(self._sides):
                side.close()
            self._connection.close()
            self._lock.release()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with self._gate.reading(), self._connection.cursor() as cursor:
            return _rows(cursor, sql, parameters)

    def columns(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, NDArray[Any]]:
        """A result by column, for what is worked through by the million."""
        with self._gate.reading(), self._connection.cursor() as cursor:
            return cursor.execute(sql, list(parameters)).fetchnumpy()

    def arrow(self, sql: str) -> Any:
        """A result as an Arrow table, to be given to `Transaction.load`."""
        with self._gate.reading(), self._connection.cursor() as cursor:
            return cursor.sql(sql).to_arrow_table()

    def rewrite(self) -> None:
        """Write the whole database anew into a fresh file and put that in its place.

        A deleted row's bytes stay in the old file, even after a checkpoint; in the fresh one they are not. Takes about as long
        as importing everything again. Raises StudioError while files are on their way in.
        """
        with self._writing:
            if any(not side.closed for side in self._sides):
                raise StudioError("Files are on their way in.", "Import or discard them on the Import page first.")
            with self._gate.alone():
                self._exchange()

    def _exchange(self) -> None:
        path, fresh = self.root / "studio.duckdb", self.root / ".studio.fresh.duckdb"
        fresh.unlink(missing_ok=True)
        with self._connection.cursor() as cursor:
            try:
                cursor.execute("checkpoint")  # from here on the log is empty: whichever file is there after a crash is whole
                cursor.execute(f"attach '{_quoted(fresh)}' as fresh")
                cursor.execute("copy from database studio to fresh")
            except duckdb.Error as error:
                raise StudioError(f"The database could not be written anew: {str(error).splitlines()[0]}",
                                  "Make room on the disk for another copy of studio.duckdb, then try again.") from None
            finally:
                cursor.execute("detach database if exists fresh")
        self._connection.close()
        try:
            os.replace(fresh, path)
        finally:
            self._connection = _connect(path)

    def side(self, relative: str) -> Side:
        """Open a side database in the workspace's folder; close it before deleting the file."""
        with self._gate.reading():
            side = Side(self._connection, self.path(relative), f"side_{uuid.uuid4().hex[:8]}")
        self._sides.add(side)
        return side

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        found = self.row(sql, parameters)
        return next(iter(found.values())) if found else None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write under the one write lock: journal first, then commit; an exception rolls everything back."""
        with self._writing, self._connection.cursor() as cursor:
            cursor.execute("begin")
            transaction = Transaction(cursor, self)
            try:
                yield transaction
                audit.join(transaction)
            except BaseException:
                cursor.execute("rollback")
                raise
            self._commit(cursor, transaction.journaled)

    def _commit(self, cursor: duckdb.DuckDBPyConnection, journaled: list[tuple[str, Row]]) -> None:
        if not journaled:
            cursor.execute("commit")
            return
        numbers = self.journal.append([(table, _plain(row)) for table, row in journaled])
        try:
            cursor.execute("insert into journaled select unnest(?::bigint[])", [numbers])
            cursor.execute("commit")
        except BaseException:
            self.journal.append([("void", {"n": n}) for n in numbers])
            raise

    def column_types(self, table: str, cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
        if table not in self._types:
            found = _rows(cursor, "select column_name, data_type from information_schema.columns where table_name = ?",
                          [table])
            self._types[table] = {row["column_name"]: row["data_type"] for row in found}
        return self._types[table]

    def path(self, relative: str) -> Path:
        return self.root / relative

    def _migrate(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("create table if not exists migrations "
                           "(number integer primary key, name varchar, applied_at timestamp)")
            cursor.execute("create table if not exists journaled (n bigint primary key)")
            newest = _rows(cursor, "select coalesce(max(number), 0) as n from migrations")[0]["n"]
            if newest > STEPS[-1][0]:
                raise StudioError("This workspace was written by a newer Tunewright.",
                                  "Update this installation, or choose another folder with STUDIO_WORKSPACE.")
            for number, name, sql in STEPS:
                if number > newest:
                    cursor.execute("begin")
                    cursor.execute(sql)
                    cursor.execute("insert into migrations values (?, ?, ?)", [number, name, self.now()])
                    cursor.execute("commit")

    def _replay(self) -> None:
        """Put back what people decided and the database lacks: a damaged write-ahead log loses rows without a word."""
        if self.journal.warning:
            self.warnings.append(self.journal.warning)
        with self._connection.cursor() as cursor:
            seen = {row["n"] for row in _rows(cursor, "select n from journaled")}
            void = {entry.row["n"] for entry in self.journal.entries if entry.table == "void"}
            missing = [e for e in self.journal.entries
                       if e.table not in ("void", FORGOTTEN) and e.n not in seen and e.n not in void]
            if not missing:
                return
            cursor.execute("begin")
            for entry in missing:
                _put_back(cursor, entry.table, entry.row)
            cursor.execute("insert into journaled select unnest(?::bigint[])", [[entry.n for entry in missing]])
            cursor.execute(REBUILD_AUTHORED + REBUILD_NOW + REBUILD_LABELS + REBUILD_WORDS)
            cursor.execute("commit")
        self.warnings.append(f"{len(missing)} decisions that the database had lost were put back from the journal.")


def _put_back(cursor: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    """Insert a journaled row unless it is there; wordings have no key of their own, so they are looked for."""
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    if table == "record_versions":
        found = _rows(cursor, "select 1 from record_versions where record_id = ? and version = ?",
                      [row["record_id"], row["version"]])
        if not found:
            cursor.execute(f"insert into {table} ({columns}) values ({marks})", list(row.values()))
        return
    cursor.execute(f"insert or ignore into {table} ({columns}) values ({marks})", list(row.values()))


def _quoted(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")


def _plain(row: Row) -> Row:
    return {key: value.isoformat(sep=" ") if isinstance(value, datetime) else value for key, value in row.items()}


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    cursor.execute(sql, list(parameters))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "2",
        "memory_limit": "1GB"}
    try:
        return duckdb.connect(str(path), config=settings)
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise StudioError(f"The database {path} cannot be opened: {first}",
                          "If another program holds it, close that program; if the file is damaged, "
                          "move it away and restore a backup.") from None


_open: dict[Path, Workspace] = {}
_opening = threading.Lock()


def open_workspace(folder: Path | None = None) -> Workspace:
    """The workspace in `folder` (default: STUDIO_WORKSPACE, or `workspace/`), opened once in this process.

    Raises StudioError when another process has it, or when the folder or the file cannot be used.
    """
    root = (folder or default_folder()).resolve()
    with _opening:
        if root not in _open:
            _open[root] = Workspace(root)
        return _open[root]


def close_all() -> None:
    """Close every workspace that this process opened."""
    with _opening:
        while _open:
            _open.popitem()[1].close()
