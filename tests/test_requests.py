"""What callers of the server ask: taken as OpenAI's clients write it, or refused with a code that says why."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.deploy import requests
from pipeline.deploy.requests import Refused
from pipeline.specs import Decoding

ASKED = {"model": "tiny", "messages": [{"role": "user", "content": "Where is it?"}]}
CALLED = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "find", "arguments": "{}"}}]}


def test_a_plain_question_is_answered_greedily_as_the_model_was_evaluated() -> None:
    found = requests.read(ASKED, "tiny")
    assert (found.decoding, found.stream, found.top) == (Decoding(max_new_tokens=1024), False, None)


def test_what_openais_clients_may_send_is_taken() -> None:
    found = requests.read(ASKED | {
        "max_completion_tokens": 20, "temperature": 0.5, "top_p": 0.9, "seed": 7, "stream": True, "n": 1, "user": "u",
        "stream_options": {"include_usage": True}, "response_format": {"type": "text"}, "store": False}, "tiny")  # fmt: skip
    assert found.decoding == Decoding(max_new_tokens=20, temperature=0.5, top_p=0.9, seed=7)
    assert (found.stream, found.usage) == (True, True)


def test_text_parts_tools_and_a_developers_message_are_read() -> None:
    parts = [{"type": "text", "text": "Where"}, {"type": "text", "text": "is it?"}]
    tool = {"type": "function", "function": {"name": "find"}}
    turns = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}, CALLED,
             {"role": "tool", "content": "on its way", "tool_call_id": "1"}]  # fmt: skip
    found = requests.read({"model": "tiny", "messages": turns, "tools": [tool]}, "tiny")
    assert [turn["role"] for turn in found.messages] == ["system", "user", "assistant", "tool"]
    assert (found.messages[1]["content"], found.tools) == ("Where\nis it?", (tool,))


@pytest.mark.parametrize(
    ("wrong", "status", "code", "param"),
    [
        ({"model": "other"}, 404, "model_not_found", "model"),
        ({"messages": []}, 400, "invalid_type", "messages"),
        ({"messages": "hello"}, 400, "invalid_type", "messages"),
        ({"messages": [{"role": "boss", "content": "x"}]}, 400, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user"}]}, 400, "missing_required_parameter", "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "unsupported_content",
         "messages[0].content"),
        ({"messages": [ASKED["messages"][0], {"role": "assistant", "content": "x"}]}, 400, "invalid_value", "messages[1]"),
        ({"max_tokens": 0}, 400, "invalid_value", "max_tokens"),
        ({"max_tokens": 5000}, 400, "invalid_value", "max_tokens"),
        ({"max_tokens": 1.5}, 400, "invalid_type", "max_tokens"),
        ({"temperature": 3}, 400, "invalid_value", "temperature"),
        ({"temperature": "hot"}, 400, "invalid_type", "temperature"),
        ({"top_p": True}, 400, "invalid_type", "top_p"),
        ({"stream": "yes"}, 400, "invalid_type", "stream"),
        ({"n": 2}, 400, "unsupported_parameter", "n"),
        ({"stop": ["\n"]}, 400, "unsupported_parameter", "stop"),
        ({"response_format": {"type": "json_object"}}, 400, "unsupported_parameter", "response_format"),
        ({"top_logprobs": 3}, 400, "invalid_value", "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "invalid_value", "top_logprobs"),
        ({"logprobs": True, "stream": True}, 400, "unsupported_parameter", "logprobs"),
        ({"tools": [{"type": "web"}]}, 400, "invalid_type", "tools"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_with_its_field(wrong: Any, status: int, code: str, param: str) -> None:
    with pytest.raises(Refused) as refused:
        requests.read(ASKED | wrong, "tiny")
    assert (refused.value.status, refused.value.code, refused.value.param) == (status, code, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="body"):
        requests.loaded(body)
