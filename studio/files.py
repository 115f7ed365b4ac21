"""Any help desk's export, row by row: what kind of file it is, how it is written, and every row with its place.

The door to the readers: `open_source` looks at a file, `lines` reads it in constant memory, `expand` turns folders into
files. Nothing in a file is executed, evaluated or followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from studio import charsets, delimited, parquet, spreadsheets, structured
from studio.errors import StudioError
from studio.sources import Line, Lines, Source

__all__ = ["SUFFIXES", "Line", "Lines", "Source", "expand", "lines", "open_source"]

SUFFIXES = (".csv", ".tsv", ".tab", ".psv", ".txt", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".json", ".jsonl", ".ndjson",
            ".parquet", ".pq")
"""What a folder is searched for. The spreadsheets that cannot be read are among them, so that they are not passed over."""
_KINDS = "CSV, Excel, JSON, JSONL or Parquet"


def open_source(path: Path, *, encoding: str = "", delimiter: str = "", quote: str = "", sheet: str = "") -> Source:
    """Find out how the file is written; an argument that is not empty is taken as stated (`quote="none"`: no quotes).

    Raises StudioError with one clear sentence when the file cannot be read as rows.
    """
    head = _head(path)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise spreadsheets.refuse_old(path, head)
    if head.startswith(b"PK\x03\x04"):
        return spreadsheets.open_excel(path, sheet)
    if head.startswith(b"PAR1"):
        return parquet.open_parquet(path)
    codec = charsets.encoding_of(path, head, encoding)
    kind = "" if delimiter or quote else structured.structured_kind(path, charsets.head_text(head, codec)[0])
    if kind:
        return structured.open_json(path, codec) if kind == "json" else structured.open_jsonl(path, codec)
    return delimited.open_delimited(path, head, codec, delimiter, quote)


def lines(source: Source) -> Lines:
    """Every row after the header that is not blank, in constant memory; `.blank` counts the blank ones passed over so far.

    A row that cannot be used has a `problem`. Raises StudioError when the file cannot be read to its end.
    """
    return Lines(source.path, _rows(source))


def _rows(source: Source) -> Iterator[Line | None]:
    read = {"delimited": delimited.delimited_lines, "excel": spreadsheets.excel_lines, "json": structured.json_lines,
            "jsonl": structured.jsonl_lines, "parquet": parquet.parquet_lines}
    return read[source.kind](source)


def expand(paths: Sequence[Path]) -> list[Path]:
    """The files meant: each file, and a folder's files of known kinds at any depth, sorted; hidden ones left out, none twice.

    Raises StudioError when a path does not exist or nothing is left.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise StudioError(f"There is no file {path}.", "Check the path, or upload the file instead.")
        for file in [path] if path.is_file() else _inside(path):
            found.setdefault(file.resolve(), file)
    if not found:
        names = ", ".join(str(path) for path in paths) or "nothing chosen"
        raise StudioError(f"There is no file of tickets in {names}.", f"Choose files that are {_KINDS}.")
    return list(found.values())


def own_name(uploaded: str, otherwise: str) -> str:
    """An uploaded file's name without any folders, whichever system it comes from."""
    return Path(uploaded.replace("\\", "/")).name or otherwise


def _inside(folder: Path) -> list[Path]:
    files: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(here) / name for name in names if not name.startswith((".", "~$")) and name.lower().endswith(SUFFIXES)]
    return sorted(file for file in files if file.is_file())


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise StudioError(f"There is no file {path}.", "Check the path, or upload the file instead.")
    try:
        with path.open("rb") as file:
            head = file.read(charsets.HEAD_BYTES)
    except OSError as error:
        raise StudioError(f"{path.name} cannot be opened: {error.strerror}.", "Check who may read it.") from None
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
        raise StudioError(f"{path.name} is empty.", "Export the tickets again and choose that file.")
    return head
