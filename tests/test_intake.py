"""Files become records, and every row is accounted for."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from studio import intake, records
from studio.columns import Choices, Columns, Condition
from studio.errors import StudioError
from studio.exports import csv_text
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


@pytest.mark.heavy
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


def messages(*rows: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Ten threads more, so that there is enough, before the rows that a test is about."""
    questions = [(f"F{n}", "Customer", f"question {n} here", "") for n in range(10)]
    return [*rows, *questions, *((f"F{n}", "Agent", f"answer {n}", "") for n in range(10))]


THREAD = Columns(message="text", sender="sender", ticket="ticket", time="at")
BY_MESSAGE = Choices(THREAD, system_prompt="", layout="message", agents=("Agent",))


def said(ws: Workspace, place: int = 0) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in records.page(ws, Filter(), place + 1)[place].messages]


def test_rows_of_messages_are_joined_into_threads_by_ticket_and_time(ws: Workspace, tmp_path: Path) -> None:
    rows = messages(
        ("T1", "Agent", "It is on its way.", "2026-01-02 10:00:00"),
        ("T1", "Customer", "Where is it?", "2026-01-02 09:00:00"),
        ("T1", "Customer", "Thanks", "2026-01-02 11:00:00"),
        ("T1", "Agent", "Welcome", "2026-01-02 12:00:00"),
    )
    path = write_csv(tmp_path / "m.csv", rows, ("ticket", "sender", "text", "at"))
    intake.import_file(ws, path, "m.csv", BY_MESSAGE)
    assert said(ws) == [
        ("user", "Where is it?"),
        ("assistant", "It is on its way."),
        ("user", "Thanks"),
        ("assistant", "Welcome"),
    ]


def test_messages_in_a_row_by_the_same_side_are_one_turn(ws: Workspace, tmp_path: Path) -> None:
    rows = messages(("T1", "Customer", "Hello", "1"), ("T1", "Customer", "Where is it?", "2"), ("T1", "Agent", "Here", "3"))
    path = write_csv(tmp_path / "m.csv", rows, ("ticket", "sender", "text", "at"))
    intake.import_file(ws, path, "m.csv", BY_MESSAGE)
    assert said(ws) == [("user", "Hello\n\nWhere is it?"), ("assistant", "Here")]


def test_what_stands_before_the_question_and_behind_the_last_answer_is_left_out_and_counted(
    ws: Workspace, tmp_path: Path
) -> None:
    turns = (("Agent", "Welcome"), ("Customer", "Hi there"), ("Agent", "Yes"), ("Customer", "Bye"))
    rows = messages(*(("T1", sender, text, "") for sender, text in turns))
    path = write_csv(tmp_path / "m.csv", rows, ("ticket", "sender", "text", "at"))
    report = intake.import_file(ws, path, "m.csv", BY_MESSAGE)
    assert (said(ws), intake.filtered_reasons(ws, report.import_id), report.rows_imported) == (
        [("user", "Hi there"), ("assistant", "Yes")],
        {"before the customer's first message": 1, "after the last answer": 1},
        22,
    )


def test_replies_are_followed_to_the_first_message(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"{n}-{part}", "" if part == 0 else f"{n}-{part - 1}", str(part % 2 == 0), f"message {n} {part}")
            for n in range(12) for part in (3, 1, 0, 2)]  # fmt: skip
    path = write_csv(tmp_path / "t.csv", rows, ("tweet_id", "in_response_to_tweet_id", "inbound", "text"))
    found = intake.preview(ws, path)
    report = intake.import_file(ws, path, "t.csv", found.choices)
    first = sorted(record.messages[1:][0]["content"] for record in records.page(ws, Filter(), 20))
    assert (found.choices.agents, report.conversations, report.rows_imported, first[0]) == (("False",), 12, 48, "message 0 0")


