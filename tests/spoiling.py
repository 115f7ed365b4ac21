"""An HTTP proxy between a client and a server that a test tells to spoil some answers: cut, failing, late, never passed on."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Spoil:
    """What happens to the next `times` requests of this method and end of path (a regular expression).

    `passed`: the server gets the request all the same. `status` none: the connection is cut without an answer. `held`: nothing
    more happens until the test sets `release`; `came` tells it that the request is here (and was passed on, where it is).
    `late`: it is passed on so many seconds after the connection was cut. `untouched`: this one is not spoiled.
    """

    method: str
    path: str
    times: int = 1
    passed: bool = True
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": {"message": "spoiled", "type": "server_error", "code": null, "param": null}}'
    held: bool = False
    late: float = 0
    untouched: bool = False
    came: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Passes on to `address` (http://127.0.0.1:port/v1); use as a context manager.

    `seen`: (method, path, time) of all that came; `keys`: the keys that came with it.
    """

    def __init__(self, address: str, *spoils: Spoil) -> None:
        self.port = urlsplit(address).port
        self.spoils = list(spoils)
        self.seen: list[tuple[str, str, float]] = []
        self.keys = set[str]()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{urlsplit(address).path}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.spoils:
            one.release.set()
        self._server.shutdown()
        self._server.server_close()

    def spoil(self, method: str, path: str) -> Spoil | None:
        with self._lock:
            self.seen.append((method, path, time.time()))
            for one in self.spoils:
                if one.times > 0 and one.method == method and re.search(f"{one.path}$", path.split("?")[0]):
                    one.times -= 1
                    return None if one.untouched else one
        return None

    def asked(self, method: str, path: str) -> list[float]:
        """When such requests came."""
        return [at for was, where, at in self.seen if was == method and where.split("?")[0].endswith(path)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                proxy.keys.add(self.headers.get("authorization", ""))
                spoil = proxy.spoil(self.command, self.path)
                if spoil and spoil.late:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    time.sleep(spoil.late)
                passes = not spoil or spoil.passed
                answer = proxy.passed_on(self.command, self.path, dict(self.headers), body) if passes else None
                if spoil:
                    spoil.came.set()
                    if spoil.held:
                        spoil.release.wait(30)
                    if spoil.status is None:
                        self.close_connection = True
                        self.connection.close()
                        return
                    answer = spoil.status, {"content-type": "application/json"} | spoil.headers, spoil.body
                assert answer is not None
                status, headers, content = answer
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = _any

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def passed_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port or 80, timeout=30)
        kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
        line.request(method, path, body or None, kept)
        answer = line.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        line.close()
        return found
