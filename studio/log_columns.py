"""What a production log holds and where: paths into its objects, or columns, found from their names and their content.

Shapes that are recognised by their keys: OpenAI-style request and response records (Chat Completions, Completions, Responses;
also lines of a batch's output that carry their request), LiteLLM's (StandardLoggingPayload of its loggers, rows of
LiteLLM_SpendLogs), vLLM's (its own `RequestOutput`, and responses with its own fields), and plain columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from studio.columns import mean_words
from studio.moments import formats_of
from studio.ratings import read_scale

Shape = Literal["litellm", "vllm", "openai", "rows"]
SHAPES: dict[Shape, str] = {
    "litellm": "LiteLLM",
    "vllm": "vLLM",
    "openai": "OpenAI-style request and response",
    "rows": "plain columns",
}
ROLES: dict[str, str] = {
    "messages": "Messages of the request",
    "question": "Question",
    "answer": "Answer",
    "time": "Time",
    "end": "Time of its end",
    "latency": "Latency",
    "model": "Model",
    "rating": "Rating",
    "success": "Task success",
    "cost": "Cost",
    "prompt_tokens": "Tokens read",
    "new_tokens": "Tokens written",
    "slice": "Slice",
    "person": "Who it was for",
    "request_id": "Request id",
}
FIGURES = ("latency", "rating", "success", "cost", "prompt_tokens", "new_tokens")
MOST_PATHS = 3
"""So many places a role may have: records of one file are not all alike."""
_DEEP, _WIDE, _EXAMPLES = 7, 400, 200

_BODIES = ("", "request.", "request.body.", "body.", "request_body.", "kwargs.", "proxy_server_request.")
_ANSWERS = ("", "response.", "response.body.", "body.", "response_body.", "response_obj.", "completion.")
_KNOWN: dict[str, tuple[str, ...]] = {
    "messages": tuple(f"{part}{name}" for name in ("messages", "input", "prompt_messages", "prompt") for part in _BODIES),
    "question": tuple(f"{part}{name}" for name in ("prompt", "input") for part in _BODIES),
    "answer": tuple(
        f"{part}{name}"
        for name in (
            "choices[0].message.content",
            "choices[0].text",
            "output_text",
            "output[0].content[0].text",
            "output[-1].content[0].text",
            "outputs[0].text",
            "message.content",
        )
        for part in _ANSWERS
    ),
    "time": (
        "startTime",
        "start_time",
        "metrics.arrival_time",
        "response.created",
        "response.body.created",
        "created",
        "response.created_at",
    ),
    "end": ("endTime", "end_time", "metrics.finished_time", "finished_at", "completed_at"),
    "model": ("model", "request.model", "request.body.model", "response.model", "response.body.model", "model_group"),
    "cost": ("response_cost", "spend"),
    "prompt_tokens": tuple(
        f"{part}{name}" for name in ("prompt_tokens", "usage.prompt_tokens", "usage.input_tokens") for part in _ANSWERS
    ),
    "new_tokens": tuple(
        f"{part}{name}" for name in ("completion_tokens", "usage.completion_tokens", "usage.output_tokens") for part in _ANSWERS
    ),
    "slice": ("request_tags[0]", "metadata.tags[0]", "tags[0]"),
    "person": ("end_user", "request.user", "request.body.user"),
    "request_id": ("id", "request_id", "response.id", "response.body.id", "custom_id"),
}
"""Where records of known shapes have it, the likeliest first."""

_NAMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversation", "turns"),
    "question": ("question", "customer_message", "user_message", "prompt", "query", "message", "instruction", "input", "text"),
    "answer": ("answer", "response", "completion", "reply", "output", "agent_response", "response_text", "generated_text"),
    "time": (
        "timestamp",
        "created_at",
        "time",
        "at",
        "ts",
        "datetime",
        "date",
        "created",
        "logged_at",
        "request_time",
        "start_time",
        "@timestamp",
    ),
    "end": ("end_time", "finished_at", "completed_at"),
    "latency": (
        "latency",
        "latency_s",
        "latency_ms",
        "latency_seconds",
        "total_latency_ms",
        "duration",
        "duration_ms",
        "duration_s",
        "response_time",
        "response_time_ms",
        "elapsed",
        "elapsed_ms",
        "e2e_latency",
        "request_duration",
    ),
    "model": ("model", "model_name", "model_id", "deployment", "engine"),
    "rating": (
        "thumbs",
        "thumb",
        "rating",
        "user_rating",
        "feedback",
        "user_feedback",
        "feedback_score",
        "csat",
        "stars",
        "satisfaction_score",
        "satisfaction",
        "vote",
        "liked",
        "score",
    ),
    "success": ("task_success", "success", "resolved", "solved", "task_completed", "goal_reached", "is_resolved"),
    "cost": ("cost", "cost_usd", "total_cost", "response_cost", "spend", "price"),
    "prompt_tokens": ("prompt_tokens", "input_tokens", "tokens_in", "prompt_token_count"),
    "new_tokens": ("completion_tokens", "output_tokens", "new_tokens", "tokens_out", "generated_tokens"),
    "slice": (
        "slice",
        "segment",
        "topic",
        "intent",
        "category",
        "tag",
        "tags",
        "tags[0]",
        "route",
        "channel",
        "language",
        "locale",
        "use_case",
        "feature",
        "product",
    ),
    "person": ("customer_email", "user_email", "email", "end_user", "user_id", "customer_id", "user", "customer"),
    "request_id": ("request_id", "id", "trace_id", "call_id", "event_id", "log_id", "message_id", "uuid"),
}
"""What people call it, the likeliest first; of two the one that lies less deep."""
_TRUE = ("true", "1", "1.0", "yes", "y", "t", "success", "succeeded", "resolved", "solved", "done", "completed")
_FALSE = ("false", "0", "0.0", "no", "n", "f", "failure", "failed", "unresolved", "unsolved", "not solved", "not resolved")
YES_NO = (_TRUE, _FALSE)


@dataclass(frozen=True)
class Leaf:
    """One place in the records: `label` is how people read it, `column` the file's column (empty where a line is one object)
    and `json` the path in it (empty: the cell itself). `messages`: it holds chat turns."""

    label: str
    column: str
    json: str
    messages: bool
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a log seems to be: its shape, all its places by label, and for each role the labels that hold it. `milliseconds`
    latency; `said` where a person chose for such a log before."""

    shape: Shape
    leaves: dict[str, Leaf]
    roles: dict[str, tuple[str, ...]]
    milliseconds: bool
    said: bool = False

    def places(self, role: str) -> list[Leaf]:
        return [self.leaves[label] for label in self.roles.get(role, ()) if label in self.leaves]


