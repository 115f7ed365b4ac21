"""Logs come in: their shapes are recognised, every row once, what is no row is listed, what comes later finds its row."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from studio import live, logs
from studio.errors import StudioError
from studio.log_columns import choose
from studio.workspace import Workspace
from tests.logs import bring, lines, openai, rows

LITELLM = {
    "id": "chatcmpl-1",
    "call_type": "acompletion",
    "stream": True,
    "response_cost": 0.00002,
    "status": "success",
    "total_tokens": 9,
    "prompt_tokens": 7,
    "completion_tokens": 2,
    "startTime": 1793520000.25,
    "endTime": 1793520001.75,
    "response_time": 0.3,
    "model": "support-v1",
    "model_group": "support",
    "end_user": "ana@mail.example",
    "request_tags": ["returns", "web"],
    "messages": [{"role": "user", "content": "Where is it?"}],
    "response": {"choices": [{"message": {"role": "assistant", "content": "Here."}}]},
}
SPEND_LOG = {
    "request_id": "r9",
    "call_type": "acompletion",
    "spend": "0.5",
    "startTime": "2026-11-01 00:00:00.250",
    "prompt_tokens": "7",
    "endTime": "2026-11-01 00:00:01.250",
    "completion_tokens": "2",
    "model": "support-v1",
    "request_tags": '["returns"]',
    "messages": '[{"role": "user", "content": "Where is it?"}]',
    "response": '{"choices": [{"message": {"role": "assistant", "content": "Here."}}]}',
}
VLLM = {
    "request_id": "cmpl-1",
    "prompt": "Where is it?",
    "prompt_token_ids": [1, 2],
    "prompt_logprobs": None,
    "finished": True,
    "outputs": [{"index": 0, "text": "Here.", "token_ids": [3], "stop_reason": None}],
    "metrics": {"arrival_time": 1793520000.0, "finished_time": 1793520001.5},
}
RESPONSES = {
    "request": {"model": "support-v1", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Where?"}]}]},
    "response": {
        "id": "resp_1",
        "created_at": 1793520000,
        "model": "support-v1",
        "usage": {"input_tokens": 3, "output_tokens": 1},
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Here."}]},
        ],
    },
    "duration_ms": 1500,
}


def only(ws: Workspace) -> dict[str, object]:
    (row,) = ws.rows("select * from log_rows")
    return row


def test_litellms_payload_is_recognised_and_its_latency_is_the_whole_call(ws: Workspace, tmp_path: Path) -> None:
    report = bring(ws, lines(tmp_path / "a.jsonl", [LITELLM]))
    row = only(ws)
    assert report.shape == "litellm"
    assert (row["question"], row["answer"], row["latency_s"], row["slice"]) == ("Where is it?", "Here.", 1.5, "returns")
    assert (row["person"], row["cost"], row["prompt_tokens"], row["new_tokens"]) == ("ana@mail.example", 0.00002, 7, 2)
    assert row["happened_at"] == datetime(2026, 11, 1, 8, 0, 0, 250_000)


def test_litellms_spend_logs_exported_as_csv_are_read_through_the_json_in_their_cells(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "spend.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(SPEND_LOG))
        writer.writeheader()
        writer.writerow(SPEND_LOG)
    report, row = bring(ws, path), only(ws)
    assert (report.shape, row["question"], row["answer"], row["latency_s"]) == ("litellm", "Where is it?", "Here.", 1.0)
    assert (row["slice"], row["cost"], row["request_id"]) == ("returns", 0.5, "r9")


def test_vllms_own_output_is_recognised(ws: Workspace, tmp_path: Path) -> None:
    report, row = bring(ws, lines(tmp_path / "a.jsonl", [VLLM])), only(ws)
    assert (report.shape, row["question"], row["answer"], row["latency_s"]) == ("vllm", "Where is it?", "Here.", 1.5)


def test_an_openai_style_record_keeps_the_messages_of_its_request(ws: Workspace, tmp_path: Path) -> None:
    report, row = bring(ws, lines(tmp_path / "a.jsonl", [openai(7, rating=5)])), only(ws)
    assert (report.shape, row["question"], row["answer"]) == ("openai", "Where is parcel 7?", "On its way, 7.")
    assert (row["latency_s"], row["rating"], row["score"], row["request_id"]) == (0.407, 1, 5.0, "chatcmpl-7")
    assert [turn["role"] for turn in json.loads(str(row["messages"]))] == ["system", "user"]


def test_a_responses_record_is_read_behind_its_reasoning(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, lines(tmp_path / "a.jsonl", [RESPONSES]))
    row = only(ws)
    assert (row["question"], row["answer"], row["latency_s"], row["prompt_tokens"]) == ("Where?", "Here.", 1.5, 3)


def test_a_conversation_that_ends_with_the_agent_is_its_own_answer(ws: Workspace, tmp_path: Path) -> None:
    turns = [("user", "Hello"), ("assistant", "Hi"), ("user", "Where is it?"), ("assistant", "Here.")]
    log = {"messages": [{"role": role, "content": said} for role, said in turns], "timestamp": "2026-11-01T12:00:00+02:00"}
    bring(ws, lines(tmp_path / "a.jsonl", [log]))
    row = only(ws)
    assert (row["question"], row["answer"], row["happened_at"]) == ("Where is it?", "Here.", datetime(2026, 11, 1, 10))
    assert [turn["content"] for turn in json.loads(str(row["messages"]))] == ["Hello", "Hi", "Where is it?"]


def test_plain_columns_of_a_csv_are_mapped_by_name_and_content(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "when,asked,reply,stars,took_ms,resolved,timestamp,prompt,latency_ms\n"
        "x,y,Here it is.,2,5,yes,01/13/2026 10:00,Where is it?,1500\n"
    )
    bring(ws, path)
    row = only(ws)
    assert (row["question"], row["answer"], row["latency_s"], row["success"]) == ("Where is it?", "Here it is.", 1.5, True)
    assert (row["rating"], row["score"], row["happened_at"]) == (-1, 2.0, datetime(2026, 1, 13, 10))


def test_a_parquet_file_keeps_its_types_and_gives_the_same_rows(ws: Workspace, tmp_path: Path) -> None:
    found = rows(300)
    table = pyarrow.Table.from_pylist([row | {"timestamp": datetime.fromisoformat(row["timestamp"])} for row in found])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert bring(ws, tmp_path / "a.parquet").rows_added == 300
    again = bring(ws, lines(tmp_path / "a.jsonl", found))
    assert (again.rows_added, again.rows_already) == (0, 300)


def test_the_same_file_twice_adds_nothing_and_leaves_no_second_entry(ws: Workspace, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", rows(50))
    first, second = bring(ws, path), bring(ws, path)
    assert (first.same, second.same, second.source_id) == (False, True, first.source_id)
    assert (ws.value("select count(*) from log_rows"), len(logs.sources(ws))) == (50, 1)


def test_exports_that_overlap_add_what_is_new(ws: Workspace, tmp_path: Path) -> None:
    found = rows(100)
    bring(ws, lines(tmp_path / "a.jsonl", found[:60]))
    report = bring(ws, lines(tmp_path / "b.jsonl", found[40:]))
    assert (report.rows_in, report.rows_added, report.rows_already) == (60, 40, 20)


def test_equal_rows_without_an_id_of_their_own_all_count_and_come_in_once(ws: Workspace, tmp_path: Path) -> None:
    row = {"question": "Where is my parcel?", "answer": "On its way.", "timestamp": "2026-11-01T10:00:00Z"}
    assert bring(ws, lines(tmp_path / "a.jsonl", [row, row, row])).rows_added == 3
    assert bring(ws, lines(tmp_path / "b.jsonl", [row, row, row, row])).rows_added == 1


def test_lines_that_are_no_rows_are_listed_with_line_and_reason_and_harm_nothing(ws: Workspace, tmp_path: Path) -> None:
    good = rows(3)
    path = lines(
        tmp_path / "a.jsonl",
        [
            good[0],
            "",
            "this is no JSON",
            good[1],
            "[1, 2]",
            {**good[2], "timestamp": "soon"},
            {"request_id": "x", "question": "", "answer": ""},
            '{"question": "cut o',
        ],
    )
    report = bring(ws, path)
    assert (report.rows_in, report.rows_added, report.rows_refused) == (7, 2, 5)
    assert [(row["line"], row["reason"]) for row in logs.refused(ws, report.source_id)] == [
        (3, "it is no JSON object"),
        (5, "it is no JSON object"),
        (6, "its time cannot be read"),
        (7, "it holds neither texts nor figures"),
        (8, "it is no JSON object"),
    ]
    assert logs.refused(ws, report.source_id)[0]["excerpt"] == "this is no JSON"


def test_a_broken_row_of_a_csv_is_listed_with_its_line(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'timestamp,prompt,answer\n2026-11-01 10:00:00,Where is it?,"On its\nway."\n'
        "2026-11-01 11:00:00,Where is that?,Here,too many,cells\n2026-11-01 12:00:00,And this one?,There.\n"
        "yesterday,And the last?,Nowhere.\n"
    )
    report = bring(ws, path)
    assert (report.rows_added, [row["line"] for row in logs.refused(ws, report.source_id)]) == (2, [4, 6])


def test_a_file_that_is_no_log_is_refused_in_words_with_nothing_stored(ws: Workspace, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"colour": "red", "size": "large"}])
    with pytest.raises(StudioError, match="no log of a model"):
        bring(ws, path)
    assert (logs.sources(ws), list(ws.root.glob("uploads/reading/*"))) == ([], [])


def test_a_rating_that_comes_later_is_put_to_its_row(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, lines(tmp_path / "a.jsonl", [openai(1), openai(2)]))
    later = bring(ws, lines(tmp_path / "b.jsonl", [{"request_id": "chatcmpl-2", "thumbs": "down", "resolved": False}]))
    assert (later.told_later, later.rows_added) == (1, 0)
    assert ws.rows("select request_id, rating, success from log_rows order by 1") == [
        {"request_id": "chatcmpl-1", "rating": None, "success": None},
        {"request_id": "chatcmpl-2", "rating": -1, "success": False},
    ]


def test_what_somebody_chose_for_a_log_is_taken_for_the_next_one_like_it(ws: Workspace, tmp_path: Path) -> None:
    def row(n: int) -> dict[str, str]:
        return {"a": f"Where is parcel {n}?", "b": f"On its way, {n}.", "c": "why", "prompt": "You are kind."}

    seen = logs.look(ws, lines(tmp_path / "a.jsonl", [row(1)]))
    seen = replace(seen, found=choose(choose(seen.found, "question", "a"), "answer", "b"))
    logs.add(ws, seen, "path", "ann")
    bring(ws, lines(tmp_path / "b.jsonl", [row(2)]))
    assert [found["question"] for found in ws.rows("select question from log_rows order by 1")] == [
        "Where is parcel 1?",
        "Where is parcel 2?",
    ]


def test_a_log_that_is_taken_out_can_be_read_again(ws: Workspace, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", rows(20))
    assert logs.take_out(ws, bring(ws, path).source_id) == 20
    assert bring(ws, path).rows_added == 20


def test_numbers_that_cannot_be_are_left_out_and_not_counted_as_nought(ws: Workspace, tmp_path: Path) -> None:
    row = {"question": "Where is it?", "answer": "Here.", "timestamp": 1793520000123, "latency_s": 1}
    bring(
        ws,
        lines(
            tmp_path / "a.jsonl",
            [row, row | {"question": "And now?", "latency_s": -3}, row | {"question": "And then?", "latency_s": "NaN"}],
        ),
    )
    found = ws.rows("select latency_s from log_rows order by question desc")
    assert [one["latency_s"] for one in found] == [1.0, None, None]


def test_a_line_that_is_too_long_for_the_database_is_listed_and_the_others_come_in(ws: Workspace, tmp_path: Path) -> None:
    good = rows(3)
    report = bring(ws, lines(tmp_path / "a.jsonl", [good[0], good[1] | {"answer": "long " * 8_000_000}, good[2]]))
    assert (report.rows_added, [row["line"] for row in logs.refused(ws, report.source_id)]) == (2, [2])


def test_figures_and_moments_that_cannot_be_right_spoil_nothing(ws: Workspace, tmp_path: Path) -> None:
    row = {"question": "Where?", "answer": "Here\0.", "timestamp": "2026-11-01T10:00:00Z", "cost": 1e200, "latency_s": 1e300}
    odd = {"it's": "x", 'quo"te': "y", "back\\slash": "z", "": "empty", "a..b": "dots", "*": "star", "$": "dollar"}
    report = bring(ws, lines(tmp_path / "a.jsonl", [row | odd, row | {"timestamp": "2199-01-01T00:00:00Z"}]))
    assert (report.rows_added, logs.refused(ws, report.source_id)[0]["reason"]) == (1, "its time cannot be right")
    picture = live.picture(ws, None)
    assert picture is not None and not any(figure.known for figure in picture.everything.figures.values())


def test_a_list_of_objects_is_read_like_lines(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([*rows(3), 7], indent=1))
    report = bring(ws, path)
    assert (report.rows_added, report.rows_refused, logs.refused(ws, report.source_id)[0]["line"]) == (3, 1, 4)


JUNK = st.one_of(
    st.sampled_from(["", "   ", "{", "null", "[]", '"x"', "{}", "\ufeff{}", '{"question": ""}', "\x0b", "\u2028", "{}{}"]),
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=("Cs",)), max_size=12),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JUNK, max_size=12), st.integers(0, 99))
def test_whatever_stands_between_them_good_rows_come_in_and_refused_lines_have_their_place(
    ws: Workspace, tmp_path: Path, junk: list[str], seed: int
) -> None:
    good = [json.dumps(row) for row in rows(4, seed=seed)]
    mixed = [*junk, *good]
    random.Random(seed).shuffle(mixed)
    path = tmp_path / "mixed.jsonl"
    path.write_bytes("\n".join(mixed).encode())
    report = bring(ws, path)
    listed = {row["line"] for row in logs.refused(ws, report.source_id)}
    logs.take_out(ws, report.source_id)
    physical = path.read_bytes().split(b"\n")
    assert (report.rows_added, report.rows_in, len(listed)) == (4, 4 + report.rows_refused, report.rows_refused)
    assert not any(physical[line - 1].decode() in good or not physical[line - 1].strip() for line in listed)
