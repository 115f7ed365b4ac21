"""Conversations inside JSON: recognised by their shape, and written in one form, [{"role", "content"}, …].

A turn is {"role", "content"} (chat), {"from", "value"} (ShareGPT), an object that names its speaker and text in other common
words, or a pair [speaker, text]. The last two count only where every speaker is known. Turns of speaker "action" (what an
agent clicked, in the ABCD dialogues) are said by nobody and are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from studio.sources import Form, as_text, clean_name

COLUMN = "messages"
ROLES = {
    **dict.fromkeys(("user", "human", "customer", "client", "requester", "end-user", "end_user", "visitor", "contact"), "user"),
    **dict.fromkeys(("assistant", "agent", "support", "gpt", "bot", "chatbot", "model", "ai", "staff", "operator",
                     "representative", "admin"), "assistant"),
    "system": "system", "developer": "system",
    **dict.fromkeys(("tool", "function", "observation"), "tool"),
}
"""Who a speaker's name stands for, in lower case."""
_ACTIONS = ("action",)
_STATED = (("role", "content"), ("from", "value"))
_SPEAKERS = ("role", "speaker", "author", "sender", "from")
_TEXTS = ("content", "text", "message", "value", "body")
_DEEPEST = 5
_MOST_COLUMNS = 2_000


class NotUsable(ValueError):
    """Why a row cannot be used, in words."""


def conversation(value: Any) -> str:
    """The turns as JSON [{"role", "content"}, …], roles user, assistant, system or tool. Raises NotUsable naming the turn."""
    if not isinstance(value, list) or not value:
        raise NotUsable("no turns" if value is None or isinstance(value, list) else "its turns are not a list")
    found = [_turn(turn, place) for place, turn in enumerate(value, start=1)]
    return json.dumps([turn for turn in found if turn is not None], ensure_ascii=False)


def _turn(turn: Any, place: int) -> dict[str, str] | None:
    keys = _keys(turn)
    if keys is None:
        raise NotUsable(f"turn {place} does not say who speaks and what")
    speaker = str(turn[keys[0]]).strip().lower()
    if speaker in _ACTIONS:
        return None
    if speaker not in ROLES:
        raise NotUsable(f"turn {place} is said by {clean_name(speaker)[:40]!r}, who is neither customer, agent nor system")
    if isinstance(turn, dict) and (turn.get("tool_calls") or turn.get("function_call")):
        raise NotUsable(f"turn {place} calls a tool, which is not text")
    return {"role": ROLES[speaker], "content": _content(turn[keys[1]], place)}


def _content(content: Any, place: int) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise NotUsable(f"turn {place} has no text")
    return "\n".join([_part(part, place) for part in content])


def _part(part: Any, place: int) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    if isinstance(text, str):
        return text
    kind = str(part.get("type", "part") if isinstance(part, dict) else "part")
    raise NotUsable(f"turn {place} holds {kind[:40]!r}, which is not text")


def _keys(turn: Any) -> tuple[Any, Any] | None:
    """Under which keys a turn names its speaker and its text."""
    if isinstance(turn, dict):
        speaker = next((key for key in _SPEAKERS if isinstance(turn.get(key), str)), None)
        text = next((key for key in _TEXTS if key in turn), None)
        return (speaker, text) if speaker and text else None
    pair = isinstance(turn, list) and len(turn) == 2 and all(isinstance(part, str) for part in turn)
    return (0, 1) if pair else None


def is_conversation(value: Any) -> bool:
    """Whether a list is turns by its shape."""
    if not isinstance(value, list) or not value:
        return False
    keys = [_keys(turn) for turn in value]
    if None in keys:
        return False
    if all(pair in _STATED for pair in keys):
        return True
    speakers = [turn[pair[0]] for turn, pair in zip(value, keys, strict=True) if pair]
    return all(speaker.strip().lower() in (*ROLES, *_ACTIONS) for speaker in speakers)


def leaves(row: Mapping[str, Any], before: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """What an object holds, by column name: inner objects as `a.b`, down to five levels; the rest whole."""
    for key, value in row.items():
        name = before + (clean_name(key) or "blank")
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from leaves(value, f"{name}.", depth + 1)
        else:
            yield name, value


class Survey:
    """What a pass over all rows has seen: every column there is, and which of them hold conversations."""

    def __init__(self) -> None:
        self.rows = 0
        self._filled: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row in. Raises NotUsable when there are thousands of columns, so that these are no columns."""
        self.rows += 1
        for name, value in leaves(row):
            self._filled[name] += value is not None
            if isinstance(value, list) and is_conversation(value):
                self._turns[name] += 1
        if len(self._filled) > _MOST_COLUMNS:
            raise NotUsable(f"its objects have more than {_MOST_COLUMNS:,} different keys")

    @property
    def turns_at(self) -> str:
        """The column whose lists are conversations in most rows that have one; "" where there is none."""
        found = [name for name, count in self._turns.items() if count * 2 >= self._filled[name]]
        return max(found, key=lambda name: (self._turns[name], name in (COLUMN, "conversations")), default="")

    @property
    def form(self) -> Form:
        """What these rows are known as."""
        if self.turns_at:
            return "sharegpt" if self.turns_at == "conversations" else "messages"
        if {"instruction", "output"} <= self._filled.keys():
            return "alpaca"
        return "prompt_completion" if {"prompt", "completion"} <= self._filled.keys() else "rows"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order of their first sight, the conversation first."""
        at = self.turns_at
        shown = tuple(_shown(name, at) for name in self._filled if name != at)
        return (COLUMN, *shown) if at else shown


def _shown(name: str, turns_at: str) -> str:
    return "messages (2)" if turns_at and name == COLUMN else name


def cells_of(row: Mapping[str, Any], columns: Sequence[str], turns_at: str) -> tuple[str, ...]:
    """The row's text under each column. Raises NotUsable when its conversation cannot be read."""
    found: dict[str, str] = {}
    turns: Any = None
    for name, value in leaves(row):
        if turns_at and name == turns_at:
            turns = value
        else:
            found[_shown(name, turns_at)] = "" if value == [] or value == {} else as_text(value)
    if turns_at:
        # Prompt and completion may each be a list of turns; together they are the conversation.
        rest = row.get("completion") if turns_at == "prompt" else None
        found[COLUMN] = conversation(turns + rest if isinstance(turns, list) and isinstance(rest, list) else turns)
    return tuple([found.get(name, "") for name in columns])
