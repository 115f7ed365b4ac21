"""What callers of the server ask, in OpenAI's form: checked, or refused with a code that says why. Light; knows no HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pipeline.examples import Turn
from pipeline.specs import Decoding

MOST_BYTES = 1 << 20
MOST_TOKENS, USUAL_TOKENS, MOST_TOP = 4_096, 1_024, 20
ROLES = ("system", "developer", "user", "assistant", "tool")
NOT_DONE: dict[str, tuple[Any, ...]] = {
            "stop": (None, [], ""), "presence_penalty": (None, 0), "frequency_penalty": (None, 0), "logit_bias": (None, {}),
            "n": (None, 1), "tool_choice": (None, "auto", "none"), "functions": (None, []), "audio": (None,),
            "modalities": (None, ["text"]), "prediction": (None,), "reasoning_effort": (None, "none"),
            "web_search_options": (None,)}
"""Would change the answer and is not done here, unless it has one of these values."""


class Refused(Exception):
    """A request that gets no answer: an HTTP status, words, OpenAI's `code` and the field they are about."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None, later: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.later = status, message, code, param, later

    @property
    def body(self) -> dict[str, Any]:
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class Wanted:
    """One answer that a caller wants. `top` none: no log-probabilities; else how many of the likeliest tokens beside each."""

    messages: tuple[Turn, ...]
    tools: tuple[dict[str, Any], ...]
    decoding: Decoding
    stream: bool = False
    usage: bool = False
    top: int | None = None


def loaded(body: bytes) -> dict[str, Any]:
    """A request's body. Raises Refused."""
    try:
        found = json.loads(body)
    except ValueError:
        raise Refused(400, "The body is not JSON.", "invalid_json") from None
    if not isinstance(found, dict):
        raise Refused(400, "The body must be a JSON object.", "invalid_json")
    return found


def read(body: dict[str, Any], name: str) -> Wanted:
    """A request for an answer of the model that is called so here. Raises Refused."""
    if body.get("model") != name:
        raise Refused(404, f"There is no such model here; the one that is served is called {name}.", "model_not_found", "model")
    for field, harmless in NOT_DONE.items():
        if body.get(field) not in harmless:
            raise Refused(400, f"{field} is not supported here, and the answer would not be what you ask for.",
                          "unsupported_parameter", field)
    if (body.get("response_format") or {"type": "text"}) != {"type": "text"}:
        raise Refused(400, "Only text answers are supported here.", "unsupported_parameter", "response_format")
    stream, logprobs = _flag(body, "stream"), _flag(body, "logprobs")
    top = _number(body, "top_logprobs", 0, 0, MOST_TOP, whole=True)
    if top and not logprobs:
        raise Refused(400, "top_logprobs needs logprobs to be true.", "invalid_value", "top_logprobs")
    if stream and logprobs:
        raise Refused(400, "logprobs come with whole answers only: ask without stream.", "unsupported_parameter", "logprobs")
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise Refused(400, "stream_options must be an object.", "invalid_type", "stream_options")
    return Wanted(messages(body), _tools(body), _decoding(body), stream, bool(options.get("include_usage")),
                  int(top) if logprobs else None)


def messages(body: dict[str, Any]) -> tuple[Turn, ...]:
    """The conversation, which ends with a question. Raises Refused."""
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise Refused(400, "messages must be a list with at least one message.", "invalid_type", "messages")
    turns = tuple(_turn(turn, place) for place, turn in enumerate(given))
    if turns[-1]["role"] not in ("user", "tool"):
        raise Refused(400, "The last message must be the user's, or the result of a tool.", "invalid_value",
                      f"messages[{len(turns) - 1}]")
    return turns


def _turn(turn: Any, place: int) -> Turn:
    where = f"messages[{place}]"
    role = turn.get("role") if isinstance(turn, dict) else None
    if role not in ROLES:
        raise Refused(400, f"A message's role is one of {', '.join(ROLES)}.", "invalid_value", f"{where}.role")
    content = _content(turn.get("content"), where)
    calls = turn.get("tool_calls")
    if content is None and not (role == "assistant" and calls):
        raise Refused(400, "A message needs content.", "missing_required_parameter", f"{where}.content")
    if calls is not None and not _are_calls(calls):
        raise Refused(400, "tool_calls must be a list of function calls.", "invalid_type", f"{where}.tool_calls")
    found = {"role": "system" if role == "developer" else role, "content": content or ""}
    return found | {key: turn[key] for key in ("tool_calls", "tool_call_id", "name") if turn.get(key)}


def _content(content: Any, where: str) -> str | None:
    """Text, or parts that are all text."""
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    if not all(isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in parts):
        raise Refused(400, "This model reads text only.", "unsupported_content", f"{where}.content")
    return "\n".join(part["text"] for part in parts)


def _are_calls(calls: Any) -> bool:
    return isinstance(calls, list) and all(
        isinstance(call, dict) and isinstance(call.get("function"), dict) and isinstance(call["function"].get("name"), str)
        and "arguments" in call["function"] for call in calls)


def _tools(body: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    found = body.get("tools") or []
    if not isinstance(found, list) or not all(isinstance(tool, dict) and tool.get("type") == "function" for tool in found):
        raise Refused(400, "tools must be a list of functions.", "invalid_type", "tools")
    return tuple(found) if body.get("tool_choice") != "none" else ()


def _decoding(body: dict[str, Any]) -> Decoding:
    """Greedy where nothing is said, as the model was evaluated."""
    field = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    most = _number(body, field, USUAL_TOKENS, 1, MOST_TOKENS, whole=True)
    return Decoding(max_new_tokens=int(most), temperature=_number(body, "temperature", 0, 0, 2),
                    top_p=max(_number(body, "top_p", 1, 0, 1), 1e-6),
                    seed=int(_number(body, "seed", 1234, -(2**63), 2**63 - 1, whole=True)))


def _number(body: dict[str, Any], field: str, usual: float, low: float, high: float, whole: bool = False) -> float:
    value: Any = body.get(field)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise Refused(400, f"{field} must be a {'whole ' if whole else ''}number.", "invalid_type", field)
    if not low <= value <= high:
        raise Refused(400, f"{field} must lie between {low:g} and {high:g}.", "invalid_value", field)
    return float(value) if not whole else int(value)


def _flag(body: dict[str, Any], field: str) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"{field} must be true or false.", "invalid_type", field)
    return bool(value)
