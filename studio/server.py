"""The studio to leave running, as `tunewright server` starts it: behind a proxy, for hosts that are named, with its health at
`/health`, its threads from the first second, and an end that loses nothing. docs/server.md says how to set it up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # Streamlit puts only this file's folder there
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

from studio import folders, forgetting, health, held, search, watching, workspace  # noqa: E402
from studio.commands.frame import carry_out  # noqa: E402
from studio.doors import Doors  # noqa: E402
from studio.errors import StudioError  # noqa: E402

HOSTS = "STUDIO_HOSTS"
_health = health.Health()


@asynccontextmanager
async def _lifespan(app: st.App) -> AsyncIterator[None]:
    await asyncio.to_thread(_begin)
    try:
        yield
    finally:
        _health.stopping = True
        await asyncio.to_thread(workspace.end)  # waits for what is being written; runs go on in their own processes


def _begin() -> None:
    """Open every workspace and let its threads work, before anybody opens a page."""
    for name in folders.names() or [""]:
        try:
            ws = folders.chosen(name)
            forgetting.go_on(ws)
            search.keep_up(ws)
            watching.keep_up(ws)
            held.serve(ws, carry_out)
        except StudioError as error:  # the others are served; this one says why on its pages
            print(error, file=sys.stderr, flush=True)


async def _look(request: Request) -> JSONResponse:
    try:
        word = await asyncio.wait_for(asyncio.to_thread(_health.word), health.PATIENCE_SECONDS + 1)
    except TimeoutError:
        word = "database"
    return JSONResponse({"status": word}, 200 if word == health.FINE else 503, {"Cache-Control": "no-store"})


app = st.App(
    ROOT / "studio" / "app.py", lifespan=_lifespan, routes=[Route("/health", _look)],
    middleware=[Middleware(Doors, hosts=os.environ.get(HOSTS, "").split(","))])
