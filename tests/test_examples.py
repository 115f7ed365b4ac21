"""Snapshot lines as the engines read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import examples
from pipeline.errors import PipelineError
from pipeline.examples import Example

ASKED = {"role": "user", "content": "Where is it?"}
ANSWERED = {"role": "assistant", "content": "On its way.", "weight": 1}
GOOD = '{"id": "a", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'


def test_question_is_everything_before_the_last_answer() -> None:
    found = Example("a", (ASKED, ANSWERED))
    assert (found.question, found.answer) == ((ASKED,), "On its way.")


CALLED = (
    '{"id": "a", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "tool_calls": '
    '[{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]}, '
    '{"role": "tool", "tool_call_id": "c", "content": "7"}, {"role": "assistant", "content": "Seven"}], '
    '"tools": [{"type": "function", "function": {"name": "look"}}]}'
)


def test_tools_and_calls_come_with_the_conversation(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(CALLED + "\n", encoding="utf-8")
    found = examples.read(path)[0]
    assert (found.tools[0]["function"]["name"], found.messages[2]["content"], found.answer) == ("look", "7", "Seven")


def test_empty_lines_and_separators_inside_a_text_do_not_split_an_example(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    odd = GOOD.replace("Hello", "Hel\u2028lo")
    path.write_text(f"{GOOD}\n\n{odd}\n", encoding="utf-8")
    assert [found.answer for found in examples.read(path)] == ["Hello", "Hel\u2028lo"]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"messages": []}',
        '{"id": "a", "messages": [{"role": "user", "content": "SECRET"}]}',
        GOOD.replace('"assistant"', '"user"'),
        GOOD.replace('"Hello"', "null"),
        GOOD.replace('"role": "user"', '"role": "tool"'),
        CALLED.replace('"tool_calls"', '"calls"'),
        CALLED.replace('"arguments"', '"args"'),
        CALLED.replace('"tools": [', '"tools": ["look", '),
    ],
)
def test_a_line_that_cannot_be_used_is_named_by_its_number_and_not_by_its_text(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"^Line 2 of train\.jsonl is not a conversation") as caught:
        examples.read(path)
    assert "SECRET" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("text", "words"), [(None, "is gone"), ("\n", "is empty")])
def test_a_missing_or_empty_file_says_what_to_do(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "train.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PipelineError, match=words) as caught:
        examples.read(path)
    assert caught.value.hint