def test_a_circle_of_replies_ends(ws: Workspace, tmp_path: Path) -> None:
    rows = [("a", "b", "Customer", "one"), ("b", "a", "Agent", "two")]
    for n in range(12):
        rows += [(f"{n}-c", "", "Customer", f"words {n}"), (f"{n}-a", f"{n}-c", "Agent", f"answer {n}")]
    path = write_csv(tmp_path / "t.csv", rows, ("message_id", "reply_to", "sender", "text"))
    report = intake.import_file(ws, path, "t.csv", intake.preview(ws, path).choices)
    assert (report.conversations, report.rows_in, report.rows_filtered) == (12, 26, 2)


def test_the_real_file_of_messages_becomes_threads(ws: Workspace, shared_data: Path) -> None:
    import_forty(ws)
    path = shared_data / "kaggle_tickets" / "conversations_moukthikav.csv"
    found = intake.preview(ws, path)
    report = intake.import_file(ws, path, path.name, found.choices)
    assert (found.guess.layout, report.rows_in, report.conversations) == ("message", 44, 7)


def test_chat_lines_keep_their_own_system_turn(ws: Workspace, tmp_path: Path) -> None:
    path, own = tmp_path / "chat.jsonl", {"role": "system", "content": "Be kind."}
    turns = [[own, {"role": "user", "content": f"Q{n}"}, {"role": "assistant", "content": "A"}] for n in range(12)]
    path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in turns))
    intake.import_file(ws, path, "chat.jsonl", intake.preview(ws, path).choices)
    assert said(ws) == [("system", "Be kind."), ("user", "Q0"), ("assistant", "A")]


