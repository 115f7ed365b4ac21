"""Answers of a server that speaks OpenAI's chat API. The key comes from the environment and goes nowhere else.

What a server answers to a refused request is never repeated in a message: it may hold the key or the texts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from pipeline import keys
from pipeline.errors import PipelineError
from pipeline.examples import Turn
from pipeline.generation.answer import Answer, Ask, Heard
from pipeline.specs import Decoding, Endpoint

TRIES, TIMEOUT_SECONDS, LOOK_SECONDS = 5, 120.0, 0.3
TURN_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")
FINISH = {"length": "length", "content_filter": "filter"}
Watch = Callable[[], None]


class EndpointModel:
    """An endpoint ready to answer. `tries` are repeated by the client, which waits as long as the server asks for. `later` is
    what to do when it fails for now."""

    def __init__(self, endpoint: Endpoint, tries: int = TRIES, timeout: float = TIMEOUT_SECONDS, later: str = "") -> None:
        try:
            import openai
        except ImportError:
            raise PipelineError("The package openai is not installed.",
                                "Install it: pip install 'tunewright[hosted]'.") from None
        self.endpoint, self.timeout, self.later = endpoint, timeout, later or _LATER
        self.client = openai.OpenAI(base_url=endpoint.base_url or keys.OPENAI, timeout=timeout, max_retries=tries,
                                    api_key=keys.key(_key_name(endpoint), endpoint.model))

    def answers(self, asked: Iterable[Ask], decoding: Decoding, watch: Watch) -> Iterator[Answer]:
        """One answer each, in the order they come; `asked` is only asked for its next one when there is room. Where one fails,
        or `watch` raises, those that are on their way (and paid for) are still handed out first."""
        with ThreadPoolExecutor(self.endpoint.concurrency, thread_name_prefix="endpoint") as threads:
            waiting, left = set[Future[Answer]](), iter(asked)
            ended: BaseException | None = None
            while True:
                while ended is None and len(waiting) < self.endpoint.concurrency and (one := next(left, None)) is not None:
                    waiting.add(threads.submit(self.ask, one, decoding))
                if not waiting:
                    break
                done, waiting = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    if (error := future.exception()) is None:
                        yield future.result()
                    ended = ended or error
                ended = ended or _raised_by(watch)
        if ended is not None:
            raise ended

    def ask(self, one: Ask, decoding: Decoding) -> Answer:
        """Ask one question. Raises PipelineError in words."""
        import openai

        began = time.perf_counter()
        try:
            found = self.create(self.request(one, decoding))
        except openai.OpenAIError as error:
            if getattr(error, "code", None) == "content_filter":  # Azure refuses the question itself
                return Answer(one.example.id, one.sample, "", 0, None, time.perf_counter() - began, "filter")
            raise self.in_words(error) from None
        except ValueError:  # not JSON
            raise self._no_answer() from None
        return self.answer(one, found, time.perf_counter() - began)

    def aloud(self, one: Ask, decoding: Decoding) -> Iterator[Heard]:
        """The answer as it comes, the last one with how it ended. To stop, close the iterator. Raises as `ask`."""
        import openai

        text, finish, usage, came = "", "", None, False
        try:
            with self._opened(self.request(one, decoding) | {"stream": True}) as stream:
                for chunk in stream:
                    usage = getattr(chunk, "usage", None) or usage
                    for choice in (getattr(chunk, "choices", None) or [])[:1]:
                        came, delta = True, choice.delta
                        text += getattr(delta, "content", None) or getattr(delta, "refusal", None) or ""
                        finish = choice.finish_reason or finish
                    yield Heard(text.lstrip())
        except openai.OpenAIError as error:
            if getattr(error, "code", None) == "content_filter":
                yield Heard(text.strip(), finish="filter")
                return
            if came and isinstance(error, openai.APIConnectionError):
                raise PipelineError(f"The server {self._place()} broke off in the middle of an answer.", self.later) from None
            raise self.in_words(error) from None
        except ValueError:  # not JSON
            raise self._no_answer() from None
        if not came:
            raise self._no_answer()
        asked, made = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
        yield Heard(text.strip(), made, asked, FINISH.get(finish, "stop"), self._cost(asked, made))

    def _opened(self, request: dict[str, Any]) -> Any:
        """A stream that ends with how many tokens it took; without that where a server does not know the wish."""
        import openai

        try:
            return self.client.chat.completions.create(**request, stream_options={"include_usage": True})
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if getattr(error, "code", None) == "content_filter":
                raise
            return self.client.chat.completions.create(**request)

    def create(self, request: Mapping[str, Any]) -> Any:
        """One call, as OpenAI's client makes it; raises what the client raises."""
        return self.client.chat.completions.create(**request)

    def request(self, one: Ask, decoding: Decoding) -> dict[str, Any]:
        """OpenAI's own newer models know only `max_completion_tokens`; other servers mostly only `max_tokens`."""
        limit = "max_tokens" if self.endpoint.base_url else "max_completion_tokens"
        drawn = {"seed": one.seed(decoding.seed) % 2**31, "top_p": decoding.top_p} if decoding.temperature else {}
        tools = {"tools": list(one.example.tools)} if one.example.tools else {}
        return {"model": self.endpoint.model, "messages": [chat_turn(turn) for turn in one.example.question],
                "temperature": decoding.temperature, limit: decoding.max_new_tokens} | drawn | tools

    def answer(self, one: Ask, found: Any, seconds: float) -> Answer:
        """What came back. A server may leave out how many tokens it took; then nothing is said of the costs."""
        choices = getattr(found, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise self._no_answer()
        message, usage = choices[0].message, getattr(found, "usage", None)
        calls = [call.model_dump()["function"] for call in message.tool_calls or () if call.type == "function"]
        text = message.content or getattr(message, "refusal", None) or (json.dumps(calls) if calls else "")
        asked = usage.prompt_tokens if usage else None
        made = usage.completion_tokens if usage else 0
        return Answer(one.example.id, one.sample, text.strip(), made or 0, asked, seconds,
                      FINISH.get(choices[0].finish_reason or "", "stop"), self._cost(asked, made))

    def _cost(self, asked: int | None, made: int | None) -> float | None:
        prices = self.endpoint.price_in, self.endpoint.price_out
        if asked is None or made is None or prices[0] is None or prices[1] is None:
            return None
        return (asked * prices[0] + made * prices[1]) / 1e6

    def _no_answer(self) -> PipelineError:
        return PipelineError(f"The server {self._place()} answered with something that is no chat answer.",
                             "Check that the address is that of an OpenAI-compatible API; it usually ends in /v1.")

    def in_words(self, error: Exception) -> PipelineError:
        """What went wrong, without a word of what the server said."""
        import openai

        place, model, status = self._place(), self.endpoint.model, getattr(error, "status_code", None)
        code = getattr(error, "code", None)
        if isinstance(error, openai.APITimeoutError):
            return PipelineError(f"The server {place} did not answer within {self.timeout:.0f} seconds.", self.later)
        if isinstance(error, openai.APIConnectionError):
            return PipelineError(f"The server {place} cannot be reached.", "Check the address and that the server runs.")
        if status in (401, 403):
            return PipelineError(f"The server {place} refused the key ({status}).", keys.hint(_key_name(self.endpoint)))
        if status == 404:
            return PipelineError(f"The server {place} does not know this address or the model {model} (404).",
                                 "Check both; the address usually ends in /v1.")
        if status == 429 and code == "insufficient_quota":
            return PipelineError(f"The account at {place} is used up (429).", "Add credit. " + self.later)
        if status == 429:
            return PipelineError(f"The server {place} says there are too many requests (429).",
                                 f"Ask fewer at a time. {self.later}")
        if status in (400, 422):
            return PipelineError(f"The server {place} refused a question ({status}): it may be longer than {model} reads, or "
                                 "the model takes no such temperature or length.", "Try other decoding settings.")
        return PipelineError(f"The server {place} failed ({status or type(error).__name__}).",
                             "If it stays so, the server's log says why. " + self.later)

    def _place(self) -> str:
        return keys.place(self.endpoint.base_url or keys.OPENAI)


_LATER = "Resume later: the answers that came are kept."


def _raised_by(watch: Watch) -> BaseException | None:
    try:
        watch()
    except Exception as error:
        return error
    return None


def chat_turn(turn: Turn) -> Turn:
    """What a server is told of a turn."""
    return {key: turn[key] for key in TURN_KEYS if turn.get(key) is not None}


def _key_name(endpoint: Endpoint) -> str:
    return keys.key_name(endpoint.base_url, endpoint.key_env)
