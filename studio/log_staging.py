"""A log on its way in: read whole into a side database, each row with what is wrong with it, and lines that are no rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from studio import files, log_sql, staging
from studio.log_columns import Found
from studio.log_sql import Cells, quoted
from studio.permissions import needs
from studio.sources import Source
from studio.workspace import Refused, Row, Side, Workspace

READING = "uploads/reading"
"""Where files are while they are read."""
Kind = Literal["jsonl", "array", "parquet", "table"]
LISTED = 1_000
"""So many refused rows of a file are listed; all are counted."""
FORGOTTEN = "its customer was forgotten"
_LONGEST_ROW = 16 << 20
_EXCERPT = 160


@dataclass(frozen=True)
class Look:
    """A log that was looked at, before anything of it is in the workspace."""

    path: Path
    name: str
    kind: Kind
    found: Found
    head: tuple[dict[str, Any], ...]
    formats: tuple[str, ...]


@needs("curate")
def stage(ws: Workspace, side: Side, folder: Path, seen: Look) -> tuple[list[Row], int]:
    """Make `side.ready` (n, problem, and the columns of a row); returns refused lines to list, and how many there are."""
    refused: list[Row] = []
    if seen.kind == "table":
        source = files.open_source(seen.path)
        if not _plain(side, seen, source):
            refused = _exact(ws, side, folder, seen, source)
    elif seen.kind == "parquet":
        kinds = side.rows("describe select * from read_parquet(?)", [str(seen.path)])
        columns = {row["column_name"]: (f'"{row["column_name"]}"', row["column_type"]) for row in kinds}
        _ready(side, seen, Cells(columns), f"read_parquet('{quoted(str(seen.path))}')")
    else:
        try:
            _ready(side, seen, Cells(whole="json"), _objects(seen, seen.path))
        except Refused:
            if seen.kind != "jsonl":
                raise
            _ready(side, seen, Cells(whole="json"), _objects(seen, _shortened(seen.path, folder)))
    _leave_out_forgotten(side)
    return _problems(side, seen, refused)


def _objects(seen: Look, path: Path) -> str:
    lines = seen.kind == "jsonl"
    return (
        f"read_json_objects('{quoted(str(path))}', format = '{'newline_delimited' if lines else 'array'}', "
        f"ignore_errors = {lines}, maximum_object_size = {_LONGEST_ROW})"
    )


def _shortened(path: Path, folder: Path) -> Path:
    """A copy in which a line that is longer than the database reads is no object: it is listed then like any other such."""
    copy = folder / "shortened.jsonl"
    with path.open("rb") as file, copy.open("wb") as beside:
        beside.writelines(b"too long\n" if len(line) > _LONGEST_ROW else line for line in file)
    return copy


def _leave_out_forgotten(side: Side) -> None:
    """Who asked to be forgotten does not come in again with the next log (`studio/forgetting.py`); nothing of it is listed."""
    if side.rows("select 1 from forgotten limit 1"):
        side.execute(f"""update side.read set problem = '{FORGOTTEN}', question = '', answer = '' where contains(person, '@')
            and sha256((select salt from forgetting_salt) || 'email:' || lower(trim(person)))
                in (select sha256 from forgotten)""")


def _plain(side: Side, seen: Look, source: Source) -> bool:
    """Read delimited text in one go; whether that can be trusted (`studio/staging.py` says when)."""
    plain = staging.plain_csv(source)
    if plain is None:
        return False
    cells = _numbered(source.columns)
    try:
        with ThreadPoolExecutor(1) as beside:
            looking = beside.submit(staging.facts_of, side, source.path)
            _ready(side, seen, cells, plain.table, [("breaks", plain.breaks), ("blank", plain.blank)], plain.parameters)
            facts = looking.result()
    except Refused:
        return False
    header = staging.header_lines(source)
    read = side.rows("select coalesce(sum(1 + breaks), 0) as lines from side.read")[0]["lines"]
    if not staging.adds_up(source, facts, header + read):
        return False
    side.execute(f"""create view side.lines as select rowid as n, {header} + 1 + coalesce(sum(1 + breaks) over
        (order by rowid rows between unbounded preceding and 1 preceding), 0) as line from side.read""")
    side.execute("create or replace view side.ready as select rowid as n, * from side.read where not blank")
    return True


def _exact(ws: Workspace, side: Side, folder: Path, seen: Look, source: Source) -> list[Row]:
    """Read any table row by row, and say which rows could not be read."""
    staged = staging.stage(ws, [source], folder=f"{folder.relative_to(ws.root)}/table")
    try:
        side.execute("drop view if exists side.ready")
        side.execute("drop table if exists side.read")
        _ready(side, seen, _numbered(staged.columns), f"{staged.side.alias}.cells", [("place", "c.r")])
        side.execute(f"create table side.lines as select r as n, line from {staged.side.alias}.places")
        side.execute("""create or replace view side.ready as select place as n, * from side.read
                        where place in (select n from side.lines)""")
        return staged.side.rows("select line, reason, excerpt from side.refused order by line")
    finally:
        staged.side.close()


def _numbered(columns: Sequence[str]) -> Cells:
    return Cells({name: (f"c{place}", "VARCHAR") for place, name in enumerate(columns)})


def _ready(
    side: Side, seen: Look, cells: Cells, where: str, more: Sequence[tuple[str, str]] = (), parameters: Sequence[str] = ()
) -> None:
    """Read every record once, in one statement. `more`: further columns (name, SQL)."""
    names = "".join(f"{name}, " for name, _ in more)
    raw = log_sql.row(seen.found, cells, seen.formats)
    if cells.whole:
        paths = ", ".join(f"'{quoted(path)}'" for path in cells.paths) or "'$.x'"
        inner = f"""select bad, {raw} from (select json is null or json_type(json) <> 'OBJECT' as bad,
                                                   json_extract_string(json, [{paths}]) as v from {where})"""
    else:
        inner = f"select {''.join(f'{sql} as {name}, ' for name, sql in more)}false as bad, {raw} from {where} c"
    with side.stored("uncompressed"):  # looking for the best way to store it takes longer than reading
        side.execute(
            f"""create table side.read as select {names}{log_sql.FINISHED}
                         from (select {names}{log_sql.worded()} from ({inner}))""",
            parameters,
        )
    side.execute("create view side.ready as select rowid as n, * from side.read")


def _problems(side: Side, seen: Look, refused: Sequence[Row]) -> tuple[list[Row], int]:
    rows = side.rows(f"select n, problem from side.ready where problem is not null order by n limit {LISTED}")
    lines = _lines_of(side, seen, [row["n"] for row in rows])
    listed = [
        {
            "line": lines[row["n"]][0],
            "reason": row["problem"],
            "excerpt": "" if row["problem"] == FORGOTTEN else lines[row["n"]][1],
        }
        for row in rows
    ]
    count = side.rows("select count(*) as n from side.ready where problem is not null")[0]["n"] if rows else 0
    return sorted([*refused, *listed], key=lambda row: row["line"])[:LISTED], count + len(refused)


def _lines_of(side: Side, seen: Look, places: Sequence[int]) -> dict[int, tuple[int, str]]:
    """The line, and its beginning, of rows by their number. Lines of JSON that are blank count as no row."""
    if not places:
        return {}
    if seen.kind == "jsonl":
        return _json_lines(seen.path, set(places))
    known: dict[int, int] = {}
    if seen.kind == "table":
        known = {
            row["n"]: row["line"]
            for row in side.rows("select n, line from side.lines where n in (select unnest(?::bigint[]))", [list(places)])
        }
    return {
        row["n"]: (known.get(row["n"], row["n"] + 1), " | ".join(filter(None, (row["question"], row["answer"])))[:_EXCERPT])
        for row in side.rows(
            """select n, question, answer from side.ready
                                    where n in (select unnest(?::bigint[]))""",
            [list(places)],
        )
    }


def _json_lines(path: Path, places: set[int]) -> dict[int, tuple[int, str]]:
    found: dict[int, tuple[int, str]] = {}
    ordinal = 0
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            if ordinal in places:
                text = raw[: _EXCERPT * 4].decode("utf-8", "replace").strip().replace("\0", "")
                found[ordinal] = (line, text[:_EXCERPT])
                if len(found) == len(places):
                    break
            ordinal += 1
    return found
