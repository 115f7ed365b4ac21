"""Key to the next pair painted, with answers of 1,000 words, in a real browser; and how much of what is secret was sent.

`python -m benchmarks.review_page` presses verdicts on the review desk and measures from the key's event to the end of the
frame that shows the next pair (a `requestAnimationFrame` and a task behind it, so layout and paint are in it). """

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from benchmarks import record
from tests.browser import chromium, running
from tests.reviewing import DRAWN, begun, hidden, open_review, press, saved, widened
from tests.wire import Wire

WORDS, PRESSES, WARM_UP = 1_000, 220, 20
MEASURE = """() => {
  window.__took = [];
  const card = () => [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)
    .map((root) => root.querySelector("[data-testid=review-card]")).find(Boolean);
  document.addEventListener("keydown", () => {
    const began = performance.now(), was = card()?.dataset.card;
    requestAnimationFrame(() => setTimeout(() => {
      if (card()?.dataset.card !== was) window.__took.push(performance.now() - began);
    }));
  }, true);
}"""


def painted(words: int) -> list[float]:
    """Milliseconds from each key to the next pair on the screen."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ws"
        session = widened(home, PRESSES + 40, words)
        with running(home) as studio, chromium() as browser:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            open_review(page, studio.url, session)
            page.wait_for_timeout(1_500)
            page.evaluate(MEASURE)
            _press_on(page)
            saved(page)
            return [float(one) for one in page.evaluate("window.__took")][WARM_UP:]


def _press_on(page: Page) -> None:
    for n in range(PRESSES):
        page.wait_for_function(DRAWN)
        page.keyboard.press("12tb"[n % 4])
        page.wait_for_timeout(60)


def leaked() -> int:
    """Bytes of ids and names behind the cards that were sent during a blind session."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ws"
        session = begun(home, repeats=2)
        words = hidden(home, session)
        with running(home) as studio, chromium() as browser:
            page = browser.new_context().new_page()
            wire = Wire(page)
            open_review(page, studio.url, session)
            press(page, "d", "1", "2", "t", "b", "u", "1")
            saved(page)
            return sum(len(word) for word in wire.found(words))


def main() -> None:
    rows, figures = [], {}
    for words in (100, WORDS):
        took = sorted(painted(words))
        p95 = took[round(0.95 * len(took)) - 1]
        rows.append(f"| {words:,} | {len(took)} | {statistics.median(took):.1f} | {p95:.1f} | {took[-1]:.1f} |")
        figures["review.paint_p95_ms"] = round(p95, 1)
    secret = leaked()
    lines = ["Milliseconds from a verdict's key to the next pair painted.", "",
             "| words an answer | presses | median | p95 | most |", "|---|---|---|---|---|", *rows, "",
             f"Bytes of what tells the sides apart that the server sent in a blind session: {secret}."]
    print("\n".join(lines))
    record.keep(figures | {"review.leaked_bytes": secret})
    record.table("review_page", "The review desk: key to the next pair", lines)


if __name__ == "__main__":
    main()
