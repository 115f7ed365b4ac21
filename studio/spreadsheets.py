"""Excel workbooks as rows of text: stored values only, no formula is evaluated, no macro run, no link followed.

The header is the first row of the sheet with two cells that are not blank; what stands above it is a title. A formula whose
value was never stored has none: its row is refused, not read as empty.
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.sources import BROKEN, Line, Source, as_text, unfit, unique_names, wrong_width

_MOST_BYTES = 2 * 1024**3
_MOST_STRINGS = 512 * 1024**2
_MOST_ROWS = 1_048_576
_LOOK_ROWS = 50
_SAVE = 'Open it and save it as "Excel workbook (.xlsx)" or as "CSV UTF-8".'

Cells = tuple[Any, ...]


def refuse_old(path: Path, head: bytes) -> StudioError:
    """The sentence for the file format before 2007, which passwords still use."""
    if "EncryptedPackage".encode("utf-16-le") in head or _holds(path, "EncryptedPackage".encode("utf-16-le")):
        return StudioError(f"{path.name} is protected with a password.", "Open it, take the password off, and save it again.")
    return StudioError(f"{path.name} is in a format from before Excel 2007 (.xls), which is not read.", _SAVE)


def open_excel(path: Path, sheet: str = "") -> Source:
    """The columns of a sheet: `sheet`, or the first one with a table. Raises StudioError where there is none."""
    _check_archive(path)
    with _book(path) as book:
        names = tuple(found.title for found in book.worksheets)
        if sheet and sheet not in names:
            raise StudioError(f"{path.name} has no sheet '{sheet}'.", f"Its sheets are: {', '.join(names)}.")
        found = [(name, *_table(book[name])) for name in ([sheet] if sheet else names)]
    if not any(columns for _, columns, _ in found):
        where = f"sheet '{sheet}' of {path.name}" if sheet else path.name
        raise StudioError(f"{where} is not a table: no row has two cells.", "Choose a sheet with a header and a row a ticket.")
    name, columns, _ = max(found, key=lambda each: (each[2], bool(each[1])))
    return Source(path, "excel", "rows", columns, sheet=name, sheets=names)


def excel_lines(source: Source) -> Iterator[Line | None]:
    """Every row below the header, None for a blank one, numbered as in the sheet."""
    formulas = _holds_formulas(source.path)
    with _book(source.path) as book:
        rows = _rows(book[source.sheet])
        header = next((line for line, row in rows if _is_header(row)), 0)
        if not formulas:
            for line, row in rows:
                yield _line(line, row, len(source.columns))
            return
        with _book(source.path, stored=False) as written:
            below = itertools.islice(_rows(written[source.sheet]), header, None)
            for (line, row), (_, formula) in zip(rows, below, strict=False):
                yield _line(line, row, len(source.columns), _without_value(row, formula))


def _line(line: int, row: Cells, width: int, problem: str = "") -> Line | None:
    texts = tuple(map(_text, row))
    if not problem and not any(map(str.strip, texts)):
        return None
    wide = len(texts)
    while wide > width and not texts[wide - 1].strip():
        wide -= 1
    cells = (*texts[:wide], *[""] * (width - wide))
    if wide > width:
        return Line(line, cells, wrong_width(wide, width))
    return Line(line, cells, problem or unfit(cells, BROKEN))


def _without_value(row: Cells, formulas: Cells) -> str:
    for place, (value, formula) in enumerate(itertools.zip_longest(row, formulas), start=1):
        if value is None and formula is not None:
            return f"the formula in cell {place} has no stored value"
    return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        if "_x" not in value:
            return value
        from openpyxl.utils.escape import unescape

        return str(unescape(value))
    return value.isoformat() if isinstance(value, time) or type(value) is date else as_text(value)


def _table(sheet: Any) -> tuple[tuple[str, ...], bool]:
    """The columns of a sheet, and whether a row stands below them; () where no row has two cells."""
    rows = itertools.islice(_rows(sheet), _LOOK_ROWS)
    header = next((row for _, row in rows if _is_header(row)), ())
    texts = [_text(cell) for cell in header]
    while texts and not texts[-1].strip():
        texts.pop()
    return unique_names(texts), any(_text(cell).strip() for _, row in rows for cell in row)


def _is_header(row: Cells) -> bool:
    return sum(bool(_text(cell).strip()) for cell in row) > 1


def _rows(sheet: Any) -> Iterator[tuple[int, Cells]]:
    """Rows with their numbers. The size that the sheet claims is not believed: exporters write wrong ones."""
    sheet.reset_dimensions()
    return itertools.islice(enumerate(sheet.iter_rows(values_only=True), start=1), _MOST_ROWS)


@contextmanager
def _book(path: Path, stored: bool = True) -> Iterator[Any]:
    """The workbook, read row by row. openpyxl meets a damaged file with whatever error comes first; here it gets words."""
    import openpyxl

    book = None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=stored, keep_links=False)
        yield book
    except (StudioError, GeneratorExit):
        raise
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise StudioError(f"{path.name} is a damaged Excel file ({reason}).", _SAVE) from error
    finally:
        if book is not None:
            book.close()


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            protected = any(entry.flag_bits & 1 for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise StudioError(f"{path.name} is an archive or a damaged spreadsheet, not a CSV file.", _SAVE) from None
    if protected:
        raise StudioError(f"{path.name} is protected with a password.", "Take the password off, and save it again.")
    if "xl/workbook.xml" not in sizes:
        kind = "a binary workbook (.xlsb)" if "xl/workbook.bin" in sizes else "an archive or another kind of document"
        raise StudioError(f"{path.name} is {kind}, not a CSV file or an Excel workbook.", _SAVE)
    if sum(sizes.values()) > _MOST_BYTES or sizes.get("xl/sharedStrings.xml", 0) > _MOST_STRINGS:
        raise StudioError(f"{path.name} would unpack to {sum(sizes.values()) / 1024**3:.1f} GB, more than a workbook may.",
                          "Save the sheet as CSV and import that file.")


def _holds_formulas(path: Path) -> bool:
    """Whether any sheet has a formula; where none has, one pass over the rows is enough."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with archive.open(name) as file:
                    last = b""
                    while chunk := file.read(1 << 20):
                        if b"<f>" in last + chunk or b"<f " in last + chunk or b":f>" in last + chunk:
                            return True
                        last = chunk[-2:]
    return False


def _holds(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        last = b""
        while chunk := file.read(1 << 20):
            if mark in last + chunk:
                return True
            last = chunk[-len(mark):]
    return False
