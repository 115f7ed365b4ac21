"""One call to a model that writes or judges, and what became of it.

OpenAI's client is told not to repeat anything by itself: who repeats, when and how often is the engine's business, and every
try is written down. A local model answers in batches: the threads that ask it wait until theirs is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example, Turn
from pipeline.generation.answer import Answer, Ask
from pipeline.generation.endpoint import EndpointModel
from pipeline.rundir import Child, read_lines
from pipeline.specs import Candidate, Decoding
from pipeline.synthesis import structured

TIMEOUT_SECONDS = 60.0
LOCAL_ROWS, GATHER_SECONDS = 16, 0.05
"""Most answers that a local model computes at once, and how long it waits for others to join."""

IGNORED = 2
"""So many replies without any object in them, and the endpoint is taken not to know the form that it was asked for."""

FORM = "form"
"""The event that says which way the endpoint is asked from now on; an attempt that goes on begins with it."""

OPTIONAL = ("temperature", "top_p", "seed")
Way = Literal["schema", "object", "words"]
NEXT: dict[Way, Way] = {"schema": "object", "object": "words", "words": "words"}


@dataclass(frozen=True)
class Reply:
    """What became of one call. `outcome`: "ok", "empty", "cut" (at the token limit), "filter" (held back), "rate" (429),
    "timeout", "dropped", "malformed", "error 500", "unstructured" (the server takes no such form of output, or no such
    setting: the next call leaves it out), "stopped", or "fatal".

    `at` is when it went out (unix seconds), `wait` how many seconds the server asked for, `problem` what to say if the run
    ends by it.
    """

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
        self.batches = None if self.endpoint else Batches(child, candidate, workspace, decoding)
        self.way: Way = self._way_of_earlier_attempts(child.folder) if self.endpoint else "words"
        self.left_out: frozenset[str] = frozenset()
        self._formless = 0
        self._lock = threading.Lock()

    @property
    def concurrency(self) -> int:
        return self.candidate.endpoint.concurrency if self.candidate.endpoint else LOCAL_ROWS

    def ask(self, name: str, turns: Sequence[Turn]) -> Reply:
        """One call. `name` makes what is drawn differ from call to call. Never raises for what a server does."""
        at = time.time()
        return replace(self._ask(name, turns), at=at)

    def end(self) -> None:
        """Nothing more is wanted: a local model, which costs no money, stops where it is."""
        if self.batches is not None:
            self.batches.ended = True

    def formless(self) -> None:
        """A reply had no object in it at all. An endpoint that takes the wish for one and does not follow it is asked in
        another way."""
        self._formless += 1
        if self._formless >= IGNORED and self.schema is not None and self.way != "words":
            self._next_way(self.way)

    def formed(self) -> None:
        self._formless = 0

    def _ask(self, name: str, turns: Sequence[Turn]) -> Reply:
        way, left_out, began = self.way, self.left_out, time.perf_counter()
        asked = Ask(Example(name, (*self._worded(turns, way), {"role": "assistant", "content": ""})))
        if self.endpoint is not None:
            return self._served(self.endpoint, asked, way, left_out, began)
        assert self.batches is not None
        try:
            return _said(self.batches.ask(asked))
        except Stopped:
            return Reply("stopped")
        except PipelineError as problem:
            return Reply("fatal", problem=problem, seconds=time.perf_counter() - began)

    def _served(self, endpoint: EndpointModel, asked: Ask, way: Way, left_out: frozenset[str], began: float) -> Reply:
        import openai

        request = endpoint.request(asked, self.decoding) | self._form(way)
        try:
            found = endpoint.create({key: value for key, value in request.items() if key not in left_out})
            return _said(endpoint.answer(asked, found, time.perf_counter() - began))
        except openai.OpenAIError as error:
            return self._failed(endpoint, error, way, left_out, time.perf_counter() - began)
        except (ValueError, PipelineError):
            return Reply("malformed", seconds=time.perf_counter() - began)

    def _failed(self, endpoint: EndpointModel, error: Any, way: Way, left_out: frozenset[str], seconds: float) -> Reply:
        import openai

        status, code = getattr(error, "status_code", None), getattr(error, "code", None)
        if isinstance(error, openai.APITimeoutError):
            return Reply("timeout", seconds=seconds)
        if isinstance(error, openai.APIConnectionError):
            return Reply("dropped", seconds=seconds)
        if code == "content_filter":
            return Reply("filter", seconds=seconds)
        if status is None:
            return Reply("malformed", seconds=seconds)
        if status == 429 and code != "insufficient_quota":
            return Reply("rate", seconds=seconds, wait=asked_to_wait(error), problem=endpoint.in_words(error))
        if status in (400, 422) and self._asks_less(error, way, left_out):
            return Reply("unstructured", seconds=seconds)
        fatal = status in (401, 403, 404, 429)
        return Reply("fatal" if fatal else f"error {status}", seconds=seconds, wait=asked_to_wait(error),
                     problem=endpoint.in_words(error))

    def _asks_less(self, error: Any, way: Way, left_out: frozenset[str]) -> bool:
        """Whether the server refused the form of the output or a setting that it can do without; then it is left out from now
        on."""
        if way != "words" and self.schema is not None and _of_form(error):
            self._next_way(way)
            return True
        param = str(getattr(error, "param", "") or "")
        if param not in OPTIONAL or param in left_out:
            return False
        with self._lock:
            self.left_out |= {param}
        return True

    def _next_way(self, way: Way) -> None:
        with self._lock:
            if self.way == way:
                self.way, self._formless = NEXT[way], 0

    def _way_of_earlier_attempts(self, folder: Path) -> Way:
        if self.schema is None:
            return "words"
        ways: list[Way] = [row["way"] for row in read_lines(folder / "events.jsonl") if row["event"] == FORM]
        return ways[-1] if ways else "schema"

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


class Batches:
    """A local model. Whoever asks waits; what waits together is computed together."""

    def __init__(self, child: Child, candidate: Candidate, workspace: Path, decoding: Decoding) -> None:
        from pipeline.generation import local

        self.model = local.load(candidate, workspace, lambda said: child.say("loading", sentence=said))
        self.decoding, self.ended = decoding, False
        self.waiting: SimpleQueue[tuple[Ask, Future[Answer]]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="local model").start()

    def ask(self, asked: Ask) -> Answer:
        future: Future[Answer] = Future()
        self.waiting.put((asked, future))
        return future.result()

    def _work(self) -> None:
        while True:
            together = [self.waiting.get()]
            time.sleep(GATHER_SECONDS)
            while len(together) < LOCAL_ROWS and not self.waiting.empty():
                together.append(self.waiting.get())
            futures = {asked.example.id: future for asked, future in together}
            try:
                for made in self.model.answers([asked for asked, _ in together], self.decoding, self._watch):
                    futures.pop(made.item_id).set_result(made)
            except Exception as error:
                for future in futures.values():
                    future.set_exception(error)

    def _watch(self) -> None:
        if self.ended:
            raise Stopped("Nothing more is wanted.")


def asked_to_wait(error: Any) -> float | None:
    """The seconds that a server asks to wait (RFC 9110, Retry-After: seconds or a date); none where it names none."""
    try:
        said = str(error.response.headers["retry-after"]).strip()
    except (AttributeError, KeyError):
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _said(made: Answer) -> Reply:
    outcome = {"length": "cut", "filter": "filter"}.get(made.finish, "ok" if made.text.strip() else "empty")
    return Reply(outcome, made.text, made.prompt_tokens, made.new_tokens, made.cost, made.seconds)


def _of_form(error: Any) -> bool:
    """Whether a refusal is about the form of the output, by its parameter or its words (which are kept nowhere)."""
    said = f"{getattr(error, 'param', '')} {error}".lower()
    return any(word in said for word in ("response_format", "json_schema", "json_object", "structured", "guided"))
