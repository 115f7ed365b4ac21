"""The desk under real keys in a real browser: exact in a burst, blind, and never losing a press."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from studio import intake, records
from studio.columns import Choices
from studio.records import Filter
from studio.workspace import Workspace
from tests.browser import Studio, chromium, running, settled
from tests.tickets import COLUMNS, import_forty, write_csv

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(chromium_here: str) -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ws"


def open_desk(browser: Browser, studio: Studio, path: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(f"{studio.url}/{path}")
    settled(page)
    expect(page.get_by_test_id("desk-card")).to_be_visible(timeout=30_000)
    page.wait_for_timeout(300)
    return page


def saved(page: Page) -> None:
    expect(page.get_by_test_id("desk-saved")).to_have_text("Saved", timeout=30_000)


def test_a_burst_of_presses_decides_exactly_the_cards_that_were_shown(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ids = [record.record_id for record in records.page(ws, Filter(), 40)]
    ws.close()
    with running(home) as studio:
        page = open_desk(browser, studio, "curate")
        for press in range(30):
            page.keyboard.press("kd"[press % 2])
            page.wait_for_timeout(30)
        expect(page.get_by_test_id("desk-progress")).to_have_text("15 kept · 15 dropped · 10 undecided")
        saved(page)
    ws = Workspace(home)
    found = [(record.record_id, record.decision) for record in records.page(ws, Filter(), 40)]
    ws.close()
    assert found == [(record_id, ("keep", "drop")[n % 2] if n < 30 else "undecided") for n, record_id in enumerate(ids)]


def test_presses_made_while_the_studio_is_down_are_stored_once_it_is_back(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ws.close()
    with running(home) as studio:
        page = open_desk(browser, studio, "curate")
        page.keyboard.press("k")
        saved(page)
        studio.kill()
        for key in "dk":
            page.keyboard.press(key)
        expect(page.get_by_test_id("desk-saved")).to_contain_text("2 ")
        studio.start()
        page.reload()
        settled(page)
        saved(page)
        expect(page.get_by_test_id("desk-progress")).to_have_text("2 kept · 1 dropped · 37 undecided")
        expect(page.get_by_test_id("desk-card")).to_contain_text("My jacket has the wrong colour.")
    ws = Workspace(home)
    found = [record.decision for record in records.page(ws, Filter(), 4)], ws.value("select count(*) from decisions")
    ws.close()
    assert found == (["keep", "drop", "keep", "undecided"], 3)


def test_a_studio_that_is_well_but_hears_nothing_more_makes_the_page_load_again_and_nothing_is_lost(
    browser: Browser, home: Path
) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ws.close()
    deaf: list[bool] = []

    def between(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda message: None if deaf else server.send(message))
        server.on_message(socket.send)

    with running(home) as studio:
        page = browser.new_page()
        page.route_web_socket(re.compile("_stcore/stream"), between)
        page.goto(f"{studio.url}/curate")
        settled(page)
        expect(page.get_by_test_id("desk-card")).to_be_visible(timeout=30_000)
        page.keyboard.press("k")
        saved(page)
        deaf.append(True)
        page.keyboard.press("d")
        page.wait_for_event("framenavigated", timeout=40_000)
        deaf.clear()
        expect(page.get_by_test_id("desk-progress")).to_have_text("1 kept · 1 dropped · 38 undecided", timeout=30_000)
        saved(page)
        page.close()


def test_undo_brings_the_card_back_in_front(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ws.close()
    with running(home) as studio:
        page = open_desk(browser, studio, "curate")
        page.keyboard.press("d")
        expect(page.get_by_test_id("desk-card")).to_contain_text("My jacket is torn.")
        page.keyboard.press("u")
        expect(page.get_by_test_id("desk-card")).to_contain_text("My jacket is late.", timeout=20_000)
        expect(page.get_by_test_id("desk-progress")).to_have_text("0 kept · 0 dropped · 40 undecided", timeout=20_000)


def test_a_refused_edit_comes_back_in_words_with_the_old_wording(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ws.close()
    with running(home) as studio:
        page = open_desk(browser, studio, "curate")
        page.keyboard.press("e")
        page.get_by_test_id("desk-field-2").fill("  ")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_test_id("desk-words")).to_contain_text("Turn 3 is empty", timeout=20_000)
        expect(page.get_by_test_id("desk-card")).to_contain_text("We are sorry that your jacket")


def test_text_from_data_is_shown_and_never_run(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    evil = "<img src=x onerror=\"document.title='owned'\"> **bold** :material/home: $x$"
    rows = [(f"T{n}", f"{evil} {n}", f"<script>document.title='owned'</script> answer {n}", "5", "x") for n in range(12)]
    home.mkdir(exist_ok=True)
    path = write_csv(home / "evil.csv", rows)
    report = intake.import_file(ws, path, "evil.csv", Choices(COLUMNS))
    record_id = records.page(ws, Filter(), 1)[0].record_id
    ws.close()
    with running(home) as studio:
        page = open_desk(browser, studio, "curate")
        expect(page.get_by_test_id("desk-card")).to_contain_text(evil)
        for path_of in (f"curate?record={record_id}", f"import?import={report.import_id}", "freeze"):
            page.goto(f"{studio.url}/{path_of}")
            settled(page)
            assert "owned" not in page.title()
        page.goto(f"{studio.url}/curate?record={record_id}")
        settled(page)
        expect(page.locator(".tw-said", has_text="onerror")).to_have_count(1)
