"""A JSONL file is checked line by line, and every problem is said with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline import launch, rundir
from pipeline.specs import ValidateSpec, dumps
from pipeline.validation import Validation, done_words
from studio import exports, runs, validation
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.children import wait_until


def ended(folder: Path) -> rundir.Result:
    """The result of a run that somebody started."""
    wait_until(lambda: rundir.result(folder) is not None and not rundir.is_alive(folder), folder)
    found = rundir.result(folder)
    assert found is not None
    return found


ASK, ANSWER = {"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "It comes on Monday."}


def line(*turns: dict[str, Any], **more: Any) -> str:
    return json.dumps({"messages": list(turns or (ASK, ANSWER)), **more}) + "\n"


def problems(*lines: str | bytes, max_tokens: int = 8192) -> list[tuple[int, int | None, str, str]]:
    """(line, turn, severity, kind) of everything found in these lines."""
    found = Validation(max_tokens)
    raw = [one if isinstance(one, bytes) else one.encode() for one in lines]
    return [(p.line, p.turn, p.severity, p.kind) for one in raw for p in found.line(one)]


def test_a_good_line_has_no_problem() -> None:
    assert problems(line({"role": "system", "content": "Be brief."}, ASK, ANSWER)) == []


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ('{"messages": [}\n', "not_json"),
        ("[1, 2]\n", "not_object"),
        ('{"prompt": "a"}\n', "no_messages"),
        ('{"messages": "a"}\n', "no_messages"),
        ('{"messages": [], "n": NaN}\n', "not_json"),
        ('{"messages": [], "messages": []}\n', "not_json"),
        ("[" * 200_000 + "\n", "not_json"),
        (b'{"messages": "\xff"}\n', "not_utf8"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_error(raw: str | bytes, kind: str) -> None:
    assert problems(raw) == [(1, None, "error", kind)]


@pytest.mark.parametrize(
    ("turns", "problem"),
    [
        ((ASK, {"role": "agent", "content": "Yes"}), (1, 2, "error", "role")),
        ((ASK, {"role": "assistant", "content": 7}), (1, 2, "error", "content")),
        ((ASK, {"role": "assistant", "content": " "}), (1, 2, "error", "empty")),
        ((ASK, {"role": "assistant", "content": "Yes", "weight": 2}), (1, 2, "error", "weight")),
        (({**ASK, "weight": 1}, ANSWER), (1, 1, "error", "weight")),
        ((ASK, {**ANSWER, "weight": 0}), (1, None, "error", "weight")),
        ((ASK, {"role": "system", "content": "Be kind."}, ANSWER), (1, 2, "error", "order")),
        ((ANSWER, ASK), (1, 2, "error", "last_turn")),
        ((ASK, ASK, ANSWER), (1, 2, "warning", "order")),
        ((ASK, {**ANSWER, "mood": "good"}), (1, 2, "warning", "unknown_key")),
        ((ASK, {"role": "assistant", "content": "Call \x07 me"}), (1, 2, "warning", "control")),
        ((ASK, {"role": "assistant", "content": "Write to bo.lee@example.org please"}), (1, 2, "warning", "email")),
        ((ASK, {"role": "assistant", "content": "Line one\\nline two"}), (1, 2, "warning", "literal_newline")),
    ],
)
def test_a_problem_is_said_with_its_turn(turns: tuple[dict[str, Any], ...], problem: tuple[int, int, str, str]) -> None:
    assert problem in problems(line(*turns))


def test_a_turn_that_only_calls_a_tool_needs_no_content() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    assert problems(line(ASK, call, {"role": "tool", "content": "42", "tool_call_id": "1"}, ANSWER)) == []


def test_a_list_of_text_parts_is_content() -> None:
    assert problems(line({"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}, ANSWER)) == []


def test_repeats_and_contradictions_name_the_line_before() -> None:
    other = {"role": "assistant", "content": "Never."}
    found = Validation(8192)
    said = [p.sentence for raw in (line(), line(), line(ASK, other)) for p in found.line(raw.encode())]
    assert said == [
        "The same conversation stands on line 1.",
        "Line 1 asks the same and answers in other words.",
    ]


def test_all_problems_are_said_and_not_the_first_ten() -> None:
    assert len(problems(*["no json\n"] * 500)) == 500


def test_an_example_over_the_limit_is_an_error() -> None:
    assert problems(line(ASK, {"role": "assistant", "content": "word " * 200}), max_tokens=100) == [
        (1, None, "error", "too_long")
    ]


def test_a_short_file_is_not_ready() -> None:
    found = Validation(8192)
    for n in range(9):
        found.line(line({"role": "user", "content": f"Question {n}"}, ANSWER).encode())
    assert [p.kind for p in found.end(1000)] == ["too_few"]
    assert done_words(found.summary()) == "Not ready: 1 error; 0 of 9 lines cannot be used."


def test_no_sentence_repeats_personal_data() -> None:
    found = Validation(8192)
    raw = line(ASK, {"role": "assistant", "content": "Write to bo.lee@example.org or call +1 415 555 0132."})
    said = " ".join(p.sentence for p in found.line(raw.encode()))
    assert ("bo.lee" in said, "0132" in said, said != "") == (False, False, True)


@settings(max_examples=300, deadline=None)
@given(some.lists(some.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" ") + b"\n"), max_size=5))
def test_wild_bytes_are_counted_and_never_raise(lines: list[bytes]) -> None:
    found = Validation(8192)
    for raw in lines:
        found.line(raw)
    assert found.number == len(lines)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4)
    | some.dictionaries(some.sampled_from(["messages", "role", "content", "weight"]), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(some.lists(some.dictionaries(some.sampled_from(["role", "content", "weight", "x"]), JSON, max_size=4), max_size=4))
def test_wild_turns_never_raise(turns: list[dict[str, Any]]) -> None:
    found = Validation(8192)
    found.line(json.dumps({"messages": turns}).encode())
    assert found.number == 1


def test_a_run_says_every_problem_and_a_verdict(ws: Workspace, tmp_path: Path) -> None:
    good = [line({"role": "user", "content": f"Question number {n}"}, ANSWER) for n in range(12)]
    (tmp_path / "train.jsonl").write_text("".join([*good, "broken\n"]))
    run_id = validation.start(ws, str(tmp_path / "train.jsonl"), 8192)
    ended(ws.path(f"runs/{run_id}"))
    run = runs.get(ws, run_id)
    assert run.result is not None
    assert (run.result.message, [(p.line, p.kind) for p in validation.problems(ws, run)]) == (
        "Not ready: 1 error; 1 of 13 lines cannot be used.", [(13, "not_json")])  # fmt: skip


def test_a_file_that_is_not_there_is_said_to_be_missing(ws: Workspace) -> None:
    with pytest.raises(StudioError, match=r"no file nothing\.jsonl"):
        validation.start(ws, "/tmp/nothing.jsonl", 8192)


def test_an_upload_stays_in_its_folder(ws: Workspace) -> None:
    file = validation.receive(ws, "../../../etc/x.jsonl", b"{}\n")
    assert (Path(file).name, ws.path("uploads/validated") in ws.path(file).parents) == ("x.jsonl", True)


def test_a_validation_does_not_wait_for_the_device(ws: Workspace, tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "a.jsonl").write_text(line())
    ws.path("runs").mkdir(exist_ok=True)
    with ws.path("runs/device.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = ws.path("runs/v1")
        rundir.prepare(folder, dumps(ValidateSpec(run_id="v1", file=str(tmp_path / "a.jsonl"))))
        launch.start(folder, ws.root)
        assert ended(folder).outcome == "done"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "  =1", "\r=1"])
def test_a_cell_that_would_be_a_formula_gets_a_quote(cell: str) -> None:
    assert exports.neutral(cell) == "'" + cell
