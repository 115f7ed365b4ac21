"""A stand-in for the Hugging Face Hub that says no, for the real client to talk to."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Hub(http.server.BaseHTTPRequestHandler):
    """A Hub that has one repository, which everybody sees, and refuses all others; it keeps what it was sent."""

    asked: list[tuple[str, bytes]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, body))
        self.answer(409 if b"public" in json.loads(body)["name"].encode() else 403, {"url": "http://127.0.0.1/me/public"})

    def do_GET(self) -> None:
        self.asked.append((self.path, b""))
        told = {"id": "me/public", "private": False, "siblings": [], "tags": [], "sha": "1"}
        self.answer(200 if "public" in self.path else 403, told)

    def answer(self, status: int, row: dict[str, Any]) -> None:
        body = json.dumps(row).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Its address and what it is asked, until the end of the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Hub.asked.clear()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Hub.asked
    finally:
        server.shutdown()
