"""Curate's table in a real browser over a million records: a filter, a search, a page turn, from the press to the new rows.

    python -m benchmarks.curate_table [--rows 1000000] [--presses 60]

Each press goes through the page as a person's would; its time ends with the last change that it made to the page. The index of
words is built first; how long that takes and what it weighs is printed. Writes `labelling.table_p95_ms_1m` into results.json.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from playwright.sync_api import Page

from benchmarks import record
from benchmarks.intake import PARTS, generate
from studio import intake, record_table, search
from studio.record_table import Found, Order, Wanted
from studio.workspace import Workspace
from tests.browser import chromium, running, settled

QUIET_MS = 400
WATCH = """
const Plain = window.WebSocket;
window.WebSocket = class extends Plain {
    constructor(...given) { super(...given); this.addEventListener('message', () => { window.heard = performance.now(); }); }
};
// The grid writes what screen readers hear into its canvas a third of a second after it has painted the rows.
new MutationObserver((changes) => {
    if (changes.some((change) => change.target.tagName !== 'CANVAS')) window.changed = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""
WORDS = sorted({word for part in PARTS for phrase in part for word in phrase.lower().split() if len(word) > 3})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--presses", type=int, default=60)
    given = parser.parse_args()
    lines = ["| rows | index of words | its size | a search without the page, p95 | in the page, median | p95 |",
             "|---|---|---|---|---|---|"]
    for rows in (given.rows // 100, given.rows // 10, given.rows):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "ws"
            seconds, size = fill(home, rows)
            nouns = searches(home, given.presses)
            took = presses(home, given.presses)
        lines.append(f"| {rows:,} | {seconds:.1f} s | {size:.0f} MB | {p95(nouns):.0f} ms | {median(took):.0f} ms | "
                     f"{p95(took):.0f} ms |")
        print(lines[-1], flush=True)
    record.keep({"labelling.table_p95_ms_1m": round(p95(took), 1)})
    record.table("curate_table", "Curate's table", lines)


def fill(home: Path, rows: int) -> tuple[float, float]:
    """A workspace of so many records and its index; returns the seconds that took and the megabytes it weighs."""
    path = home.parent / "tickets.csv"
    generate(path, rows)
    ws = Workspace(home)
    staging = intake.read(ws, [path])
    intake.import_staged(ws, staging, intake.look(ws, staging).choices)
    staging.discard()
    ws.rows("checkpoint")
    before, began = (home / "studio.duckdb").stat().st_size, time.perf_counter()
    while search.read_on(ws):
        pass
    seconds = time.perf_counter() - began
    ws.rows("checkpoint")
    ws.close()
    return seconds, ((home / "studio.duckdb").stat().st_size - before) / 1e6


def searches(home: Path, number: int) -> list[float]:
    """Milliseconds of a page of a search, without the browser: two words each, most frequent and rare ones."""
    ws, dice, found = Workspace(home), random.Random(1), []
    record_table.matching(ws, Wanted())
    for _ in range(number):
        text = " ".join(dice.sample(WORDS, 2))
        began = time.perf_counter()
        Found(ws, Wanted(text=text)).page(Order("rating", True), 1, 25)
        found.append((time.perf_counter() - began) * 1000)
    ws.close()
    return found


def presses(home: Path, number: int) -> list[float]:
    """Milliseconds from a press to the rows it asks for: searches, page turns and filters in turn."""
    dice, found = random.Random(2), []
    with running(home) as studio, chromium() as browser:
        page = browser.new_context().new_page()
        page.add_init_script(WATCH)
        page.goto(f"{studio.url}/curate?view=Table&show=All")
        settled(page)
        for place in range(number + 3):
            act = (look_for, turn, show)[place % 3]
            took = act(page, dice)
            if place >= 3:  # the first of each kind brings its columns into memory
                found.append(took)
    return found


def look_for(page: Page, dice: random.Random) -> float:
    field = page.get_by_label("Holds the words", exact=True)
    field.fill(" ".join(dice.sample(WORDS, 2)))
    return after(page, lambda: field.press("Enter"))


def turn(page: Page, dice: random.Random) -> float:
    up = page.get_by_test_id("stNumberInputStepUp").first
    return after(page, up.click) if up.is_enabled() else look_for(page, dice)


def show(page: Page, dice: random.Random) -> float:
    names = ["Undecided", "All"]
    chosen = page.get_by_role("radio", name=names[dice.randrange(2)], exact=True)
    if chosen.get_attribute("aria-checked") == "true":
        chosen = page.get_by_role("radio", name=next(name for name in names if name != chosen.inner_text()), exact=True)
    return after(page, chosen.click)


def after(page: Page, press: Callable[[], object]) -> float:
    """From a press until the last change it made to the page (any element, any attribute), in milliseconds."""
    page.evaluate("() => { window.began = performance.now(); window.heard = 0; window.changed = 0; }")
    press()
    page.wait_for_function(f"() => window.heard && performance.now() - Math.max(window.heard, window.changed) > {QUIET_MS}")
    return float(page.evaluate("() => Math.max(window.heard, window.changed) - window.began"))


def p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


if __name__ == "__main__":
    main()
