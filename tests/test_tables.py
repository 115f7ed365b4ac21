"""Files are read row by row, and whatever is wrong with one is said in words."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio import tables
from studio.errors import StudioError

CELL = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=20)


def read(path: Path) -> list[tables.Line]:
    return list(tables.lines(tables.open_table(path)))


@pytest.mark.parametrize(("mark", "words"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_the_delimiter_is_found_and_named(tmp_path: Path, mark: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(f"message{mark}answer\nhello{mark}good day\n")
    assert tables.open_table(tmp_path / "a.csv").written_as == f"UTF-8, {words}-separated"


def test_a_windows_file_keeps_its_umlauts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("message,answer\nMüller fragt,Gewiß\n".encode("cp1252"))
    assert read(tmp_path / "a.csv")[0].cells == ("Müller fragt", "Gewiß")


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfmessage,answer\na b,c d\n")
    assert tables.open_table(tmp_path / "a.csv").columns == ("message", "answer")


def test_line_numbers_are_those_of_the_file_even_after_cells_with_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('message,answer\n"one\ntwo\nthree",x\nfour,y\n')
    assert [line.line for line in read(tmp_path / "a.csv")] == [2, 5]


def test_a_row_with_too_many_cells_has_a_problem_and_the_next_row_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("message,answer\na,b,c\nd,e\n")
    assert [line.problem for line in read(tmp_path / "a.csv")] == ["3 cells where the header has 2", ""]


def test_repeated_and_blank_column_names_become_different(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,text,\na,b,c\n")
    assert tables.open_table(tmp_path / "a.csv").columns == ("text", "text (2)", "column 3")


def test_a_file_cut_inside_a_quote_says_where_the_row_begins(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('message,answer\na,b\nc,"never closed\nmore\n')
    with pytest.raises(StudioError, match="beginning at line 3"):
        read(tmp_path / "a.csv")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_what_csv_wrote_is_read_back_cell_for_cell(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("message", "answer"), *rows])
    expected = [row for row in rows if any(cell.strip() for cell in row)]
    assert [line.cells for line in read(path)] == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_wild_bytes_are_read_or_refused_in_words_and_never_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    try:
        read(tmp_path / "a.csv")
    except StudioError as error:
        assert error.message.startswith(("a.csv", "There is no file"))
