"""Delimited text row by row: the delimiter, the quotes and the escapes found out, every row with its physical line.

Python's csv module in strict mode does the parsing, so that a broken quote is an error and never a silently swallowed half
of the file. After a broken row, reading goes on with the next physical line, so that one quote costs one row.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from studio.charsets import error_handling, head_text
from studio.errors import StudioError
from studio.sources import DELIMITERS, Line, Source, unfit, unique_names, wrong_width

LONGEST_CELL = 64 * 1024 * 1024
csv.field_size_limit(LONGEST_CELL)
NO_QUOTES = "none"
_RECORDS = 2_000
_REREAD_LINES = 500
TITLE_LINES = 12
_NOT_A_TABLE = "Save the tickets as CSV with one column for the customer's message and one for the answer."


@dataclass(frozen=True)
class Dialect:
    """How cells are kept apart. `quote` is "" where quotes mean nothing, `escape` a backslash or ""."""

    delimiter: str
    quote: str = '"'
    escape: str = ""


class _OpenQuote(Exception):
    """The text ends inside a quote; the argument is the line where that row begins."""


class _Feed(Iterator[str]):
    """Physical lines for csv.reader, counted; the lines of the record that is being read can be given back."""

    def __init__(self, name: str, file: TextIO, dialect: Dialect) -> None:
        self.passed = 0
        self.record: list[str] = []
        self.name, self._file, self._again = name, file, deque[str]()
        bare = re.escape('\\"\r\n' + dialect.quote + dialect.delimiter)
        self._escapes = re.compile(rf"\\([{bare}])|\\") if dialect.escape else None

    def __next__(self) -> str:
        text = self._again.popleft() if self._again else self._file.readline(LONGEST_CELL)
        if not text:
            raise StopIteration
        if len(text) == LONGEST_CELL:
            raise StudioError(f"Line {self.passed + 1} of {self.name} is longer than 64 million characters.",
                              "Export the tickets again; a line of a table is never that long.")
        if not self.passed:
            text = text.removeprefix("\ufeff")
        self.passed += 1
        if len(self.record) <= _REREAD_LINES:
            self.record.append(text)
        # csv drops every lone backslash; only those that stand before something special are escapes.
        return text if self._escapes is None else self._escapes.sub(_doubled, text)

    def give_back(self) -> None:
        """Read the lines of this record again, except its first; a very long record is not read twice."""
        if len(self.record) <= _REREAD_LINES:
            self._again.extendleft(reversed(self.record[1:]))
            self.passed -= len(self.record) - 1


def _doubled(found: re.Match[str]) -> str:
    return found[0] if found[1] else "\\\\"


def open_delimited(path: Path, head: bytes, encoding: str, delimiter: str = "", quote: str = "") -> Source:
    """How the file is written, and its columns; a `delimiter` or `quote` ("none" for no quotes) is taken as stated.

    Raises StudioError when it is not a table of text.
    """
    for what, mark in (("delimiter", delimiter), ("quote", "" if quote == NO_QUOTES else quote)):
        if len(mark) > 1 or mark in tuple("\r\n\\ ") or (mark and mark == (delimiter if what == "quote" else quote)):
            raise StudioError(f"{mark!r} cannot be the {what} of a table.", "Choose one character, such as a comma.")
    text, whole = head_text(head, encoding)
    header_line, text, stated = _preamble(text)
    marks = [delimiter or stated] if delimiter or stated else list(DELIMITERS)
    titles, found = _below_titles(text, whole, marks, quote)
    header_line += titles
    if found is None and re.split("[\r\n]", text, maxsplit=1)[0].count('"') % 2:
        raise _broken_header(path.name, header_line)
    if found is None:
        raise StudioError(f"{path.name} is not a table: no comma, semicolon, tab or bar separates its columns.", _NOT_A_TABLE)
    columns, header_line = _columns(path, encoding, found, header_line)
    if len(columns) < 2:
        raise StudioError(f"{path.name} is not a table: no {DELIMITERS.get(found.delimiter, found.delimiter)} separates its "
                          "columns.", _NOT_A_TABLE)
    return Source(path, "delimited", "rows", columns, encoding, found.delimiter, found.quote, escape=found.escape,
                  header_line=header_line)


def delimited_lines(source: Source) -> Iterator[Line | None]:
    """Every row after the header, None for a blank one. Raises StudioError when the file ends inside an open quote."""
    dialect = Dialect(source.delimiter, source.quote, source.escape)
    broken = 0
    with source.path.open("r", encoding=source.encoding, errors=error_handling(source.encoding), newline="") as file:
        feed = _feed(source.path.name, file, dialect, source.header_line)
        records = _records(feed, dialect)
        try:
            if source.headed:
                next(records, None)
            for line in records:
                if not line.problem and not any(cell.strip() for cell in line.cells):
                    yield None
                    continue
                checked = line if line.problem else Line(line.line, line.cells, _problem(line, source, broken))
                broken = line.line if line.problem else broken if checked.problem else 0
                yield checked
        except _OpenQuote as error:
            raise _cut(source.path.name, error.args[0]) from None


def _problem(line: Line, source: Source, broken: int) -> str:
    if len(line.cells) != len(source.columns):
        return wrong_width(len(line.cells), len(source.columns))
    if broken and source.quote and any(source.quote in cell for cell in line.cells):
        return f"may be the rest of the broken row at line {broken}"
    return unfit(line.cells, "holds bytes that are not UTF-8")


def _records(feed: _Feed, dialect: Dialect) -> Iterator[Line]:
    """Every record with the line it begins on; one with broken quotes has a problem and its first line for a cell."""
    reader = csv.reader(feed, delimiter=dialect.delimiter, quotechar=dialect.quote or None, escapechar=dialect.escape or None,
                        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE, strict=True)
    while True:
        begins, feed.record = feed.passed + 1, []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise _OpenQuote(begins) from None
            if "field limit" in str(error):
                raise StudioError(f"The row beginning at line {begins} of {feed.name} has a cell of more than 64 million "
                                  "characters: a quote in it is probably never closed.",
                                  f"Close the quote near line {begins}.") from None
            ends = feed.passed
            feed.give_back()
            lost = f"lines {begins} to {ends}, " if ends > begins and feed.passed == ends else ""
            yield Line(begins, (feed.record[0].rstrip("\r\n"),), f"broken quotes ({lost}{error})")
            continue
        yield Line(begins, tuple(cells))


def _feed(name: str, file: TextIO, dialect: Dialect, header_line: int) -> _Feed:
    feed = _Feed(name, file, dialect)
    for _ in islice(feed, header_line - 1):
        pass
    return feed


def _cut(name: str, line: int) -> StudioError:
    return StudioError(f"{name} ends inside a quoted cell that belongs to the row beginning at line {line}: "
                       "the file was cut off, or a quote in that row is never closed.",
                       f"Export the file again, or close the quote near line {line}, and import it once more.")


def _broken_header(name: str, line: int) -> StudioError:
    return StudioError(f"{name} has a broken header: a quote in line {line} is never closed.",
                       "Mend the first line of the file and import it again.")


def _columns(path: Path, encoding: str, dialect: Dialect, header_line: int) -> tuple[tuple[str, ...], int]:
    with path.open("r", encoding=encoding, errors=error_handling(encoding), newline="") as file:
        try:
            for line in _records(_feed(path.name, file, dialect, header_line), dialect):
                if line.problem:
                    raise _OpenQuote(line.line)
                if any(cell.strip() for cell in line.cells):
                    return unique_names(line.cells), line.line
        except _OpenQuote as error:
            raise _broken_header(path.name, error.args[0]) from None
    return (), header_line


def _preamble(text: str) -> tuple[int, str, str]:
    """A first line `sep=;` is what Excel writes to state the delimiter: (line of the header, text from there, delimiter)."""
    stated = re.match(r'"?sep=([^\r\n])"?(\r\n|\r|\n)', text, re.IGNORECASE)
    return (2, text[stated.end():], stated[1]) if stated else (1, text, "")


def _below_titles(text: str, whole: bool, marks: list[str], quote: str) -> tuple[int, Dialect | None]:
    """(lines of title above the header, the dialect from there on): reports begin with their name and date.

    The first line is the header where it has more than one cell that is filled. Else it is the first line below it that has
    and is as wide as nine tenths of the rows under it, five at least: prose has commas too.
    """
    first = detect(text, whole, marks, quote)
    if first is not None and _filled(text, first) > 1:
        return 0, first
    rest = text
    for passed in range(1, TITLE_LINES + 1):
        rest = rest[len(io.StringIO(rest, newline="").readline()):]
        found = detect(rest, whole, marks, quote)
        if found is not None and _filled(rest, found) > 1:
            widths = _rate(rest, whole, found).widths
            if sum(width == widths[0] for width in widths[1:]) >= max(5, 0.9 * (len(widths) - 1)):
                return passed, found
    return 0, first


def _filled(text: str, dialect: Dialect) -> int:
    """Cells that are not blank in the first record that is not."""
    try:
        records = _records(_Feed("", io.StringIO(text, newline=""), dialect), dialect)
        return next((filled for line in records if (filled := sum(bool(cell.strip()) for cell in line.cells))), 0)
    except _OpenQuote:
        return 0


def detect(text: str, whole: bool, marks: list[str], quote: str = "") -> Dialect | None:
    """The dialect under which most of the first records are as wide as the header; None where no mark splits the header.

    `whole` says that `text` is the whole file, so that a quote still open at its end is a broken one.
    """
    quotes = ["" if quote == NO_QUOTES else quote] if quote else ['"', "'", ""]
    escapes = ["", "\\"] if "\\" in text else [""]
    best, best_score = None, 0.0
    for mark in marks:
        usual = _rate(text, whole, Dialect(mark, quotes[0]))
        for dialect in (Dialect(mark, sign, escape) for sign in quotes for escape in escapes):
            rating = _rate(text, whole, dialect)
            as_good = dialect.quote == "'" and not dialect.escape and _is_wrapped(usual)
            better = rating.score - best_score > (-1e-9 if as_good else 1e-9)
            if better and (dialect.quote == quotes[0] or _speaks_for(dialect, rating, usual)):
                best, best_score = dialect, rating.score
    return best or (Dialect(marks[0], quotes[0]) if len(marks) == 1 else None)


@dataclass(frozen=True)
class _Rating:
    """`score` from 0 to 1 grows with the share of records as wide as the header, and with that width; `widths` are theirs.

    `single` and `double` count the cells that begin and end with such a quote after parsing; `cells` all that are not blank.
    """

    score: float
    widths: list[int]
    broken: int
    cells: int
    single: int
    double: int


def _rate(text: str, whole: bool, dialect: Dialect) -> _Rating:
    widths: list[int] = []
    cells: list[str] = []
    broken = 0
    try:
        for line in islice(_records(_Feed("", io.StringIO(text, newline=""), dialect), dialect), _RECORDS):
            broken += bool(line.problem)
            if line.problem or any(cell.strip() for cell in line.cells):
                widths.append(0 if line.problem else len(line.cells))
                if widths[0] < 2:
                    break
                cells += () if line.problem else line.cells
    except _OpenQuote:
        broken += whole
        widths += [0] * whole
    ends = [cell[0] + cell[-1] for cell in cells if len(cell) > 1]
    return _Rating(_score(widths), widths, broken, sum(map(bool, cells)), ends.count("''"), ends.count('""'))


def _score(widths: list[int]) -> float:
    """A header that no record matches counts for little, and after four records for nothing."""
    if not widths or widths[0] < 2:
        return 0.0
    same = sum(width == widths[0] for width in widths[1:])
    if not same and len(widths) > 4:
        return 0.0
    return max(0.01, same / (len(widths) - 1) if len(widths) > 1 else 1.0) * (1 - 1 / widths[0])


def _is_wrapped(usual: _Rating) -> bool:
    return usual.single * 2 >= usual.cells


def _speaks_for(dialect: Dialect, rating: _Rating, usual: _Rating) -> bool:
    """Whether the sample speaks for another quote than the usual one: cells stand in it, or the usual one only breaks.

    Commas and semicolons come with quotes, so that there a few broken ones are broken; tabs and bars often come without.
    """
    if dialect.quote == "'":
        return not rating.broken and usual.single > max(1, rating.double)
    return usual.broken > max(9 if dialect.delimiter in ",;" else 1, rating.double)
