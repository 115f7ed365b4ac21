"""Files become records, and every row is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import intake, records
from studio.columns import Choices, Columns
from studio.errors import StudioError
from studio.records import Filter
from studio.workspace import Workspace
from tests.bad_files import BAD_FILES, write
from tests.tickets import COLUMNS, forty, import_forty, write_csv

TABLES = ("imports", "refused_rows", "records", "record_versions", "decisions")
REAL = {
    "bitext_llm/bitext_support_responses_v2_2023-08-18.csv": ("instruction", "response"),
}


def sizes(ws: Workspace) -> dict[str, int]:
    return {table: ws.value(f"select count(*) from {table}") for table in TABLES}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_wrong_file_is_refused_in_one_sentence_and_leaves_the_workspace_as_it_was(
    ws: Workspace, tmp_path: Path, name: str
) -> None:
    import_forty(ws)
    before, path = sizes(ws), write(tmp_path, name)
    with pytest.raises(StudioError) as caught:
        found = intake.preview(ws, path)
        intake.import_file(ws, path, name, found.choices)
    assert (BAD_FILES[name][1] in caught.value.message, caught.value.hint != "", sizes(ws)) == (True, True, before)


def test_columns_that_the_file_does_not_have_are_named(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no column 'question'"):
        intake.import_file(ws, forty(tmp_path / "f.csv"), "f.csv", Choices(Columns("question", "answer")))


def test_the_columns_are_guessed_from_names_and_content(ws: Workspace, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "a.csv",
        [("7", "Where is my parcel now", "It will come tomorrow", "5", "delivery")] * 12,
        ("ticket_id", "customer_message", "agent_response", "satisfaction_score", "tags"),
    )
    rows = [(f"T{n}", f"Where is parcel {n}", "It will come tomorrow", "5", "delivery") for n in range(12)]
    write_csv(path, rows, ("ticket_id", "customer_message", "agent_response", "satisfaction_score", "tags"))
    assert intake.preview(ws, path).guess.columns.in_order[:5] == (
        "customer_message",
        "agent_response",
        "satisfaction_score",
        "ticket_id",
        "tags",
    )


def test_unnamed_columns_are_guessed_by_their_words(ws: Workspace, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "a.csv",
        [(str(n), f"my parcel {n} is lost and I want it", "we look for it") for n in range(12)],
        ("nr", "x", "y"),
    )
    assert intake.preview(ws, path).guess.columns.in_order[:2] == ("x", "y")


def test_the_system_prompt_stands_before_every_conversation(ws: Workspace, tmp_path: Path) -> None:
    path = forty(tmp_path / "f.csv")
    intake.import_file(ws, path, "f.csv", Choices(COLUMNS, system_prompt="Be brief."))
    assert records.page(ws, Filter(), 1)[0].messages[0] == {"role": "system", "content": "Be brief."}


def test_an_empty_system_prompt_adds_no_turn(ws: Workspace, tmp_path: Path) -> None:
    intake.import_file(ws, forty(tmp_path / "f.csv"), "f.csv", Choices(COLUMNS, system_prompt=" "))
    assert [turn["role"] for turn in records.page(ws, Filter(), 1)[0].messages] == ["user", "assistant"]


def test_ratings_below_the_threshold_are_filtered_and_counted(ws: Workspace, tmp_path: Path) -> None:
    report = intake.import_file(ws, forty(tmp_path / "f.csv"), "f.csv", Choices(COLUMNS, rating_min=4))
    assert (report.rows_in, report.rows_imported, report.rows_filtered) == (40, 16, 24)


def test_rows_of_one_ticket_become_one_conversation_in_their_order(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n // 2}", f"question {n} here", f"answer {n} here", "5", "x") for n in range(30)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS, system_prompt=""))
    assert [turn["content"] for turn in records.page(ws, Filter(), 1)[0].messages] == [
        "question 0 here",
        "answer 0 here",
        "question 1 here",
        "answer 1 here",
    ]


def test_refused_rows_keep_their_line_number_and_reason(ws: Workspace, tmp_path: Path) -> None:
    path = forty(tmp_path / "f.csv")
    path.write_text(path.read_text() + "T90,,an answer,4,x\nT91,a question,,4,x\nT92,short\n")
    report = intake.import_file(ws, path, "f.csv", Choices(COLUMNS))
    assert [(row.line, row.reason) for row in intake.refused_rows(ws, report.import_id)] == [
        (42, "no customer message"),
        (43, "no answer"),
        (44, "2 cells where the header has 5"),
    ]


def test_the_same_file_again_adds_nothing_and_says_so(ws: Workspace, tmp_path: Path) -> None:
    path = forty(tmp_path / "f.csv")
    intake.import_file(ws, path, "f.csv", Choices(COLUMNS))
    again = intake.import_file(ws, path, "f.csv", Choices(COLUMNS))
    assert (again.rows_imported, again.rows_already_here, records.counts(ws).total) == (0, 40, 40)


def test_the_raw_file_is_kept_byte_for_byte(ws: Workspace, tmp_path: Path) -> None:
    path = forty(tmp_path / "f.csv")
    intake.import_file(ws, path, "f.csv", Choices(COLUMNS))
    kept = [found for found in ws.path("uploads").glob("*.csv")]
    assert [found.read_bytes() for found in kept] == [path.read_bytes()]


def test_every_row_of_every_real_file_is_imported_filtered_refused_or_here_already(ws: Workspace, shared_data: Path) -> None:
    for path in sorted(shared_data.glob("bitext_llm/*.csv")) + sorted(shared_data.glob("kaggle_tickets/*.csv")):
        try:
            found = intake.preview(ws, path)
            report = intake.import_file(ws, path, path.name, found.choices)
        except StudioError as error:
            assert error.hint, path.name
            continue
        parts = report.rows_imported + report.rows_filtered + report.rows_refused + report.rows_already_here
        assert parts == report.rows_in == found.rows, path.name
