"""The label desk under kill -9, cut lines and four people at once: nothing lost, nothing twice, nothing unseen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from studio import intake, label_sets
from studio.columns import Choices
from studio.label_sets import LabelSet
from studio.workspace import Row, Workspace
from tests.browser import Studio, chromium, running, settled
from tests.ledger import Ledger
from tests.line import Line
from tests.tickets import COLUMNS, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]

PRESSES, KILLS, CUTS = 1_000, 20, 20
MOODS = {"name": "Mood", "needed": 1, "fields": [{"key": "mood", "title": "Mood", "kind": "choice", "options": [
    {"value": value} for value in ("angry", "unhappy", "neutral", "happy")]}]}


@pytest.fixture(scope="module")
def browser(chromium_here: str) -> Iterator[Browser]:
    with chromium() as found:
        yield found


def numbered(home: Path, rows: int, needed: int = 1) -> LabelSet:
    ws = Workspace(home)
    tickets = [(f"T{n}", f"Question number {n}?", f"Answer number {n}.", "5", "x") for n in range(rows)]
    path = write_csv(home / "many.csv", tickets)
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    made = label_sets.save(ws, MOODS | {"needed": needed}, "ann")
    ws.close()
    return made


def open_label(page: Page, url: str, who: str = "ann") -> None:
    page.goto(f"{url}/label?person={who}")
    settled(page)
    expect(page.get_by_test_id("label-option-0")).to_be_visible(timeout=30_000)


def press(page: Page, key: str) -> bool:
    """One press on a record that is drawn; waits for one where the browser has none. False when the queue is at its end."""
    ready = """() => {
        for (const one of document.querySelectorAll("*")) {
            const card = one.shadowRoot?.querySelector("[data-testid=label-card]");
            if (!card) continue;
            const covered = document.querySelector('[role="dialog"]');
            if (card.dataset.record && card.dataset.seen === card.dataset.record && !covered) return "record";
            if (card.textContent.includes("last record") || card.textContent.includes("No record waits")) return "end";
        }
        return "";
    }"""
    found = page.wait_for_function(ready, timeout=120_000).json_value()
    page.keyboard.press(key)
    return bool(found == "record")


def test_a_thousand_presses_through_twenty_kills_and_twenty_cuts(browser: Browser, tmp_path: Path) -> None:
    home, ledger = tmp_path / "ws", Ledger()
    numbered(home, 1_400)
    with running(home) as studio, closing(Line(studio.port)) as line:
        page = browser.new_page()
        ledger.watch(page)
        open_label(page, line.url)
        events = press_through(page, studio, line, ledger)
        expect(page.get_by_test_id("label-saved")).to_have_text("Saved", timeout=60_000)
        page.close()
    assert stored(home) == Counter(list(ledger.made))
    assert (ledger.acknowledged, ledger.unseen, len(ledger.made), events) == \
        (set(ledger.made), [], PRESSES, {"kill": KILLS, "cut": CUTS})


def press_through(page: Page, studio: Studio, line: Line, ledger: Ledger) -> Counter[str]:
    """Press until a thousand presses were made; every 25 the studio is killed or the line is cut. Returns how often."""
    done: Counter[str] = Counter()
    starting = threading.Thread(target=lambda: None)
    starting.start()
    for n in count():
        if len(ledger.made) >= PRESSES:
            break
        press(page, "f" if n % 13 == 7 else "s" if n % 10 == 4 else "1234"[n % 4])
        page.wait_for_timeout(30)
        event, at = divmod(n, PRESSES // (KILLS + CUTS))
        if at == 5 and event % 2 == 0 and done["kill"] < KILLS:
            starting.join()
            studio.kill()
            starting = threading.Thread(target=studio.start)
            starting.start()
            done["kill"] += 1
        if at == 5 and event % 2 == 1 and done["cut"] < CUTS:
            line.cut()
            threading.Timer(0.7, line.mend).start()
            done["cut"] += 1
        if at == 20 and event % 10 == 4:  # and sometimes the page is loaded anew with presses that wait
            starting.join()
            page.reload()
    starting.join()
    return done


def stored(home: Path) -> Counter[str]:
    """How often each press is in the workspace."""
    ws = Workspace(home)
    rows = ws.rows("select label_id as id from labels union all select mark_id from record_marks")
    ws.close()
    return Counter(row["id"] for row in rows)


def test_four_browsers_label_six_hundred_records_once_each(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "ws"
    numbered(home, 600)
    with running(home) as studio:
        pages = [browser.new_context().new_page() for _ in range(4)]
        ledgers = [Ledger() for _ in pages]
        for page, ledger, who in zip(pages, ledgers, ("ann", "ben", "cem", "dia"), strict=True):
            ledger.watch(page)
            open_label(page, studio.url, who)
        busy = list(zip(pages, ledgers, strict=True))
        while busy:
            busy = [pair for pair in busy if press(pair[0], "1")]
        for page in pages:
            expect(page.get_by_test_id("label-saved")).to_have_text("Saved", timeout=30_000)
        for page in pages:
            page.context.close()
    ws = Workspace(home)
    rows: list[Row] = ws.rows("select record_id, count(*) as n from labels where state = 'answered' group by record_id")
    ws.close()
    made = Counter(press["card"] for ledger in ledgers for press in ledger.made.values())
    assert (len(rows), {row["n"] for row in rows}, sum(made.values()), [ledger.unseen for ledger in ledgers]) == \
        (600, {1}, 600, [[]] * 4)
