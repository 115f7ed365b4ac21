"""JSON and JSONL as rows, in constant memory: a first pass learns every key there is, a second one reads.

A .json file may be a list of objects, or an object that holds such lists, of which the longest is taken. Numbers keep the
text they have in the file. What JSON does not know (NaN, Infinity) is refused, as is nesting without end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from studio.charsets import error_handling
from studio.errors import StudioError
from studio.sources import BROKEN, Line, Source, unfit
from studio.turns import NotUsable, Survey, cells_of, is_conversation

_READ_CHARACTERS = 1 << 20
_LONGEST = 256 * 1024 * 1024
_EXCERPT = 300
_WANTED = "One object a ticket is needed: a list of them in a .json file, or one on each line of a .jsonl file."


class _Number(float):
    """A number with a fraction, and how it is written in the file."""

    def __new__(cls, text: str) -> _Number:
        found = super().__new__(cls, text)
        found.text = text
        return found

    text: str

    def __str__(self) -> str:
        return self.text


def _no_number(word: str) -> float:
    raise NotUsable(f"holds {word}, which is not JSON")


_DECODER = json.JSONDecoder(parse_float=_Number, parse_constant=_no_number)


def structured_kind(path: Path, text: str) -> str:
    """"json", "jsonl" or "": what the first 256 KiB of a text file and its name show it to be."""
    named = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(path.suffix.lower(), "")
    text = text.lstrip()
    first, _, rest = text.partition("\n")
    found = _parsed(first)
    if isinstance(found, dict):
        # One object alone in a .json file is a ticket where it holds turns, else an envelope around a list.
        envelope = named == "json" and not rest.strip() and not any(map(is_conversation, found.values()))
        return "json" if envelope else "jsonl"
    if text.startswith("["):
        several = named == "jsonl" and isinstance(found, list) and rest.strip()
        return "jsonl" if several else "json" if named or text[1:].lstrip().startswith("{") else ""
    return named


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def open_jsonl(path: Path, encoding: str) -> Source:
    """Columns and form of a file with an object on each line. Raises StudioError when no line holds one."""
    survey, reason = Survey(), ""
    for line, found in _objects(path, encoding):
        if isinstance(found, Line):
            reason = reason or f"line {line} is {found.problem}"
        elif found is not None:
            _add(path, survey, found)
    if not survey.rows:
        raise StudioError(f"{path.name} holds no JSON objects: {reason}.", _WANTED)
    return Source(path, "jsonl", survey.form, survey.columns, encoding, turns_at=survey.turns_at)


def jsonl_lines(source: Source) -> Iterator[Line | None]:
    """One row a line, None for a blank one; a line that is no object has the reason and the column."""
    for line, found in _objects(source.path, source.encoding):
        yield found if found is None or isinstance(found, Line) else _line(source, line, found)


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any] | Line | None]]:
    with _opened(path, encoding) as file:
        line = 0
        while text := file.readline(_LONGEST):
            line += 1
            if len(text) == _LONGEST:
                raise StudioError(f"Line {line} of {path.name} is longer than 256 million characters.", _WANTED)
            yield line, _object(line, text.removeprefix("\ufeff") if line == 1 else text)


def _object(line: int, text: str) -> dict[str, Any] | Line | None:
    if not text.strip():
        return None
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return Line(line, (text[:_EXCERPT].rstrip(),), f"not JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return Line(line, (text[:_EXCERPT].rstrip(),), _why(error))
    return found if isinstance(found, dict) else Line(line, (text[:_EXCERPT].rstrip(),), "not a JSON object")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) if isinstance(error, NotUsable) else "holds a number of too many digits"


def _line(source: Source, line: int, row: dict[str, Any]) -> Line | None:
    try:
        cells = cells_of(row, source.columns, source.turns_at)
    except (NotUsable, RecursionError, ValueError) as error:
        return Line(line, (_excerpt(row),), _why(error))
    return Line(line, cells, unfit(cells, BROKEN)) if any(cell.strip() for cell in cells) else None


def _excerpt(row: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {value}"[:80] for key, value in list(row.items())[:5] if not isinstance(value, dict | list))


def _add(path: Path, survey: Survey, row: dict[str, Any]) -> None:
    try:
        survey.add(row)
    except NotUsable as error:
        raise StudioError(f"{path.name} is not a list of tickets: {error}.", _WANTED) from None


def _opened(path: Path, encoding: str) -> TextIO:
    return path.open("r", encoding=encoding, errors=error_handling(encoding))


def open_json(path: Path, encoding: str) -> Source:
    """The longest list of objects in the file, its columns and form. Raises StudioError with line and column, or none found."""
    surveys: dict[str, Survey] = {}
    for key, _, value in _Walk(path, encoding).elements():
        survey = surveys.setdefault(key, Survey())
        if isinstance(value, dict):
            _add(path, survey, value)
    key = max(surveys, key=lambda name: surveys[name].rows, default="")
    if key not in surveys or not surveys[key].rows:
        raise StudioError(f"{path.name} holds no list of objects.", _WANTED)
    survey = surveys[key]
    return Source(path, "json", survey.form, survey.columns, encoding, rows_at=key, turns_at=survey.turns_at)


def json_lines(source: Source) -> Iterator[Line | None]:
    """One row an element of the list, None for an empty one."""
    for key, number, value in _Walk(source.path, source.encoding).elements():
        if key == source.rows_at:
            yield (_line(source, number, value) if isinstance(value, dict)
                   else Line(number, (str(value)[:_EXCERPT],), "not a JSON object"))


class _Walk:
    """Walks through a JSON text piece by piece, holding one element at a time."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        self._file: TextIO
        self._text, self._place, self._ended = "", 0, False
        self._lines, self._columns = 1, 0

    def elements(self) -> Iterator[tuple[str, int, Any]]:
        """Every element of the list, or of every list in the object: (the list's key, the element's number from 1, it)."""
        with _opened(self._path, self._encoding) as self._file:
            if self._peek() == "[":
                yield from self._list("", Counter())
            elif self._peek() == "{":
                yield from self._lists()
            else:
                raise self._wrong("neither a list nor an object begins here")
            if self._peek():
                raise self._wrong("the JSON text should end here")

    def _lists(self) -> Iterator[tuple[str, int, Any]]:
        numbers: Counter[str] = Counter()
        for _ in self._parts("{", "}"):
            key = self._value() if self._peek() == '"' else ""
            if not isinstance(key, str) or self._peek() != ":":
                raise self._wrong('a key in double quotes and ":" are expected here')
            self._place += 1
            if self._peek() == "[":
                yield from self._list(key, numbers)
            else:
                self._value()

    def _list(self, key: str, numbers: Counter[str]) -> Iterator[tuple[str, int, Any]]:
        for _ in self._parts("[", "]"):
            numbers[key] += 1
            yield key, numbers[key], self._value()

    def _parts(self, begin: str, end: str) -> Iterator[None]:
        """Stands before each part between the brackets; the consumer takes the part."""
        self._place += len(begin)
        if self._peek() == end:
            self._place += 1
            return
        while True:
            yield
            mark = self._peek()
            if mark not in (",", end):
                raise self._wrong(f'"," or "{end}" is expected here')
            self._place += 1
            if mark == end:
                return

    def _peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in " \t\r\n\ufeff":
                    return self._text[self._place]
                self._place += 1
            if self._ended:
                return ""
            self._read()

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._text) - 16
                if self._ended or not cut:
                    self._place = error.pos
                    never = error.msg.startswith("Unterminated")
                    raise self._wrong("the text that begins here never ends" if never else error.msg.lower()) from None
            except (ValueError, RecursionError) as error:
                raise self._wrong(f"what begins here {'is ' * isinstance(error, RecursionError)}{_why(error)}") from None
            else:
                if end < len(self._text) or self._ended:
                    self._place = end
                    return value
            self._read()

    def _read(self) -> None:
        """Let go of what was passed, and read on: each time as much again as is held, so that long elements stay cheap."""
        passed = self._text[: self._place]
        self._lines += passed.count("\n")
        self._columns = len(passed) - passed.rfind("\n") - 1 if "\n" in passed else self._columns + len(passed)
        held = self._text[self._place:]
        if len(held) > _LONGEST:
            raise self._wrong("what begins here is longer than 256 million characters")
        more = self._file.read(max(_READ_CHARACTERS, len(held)))
        self._text, self._place, self._ended = held + more, 0, not more

    def _wrong(self, what: str) -> StudioError:
        before = self._text[: self._place]
        line = self._lines + before.count("\n")
        column = len(before) - before.rfind("\n") if "\n" in before else self._columns + len(before) + 1
        return StudioError(f"{self._path.name} is not valid JSON: line {line}, column {column}: {what}.",
                           "Export the file again, or mend it there.")
