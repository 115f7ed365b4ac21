"""A small server that speaks OpenAI's chat API: what it reads over HTTP becomes calls for the desk's thread, and back.

It tells nothing of what was asked to any log.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pipeline import template
from pipeline.deploy import requests
from pipeline.deploy.chances import Chance
from pipeline.deploy.requests import Refused, Wanted
from pipeline.deploy.tools import OWN_MACHINE
from pipeline.errors import PipelineError, is_out_of_memory
from pipeline.examples import Example
from pipeline.generation.answer import Ask, Heard
from pipeline.playing import Reply
from pipeline.rundir import Child
from pipeline.specs import Candidate, PlayAsk

MOST_WAITING = 32
LOOK_SECONDS, LATER_SECONDS = 0.5, 10
"""Between looks whether the caller is still there; when a caller who is sent away may come again."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Call(Reply):
    """A reply of the desk's that is heard over HTTP. `news` are what it came to: more text, the end, what was wrong."""

    def __init__(self, child: Child, candidate: Candidate, wanted: Wanted, loop: asyncio.AbstractEventLoop) -> None:
        asked = PlayAsk(reply=uuid.uuid4().hex, candidate=candidate, messages=wanted.messages, decoding=wanted.decoding)
        super().__init__(child, threading.RLock(), asked)
        self.wanted, self.loop = wanted, loop
        self.news: asyncio.Queue[Heard | Refused] = asyncio.Queue()
        self.waits = "It waits for its turn."
        self.chances: Sequence[Chance] = ()

    @property
    def question(self) -> Ask:
        turns = (*self.wanted.messages, {"role": "assistant", "content": ""})
        return Ask(Example("call", turns, self.wanted.tools))

    def wait(self, said: str) -> None:
        self.waits = said

    def begin(self) -> None:
        self.begun = True

    def hear(self, heard: Heard, seconds: float) -> None:
        self._tell(heard)

    def end(self, finish: str, problem: str = "") -> None:
        self.ended = True

    def fail(self, error: Exception) -> None:
        self.ended = True
        if isinstance(error, PipelineError):
            self._tell(Refused(400, f"{error.message} {error.hint}".strip(), "cannot_answer"))
        elif is_out_of_memory(error):
            self._tell(Refused(503, "The model ran out of memory. Ask for a shorter answer.", "out_of_memory",
                               later=LATER_SECONDS))
        else:
            self._tell(Refused(500, f"It broke unexpectedly ({type(error).__name__}). The run's log says where.", "broken"))
            super().fail(error)

    def _write(self, row: dict[str, Any]) -> None:
        """What is said here is written down nowhere."""

    def _tell(self, news: Heard | Refused) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.news.put_nowait, news)


