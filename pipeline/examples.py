"""One line of a snapshot file: `{"id", "messages"}`, with `"tools"` where the agent had some. Light: imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

Turn = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A conversation whose last turn is the agent's answer. `tools` are OpenAI's definitions of what the agent could call."""

    id: str
    messages: tuple[Turn, ...]
    tools: tuple[dict[str, Any], ...] = ()

    @property
    def question(self) -> tuple[Turn, ...]:
        """Every turn before the last answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        return str(self.messages[-1].get("content") or "")


def read(path: Path) -> list[Example]:
    """Every line of the file. Raises PipelineError with the line number when one cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PipelineError(f"The file {path.name} of the snapshot is gone.",
                            "Put it back from a backup, or freeze again.") from None
    found = [_parse(path.name, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not found:
        raise PipelineError(f"{path.name} is empty.", "Freeze a snapshot with more records.")
    return found


def _parse(name: str, number: int, line: str) -> Example:
    try:
        row = json.loads(line)
        example = Example(str(row["id"]), tuple(row["messages"]), tuple(row.get("tools") or ()))
        usable = _is_conversation(example.messages) and all(isinstance(tool, dict) for tool in example.tools)
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise PipelineError(f"Line {number} of {name} is not a conversation that ends with the agent's answer.",
                            "Freeze the snapshot again; its files are not meant to be edited.")
    return example


def _is_conversation(messages: Sequence[Turn]) -> bool:
    """At least a question and an answer; a tool's result only after a call."""
    return (len(messages) >= 2 and messages[-1]["role"] == "assistant" and all(map(_is_turn, messages))
            and messages[0]["role"] != "tool"
            and all(after["role"] != "tool" or before["role"] == "tool" or bool(before.get("tool_calls"))
                    for before, after in pairwise(messages)))


def _is_turn(turn: Turn) -> bool:
    if turn["role"] == "assistant" and turn.get("tool_calls"):
        called = [call["function"] for call in turn["tool_calls"]]
        return (isinstance(turn.get("content") or "", str)
                and all(isinstance(call["name"], str) and "arguments" in call for call in called))
    return turn["role"] in ("system", "user", "assistant", "tool") and isinstance(turn["content"], str)
