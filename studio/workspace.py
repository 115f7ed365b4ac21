"""One folder, one DuckDB file, one process: open, read, transaction, migrations. The only module that imports duckdb."""

from __future__ import annotations

import os
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from numpy.typing import NDArray

from studio import audit, locks, replay
from studio.errors import StudioError
from studio.gate import Gate
from studio.journal import Journal
from studio.migrations import STEPS
from studio.replay import Row
from studio.replay import rows as rows_of
from studio.seen import Seen
from studio.sides import Cancelled, Refused, Side, quoted

__all__ = ["Cancelled", "Refused", "Row", "Side", "Transaction", "Workspace", "open_workspace", "utc_now"]

ROOT = Path(__file__).resolve().parent.parent
CHUNK = 2_000
MEMORY = "1GB"
"""What the database may hold in memory."""
MOST_NOTES, PATIENCE_SECONDS = 30_000, 0.02


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
        return rows_of(self._cursor, sql, parameters)

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
        self.whole = threading.RLock()
        """Held by who copies the whole workspace, or takes things out of all of it."""
        self.closed = False
        self._lock = locks.take(self.root)
        try:
            self._connection = _connect(self.root / "studio.duckdb")
            self._migrate()
            self.journal = Journal(self.root / "journal.jsonl")
            self._replay()
        except (duckdb.Error, OSError) as error:
            self._lock.release()
            if not any(word in str(error) for word in ("No space left", "Could not write", "quota")):
                raise
            raise StudioError(f"The workspace {self.root} cannot be opened: its disk takes nothing more.",
                              "Make room on it; nothing that was said is lost.") from None
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
        with self._gate.reading(), self._cursor() as cursor:
            return rows_of(cursor, sql, parameters)

    def columns(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, NDArray[Any]]:
        """A result by column, for what is worked through by the million."""
        with self._gate.reading(), self._cursor() as cursor:
            return cursor.execute(sql, list(parameters)).fetchnumpy()

    def arrow(self, sql: str) -> Any:
        """A result as an Arrow table, to be given to `Transaction.load`."""
        with self._gate.reading(), self._cursor() as cursor:
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
                cursor.execute(f"attach '{quoted(fresh)}' as fresh")
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

    def sweep(self) -> None:
        """Let the database forget the blocks of memory that are gone.

        It notes in seven queues which blocks it may drop, and looks for notes of blocks that are gone only where a queue has
        32,768: people who label fill them for a day, and no count of the database's memory holds the notes. A limit that cannot
        be kept makes it look through all of them, which takes some milliseconds. Where somebody reads at length, or files
        are read in, it is left to the next time.
        """
        if (self.value("select sum(approximate_size) from duckdb_eviction_queues()") or 0) < MOST_NOTES:
            return
        with self._writing, self._gate.alone(PATIENCE_SECONDS) as is_alone:
            sides = [side for side in self._sides if not side.closed]
            if is_alone and not any(side.busy for side in sides):
                self._look_through(["studio", *(side.alias for side in sides)])

    def _look_through(self, names: Sequence[str]) -> None:
        """A checkpoint goes first: what is in no file yet would be written into one beside it."""
        with self._connection.cursor() as cursor:
            try:
                for name in names:
                    cursor.execute(f"checkpoint {name}")
                cursor.execute("set memory_limit = '1KB'")
            except (duckdb.OutOfMemoryException, duckdb.TransactionException):
                pass  # as it should be; or a file is read in just now, and it is left to the next time as well
            finally:
                cursor.execute(f"set memory_limit = '{MEMORY}'")

    def copy_database(self, target: Path, at_once: Callable[[], None]) -> None:
        """Copy the database as it is at this moment into a file that is not there yet, while others write on.

        `at_once` is called at that very moment, under the write lock: what it looks at is what the copy will hold.
        """
        name = f"copy_{uuid.uuid4().hex[:8]}"
        with ExitStack() as held, self._cursor() as cursor, self._cursor() as letting_go:
            try:
                with self._writing:
                    held.enter_context(self._gate.reading())
                    cursor.execute(f"attach '{quoted(target)}' as {name}")
                    cursor.execute("begin")
                    rows_of(cursor, "select count(*) from journaled")  # from here on the cursor sees nothing newer
                    at_once()
                cursor.execute(f"copy from database studio to {name}")
                cursor.execute("commit")
            except duckdb.Error as error:
                raise StudioError(f"The database could not be copied: {str(error).splitlines()[0]}",
                                  "Make room on the disk for another copy of studio.duckdb, then try again.") from None
            finally:
                cursor.close()
                letting_go.execute(f"detach database if exists {name}")

    def side(self, relative: str) -> Side:
        """Open a side database in the workspace's folder; close it before deleting the file."""
        with self._gate.reading():
            side = Side(self._connection, self.path(relative), f"side_{uuid.uuid4().hex[:8]}", _tried)
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
        with self._writing, self._cursor() as cursor:
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
        numbers = self.journal.append([(table, replay.plain(row)) for table, row in journaled])
        try:
            cursor.execute("insert into journaled select unnest(?::bigint[])", [numbers])
            cursor.execute("commit")
        except BaseException:
            self.journal.append([("void", {"n": n}) for n in numbers])
            raise

    def column_types(self, table: str, cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
        if table not in self._types:
            found = rows_of(cursor, "select column_name, data_type from information_schema.columns where table_name = ?",
                          [table])
            self._types[table] = {row["column_name"]: row["data_type"] for row in found}
        return self._types[table]

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self.closed:
            raise _going_down()
        return self._connection.cursor()

    def path(self, relative: str) -> Path:
        return self.root / relative

    def _migrate(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("create table if not exists migrations "
                           "(number integer primary key, name varchar, applied_at timestamp)")
            cursor.execute("create table if not exists journaled (n bigint primary key)")
            newest = rows_of(cursor, "select coalesce(max(number), 0) as n from migrations")[0]["n"]
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
        if self.journal.warning:
            self.warnings.append(self.journal.warning)
        with self._connection.cursor() as cursor:
            if lost := replay.put_back(cursor, self.journal):
                self.warnings.append(f"{lost} decisions that the database had lost were put back from the journal.")
        self.journal.entries = ()  # nobody asks again, and they would stay in memory for as long as the studio runs


def _tried(work: Callable[[], Any], check: Callable[[], None]) -> Any:
    try:
        return work()
    except duckdb.InterruptException:
        raise Cancelled from None
    except duckdb.Error as error:
        check()
        raise Refused(str(error).splitlines()[0]) from None


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "2",
        "memory_limit": MEMORY}
    try:
        return duckdb.connect(str(path), config=settings)
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise StudioError(f"The database {path} cannot be opened: {first}",
                          "If another program holds it, close that program; if the file is damaged, "
                          "move it away and restore a backup.") from None


def counts_of(path: Path) -> dict[str, int]:
    """How many rows each table of a database file holds that nobody has open. Raises StudioError where it is none."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = [row["name"] for row in rows_of(connection, """select table_name as name from duckdb_tables()
                                                                    where not internal and not temporary order by name""")]
            return {name: int(rows_of(connection, f"select count(*) as n from {name}")[0]["n"]) for name in tables}
    except duckdb.Error as error:
        raise StudioError(f"The database {path.name} cannot be read: {str(error).splitlines()[0]}") from None


_open: dict[Path, Workspace] = {}
_opening, _ending = threading.Lock(), threading.Event()


def open_workspace(folder: Path | None = None) -> Workspace:
    """The workspace in `folder` (default: STUDIO_WORKSPACE, or `workspace/`), opened once in this process.

    Raises StudioError when another process has it, or when the folder or the file cannot be used.
    """
    root = (folder or default_folder()).resolve()
    with _opening:
        if _ending.is_set():
            raise _going_down()
        if root not in _open:
            _open[root] = Workspace(root)
        return _open[root]


def close_all() -> None:
    """Close every workspace that this process opened."""
    with _opening:
        while _open:
            _open.popitem()[1].close()


def end() -> None:
    """Close them all for good: the process goes down, and what still runs in it must open none again."""
    _ending.set()
    close_all()


def _going_down() -> StudioError:
    return StudioError("The studio is being stopped.", "Load this page again in a minute.")
