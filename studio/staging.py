"""Files read into a side database: every row with its line, to be looked at, counted and imported, or thrown away.

Two ways lead there and give the same rows. Delimited text goes through DuckDB's own parallel reader where that can be proved
right: it accepted the whole file in strict mode, quotes come in pairs, no stray carriage return or NUL stands in it, and the
lines it saw add up to the lines the file has. Every other file, and every file with a broken row, is read row by row
(`studio.files`), which knows the line and the reason of each refusal.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from studio import files
from studio.errors import StudioError
from studio.files import Line, Source
from studio.permissions import needs
from studio.workspace import Refused, Side, Workspace

WAITING = "uploads/waiting"
FILE_SHIFT = 40
"""A row's number `r` in a staging is its file's place shifted by this many bits, plus its place in the file."""
_CHUNK_ROWS = 5_000
_READ_BYTES = 1 << 20

# What Python's str.strip takes for blank: both ways of reading must agree.
_BLANK_CODES = (*range(9, 14), *range(28, 33), 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288)
_BLANKS = " || ".join(f"chr({code})" for code in _BLANK_CODES)
_BLANK_AT_END = "[" + "".join(f"\\x{{{code:x}}}" for code in _BLANK_CODES) + "]$"

Say = Callable[[float, str], None]
"""Progress of a long piece of work: the share done, and a sentence."""


def trimmed(sql: str) -> str:
    """A cell without blanks at its ends. Looking at the ends first is ten times as fast as trimming every cell."""
    return f"""case when {_begins_blank(sql)} or regexp_matches({sql}, '{_BLANK_AT_END}') then trim({sql}, {_BLANKS})
                    else {sql} end"""


def is_blank(sql: str) -> str:
    return f"case when {_begins_blank(sql)} then trim({sql}, {_BLANKS}) = '' else {sql} = '' end"


def _begins_blank(sql: str) -> str:
    return f"(ord({sql}) <= 32 or ord({sql}) in ({', '.join(str(code) for code in _BLANK_CODES if code > 32)}))"


@dataclass(frozen=True)
class Overrides:
    """How a person says that files are written, where the detection is wrong; empty: as detected.

    `headless` text has no line of column names: its first row is a ticket.
    """

    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    headless: bool = False


@dataclass(frozen=True)
class StagedFile:
    """One file of a staging. `kept` is a copy of it with that `sha256`; `rows` counts those that are not blank, refused ones
    included."""

    source: Source
    name: str
    kept: Path
    sha256: str
    rows: int
    refused: int


@dataclass
class Staging:
    """Rows on the way in; `formats` remembers how time columns are written.

    `side` holds `side.cells` (r, file, c0, c1, … as text), `side.places` (r, file, line) and
    `side.refused` (file, line, reason, excerpt); `columns` names c0, c1, …"""

    folder: Path
    side: Side
    columns: tuple[str, ...]
    files: tuple[StagedFile, ...]
    formats: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def form(self) -> str:
        """What the files hold: "rows", or what their JSON was recognised as."""
        return self.files[0].source.form

    def cell(self, column: str) -> str:
        """The SQL name of a column."""
        return f"c{self.columns.index(column)}"

    def sample(self, limit: int) -> list[dict[str, str]]:
        """Rows as they stand, by column name."""
        cells = ", ".join(f"c{place}" for place in range(len(self.columns)))
        found = self.side.rows(f"select {cells} from side.cells order by r limit ?", [limit])
        return [dict(zip(self.columns, row.values(), strict=True)) for row in found]

    def values(self, column: str, limit: int) -> dict[str, int]:
        """The most frequent values of a column with their counts, blank ones left out."""
        found = self.side.rows(f"""select {trimmed(self.cell(column))} as v, count(*) as n from side.cells
                                   group by v having v <> '' order by n desc, v limit ?""", [limit])
        return {row["v"]: row["n"] for row in found}

    def discard(self) -> None:
        """Throw everything away that was read, and the uploaded file with it."""
        self.side.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@needs("curate")
def stage(ws: Workspace, sources: Sequence[Source], say: Say = lambda share, sentence: None,
          opened: Callable[[Side], None] = lambda side: None, folder: str = "") -> Staging:
    """Read files into a new staging, in `folder` or a new one.

    Raises StudioError, or Cancelled after `side.cancel()`; nothing stays behind then.

    `opened` is given the side database before the first row is read, for whoever wants to cancel or see progress.
    """
    folder = folder or f"{WAITING}/{uuid.uuid4().hex[:12]}"
    side = ws.side(f"{folder}/rows-{uuid.uuid4().hex[:6]}.duckdb")
    try:
        opened(side)
        side.execute("create table side.refused (file integer, line bigint, reason varchar, excerpt varchar)")
        columns = tuple(dict.fromkeys(name for source in sources for name in source.columns))
        staged = []
        for place, source in enumerate(sources):
            say(place / len(sources), f"Reading {source.path.name}")
            staged.append(_stage_file(side, place, source, columns))
        _views(side, len(sources), len(columns))
    except BaseException:
        side.close()
        shutil.rmtree(ws.path(folder), ignore_errors=True)
        raise
    return Staging(ws.path(folder), side, columns, tuple(staged))


def _stage_file(side: Side, place: int, source: Source, columns: tuple[str, ...]) -> StagedFile:
    kept = side.path.parent / f"raw{place}"
    with ThreadPoolExecutor(1) as beside:  # the copy and its counts are made while the database reads
        copying = beside.submit(facts_of, side, source.path, kept)
        read = _read_fast(side, place, source)
        facts = copying.result()
    if not (read and _adds_up(side, place, source, facts)):
        _forget_part(side, place)
        _read_exactly(side, place, source)
    counted = side.rows(f"""select (select count(*) from side.lines{place} where not blank) as good,
                            (select count(*) from side.refused where file = {place}) as refused""")[0]
    _arrange(side, place, source, columns)
    return StagedFile(source, source.path.name, kept, facts.sha256, counted["good"] + counted["refused"], counted["refused"])


@dataclass(frozen=True)
class Facts:
    """What one pass over the bytes of a file says."""

    sha256: str
    lines: int
    quotes: int
    stray_returns: int
    nuls: int
    last_lines: int


def facts_of(side: Side, path: Path, kept: Path | None = None) -> Facts:
    """Look at every byte of a file once, and copy it where `kept` says to."""
    digest, lines, quotes, returns, pairs, nuls, tail = hashlib.sha256(), 0, 0, 0, 0, 0, b""
    with path.open("rb") as file, kept.open("wb") if kept else nullcontext() as copy:
        while chunk := file.read(_READ_BYTES):
            side.check()
            if copy:
                copy.write(chunk)
            digest.update(chunk)
            lines += chunk.count(b"\n")
            quotes += chunk.count(b'"')
            returns += (found := chunk.count(b"\r"))
            pairs += chunk.count(b"\r\n") if found else 0
            pairs += tail.endswith(b"\r") and chunk.startswith(b"\n")
            nuls += chunk.count(b"\0")
            tail = (tail + chunk)[-4096:]
    ending = len(tail) - len(tail.rstrip(b"\r\n"))
    return Facts(digest.hexdigest(), lines, quotes, returns - pairs, nuls, tail[len(tail) - ending:].count(b"\n"))


@dataclass(frozen=True)
class PlainCsv:
    """Delimited text that DuckDB can read, with what must add up afterwards: SQL of the table (with its `parameters`), of the
    line breaks inside a row's cells, and of whether a row is blank. Its columns are c0, c1, …"""

    table: str
    parameters: tuple[str, ...]
    breaks: str
    blank: str


