"""Read a delimited text file row by row: encoding, delimiter, line numbers, and a sentence for everything that is wrong.

Pure: knows nothing of the workspace. Python's csv module in strict mode does the parsing, so that a broken quote is an
error and never a silently swallowed half of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
csv.field_size_limit(64 * 1024 * 1024)


@dataclass(frozen=True)
class Line:
    """One row of the file. `line` is the physical line it begins on, from 1; `problem` says why it cannot be used."""

    line: int
    cells: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """A readable file: its columns, how it is written, and where it lies."""

    path: Path
    columns: tuple[str, ...]
    encoding: str
    delimiter: str

    @property
    def written_as(self) -> str:
        names = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}
        return f"{names[self.encoding]}, {DELIMITERS[self.delimiter]}-separated"


def open_table(path: Path) -> Table:
    """Find out how the file is written. Raises StudioError with one clear sentence when it is not a table of text."""
    head = _head(path)
    encoding = _encoding(path, head)
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    delimiter = _delimiter(text)
    columns = _columns(path, encoding, delimiter)
    if len(columns) < 2:
        raise StudioError(f"{path.name} is not a table: no comma, semicolon, tab or bar separates its columns.",
                          "Save the tickets as CSV with one column for the customer's message and one for the answer.")
    return Table(path, columns, encoding, delimiter)


def lines(table: Table) -> Iterator[Line]:
    """Every row after the header that is not blank. Raises StudioError when the file ends inside an open quote."""
    with table.path.open("r", encoding=table.encoding, newline="") as file:
        reader = csv.reader(file, delimiter=table.delimiter, strict=True)
        next(reader)
        while True:
            begins = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "end of data" in str(error):
                    raise _open_quote(table.path.name, begins) from None
                yield Line(begins, (), f"broken quotes ({error})")
                continue
            if any(cell.strip() for cell in cells):
                yield Line(begins, tuple(cells), _problem(cells, table))


def _problem(cells: list[str], table: Table) -> str:
    if len(cells) != len(table.columns):
        return f"{len(cells)} cells where the header has {len(table.columns)}"
    return "holds NUL bytes" if any("\0" in cell for cell in cells) else ""


def _open_quote(name: str, line: int) -> StudioError:
    return StudioError(f"{name} ends inside a quoted cell that belongs to the row beginning at line {line}: "
                       "the file was cut off, or a quote in that row is never closed.",
                       f"Export the file again, or close the quote near line {line}, and import it once more.")


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise StudioError(f"There is no file {path}.", "Check the path, or upload the file instead.")
    with path.open("rb") as file:
        head = file.read(256 * 1024)
    if not head.strip():
        raise StudioError(f"{path.name} is empty.", "Export the tickets again and choose that file.")
    return head


def _encoding(path: Path, head: bytes) -> str:
    """UTF-8 with or without its mark, else Windows-1252 (what spreadsheets write); anything else is refused in words."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or _looks_utf16(head):
        raise StudioError(f"{path.name} is saved as UTF-16.",
                          'Save it again as "CSV UTF-8" and import that file.')
    if head[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise StudioError(f"{path.name} is a spreadsheet or an archive, not a CSV file.",
                          'Open it and save the sheet as "CSV UTF-8".')
    if head[:4] in (b"\x89PNG", b"%PDF", b"\xff\xd8\xff\xe0", b"PAR1") or _share_of_controls(head) > 0.02:
        raise StudioError(f"{path.name} is not a text file.", "Choose a CSV file of tickets.")
    try:
        with path.open("r", encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp1252" if _decodes(path, "cp1252") else _not_text(path)
    return "utf-8-sig"


def _looks_utf16(head: bytes) -> bool:
    sample = head[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    return len(sample) > 8 and max(even, odd) > len(sample) // 5 and min(even, odd) < max(even, odd) // 8


def _share_of_controls(head: bytes) -> float:
    sample = head[:4096]
    return sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in sample) / len(sample)


def _decodes(path: Path, encoding: str) -> bool:
    try:
        path.read_bytes().decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _not_text(path: Path) -> str:
    raise StudioError(f"{path.name} is neither UTF-8 nor Windows-1252 text.", 'Save it again as "CSV UTF-8".')


def _delimiter(text: str) -> str:
    """The separator that splits the header into most cells."""
    widths = {mark: len(next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), [])) for mark in DELIMITERS}
    return max(widths, key=lambda mark: widths[mark])


def _columns(path: Path, encoding: str, delimiter: str) -> tuple[str, ...]:
    """Header names, made unique: a blank one becomes `column 3`, a repeated one gets its place added."""
    with path.open("r", encoding=encoding, newline="") as file:
        try:
            header = next(csv.reader(file, delimiter=delimiter, strict=True), [])
        except csv.Error:
            raise StudioError(f"{path.name} has a broken header: a quote in line 1 is never closed.",
                              "Mend the first line of the file and import it again.") from None
    names: list[str] = []
    for place, cell in enumerate(header, start=1):
        name = cell.replace("\0", "").strip() or f"column {place}"
        names.append(name if name not in names else f"{name} ({place})")
    return tuple(names)
