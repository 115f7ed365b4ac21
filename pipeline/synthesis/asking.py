"""One call to a model that writes or judges, and what became of it. Endpoints are asked in threads, a local model here.

OpenAI's client is told not to repeat anything by itself: who repeats, when and how often is the engine's business, and every
try is written down. """

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import PipelineError
from pipeline.examples import Example, Turn
from pipeline.generation.answer import Ask
from pipeline.generation.endpoint import EndpointModel
from pipeline.rundir import Child
from pipeline.specs import Candidate, Decoding
from pipeline.synthesis import structured

TIMEOUT_SECONDS = 60.0
Way = Literal["schema", "object", "words"]
NEXT: dict[Way, Way] = {"schema": "object", "object": "words", "words": "words"}


@dataclass(frozen=True)
class Reply:
    """What became of one call. `outcome`: "ok", "empty", "cut" (at the token limit), "filter", "rate" (429), "timeout",
    "dropped", "malformed", "error 500", "unstructured" (the server has no such form of output), or "fatal" with a `problem`.
    `at` is when it went out (unix seconds), `wait` how many seconds the server asked for."""

    outcome: str
    text: str = ""
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    cost: float | None = None
    seconds: float = 0.0
    at: float = 0.0
    wait: float | None = None
    problem: PipelineError | None = None


class Writer:
    """A model that is asked for replies. `schema` is the form that they are to have, none for free words."""

    def __init__(self, child: Child, candidate: Candidate, workspace: Path, decoding: Decoding,
                 schema: Mapping[str, Any] | None) -> None:
        self.candidate, self.decoding, self.schema = candidate, decoding, schema
        self.endpoint = EndpointModel(candidate.endpoint, tries=0, timeout=TIMEOUT_SECONDS) if candidate.endpoint else None
        self.local: Any = None
        self.way: Way = "schema" if self.endpoint else "words"
        self._way = threading.Lock()
        if self.endpoint is None:
            from pipeline.generation import local

            self.local = local.load(candidate, workspace, lambda said: child.say("loading", sentence=said))

    @property
    def concurrency(self) -> int:
        return self.candidate.endpoint.concurrency if self.candidate.endpoint else 1

    def ask(self, name: str, turns: Sequence[Turn]) -> Reply:
        """One call. `name` makes what is drawn differ from call to call. Never raises for what a server does."""
        at = time.time()
        return replace(self._ask(name, turns), at=at)

    def _ask(self, name: str, turns: Sequence[Turn]) -> Reply:
        way, began = self.way, time.perf_counter()
        asked = Ask(Example(name, (*self._worded(turns, way), {"role": "assistant", "content": ""})))
        if self.endpoint is None:
            made = next(iter(self.local.answers([asked], self.decoding)))
            return self._said(made.text, made.finish, made.prompt_tokens, made.new_tokens, None, made.seconds)
        return self._served(self.endpoint, asked, way, began)

    def _served(self, endpoint: EndpointModel, asked: Ask, way: Way, began: float) -> Reply:
        import openai

        try:
            found = endpoint.create(endpoint.request(asked, self.decoding) | self._form(way))
            made = endpoint.answer(asked, found, time.perf_counter() - began)
        except openai.OpenAIError as error:
            return self._failed(endpoint, error, way, time.perf_counter() - began)
        except (ValueError, PipelineError):
            return Reply("malformed", seconds=time.perf_counter() - began)
        return self._said(made.text, made.finish, made.prompt_tokens, made.new_tokens, made.cost, made.seconds)

    def _said(self, text: str, finish: str, asked: int | None, made: int | None, cost: float | None, seconds: float) -> Reply:
        outcome = {"length": "cut", "filter": "filter"}.get(finish, "ok" if text.strip() else "empty")
        return Reply(outcome, text, asked, made, cost, seconds)

    def _failed(self, endpoint: EndpointModel, error: Any, way: Way, seconds: float) -> Reply:
        import openai

        status, code = getattr(error, "status_code", None), getattr(error, "code", None)
        if isinstance(error, openai.APITimeoutError):
            return Reply("timeout", seconds=seconds)
        if isinstance(error, openai.APIConnectionError):
            return Reply("dropped", seconds=seconds)
        if status == 429 and code != "insufficient_quota":
            return Reply("rate", seconds=seconds, wait=_seconds(error))
        if code == "content_filter":
            return Reply("filter", seconds=seconds)
        if status in (400, 422) and way != "words" and self.schema and _of_form(error):
            with self._way:
                self.way = NEXT[way] if self.way == way else self.way
            return Reply("unstructured", seconds=seconds)
        if status is not None and status >= 500:
            return Reply(f"error {status}", seconds=seconds, wait=_seconds(error))
        if status is None:
            return Reply("malformed", seconds=seconds)
        return Reply("fatal", seconds=seconds, problem=endpoint.in_words(error))

    def _form(self, way: Way) -> dict[str, Any]:
        if self.schema is None or way == "words":
            return {}
        if way == "object":
            return {"response_format": {"type": "json_object"}}
        form = {"name": "example", "schema": self.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": form}}

    def _worded(self, turns: Sequence[Turn], way: Way) -> list[Turn]:
        """The turns; where the server does not see the schema, it stands behind the last one."""
        if self.schema is None or way == "schema":
            return list(turns)
        last = turns[-1]
        return [*turns[:-1], {**last, "content": f"{last['content']}\n\n{structured.words(self.schema)}"}]


def _seconds(error: Any) -> float | None:
    """What the server asks to wait (RFC 9110, Retry-After in seconds), at most two minutes."""
    try:
        return min(120.0, max(0.0, float(error.response.headers.get("retry-after"))))
    except (AttributeError, TypeError, ValueError):
        return None


def _of_form(error: Any) -> bool:
    """Whether a refusal is about the form of the output, by its parameter or its words (which are kept nowhere)."""
    said = f"{getattr(error, 'param', '')} {error}".lower()
    return any(word in said for word in ("response_format", "json_schema", "json_object", "structured", "guided"))