def plain_csv(source: Source) -> PlainCsv | None:
    """None where DuckDB's reading of it cannot be checked."""
    plain = source.encoding.lower().replace("_", "-") in ("utf-8", "utf-8-sig", "ascii", "us-ascii")
    usual = source.quote in ('"', "") and not source.escape and source.header_line == 1
    if source.kind != "delimited" or not plain or not usual or len(source.columns) < 2:
        return None
    cells = [f"c{number}" for number in range(len(source.columns))]
    types = ", ".join(f"'{cell}': 'VARCHAR'" for cell in cells)
    counted = [f"case when contains({cell}, chr(10)) then strlen({cell}) - strlen(replace({cell}, chr(10), '')) else 0 end"
               for cell in cells]
    filled = [f"when not {is_blank(cell)} then false" for cell in cells]  # an empty cell is null here: neither true nor false
    return PlainCsv(
        f"read_csv(?, columns = {{{types}}}, header = {source.headed}, auto_detect = false, delim = ?, quote = ?, escape = ?, "
        "strict_mode = true)", (str(source.path), source.delimiter, source.quote, source.quote), " + ".join(counted),
        f"case {' '.join(filled)} else true end")


def _read_fast(side: Side, place: int, source: Source) -> bool:
    """Read with DuckDB where its reading can be checked; False where it cannot, or where DuckDB refuses the file."""
    plain = plain_csv(source)
    if plain is None:
        return False
    everything = ", ".join(f"c{number}" for number in range(len(source.columns)))
    try:
        with side.stored("uncompressed"):
            side.execute(f"""create table side.part{place} as select {everything}, {plain.breaks} as breaks,
                             {plain.blank} as blank from {plain.table}""", plain.parameters)
    except Refused:
        return False
    return True


