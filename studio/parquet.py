"""Parquet files as rows of text, batch by batch. Lists and structs become JSON; a column of turns becomes `messages`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.sources import BROKEN, Line, Source, as_text, clean_name, unfit
from studio.turns import COLUMN, NotUsable, Survey, conversation

_BATCH_ROWS = 256
_AGAIN = "Export the table again and choose that file."


def open_parquet(path: Path) -> Source:
    """Columns and form of the table. Raises StudioError when the file is damaged or holds no rows."""
    names = _names(path)
    survey = Survey()
    for batch in _batches(path):
        for row in batch:
            shapes = [value if isinstance(value, list) or value is None else "" for value in row]
            survey.add(dict(zip(names, shapes, strict=True)))
        break
    if not survey.rows:
        raise StudioError(f"{path.name} has columns but no rows.", _AGAIN)
    at = survey.turns_at
    columns = tuple(COLUMN if name == at else "messages (2)" if at and name == COLUMN else name for name in names)
    return Source(path, "parquet", survey.form, columns, turns_at=at)


def parquet_lines(source: Source) -> Iterator[Line | None]:
    """Every row, None for an empty one, numbered from 1."""
    at = source.columns.index(COLUMN) if source.turns_at else -1
    number = 0
    for batch in _batches(source.path):
        for row in batch:
            number += 1
            yield _line(number, row, at)


def _line(number: int, row: tuple[Any, ...], at: int) -> Line | None:
    try:
        cells = tuple([conversation(value) if place == at else _text(value) for place, value in enumerate(row)])
    except (NotUsable, RecursionError) as error:
        excerpt = tuple([str(value)[:80] for value in row[:5] if isinstance(value, str | int)])
        return Line(number, excerpt, str(error) if isinstance(error, NotUsable) else "nested too deeply")
    return Line(number, cells, unfit(cells, BROKEN)) if any(cell.strip() for cell in cells) else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise NotUsable("holds bytes that are not text") from None
    return "" if value == [] else as_text(value)


def _names(path: Path) -> list[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        found = [clean_name(name) for name in parquet.read_schema(path).names]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None
    names: list[str] = []
    for place, name in enumerate(found, start=1):
        names.append(f"{name or 'column'} {place}" if not name or name in names else name)
    return names


def _batches(path: Path) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Rows as tuples of Python values, a batch at a time."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield zip(*(_values(column) for column in batch.columns), strict=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _values(column: Any) -> list[Any]:
    """A column's values; floats of half precision with the digits they were written with."""
    import pyarrow

    if pyarrow.types.is_float32(column.type) or pyarrow.types.is_float16(column.type):
        return [None if value is None else float(str(value)) for value in column.to_numpy(zero_copy_only=False)]
    return list(column.to_pylist())


def _damaged(path: Path, error: Exception) -> StudioError:
    reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
    return StudioError(f"{path.name} is a damaged Parquet file ({reason}).", _AGAIN)
