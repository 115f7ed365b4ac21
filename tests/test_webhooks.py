"""Webhooks against a real little server: one that takes it, hangs, drips, fails, redirects, or is not there."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from studio import webhooks
from studio.alerts import Alert
from studio.errors import StudioError
from studio.workspace import Workspace

ALERT = Alert("a1", "thumbs//", "target", "Thumbs up: at least 0.8. It is 0.50 [0.45, 0.55].", "The rule.", {"value": 0.5},
              ("r1", "r2"), datetime(2026, 11, 1, 12), None)  # fmt: skip


class Server(ThreadingHTTPServer):
    daemon_threads = True
    bodies: list[bytes]
    paths: list[str]
    elsewhere: str = ""


class Handler(BaseHTTPRequestHandler):
    """What it does is in the path."""

    server: Server

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/hangs":
            time.sleep(3)
        if self.path == "/drips":
            for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100:
                try:
                    self.wfile.write(bytes([letter]))
                except OSError:
                    return
                time.sleep(0.05)
        code = {"/fails": 500, "/gone": 410, "/redirects": 307}.get(self.path, 204)
        self.send_response(code)
        if code == 307:
            self.send_header("Location", self.server.elsewhere)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.bodies, found.paths = [], []
    found.elsewhere = f"http://127.0.0.1:{found.server_port}/elsewhere"
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    found.shutdown()


def told(ws: Workspace, server: Server, path: str, monkeypatch: pytest.MonkeyPatch) -> webhooks.Call:
    monkeypatch.setattr(webhooks, "PAUSES", (0.01, 0.01))
    webhooks.add(ws, f"http://127.0.0.1:{server.server_port}{path}", "ann")
    for thread in webhooks.tell(ws, [ALERT]):
        thread.join(30)
    (call,) = webhooks.calls(ws)
    return call


def test_an_alert_is_told_with_figures_and_ids(ws: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    call = told(ws, server, "/takes", monkeypatch)
    assert (call.outcome, call.tries, call.words) == ("told", 1, "It answered 204.")
    body = json.loads(server.bodies[0])
    assert (body["alert_id"], body["row_ids"], body["page"]) == ("a1", ["r1", "r2"], "/monitor?alert=a1")


def test_a_server_that_fails_is_asked_three_times_and_no_more(
    ws: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = told(ws, server, "/fails", monkeypatch)
    assert (call.outcome, call.tries, call.words) == ("failed", 3, "It answered 500.")


def test_a_hook_that_is_gone_is_asked_once(ws: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(ws, server, "/gone", monkeypatch).tries == 1


def test_a_redirect_is_not_followed(ws: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    call = told(ws, server, "/redirects", monkeypatch)
    assert (call.outcome, call.tries, server.paths) == ("failed", 1, ["/redirects"])
    assert call.words == "It leads elsewhere (307), which is not followed."


@pytest.mark.parametrize("path", ["/hangs", "/drips"])
def test_a_server_that_hangs_or_drips_is_cut_off_in_time(server: Server, path: str) -> None:
    began = time.monotonic()
    taken, again, _ = webhooks.send(f"http://127.0.0.1:{server.server_port}{path}", b"{}", 0.4)
    assert (taken, again, time.monotonic() - began < 2) == (False, True, True)


def test_telling_does_not_wait_for_the_server(ws: Workspace, server: Server) -> None:
    webhooks.add(ws, f"http://127.0.0.1:{server.server_port}/hangs", "ann")
    began = time.monotonic()
    webhooks.tell(ws, [ALERT])
    assert time.monotonic() - began < 0.5


def test_a_server_that_is_not_there_harms_nothing() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert webhooks.send(f"http://127.0.0.1:{port}/", b"{}", 1)[:2] == (False, True)


ADDRESSES = ("http://example.com/x", "ftp://example.com", "https://", "https://ana:secret@example.com/x", "",
             "https://example.com/x?key=1", "file:///etc/passwd", "https://exa mple.com", "http://127.0.0.1.example.com/",
             "https://[::1")  # fmt: skip


def test_an_address_that_is_not_https_or_here_or_holds_a_secret_is_refused(ws: Workspace) -> None:
    for address in ADDRESSES:
        with pytest.raises(StudioError) as caught:
            webhooks.add(ws, address, "ann")
        assert "secret" not in caught.value.message
    assert webhooks.every(ws) == []


def test_a_secret_address_stays_in_the_environment(ws: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_ALERT_HOOK", f"http://127.0.0.1:{server.server_port}/hook/s3cr3t")
    webhooks.add(ws, "TUNEWRIGHT_ALERT_HOOK", "ann")
    for thread in webhooks.tell(ws, [ALERT]):
        thread.join(30)
    assert (server.paths, webhooks.calls(ws)[0].outcome) == (["/hook/s3cr3t"], "told")
    assert "s3cr3t" not in (ws.root / "journal.jsonl").read_text()


def test_an_alert_that_nobody_was_told_is_told_late_and_once(ws: Workspace, server: Server) -> None:
    webhooks.add(ws, f"http://127.0.0.1:{server.server_port}/takes", "ann")
    opened = ws.now()
    with ws.transaction() as transaction:
        row = {"alert_id": "a1", "subject": "s", "kind": "target", "sentence": "It is so.", "reason": "The rule.",
               "evidence": "{}", "row_ids": "[]", "opened_at": opened, "over_at": None}  # fmt: skip
        transaction.insert("alerts", [row])
    assert webhooks.tell_late(ws) == []
    ws.now = lambda: opened + timedelta(minutes=5)
    for thread in webhooks.tell_late(ws):
        thread.join(30)
    assert (len(server.bodies), webhooks.tell_late(ws)) == (1, [])


def test_a_hook_that_was_taken_off_hears_nothing(ws: Workspace, server: Server) -> None:
    webhooks.add(ws, f"http://127.0.0.1:{server.server_port}/takes", "ann")
    webhooks.remove(ws, webhooks.every(ws)[0], "ann")
    assert (webhooks.tell(ws, [ALERT]), webhooks.every(ws)) == ([], [])