def look(
    objects: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), before: Sequence[Mapping[str, Sequence[str]]] = ()
) -> Found:
    """Guess from up to a few hundred records. `columns`: they are rows of a table with these columns. `before` are roles that
    people chose for earlier logs, the newest first: the first that fits is taken."""
    leaves = _leaves(objects, columns)
    shape = _shape(leaves)
    roles = {role: tuple(_places(role, leaves, shape)) for role in ROLES}
    said = next((one for one in before if _stands(one, leaves)), None)
    if said is not None:
        roles = {role: tuple(said.get(role, ())) for role in ROLES}
    return Found(shape, leaves, roles, _in_milliseconds([leaves[label] for label in roles["latency"]]), said is not None)


def _stands(roles: Mapping[str, Sequence[str]], leaves: Mapping[str, Leaf]) -> bool:
    labels = [label for chosen in roles.values() for label in chosen]
    return bool(labels) and all(label in leaves for label in labels)


def choose(found: Found, role: str, label: str | None) -> Found:
    """The same, with another place for a role; None: it is not in the log."""
    roles = found.roles | {role: (label,) if label else ()}
    return Found(found.shape, found.leaves, roles, _in_milliseconds([found.leaves[one] for one in roles["latency"]]), True)


def _leaves(objects: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, Leaf]:
    seen: dict[str, tuple[str, str, bool, list[str]]] = {}
    for row in objects[:_EXAMPLES]:
        for name, value in row.items():
            if columns:
                inside = _parsed(value)
                parts: Iterable[tuple[str, str, Any]] = (
                    [(name, "", inside)] if not isinstance(inside, dict | list) else _walk(inside, name, "$", 0)
                )
            else:
                parts = _walk(value, name, f"$.{_quoted(name)}", 0)
            for label, path, leaf in parts:
                entry = seen.setdefault(label, (name if columns else "", "" if path == "$" else path, _turns(leaf), []))
                if leaf is not None and len(seen) <= _WIDE:
                    entry[3].append(_cell(leaf))
    return {
        label: Leaf(label, column, path, turns, tuple(examples))
        for label, (column, path, turns, examples) in seen.items()
        if not set(label) & set('"\\\0') and ".." not in f".{label}."
    }


