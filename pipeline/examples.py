"""One line of a snapshot file: `{"id", "messages"}`. Light: imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

Turn = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A conversation whose last turn is the agent's answer."""

    id: str
    messages: tuple[Turn, ...]

    @property
    def question(self) -> tuple[Turn, ...]:
        """Every turn before the last answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        return str(self.messages[-1]["content"])


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
        example = Example(str(row["id"]), tuple(row["messages"]))
        usable = _is_conversation(example.messages)
    except (ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        raise PipelineError(f"Line {number} of {name} is not a conversation that ends with the agent's answer.",
                            "Freeze the snapshot again; its files are not meant to be edited.")
    return example


def _is_conversation(messages: Sequence[Turn]) -> bool:
    return (len(messages) >= 2 and messages[-1]["role"] == "assistant"
            and all(turn["role"] in ("system", "user", "assistant") and isinstance(turn["content"], str) for turn in messages))
