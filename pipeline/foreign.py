"""Lines of test files that were made elsewhere. Light: the app reads them too."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.examples import Turn

_ASKED = ("question", "prompt", "instruction", "input", "message", "text", "query")
_ANSWERED = ("answer", "completion", "response", "output", "label", "category", "intent")
"""Under which names a line says its question and its answer, the likelier first."""


def sides(messages: Sequence[Turn]) -> tuple[str, str]:
    """A conversation's two sides: all that the customer says, and all that the agent says."""
    return _said(messages, "user"), _said(messages, "assistant")


def _said(messages: Sequence[Turn], role: str) -> str:
    return "\n".join(turn["content"] for turn in messages if turn["role"] == role)


def read_foreign(line: str) -> tuple[str, str] | None:
    """(question, answer) of one JSON line written elsewhere; None where it holds no question."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    turns = row.get("messages")
    if isinstance(turns, list):
        said = [turn for turn in turns if isinstance(turn, dict) and isinstance(turn.get("content"), str)]
        return sides([{"role": str(turn.get("role")), "content": turn["content"]} for turn in said])
    lower = {str(key).lower(): value for key, value in row.items() if isinstance(value, str)}
    asked = next((lower[key] for key in _ASKED if key in lower), None)
    return None if asked is None else (asked, next((lower[key] for key in _ANSWERED if key in lower), ""))