def _cell(leaf: Any) -> str:
    return leaf if isinstance(leaf, str) else json.dumps(leaf, ensure_ascii=False, default=str).strip('"')


def _walk(value: Any, label: str, path: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    """Every leaf below a value. Of a list the first and the last are walked into; turns of a chat are one leaf."""
    if isinstance(value, dict) and depth < _DEEP:
        for name, part in value.items():
            yield from _walk(part, f"{label}.{name}", f"{path}.{_quoted(name)}", depth + 1)
    elif isinstance(value, list) and value and not _turns(value) and depth < _DEEP:
        yield from _walk(value[0], f"{label}[0]", f"{path}[0]", depth + 1)
        if len(value) > 1 and isinstance(value[-1], dict):
            yield from _walk(value[-1], f"{label}[-1]", f"{path}[#-1]", depth + 1)
    else:
        yield label, path, value


def _quoted(name: str) -> str:
    return f'"{name}"'


def _turns(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) and "role" in turn for turn in value)


def _parsed(value: Any) -> Any:
    """A cell that holds JSON, as what it says (LiteLLM_SpendLogs has columns like that)."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _shape(leaves: Mapping[str, Leaf]) -> Shape:
    there = {label.partition(".")[0].partition("[")[0] for label in leaves}
    if "call_type" in there and there & {"response_cost", "spend"}:
        return "litellm"
    marks = ("prompt_logprobs", "kv_transfer_params", "stop_reason", "outputs[0].text", "prompt_token_ids")
    if any(label.endswith(marks) for label in leaves):
        return "vllm"
    if any("choices[0]." in label or label.endswith("output[0].content[0].text") for label in leaves):
        return "openai"
    return "rows"


def _places(role: str, leaves: Mapping[str, Leaf], shape: Shape) -> list[str]:
    known = [label for label in _KNOWN.get(role, ()) if label in leaves]
    named = sorted((name, label.count("."), label) for label in leaves for name in [_rank(role, label)] if name is not None)
    found = list(dict.fromkeys([*known, *(label for _, _, label in named)]))
    if role == "latency" and shape == "litellm":
        return []  # its response_time is that of the first token where it streams; the whole is end - start
    return [label for label in found if _fits(role, leaves[label])][: MOST_PATHS if known else 1]


def _rank(role: str, label: str) -> int | None:
    last = label.rpartition(".")[2].strip().lower().replace("-", "_").replace(" ", "_")
    names = _NAMES.get(role, ())
    return names.index(last) if last in names else None


def _fits(role: str, leaf: Leaf) -> bool:
    """Whether what stands there can be what the role wants."""
    cells = [cell for cell in leaf.examples if cell.strip()]
    if role == "messages" or leaf.messages:
        return role == "messages" and leaf.messages
    if not cells:
        return role in ("rating", "success")  # feedback is often missing in the first rows
    if role in ("latency", "cost", "prompt_tokens", "new_tokens"):
        return all(_number(cell) is not None for cell in cells)
    if role in ("time", "end"):
        return bool(formats_of(cells)) or all(_is_moment(cell) for cell in cells)
    if role == "rating":
        scale = read_scale({cell: cells.count(cell) for cell in set(cells)})
        return scale is not None and sum(cell in scale.numbers for cell in cells) >= 0.6 * len(cells) and len(set(cells)) <= 101
    if role == "success":
        return all(cell.strip().lower() in (*_TRUE, *_FALSE) for cell in cells)
    if role == "question":
        return mean_words(cells) >= 0.5
    return role == "answer" or max(map(len, cells)) <= 200


def _is_moment(cell: str) -> bool:
    number = _number(cell)
    return number > 1e8 if number is not None else len(cell) >= 8 and cell[:4].isdigit() and cell[4:5] in "-/"


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _in_milliseconds(leaves: Sequence[Leaf]) -> bool:
    """Its name says so; else a middle of more than 100 can hardly be seconds."""
    if not leaves:
        return False
    name = leaves[0].label.lower()
    if name.endswith(("_ms", "millis", "milliseconds")) or "_ms" in name:
        return True
    numbers = sorted(number for number in map(_number, leaves[0].examples) if number is not None)
    return bool(numbers) and not name.endswith(("_s", "seconds")) and numbers[len(numbers) // 2] > 100
