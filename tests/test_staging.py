"""Files read into a side database: the fast way and the exact way give the same rows."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from studio import files, intake, staging
from studio.errors import StudioError
from studio.staging import Overrides, Staging, stage
from studio.workspace import Cancelled, Side, Workspace

WILD = some.text(some.sampled_from("ab ,;\"'\n\r\t|é\u00a0\u200b=ا😀\\#"), max_size=12)


def staged(ws: Workspace, *paths: Path) -> Staging:
    return stage(ws, [files.open_source(path) for path in paths])


def rows(found: Staging) -> list[tuple[int, tuple[str, ...]]]:
    cells = ", ".join(f"c{place}" for place in range(len(found.columns)))
    read = found.side.rows(f"select p.line, {cells} from side.cells c join side.places p using (r) order by r")
    return [(row["line"], tuple(list(row.values())[1:])) for row in read]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_row_keeps_the_line_it_begins_on(ws: Workspace, tmp_path: Path) -> None:
    found = staged(ws, written(tmp_path / "a.csv", 'q,a\none,"two\nlines"\nthree,four\n'))
    assert rows(found) == [(2, ("one", "two\nlines")), (4, ("three", "four"))]


def test_a_broken_row_is_refused_with_line_and_reason_and_the_others_stay(ws: Workspace, tmp_path: Path) -> None:
    found = staged(ws, written(tmp_path / "a.csv", "q,a\none,two\nthree\nfour,five\n"))
    refused = found.side.rows("select line, reason, excerpt from side.refused")
    assert (rows(found), refused) == (
        [(2, ("one", "two")), (4, ("four", "five"))],
        [{"line": 3, "reason": "1 cell where the header has 2", "excerpt": "three"}],
    )


def test_rows_of_commas_only_are_no_rows(ws: Workspace, tmp_path: Path) -> None:
    found = staged(ws, written(tmp_path / "a.csv", "q,a\none,two\n" + ",\n" * 2500))
    assert (found.rows, rows(found)) == (1, [(2, ("one", "two"))])


def test_several_files_share_their_columns_by_name(ws: Workspace, tmp_path: Path) -> None:
    found = staged(ws, written(tmp_path / "a.csv", "q,a\n1,2\n"), written(tmp_path / "b.csv", "a,z,q\n4,5,3\n"))
    assert (found.columns, rows(found)) == (("q", "a", "z"), [(2, ("1", "2", "")), (2, ("3", "4", "5"))])


def test_a_file_cut_inside_a_quote_is_refused_whole_and_leaves_nothing_behind(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="line 3"):
        staged(ws, written(tmp_path / "a.csv", 'q,a\n1,2\n3,"cut'))
    assert list(ws.path(staging.WAITING).glob("*")) == []


def test_cancelling_leaves_nothing_behind(ws: Workspace, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "q,a\n" + "one,two\n" * 10)

    def at_once(side: Side) -> None:
        side.cancel()

    with pytest.raises(Cancelled):
        stage(ws, [files.open_source(path)], opened=at_once)
    assert list(ws.path(staging.WAITING).glob("*")) == []


def test_a_large_plain_file_takes_the_fast_way(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(staging, "_read_exactly")
    assert staged(ws, written(tmp_path / "a.csv", 'q,a\n"one, two","say ""hi"""\n')).rows == 1


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_file_without_column_names_keeps_its_first_row(ws: Workspace, tmp_path: Path, end: str) -> None:
    path = written(tmp_path / "a.csv", f"one,two{end}three,four{end}")
    found = intake.read(ws, [path], written=Overrides(headless=True))
    assert (found.columns, rows(found)) == (("column 1", "column 2"), [(1, ("one", "two")), (2, ("three", "four"))])


def test_the_copy_is_the_file(ws: Workspace, tmp_path: Path) -> None:
    content = "q,a\r\n1,2\r\n".encode("utf-16")
    found = staged(ws, written(tmp_path / "a.csv", content))
    assert (found.files[0].kept.read_bytes(), rows(found)) == (content, [(2, ("1", "2"))])


@pytest.mark.heavy
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.lists(some.tuples(WILD, WILD, WILD), min_size=1, max_size=12),
    some.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    some.sampled_from(["\n", "\r\n"]),
    some.booleans(),
)
def test_the_fast_way_reads_what_the_exact_way_reads(
    ws: Workspace, table: list[tuple[str, str, str]], quoting: int, line_end: str, cut: bool
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=quoting, lineterminator=line_end).writerows([("q", "a", "b"), *table])  # type: ignore[arg-type]
    text = out.getvalue()[: -len(line_end)] if cut else out.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        source = files.Source(written(Path(folder) / "a.csv", text), "delimited", "rows", ("q", "a", "b"), "utf-8", ",", '"')
        quick = stage(ws, [source])
        read = list(files.lines(source))
        found, refused = rows(quick), quick.files[0].refused
        quick.discard()
    exact = [(line.line, line.cells) for line in read if not line.problem]
    assert (found, refused) == (exact, len(read) - len(exact))
