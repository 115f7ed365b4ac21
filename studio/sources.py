"""What every kind of file is read into: a source that says how it is written, and lines of cells of text.

Pure words and shapes; the readers are `studio.delimited`, `studio.structured`, `studio.parquet` and `studio.spreadsheets`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from studio.errors import StudioError

Kind = Literal["delimited", "excel", "json", "jsonl", "parquet"]
Form = Literal["rows", "messages", "sharegpt", "alpaca", "prompt_completion"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", ":": "colon", "^": "caret", "~": "tilde"}
KIND_NAMES = {"excel": "Excel", "json": "JSON", "jsonl": "JSONL", "parquet": "Parquet"}
FORM_NAMES = {"rows": "", "messages": "chat messages", "sharegpt": "ShareGPT conversations", "alpaca": "Alpaca instructions",
              "prompt_completion": "prompts and completions"}
ENCODING_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16",
                  "utf-32": "UTF-32", "cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251",
                  "cp1253": "Windows-1253", "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256",
                  "cp1257": "Windows-1257", "koi8_r": "KOI8-R", "cp932": "Shift JIS", "euc_jp": "EUC-JP",
                  "gb18030": "GB 18030", "big5": "Big5", "cp949": "Korean (949)", "latin-1": "Latin-1"}
BROKEN = "holds a broken character"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Line:
    """One row of a file. `problem` says why it cannot be used; `cells` may then be of another length, for an excerpt.

    `line` is where the row begins: the physical line from 1 (delimited, JSONL), the row of the sheet from 1 with the header
    (Excel), the number of the row or element from 1 (Parquet, JSON).
    """

    line: int
    cells: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """A readable file: how it is written, its columns (all different), what was recognised in it.

    In the forms "messages" and "sharegpt" the column `messages` holds JSON [{"role", "content"}, …]. `encoding` is Python's
    name of the codec. `escape` is a backslash where one stands before quotes inside cells, `header_line` the physical line
    on which the header begins (where it is `headed` at all); for delimited files only.
    """

    path: Path
    kind: Kind
    form: Form
    columns: tuple[str, ...]
    encoding: str = ""
    delimiter: str = ""
    quote: str = ""
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    escape: str = ""
    header_line: int = 1
    headed: bool = True
    rows_at: str = ""
    turns_at: str = ""

    @property
    def written_as(self) -> str:
        """In words: "UTF-8, comma-separated", "Excel, sheet 'Tickets'", "JSONL, chat messages"."""
        if self.kind == "delimited":
            marks = {'"': "", "'": ", single quotes", "": ", no quotes"}.get(self.quote, f", quoted with {self.quote}")
            mark = DELIMITERS.get(self.delimiter, repr(self.delimiter))
            escapes = ", backslash escapes" if self.escape else ""
            below = f", column names in line {self.header_line}" if self.header_line > 1 and self.headed else ""
            return f"{encoding_name(self.encoding)}, {mark}-separated{marks}{escapes}{below}"
        parts = (KIND_NAMES[self.kind], f"sheet '{self.sheet}'" if self.sheet else "",
                 f"list '{self.rows_at}'" if self.rows_at else "", FORM_NAMES[self.form],
                 "" if self.encoding in ("", "utf-8", "utf-8-sig") else encoding_name(self.encoding))
        return ", ".join(part for part in parts if part)


class Lines(Iterator[Line]):
    """The rows of a source, one after the other; `blank` counts the blank rows that were passed over so far.

    Raises StudioError when the file cannot be read to its end, with the place.
    """

    def __init__(self, path: Path, rows: Iterator[Line | None]) -> None:
        self.blank = 0
        self._path = path
        self._rows = rows

    def __next__(self) -> Line:
        try:
            while (line := next(self._rows)) is None:
                self.blank += 1
        except UnicodeDecodeError:
            raise StudioError(f"{self._path.name} changed while it was read.", "Import it again.") from None
        return replace(line, cells=tuple([_SURROGATE.sub("\ufffd", cell) for cell in line.cells])) if line.problem else line


def encoding_name(codec: str) -> str:
    """The name people know a codec by."""
    return ENCODING_NAMES.get(codec, codec)


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Column names, made unique: a blank one becomes `column 3`, a repeated one gets its place added."""
    names: dict[str, None] = {}
    for place, cell in enumerate(cells, start=1):
        name = clean_name(cell) or f"column {place}"
        while name in names:
            name = f"{name} ({place})"
        names[name] = None
    return tuple(names)


def clean_name(cell: str) -> str:
    """A header cell without what no name may hold."""
    return _SURROGATE.sub("?", cell.replace("\0", "")).strip()


def wrong_width(cells: int, width: int) -> str:
    """The reason of a row that is not as wide as the header."""
    return f"{cells} cell{'s' * (cells != 1)} where the header has {width}"


def unfit(cells: Sequence[str], broken: str) -> str:
    """Why these cells cannot be stored as text, "" where they can; `broken` is said of characters that are none."""
    text = "".join(cells)
    if "\0" in text:
        return "holds NUL bytes"
    return "" if text.isascii() or not _SURROGATE.search(text) else broken


def as_text(value: Any) -> str:
    """A cell's text: "" for nothing, "true" and "false", integers without ".0", ISO times, lists and objects as JSON."""
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() else repr(value)) if type(value) is float else str(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return json.dumps(value, ensure_ascii=False, default=as_text) if isinstance(value, dict | list | tuple) else str(value)
