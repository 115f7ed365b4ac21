"""The very lines that go to a service, and what it would refuse in them. Pure: the same examples give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.examples import Example, Turn

Line = dict[str, Any]
Problem = tuple[int, str]
ROLES = ("system", "developer", "user", "assistant", "tool")
TURN_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")


@dataclass(frozen=True)
class Limits:
    """What a service takes: examples at least, bytes a file and tokens an example at most; none: not known."""

    least: int = 10
    bytes: int | None = 512 * 1_000_000
    tokens: int | None = None


def line(example: Example) -> Line:
    """`{"messages", "tools"?}`, nothing of ours in it; weights are on the agent's turns only where one is not learned."""
    weighed = any(turn["role"] == "assistant" and turn.get("weight", 1) == 0 for turn in example.messages)
    found: Line = {"messages": [_turn(turn, weighed) for turn in example.messages]}
    return found | ({"tools": list(example.tools)} if example.tools else {})


def content(given: Iterable[Example]) -> bytes:
    return "".join(json.dumps(line(one), ensure_ascii=False) + "\n" for one in given).encode()


def file_name(sha256: str) -> str:
    """An upload's name says what is in it, so that the same content is found again."""
    return f"tunewright-{sha256[:32]}.jsonl"


def problems(lines: Sequence[Line], tokens: Sequence[int] = (), size: int = 0, limits: Limits = Limits()) -> list[Problem]:
    """Line number from 1 (0: the whole file) and what is wrong, in words. `tokens`: of each line; `size` in bytes."""
    found: list[Problem] = []
    if len(lines) < limits.least:
        found.append((0, f"There are {len(lines)} examples; the service wants at least {limits.least}."))
    if limits.bytes is not None and size > limits.bytes:
        found.append((0, f"The file has {size / 1e6:,.0f} MB; the service takes at most {limits.bytes / 1e6:,.0f} MB."))
    for number, one in enumerate(lines, start=1):
        found += [(number, words) for words in _of_line(one)]
        if limits.tokens is not None and tokens and tokens[number - 1] > limits.tokens:
            found.append((number, f"It has {tokens[number - 1]:,} tokens; the model learns from {limits.tokens:,} of an "
                                  "example at most, and the rest is cut off or the file refused."))
    return found


def _turn(turn: Turn, weighed: bool) -> Turn:
    kept = {key: turn[key] for key in TURN_KEYS if turn.get(key) is not None}
    return kept | ({"weight": int(turn.get("weight", 1) != 0)} if weighed and turn["role"] == "assistant" else {})


def _of_line(one: Line) -> list[str]:
    messages = one.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(turn, dict) for turn in messages):
        return ["It has no messages."]
    found = [words for place, turn in enumerate(messages, start=1) for words in _of_turn(turn, place)]
    last = messages[-1]
    if last.get("role") != "assistant":
        found.append("Its last turn is not the agent's.")
    elif last.get("weight") == 0:
        found.append("Its last turn is not to be learned (weight 0).")
    elif not last.get("tool_calls") and not str(last.get("content") or "").strip():
        found.append("Its last turn is empty, so there is nothing to learn.")
    return found


def _of_turn(turn: Turn, place: int) -> list[str]:
    role, calls = turn.get("role"), turn.get("tool_calls") or []
    if role not in ROLES:
        return [f"Turn {place} has a role that the service does not know."]
    found = []
    if not isinstance(turn.get("content"), str) and not (role == "assistant" and calls):
        found.append(f"Turn {place} has no text.")
    if any(not isinstance(call, dict) or not call.get("id") or call.get("type") != "function" for call in calls):
        found.append(f"Turn {place} calls a tool without an id or a type.")
    if role == "tool" and not turn.get("tool_call_id"):
        found.append(f"Turn {place} answers no tool call by its id.")
    return found
