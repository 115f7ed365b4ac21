"""Doors: what a request must say before the studio hears it: a host that is served here, and no other site as its origin."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = ("127.0.0.1", "localhost", "::1")
_SAFE = ("GET", "HEAD", "OPTIONS")
_SAID = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"), (b"x-frame-options", b"SAMEORIGIN"))


class Doors:
    """ASGI middleware. `hosts` are names that people reach the studio by (`*.example.com` is every name below it); this machine
    itself is always among them, for whoever looks after its health. Responses say that no other site may frame them."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = (*(host.strip().lower() for host in hosts if host.strip()), *HERE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers.get(b"host", ""), headers.get(b"origin", ""))
        if refused and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused})
        elif refused:
            await PlainTextResponse(refused, status_code=400)(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope, host: str, origin: str) -> str:
        """Why a request is not heard, empty where it is."""
        if not self._served(host):
            return "This host is not served here."
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if changes and origin and not self._served(urlsplit(origin).netloc):
            return "Another site may not ask for this."
        return ""

    def _served(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, _ = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return False
        if "@" in host or parts.path or parts.query or parts.fragment:
            return False
        return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in self.hosts)


def _with_headers(send: Send) -> Send:
    async def said(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(one for one in _SAID if one[0] not in there)]
        await send(message)

    return said
