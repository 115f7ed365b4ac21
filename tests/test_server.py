"""The studio as it is left running: doors, health, behind a real nginx in a real browser, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from studio import backups, health, starting
from studio.doors import Doors
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.browser import settled, shoot
from tests.ledger import Ledger
from tests.serving import HOST, Serving, ask, browser_of, nginx, serving
from tests.test_label_chaos import numbered, open_label, press, stored


def knocked(kind: str = "http", method: str = "GET", **headers: str) -> int:
    """The status that the doors answer with: 200 where the studio hears it, 403 where a websocket is refused."""
    told: list[int] = []

    async def studio(scope: object, receive: object, send: object) -> None:
        told.append(200)

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            told.append(int(str(message["status"])))
        elif message["type"] == "websocket.close":
            told.append(403)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    scope = {"type": kind, "method": method, "path": "/", "headers": [
        (name.encode(), value.encode()) for name, value in headers.items()]}
    asyncio.run(Doors(studio, ["desk.example.com", "*.lab.example.com"])(scope, receive, send))  # type: ignore[arg-type]
    return told[0]


@pytest.mark.parametrize(("host", "status"), [
    ("desk.example.com", 200), ("DESK.example.com:8443", 200), ("a.lab.example.com", 200), ("127.0.0.1:8501", 200),
    ("[::1]:80", 200), ("evil.com", 400), ("lab.example.com", 400),
    ("desk.example.com.evil.com", 400), ("desk.example.com@evil.com", 400),
    ("evil.com/desk.example.com", 400), ("desk.example.com:x", 400), ("", 400)])
def test_only_hosts_that_are_named_are_served(host: str, status: int) -> None:
    assert knocked(host=host) == status


def test_a_port_that_somebody_else_has_is_said_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(starting.SECRET, "x" * 32)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StudioError, match="Nothing can listen at"):
            starting.start(["desk.example.com"], None, None, "127.0.0.1", taken.getsockname()[1], 500)


@pytest.mark.parametrize(("kind", "method", "origin", "status"), [
    ("websocket", "GET", "https://desk.example.com", 200), ("websocket", "GET", "https://evil.com", 403),
    ("websocket", "GET", "null", 403), ("http", "PUT", "https://evil.com", 400), ("http", "GET", "https://evil.com", 200),
    ("websocket", "GET", "", 200)])
def test_no_other_site_opens_a_connection_or_changes_anything(kind: str, method: str, origin: str, status: int) -> None:
    assert knocked(kind, method, host="desk.example.com", origin=origin) == status


def test_health_is_ok_where_the_workspace_answers_and_its_journal_can_be_written(ws: Workspace) -> None:
    assert (health.Health(lambda: [ws]).word(), list(ws.root.glob(".*"))) == ("ok", [])


def test_health_says_journal_where_it_cannot_be_written(ws: Workspace) -> None:
    ws.journal.path.mkdir()
    assert health.Health(lambda: [ws]).word() == "journal"


def test_health_says_database_where_that_does_not_answer(ws: Workspace) -> None:
    ws._connection.close()
    assert health.Health(lambda: [ws]).word() == "database"
    ws._connection = Workspace(ws.root.with_name("other"))._connection


def test_a_server_without_a_cookie_secret_does_not_start_and_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STREAMLIT_SERVER_COOKIE_SECRET", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StudioError) as refused:
        starting.start([HOST], None, None, "127.0.0.1", 8501, 500)
    assert "openssl rand -hex 32" in refused.value.hint


def test_the_command_hands_no_secret_on_where_others_can_read_it() -> None:
    words = starting.command([HOST], "127.0.0.1", 8501, 500)
    assert ("secret" in " ".join(words).lower(), words.count("--server.allowedHosts")) == (False, 3)


slow = pytest.mark.slow


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, chromium_here: str) -> Iterator[tuple[Serving, int, Browser]]:
    """A server with 60 records to label behind nginx, and a browser that finds it by its name."""
    home = tmp_path_factory.mktemp("served") / "ws"
    numbered(home, 60)
    with serving(home) as server, nginx(server, home.parent / "nginx") as port, browser_of(port) as browser:
        yield server, port, browser


@slow
def test_the_proxy_of_the_example_carries_health_pages_and_refusals(behind: tuple[Serving, int, Browser]) -> None:
    _, port, _ = behind
    found = [ask(port, "/health"), ask(port, "/", Host="evil.com")[0], ask(port, "/")[0],
             ask(port, "/_stcore/upload_file/a/b", b"x" * (6 << 20))[0]]
    assert found == [(200, '{"status":"ok"}'), 400, 200, 413]


@slow
def test_a_backup_is_taken_on_the_page_and_shown_with_its_age(behind: tuple[Serving, int, Browser], tmp_path: Path) -> None:
    _, port, browser = behind
    page = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"https://{HOST}:{port}/server?person=ann")
    settled(page)
    expect(page.get_by_text("There is no backup of this workspace.")).to_be_visible()
    folder = page.get_by_role("textbox", name="Folder for backups")
    folder.fill(str(tmp_path / "away"))
    folder.press("Enter")
    settled(page)
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text("Last backup")).to_be_visible(timeout=60_000)
    settled(page)
    shoot(page, "server")
    page.close()
    manifest = backups.verify(next((tmp_path / "away").glob("*.tar")))
    assert (manifest.tables["records"], manifest.workspace) == (60, "ws")


@slow
def test_people_label_through_the_proxy_and_a_sigterm_loses_nothing(behind: tuple[Serving, int, Browser]) -> None:
    server, port, browser = behind
    page, ledger = browser.new_context(ignore_https_errors=True).new_page(), Ledger()
    ledger.watch(page)
    open_label(page, f"https://{HOST}:{port}")
    for n in range(24):
        press(page, "1234"[n % 4])
        if n == 11:
            status = server.end()
            server.start()
    expect(page.get_by_test_id("label-saved")).to_have_text("Saved", timeout=60_000)
    page.close()
    assert server.end() in (0, -15) and status in (0, -15)
    assert stored(server.home) == Counter(list(ledger.made)) and ledger.acknowledged == set(ledger.made)
    assert "Traceback" not in server.log.read_text()
