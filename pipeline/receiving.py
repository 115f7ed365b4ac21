"""The endpoint that log rows are POSTed to: a small server that checks, writes to disk, and only then says yes.

POST /logs with `Authorization: Bearer TOKEN`; application/json (one object, or a list) or application/x-ndjson (one object a
line). 200 {"received": n} after flush and fsync; 401, 413, 415, 422 with where it is wrong: then nothing of the body was kept.
Rows go to received-*.jsonl.part, which becomes received-*.jsonl when it is closed: that one the app may take away.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from pipeline import rundir
from pipeline.errors import PipelineError
from pipeline.rundir import Child
from pipeline.spec_live import ReceiveSpec

SHORTEST_TOKEN = 16
TYPES = ("application/json", "application/x-ndjson", "application/jsonl")
PART = ".part"
_LOOK_SECONDS = 0.2


class Refused(Exception):
    """A body that is not taken: the code, and words that say what is wrong and where."""

    def __init__(self, code: int, words: str, **where: int) -> None:
        super().__init__(words)
        self.code, self.words, self.where = code, words, where


class Store:
    """The files of a run folder. One writer; `add` returns when the rows are on the disk."""

    def __init__(self, folder: Path, spec: ReceiveSpec, attempt: int) -> None:
        self.folder, self.spec, self.rows, self._attempt = folder, spec, 0, attempt
        self._lock = asyncio.Lock()
        self._file: int | None = None
        self._path = folder
        self._began, self._size = 0.0, 0
        for left in sorted(folder.glob(f"received-*.jsonl{PART}")):  # of a child that was killed
            rundir.mend_last_line(left)
            close(left)
        self._next = 1

    async def add(self, objects: list[Any]) -> None:
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects).encode("utf-8", "replace")
        async with self._lock:
            await asyncio.to_thread(self._write, text)
            self.rows += len(objects)

    async def turn(self, now: bool = False) -> None:
        """Close the file that is old or large enough, or any."""
        async with self._lock:
            old = time.monotonic() - self._began >= self.spec.file_seconds or self._size >= self.spec.file_bytes
            if self._file is not None and (now or old):
                os.close(self._file)
                self._file = None
                close(self._path)

    def _write(self, text: bytes) -> None:
        if self._file is None:
            self._path = self.folder / f"received-{self._attempt:03d}-{self._next:06d}.jsonl{PART}"
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._next, self._began, self._size = self._next + 1, time.monotonic(), 0
        start = os.fstat(self._file).st_size
        try:
            view = memoryview(text)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, start)  # half a body must not stand before the next one
            raise
        self._size += len(text)


def close(part: Path) -> None:
    """A file that is written to no more; an empty one goes."""
    if part.stat().st_size:
        os.replace(part, part.with_suffix(""))
    else:
        part.unlink()


def objects_of(body: bytes, kind: str) -> list[Any]:
    """The rows of a body. Raises Refused with the line, or the place in the list, that is wrong."""
    if kind == TYPES[0]:
        found = _parsed(body)
        rows = found if isinstance(found, list) else [found]
        where = [{"entry": place} for place in range(1, len(rows) + 1)]
    else:
        lines = [(place, line) for place, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
        rows, where = [_parsed(line, line=place) for place, line in lines], [{"line": place} for place, _ in lines]
    if not rows:
        raise Refused(422, "There is no row in it.")
    for row, place in zip(rows, where, strict=True):
        if not isinstance(row, dict) or not row:
            raise Refused(422, "A row is a JSON object that is not empty.", **place)
    return rows


def _parsed(text: bytes, **where: int) -> Any:
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise Refused(422, "It is not UTF-8.", **where, byte=error.start) from None
    except json.JSONDecodeError as error:
        raise Refused(422, "It is not JSON.", **({"line": error.lineno, "column": error.colno} | where)) from None
    except (ValueError, RecursionError):
        raise Refused(422, "It holds what JSON does not know, or is nested too deeply.", **where) from None


def _no_number(word: str) -> Any:
    raise ValueError(word)


def run(child: Child, spec: ReceiveSpec, workspace: Path) -> dict[str, Any]:
    """Serve until asked to stop."""
    token = os.environ.get(spec.token_env, "")
    if len(token) < SHORTEST_TOKEN:
        raise PipelineError(
            f"The environment variable {spec.token_env} holds no token of at least {SHORTEST_TOKEN} characters.",
            "Set it where the studio is started, start the studio again, and then this.",
        )
    listening = socket.socket(socket.AF_INET6 if ":" in spec.host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((spec.host, spec.port))
        listening.listen(1_024)  # who comes before the server is up waits a moment
    except OSError:
        listening.close()
        raise PipelineError(
            f"The port {spec.port} at {spec.host} is taken, or may not be used.", "Choose another port."
        ) from None
    store = Store(child.folder, spec, child.attempt)
    with listening:
        asyncio.run(_serve(child, spec, store, token, listening))
    return {"rows": store.rows, "port": spec.port}


def done_words(data: dict[str, Any]) -> str:
    return f"It took {data['rows']:,} rows, and takes none any more."


async def _serve(child: Child, spec: ReceiveSpec, store: Store, token: str, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        _app(spec, store, token),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=30,
        limit_concurrency=256,
        h11_max_incomplete_event_size=64 << 10,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve([listening]))
    host, port = listening.getsockname()[:2]
    while not serving.done():
        child.say("receiving", store.rows, 0, "rows", f"Receiving at http://{host}:{port}/logs, {store.rows:,} rows so far")
        server.should_exit = server.should_exit or child.stop_requested()
        await store.turn()
        await asyncio.wait([serving], timeout=_LOOK_SECONDS)
    await store.turn(now=True)
    serving.result()


def _app(spec: ReceiveSpec, store: Store, token: str) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    wanted = token.encode()

    async def receive(request: Request) -> JSONResponse:
        try:
            if not hmac.compare_digest(_given(request.headers.get("authorization", "")), wanted):
                raise Refused(401, "The token is missing or wrong.")
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in TYPES or request.headers.get("content-encoding", "identity") != "identity":
                raise Refused(415, f"Send {TYPES[0]} or {TYPES[1]}, not packed.")
            rows = objects_of(await _body(request, spec.most_bytes), kind)
            await store.add(rows)
        except Refused as refused:
            headers = {"WWW-Authenticate": "Bearer"} if refused.code == 401 else {}
            if refused.code in (401, 413):
                headers["Connection"] = "close"  # what is still to come is not read
            return JSONResponse({"error": refused.words, **refused.where}, refused.code, headers)
        except OSError:
            return JSONResponse({"error": "It could not be written down. Send it again later."}, 507)
        return JSONResponse({"received": len(rows)})

    return Starlette(routes=[Route("/logs", receive, methods=["POST"])])


def _given(header: str) -> bytes:
    scheme, _, token = header.partition(" ")
    return token.strip().encode("utf-8", "replace") if scheme.lower() == "bearer" else b""


async def _body(request: Any, most: int) -> bytes:
    """The body, as far as it may go."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise Refused(413, f"A body has at most {most:,} bytes.")
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            raise Refused(413, f"A body has at most {most:,} bytes.")
    return bytes(found)