def test_an_input_of_an_alpaca_row_stands_below_its_instruction(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "alpaca.jsonl"
    lines = [{"instruction": f"Translate {n}", "input": "Hallo", "output": "Hello there"} for n in range(12)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    intake.import_file(ws, path, "alpaca.jsonl", intake.preview(ws, path).choices)
    assert said(ws)[1:] == [("user", "Translate 0\n\nHallo"), ("assistant", "Hello there")]


def test_a_newer_export_adds_the_new_and_updates_the_changed(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    path = forty(tmp_path / "newer.csv")
    text = path.read_text().replace("that your tent is torn. Please send it back.", "that your tent is torn. Keep it.")
    path.write_text(text + "T99,My new thing broke.,We send you another one.,5,new\n")
    report = intake.import_file(ws, path, "newer.csv", Choices(COLUMNS))
    changed = [record for record in records.page(ws, Filter(text="Keep it."), 5)]
    assert (report.conversations, report.rows_updated, report.rows_already_here, [record.version for record in changed]) == (
        1, 1, 39, [2])  # fmt: skip


def test_a_wording_edited_here_is_not_overwritten_by_a_newer_export(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    mine = records.page(ws, Filter(text="tent is torn"), 1)[0]
    turns = [*mine.messages[:-1], {"role": "assistant", "content": "My own words."}]
    records.edit(ws, mine.record_id, turns, "ann")
    path = forty(tmp_path / "newer.csv")
    path.write_text(path.read_text().replace("your tent is torn. Please send it back.", "your tent is torn. Keep it."))
    report = intake.import_file(ws, path, "newer.csv", Choices(COLUMNS))
    assert (report.rows_kept_by_hand, records.get(ws, mine.record_id).answer) == (1, "My own words.")


def test_another_system_prompt_does_not_make_a_file_new(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    again = intake.import_file(ws, forty(tmp_path / "f.csv"), "f.csv", Choices(COLUMNS, system_prompt="Be brief."))
    assert (again.rows_already_here, again.rows_updated) == (40, 0)


def test_tickets_of_another_desk_are_other_tickets(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    report = intake.import_file(ws, forty(tmp_path / "f.csv"), "f.csv", Choices(COLUMNS, desk="the other shop"))
    assert report.conversations == 40


def test_only_rows_of_the_chosen_values_and_days_come_in(ws: Workspace, tmp_path: Path) -> None:
    status = ("open", "closed")
    rows = [(f"T{n}", f"question {n}", f"answer {n}", status[n % 2], f"2026-01-{1 + n:02d}") for n in range(28)]
    path = write_csv(tmp_path / "f.csv", rows, ("ticket", "message", "answer", "status", "created_at"))
    chosen = Columns("message", "answer", ticket="ticket", status="status", time="created_at")
    choices = Choices(chosen, conditions=(Condition("status", ("closed",)),), until=date(2026, 1, 21))
    report = intake.import_file(ws, path, "f.csv", choices)
    assert (report.rows_imported, intake.filtered_reasons(ws, report.import_id)) == (
        10, {"not among the chosen values": 14, "after 2026-01-21": 4})  # fmt: skip


def test_ratings_in_words_are_filtered_like_numbers(ws: Workspace, tmp_path: Path) -> None:
    words = ("Very satisfied", "satisfied", "neutral", "dissatisfied")
    rows = [(f"T{n}", f"my question {n}", f"an answer {n}", words[n % 4], "x") for n in range(40)]
    report = intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS, rating_min=4))
    assert (report.rows_imported, report.rows_filtered) == (20, 20)


def test_the_subject_stands_above_the_message_where_wanted(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", "Broken lamp", f"It does not shine {n}", "We send another") for n in range(12)]
    path = write_csv(tmp_path / "f.csv", rows, ("ticket", "subject", "message", "answer"))
    chosen = Columns("message", "answer", ticket="ticket", subject="subject")
    intake.import_file(ws, path, "f.csv", Choices(chosen, with_subject=True))
    assert said(ws)[1] == ("user", "Broken lamp\n\nIt does not shine 0")


def test_the_choices_are_offered_again_for_a_file_of_the_same_shape(ws: Workspace, tmp_path: Path) -> None:
    choices = Choices(COLUMNS, system_prompt="Be brief.", rating_min=2, desk="shop", since=date(2026, 1, 1))
    intake.import_file(ws, forty(tmp_path / "f.csv"), "f.csv", choices)
    found = intake.preview(ws, forty(tmp_path / "later.csv"))
    assert (found.choices, found.before.name if found.before else "") == (choices, "shop")


def test_an_outlook_changes_nothing(ws: Workspace, tmp_path: Path) -> None:
    staging = intake.read(ws, [forty(tmp_path / "f.csv")])
    before = sizes(ws)
    found = intake.outlook(ws, staging, Choices(COLUMNS, rating_min=4))
    staging.discard()
    assert (found.conversations, found.reasons, sizes(ws)) == (16, {"rated under 4": 24}, before)


def test_a_formula_stays_text_and_is_neutral_when_it_is_exported() -> None:
    assert csv_text([{"cell": '=HYPERLINK("http://x")', "n": -1}]) == 'cell,n\r\n"\'=HYPERLINK(""http://x"")",-1\r\n'


CELL = some.text(some.sampled_from("ab c,;\"'\n\r\t|é=ا😀"), max_size=10)


@pytest.mark.heavy
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.lists(some.tuples(some.sampled_from(["T1", ""]), CELL, CELL, some.sampled_from(["1", "5", "x"])), max_size=15),
    some.sampled_from([",", ";", "\t", "|"]),
    some.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    some.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    some.binary(max_size=4),
)
def test_every_row_of_any_dialect_is_imported_filtered_or_refused(
    ws: Workspace, table: list[tuple[str, ...]], delimiter: str, encoding: str, quoting: int, tail: bytes
) -> None:
    good = [(f"G{n}", f"a question {n}", f"an answer {n}", str(1 + n % 5)) for n in range(12)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("ticket", "message", "answer", "rating"), *good, *table])
    path = ws.root / "wild.csv"
    path.write_bytes(out.getvalue().encode(encoding) + (tail if encoding == "utf-8" else b""))
    try:
        staging = intake.read(ws, [path])
    except StudioError as refused_whole:
        assert refused_whole.hint
        return
    chosen = Columns("message", "answer", "rating", "ticket")
    found = intake.outlook(ws, staging, Choices(chosen, rating_min=3))
    staging.discard()
    fates = found.rows_imported, found.rows_updated, found.rows_already_here, found.rows_kept_by_hand
    assert found.rows_in == sum(fates) + found.rows_filtered + found.rows_refused