def header_lines(source: Source) -> int:
    return 1 + "".join(source.columns).count("\n") if source.headed else 0


def adds_up(source: Source, facts: Facts, seen: int) -> bool:
    """Whether the lines that DuckDB saw (`seen`, the header's among them) are those that the file has, with nothing in it that
    could be read in two ways."""
    if facts.quotes % 2 or facts.stray_returns or facts.nuls:
        return False
    return bool(seen == facts.lines - max(0, facts.last_lines - 1) + (facts.last_lines == 0))


def _adds_up(side: Side, place: int, source: Source, facts: Facts) -> bool:
    header = header_lines(source)
    side.execute(f"""create table side.lines{place} as select rowid as row, blank, {header} + 1 + coalesce(sum(1 + breaks) over
        (order by rowid rows between unbounded preceding and 1 preceding), 0) as line from side.part{place}""")
    seen = side.rows(f"select {header} + coalesce(sum(1 + breaks), 0) as lines from side.part{place}")[0]["lines"]
    return adds_up(source, facts, seen)


def _forget_part(side: Side, place: int) -> None:
    side.execute(f"drop table if exists side.part{place}")
    side.execute(f"drop table if exists side.lines{place}")


def _read_exactly(side: Side, place: int, source: Source) -> None:
    """Read row by row, in chunks."""
    import pyarrow

    names = [f"c{number}" for number in range(len(source.columns))]
    side.execute(f"create table side.part{place} (line bigint, {', '.join(f'{name} varchar' for name in names)})")
    for chunk in _chunks(files.lines(source)):
        side.check()
        good = [line for line in chunk if not line.problem]
        bad = [line for line in chunk if line.problem]
        cells = list(zip(*(line.cells for line in good), strict=True)) or [()] * len(names)
        table = pyarrow.table({"line": pyarrow.array([line.line for line in good], pyarrow.int64())} | {
            name: pyarrow.array(column, pyarrow.string()) for name, column in zip(names, cells, strict=True)})
        side.load(f"insert into side.part{place} select * from chunk_of_rows", "chunk_of_rows", table)
        for line in bad:
            side.execute("insert into side.refused values (?, ?, ?, ?)", [place, line.line, line.problem, excerpt(line)])
    side.execute(f"create table side.lines{place} as select rowid as row, false as blank, line from side.part{place}")


def excerpt(line: Line) -> str:
    """How a refused row begins."""
    return " | ".join(line.cells)[:160].replace("\0", "")


def _chunks(rows: Iterator[Line]) -> Iterator[list[Line]]:
    while chunk := list(itertools.islice(rows, _CHUNK_ROWS)):
        yield chunk


def _arrange(side: Side, place: int, source: Source, columns: tuple[str, ...]) -> None:
    """One file's part under the names and numbers that all files share."""
    shared = ", ".join(
        f"coalesce(p.c{source.columns.index(name)}, '') as c{number}" if name in source.columns else f"'' as c{number}"
        for number, name in enumerate(columns))
    first = place << FILE_SHIFT
    side.execute(f"""create view side.cells{place} as select {first} + p.rowid as r, {place} as file, {shared}
                     from side.part{place} p""")
    side.execute(f"""create view side.places{place} as select {first} + row as r, {place} as file, line
                     from side.lines{place} where not blank""")


def _views(side: Side, count: int, width: int) -> None:
    names = ", ".join(f"c{number}" for number in range(width))
    for name, columns in (("cells", f"r, file, {names}"), ("places", "r, file, line")):
        parts = " union all ".join(f"select {columns} from side.{name}{place}" for place in range(count))
        side.execute(f"create view side.{name} as {parts}")


def check_rows(staging: Staging) -> None:
    """Raises StudioError when the files hold a header and nothing else."""
    if not staging.rows:
        name = staging.files[0].name
        raise StudioError(f"{name} has a header but no rows.", "Export the tickets again and choose that file.")
