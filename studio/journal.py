"""The journal: every row a person decided, once more, in a file that outlives a damaged database.

One JSON line a row: `{"n", "table", "row", "prev", "sha"}`. `sha` is the SHA-256 over the line before and this line's
content, so a changed, missing or reordered line shows. Lines are flushed to the disk before the database commits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GENESIS = "0" * 64
FORGOTTEN = "forgotten"
"""The table named by a line whose row was taken out because a customer asked to be forgotten."""


@dataclass(frozen=True)
class Entry:
    """One journaled row. `n` counts from 1 over the life of the workspace; `table` "void" takes back entry `row["n"]`."""

    n: int
    table: str
    row: dict[str, Any]


def _sha(previous: str, n: int, table: str, row: dict[str, Any]) -> str:
    content = json.dumps([previous, n, table, row], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


class Journal:
    """The file, read and checked once at open. `warning` says what is wrong with it, in a sentence, or is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warning = ""
        self.entries: tuple[Entry, ...] = ()
        self._last_sha = GENESIS
        self._last_n = 0
        self._read()

    @property
    def next_n(self) -> int:
        return self._last_n + 1

    def look(self) -> tuple[list[Entry], bool]:
        """Every line as it is on the disk, and whether the chain is whole; nothing is mended."""
        found: list[Entry] = []
        sha = GENESIS
        for line in self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else ():
            row = json.loads(line)
            if row["prev"] != sha or row["sha"] != _sha(sha, row["n"], row["table"], row["row"]):
                return found, False
            sha = row["sha"]
            found.append(Entry(row["n"], row["table"], row["row"]))
        return found, sha == self._last_sha

    @property
    def last(self) -> tuple[int, str]:
        """Number and hash of the newest line."""
        return self._last_n, self._last_sha

    def probe(self) -> None:
        """Raises OSError where no further line could be written: the file is not ours any more, or its disk takes nothing."""
        if self.path.exists():
            with self.path.open("ab"):
                pass
        beside = self.path.with_name(f".{self.path.name}.probe")
        with beside.open("wb") as file:
            file.write(b"." * 4_096)
            file.flush()
            os.fsync(file.fileno())
        beside.unlink(missing_ok=True)

    def append(self, rows: list[tuple[str, dict[str, Any]]]) -> list[int]:
        """Write rows as lines, flush them to the disk, and return their numbers."""
        lines, numbers = [], []
        sha, n = self._last_sha, self._last_n
        for table, row in rows:
            n += 1
            line = {"n": n, "table": table, "row": row, "prev": sha}
            sha = _sha(sha, n, table, row)
            lines.append(json.dumps(line | {"sha": sha}, ensure_ascii=False) + "\n")
            numbers.append(n)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())
        self._last_sha, self._last_n = sha, n
        return numbers

    def forget(self, meant: Callable[[str, dict[str, Any]], bool]) -> int:
        """Take out every row for which `meant(table, row)` is true; returns how many.

        Lines keep their numbers; the chain is made anew from the first line on, in a file beside that is renamed in.
        """
        before, sha, taken, lines = Journal(self.path).entries, GENESIS, 0, []
        for entry in before:
            table, row = entry.table, entry.row
            if table != FORGOTTEN and meant(table, row):
                table, row, taken = FORGOTTEN, {}, taken + 1
            line = {"n": entry.n, "table": table, "row": row, "prev": sha}
            sha = _sha(sha, entry.n, table, row)
            lines.append(json.dumps(line | {"sha": sha}, ensure_ascii=False) + "\n")
        if taken:
            _replace(self.path, "".join(lines).encode())
            self._last_sha = sha
        return taken

    def _read(self) -> None:
        if not self.path.exists():
            return
        raw = self.path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):  # a line cut short by a crash was never acknowledged: take it off
            with self.path.open("rb+") as file:
                file.truncate(whole)
        entries: list[Entry] = []
        for number, line in enumerate(raw[:whole].split(b"\n")[:-1], start=1):
            entry = self._checked(line)
            if entry is None:
                self.warning = (
                    f"The journal {self.path.name} is damaged at line {number}: what people decided from there on is "
                    "only as safe as the database. Restore the file from a backup, or keep a copy and go on.")
                self._set_aside(raw[:whole], number)
                break
            entries.append(entry)
        self.entries = tuple(entries)

    def _checked(self, line: bytes) -> Entry | None:
        try:
            found = json.loads(line)
            n, table, row = int(found["n"]), str(found["table"]), found["row"]
        except (ValueError, KeyError, TypeError):
            return None
        sha = _sha(self._last_sha, n, table, row)
        if found.get("prev") != self._last_sha or found.get("sha") != sha or n != self._last_n + 1:
            return None
        self._last_sha, self._last_n = sha, n
        return Entry(n, table, row)

    def _set_aside(self, raw: bytes, line: int) -> None:
        """Keep the damaged file whole under another name, and go on from its last good line."""
        self.path.with_name(f"{self.path.name}.damaged-at-{line}").write_bytes(raw)
        good = b"".join(part + b"\n" for part in raw.split(b"\n")[: line - 1])
        _replace(self.path, good)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