class Api:
    """The routes. `ask` hands a call to the desk, and `waiting` says how many wait there; `key` empty: everybody may ask;
    `patience` as in the spec."""

    def __init__(self, child: Child, candidate: Candidate, name: str, tokenizer: Any, context: int, key: str, host: str,
                 patience: float, ask: Callable[[Call], None], waiting: Callable[[], int]) -> None:
        self.child, self.candidate, self.name, self.key, self.host = child, candidate, name, key, host
        self.tokenizer, self.context, self.ask, self.waiting = tokenizer, context, ask, waiting
        self.patience, self.begun, self.answered = patience, int(time.time()), 0
        self.reading = threading.Lock()

    def app(self) -> Starlette:
        routes = [Route("/health", self.guarded(self.health, open_to_all=True)),
                  Route("/v1/models", self.guarded(self.models)),
                  Route("/tokenize", self.guarded(self.tokenize), methods=["POST"]),
                  Route("/v1/chat/completions", self.guarded(self.chat), methods=["POST"])]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http})  # type: ignore[dict-item]

    def guarded(self, endpoint: Endpoint, open_to_all: bool = False) -> Endpoint:
        """Who may not ask, and what cannot be answered, gets an error in OpenAI's form."""
        async def answered(request: Request) -> Response:
            try:
                self._let_in(request, open_to_all)
                return await endpoint(request)
            except Refused as refused:
                return _refusal(refused)

        return answered

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, request: Request) -> Response:
        model = {"id": self.name, "object": "model", "created": self.begun, "owned_by": "tunewright"}
        return JSONResponse({"object": "list", "data": [model]})

    async def tokenize(self, request: Request) -> Response:
        """The tokens that the model reads of a conversation, in the form that vLLM gives."""
        body = requests.loaded(await _body(request))
        if body.get("model") not in (None, self.name):
            raise Refused(404, f"There is no such model here; the one that is served is called {self.name}.",
                          "model_not_found", "model")
        ids = self._ids(requests.read({"model": self.name, "messages": body.get("messages"), "tools": body.get("tools")},
                                      self.name))
        return JSONResponse({"count": len(ids), "max_model_len": self.context, "tokens": ids})

    async def chat(self, request: Request) -> Response:
        wanted = requests.read(requests.loaded(await _body(request)), self.name)
        length = len(self._ids(wanted))
        if length >= self.context:
            raise Refused(400, f"The conversation has {length:,} tokens, and the model reads {self.context:,} at once.",
                          "context_length_exceeded", "messages")
        if self.waiting() >= MOST_WAITING:
            raise Refused(429, "Too many questions wait already.", "too_many_requests", later=LATER_SECONDS)
        call = Call(self.child, self.candidate, wanted, asyncio.get_running_loop())
        self.ask(call)
        try:
            first = await self._first(request, call)
            if wanted.stream:
                return StreamingResponse(self._stream(call, first), media_type="text/event-stream")
            heard = first
            while not heard.finish:
                heard = await self._next(request, call)
        except BaseException:
            call.end("stopped")
            raise
        self.answered += 1
        return JSONResponse(self._whole(call, heard))

    async def _first(self, request: Request, call: Call) -> Heard:
        """The first that is heard. A call that does not begin is sent away: another run has the device."""
        deadline = time.monotonic() + self.patience
        while True:
            heard = await self._look(request, call)
            if heard is not None:
                return heard
            if not call.begun and time.monotonic() > deadline:
                raise Refused(503, f"The model cannot answer now. {call.waits}", "device_busy", later=LATER_SECONDS)

    async def _next(self, request: Request, call: Call) -> Heard:
        while (heard := await self._look(request, call)) is None:
            continue
        return heard

    async def _look(self, request: Request, call: Call) -> Heard | None:
        """The next news, none where there is none for a while. A caller who is gone stops the call."""
        try:
            news = await asyncio.wait_for(call.news.get(), LOOK_SECONDS)
        except TimeoutError:
            if await request.is_disconnected():
                raise Refused(499, "The caller is gone.", "gone") from None
            return None
        if isinstance(news, Refused):
            raise news
        return news

    async def _stream(self, call: Call, first: Heard) -> AsyncIterator[str]:
        """Pieces as server-sent events. White space at the end is held back: it is no part of an answer."""
        head = {"id": f"chatcmpl-{call.ask.reply}", "object": "chat.completion.chunk", "created": int(time.time()),
                "model": self.name}

        def event(delta: dict[str, str], finish: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return _event(head | {"choices": [choice]} | ({"usage": None} if call.wanted.usage else {}))

        try:
            yield event({"role": "assistant", "content": ""})
            sent, heard = "", first
            while True:
                text = heard.text.rstrip() if not heard.finish else heard.text
                if text.startswith(sent) and len(text) > len(sent):
                    yield event({"content": text[len(sent):]})
                    sent = text
                if heard.finish:
                    break
                news = await call.news.get()
                if isinstance(news, Refused):
                    yield _event(news.body)
                    return
                heard = news
            yield event({}, heard.finish)
            if call.wanted.usage:
                yield _event(head | {"choices": [], "usage": _usage(heard)})
            yield "data: [DONE]\n\n"
            self.answered += 1
        finally:
            call.end("stopped")

    def _whole(self, call: Call, heard: Heard) -> dict[str, Any]:
        top = call.wanted.top
        chances = None if top is None else {"refusal": None, "content": [
            _token(self.tokenizer, one.token, one.nats) | {
                "top_logprobs": [_token(self.tokenizer, *other) for other in one.top]} for one in call.chances]}
        return {"id": f"chatcmpl-{call.ask.reply}", "object": "chat.completion", "created": int(time.time()),
                "model": self.name, "usage": _usage(heard),
                "choices": [{"index": 0, "finish_reason": heard.finish, "logprobs": chances,
                             "message": {"role": "assistant", "content": heard.text, "refusal": None}}]}

    def _ids(self, wanted: Wanted) -> list[int]:
        try:
            with self.reading:
                return template.prompt_ids(self.tokenizer, wanted.messages, wanted.tools)
        except PipelineError as error:
            raise Refused(400, error.message, "template_refuses", "messages") from None

    def _let_in(self, request: Request, open_to_all: bool) -> None:
        """A page of somebody else's, open in a browser here, can reach this machine under another name: it is not let in."""
        if self.host in OWN_MACHINE and request.url.hostname not in OWN_MACHINE:
            raise Refused(421, "This server answers on its own machine only.", "wrong_host")
        if request.method == "POST" and request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Refused(415, "The content type must be application/json.", "unsupported_media_type")
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if self.key and not open_to_all and not hmac.compare_digest(given.encode(), self.key.encode()):
            raise Refused(401, "The token is missing or wrong.", "invalid_api_key")


async def _body(request: Request) -> bytes:
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > requests.MOST_BYTES:
            raise Refused(413, f"A request has at most {requests.MOST_BYTES:,} bytes.", "request_too_large")
    return found


async def _http(request: Request, error: HTTPException) -> Response:
    words = {404: "There is nothing at this address.", 405: "This address takes another method."}
    return _refusal(Refused(error.status_code, words.get(error.status_code, "This cannot be answered."),
                            {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")))


def _refusal(refused: Refused) -> Response:
    headers = {"Retry-After": str(refused.later)} if refused.later else {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(refused.body, refused.status, headers)


def _event(row: dict[str, Any]) -> str:
    return f"data: {json.dumps(row, ensure_ascii=False)}\n\n"


def _usage(heard: Heard) -> dict[str, int]:
    read, made = heard.prompt_tokens or 0, heard.new_tokens or 0
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}


def _token(tokenizer: Any, token: int, nats: float) -> dict[str, Any]:
    text = str(tokenizer.decode([token]))
    return {"token": text, "logprob": nats, "bytes": list(text.encode())}
