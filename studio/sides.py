"""Side databases: files beside the workspace's own, for what is not imported yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.replay import Row
from studio.replay import rows as rows_of

Tried = Callable[[Callable[[], Any], Callable[[], None]], Any]
"""Does a statement; what the database says against it becomes `Cancelled` or `Refused`, after the check that is given."""


class Cancelled(Exception):
    """A person stopped what was going on; nothing of it is kept."""


class Refused(Exception):
    """The database could not do a statement on a side file (a file that is not as it looked)."""


class Side:
    """A database file beside the workspace's own, for what is not imported yet: written without the write lock.

    Tables are named `side.<table>` in its statements. `cancel` may come from any thread: what runs stops with `Cancelled`.
    Wordings are stored uncompressed there, because looking for the best compression takes longer than reading the file.
    """

    def __init__(self, connection: Any, path: Path, alias: str, tried: Tried) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.alias = alias
        self._cursor = connection.cursor()
        self._tried = tried
        self._cancelled = self._closed = False
        self._at_work: list[str] = []
        self._cursor.execute(f"attach if not exists '{quoted(path)}' as {alias}")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._run(lambda: self._cursor.execute(self.named(sql), list(parameters)))

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._run(lambda: rows_of(self._cursor, self.named(sql), parameters))

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

    @property
    def busy(self) -> bool:
        """Whether a statement runs."""
        return bool(self._at_work)

    def close(self) -> None:
        """Let go of the file; it can be deleted then."""
        if not self._closed:
            self._closed = True
            self._cursor.execute(f"detach database if exists {self.alias}")
            self._cursor.close()

    def _run(self, work: Callable[[], Any]) -> Any:
        self.check()
        self._at_work.append(self.alias)
        try:
            return self._tried(work, self.check)
        finally:
            self._at_work.pop()


def quoted(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")
