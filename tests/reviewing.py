"""A session to be judged in a real browser, and how the tests press keys on it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from studio import review_texts, reviews
from studio.reviews import Settings
from studio.workspace import Row, Workspace
from tests.browser import settled
from tests.tickets import freeze_forty, recorded_evaluation, recorded_training

PAIR = ("starter", "trained00001")
DRAWN = """() => [...document.querySelectorAll("*")].some((one) => {
    const card = one.shadowRoot?.querySelector("[data-testid=review-card]");
    return card && !document.querySelector('[role="dialog"]')
        && (card.dataset.card ? card.dataset.seen === card.dataset.card
            : /judged all|some were skipped/.test(card.textContent));
})"""


def begun(home: Path, **settings: object) -> str:
    """A workspace with twelve answered items and an open session over them; its id."""
    ws = Workspace(home)
    snapshot = freeze_forty(ws)
    run_id = recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    return opened(ws, run_id, **settings)


def opened(ws: Workspace, run_id: str, **settings: object) -> str:
    """A session over all items of an evaluation; the workspace is closed."""
    items = review_texts.items(ws, run_id, PAIR)
    given = {"per_person": 0, "aim": 0} | settings
    session = reviews.start(ws, run_id, PAIR, items, Settings(**given), "ann", "Blind")  # type: ignore[arg-type]
    ws.close()
    return session


def widened(home: Path, items: int, words: int) -> str:
    """As `begun`, with so many items, whose answers are so many words long; nothing of them is in a snapshot's files."""
    ws = Workspace(home)
    snapshot = freeze_forty(ws)
    run_id = recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    text = " ".join(f"word{n}" for n in range(words))
    with ws.transaction() as transaction:
        transaction.execute("""update outputs set text = text || ' ' || ?""", [text])
    items_there = review_texts.items(ws, run_id, PAIR)
    session = reviews.start(ws, run_id, PAIR, items_there, Settings(per_person=0, aim=0), "ann", "Blind")
    pairs = ws.rows("select * from review_pairs where session_id = ?", [session])
    more = [pairs[n % len(pairs)] | {"pair_id": f"more{n}", "position": n} for n in range(len(pairs), items)]
    if more:
        with ws.transaction() as transaction:
            transaction.decided("review_pairs", more)
            transaction.execute("update review_sessions set items = ?", [items])
    ws.close()
    return session


def open_review(page: Page, url: str, session: str, who: str = "ann") -> None:
    page.goto(f"{url}/review?session={session}&person={who}")
    settled(page)
    expect(page.get_by_test_id("review-answer-left")).to_be_visible(timeout=30_000)
    page.wait_for_function(DRAWN)


def press(page: Page, *keys: str) -> None:
    """Keys, each on a pair that is drawn."""
    for key in keys:
        page.wait_for_function(DRAWN)
        page.keyboard.press(key)


def saved(page: Page) -> None:
    expect(page.get_by_test_id("review-saved")).to_have_text("Saved", timeout=60_000)


def said(home: Path) -> list[Row]:
    """Every stored press, in order."""
    ws = Workspace(home)
    rows = ws.rows("select review_id, card_id, verdict, note, data, who, seconds from reviews order by seq")
    ws.close()
    return rows


def hidden(home: Path, session: str) -> list[str]:
    """What would tell the sides apart, or whose answers these are: ids of everything behind a card, names, flags."""
    ws = Workspace(home)
    run_id = reviews.get(ws, session).run_id
    pairs = ws.rows("select pair_id, item_id from review_pairs where session_id = ?", [session])
    names = [row["name"] for row in ws.rows("select name from models")]
    ws.close()
    behind = [part for row in pairs for part in row.values()]
    return [run_id, *names, *PAIR[1:], "left_is_a", '"candidates"', '"again":', '"position":', *behind]
