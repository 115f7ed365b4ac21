"""The review desk under real keys in a real browser: blind to the byte, nothing lost, two people at once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from studio import reviews
from studio.workspace import Workspace
from tests.browser import chromium, running, shoot
from tests.ledger import Ledger
from tests.line import Line
from tests.reviewing import DRAWN, begun, hidden, open_review, press, said, saved, widened
from tests.wire import Wire

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(chromium_here: str) -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ws"


def test_nothing_that_the_server_sends_in_a_blind_session_tells_the_sides_apart(browser: Browser, home: Path) -> None:
    session = begun(home, repeats=2, rubric=("tone",))
    secret = hidden(home, session)
    with running(home) as studio:
        page = browser.new_context().new_page()
        wire = Wire(page)
        open_review(page, studio.url, session)
        press(page, "d", "r")
        page.wait_for_timeout(500)
        press(page, "1", "1", "t", "t", "u")
        saved(page)
        told, answers = wire.found(secret), [b"ALPHA answer" in wire.everything, b"OMEGA answer" in wire.everything]
        page.context.close()
    assert (told, answers) == ([], [True, True])


def test_every_card_has_the_same_form(home: Path) -> None:
    from studio.components import review

    session = begun(home, repeats=2)
    ws = Workspace(home)
    reviews.join(ws, session, "ann")
    cards = [review.card(one) for one in reviews.window(ws, session, "ann", 50)]
    ws.close()
    assert {tuple(card) for card in cards} == {("id", "question", "left", "right", "reference", "mine")}
    assert {(len(card["id"]), card["mine"]) for card in cards} == {(24, None)}


def test_every_key_does_what_it_says(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        open_review(page, studio.url, session)
        press(page, "r")
        expect(page.get_by_test_id("review-reference-text")).to_contain_text("Hello! We are sorry")
        press(page, "d")
        expect(page.get_by_test_id("review-answer-left").locator("mark")).to_have_count(1, timeout=10_000)
        shoot(page, "review-desk")
        press(page, "1", "2", "t", "b", "ArrowLeft", "s", "ArrowRight")
        expect(page.get_by_test_id("review-progress")).to_have_text("6 of 12 judged")
        press(page, "u")
        expect(page.get_by_test_id("review-words")).to_have_text("Taken back; here it is again.")
        expect(page.get_by_test_id("review-progress")).to_have_text("5 of 12 judged")
        saved(page)
        press(page, "k", "k")
        expect(page.get_by_test_id("review-card")).to_contain_text("You chose answer 1")
        press(page, "b")
        saved(page)
        page.context.close()
    rows = said(home)
    assert [row["verdict"] for row in rows] == ["left", "right", "tie", "both_bad", "left", "right", "undone", "both_bad"]
    assert rows[7]["card_id"] == rows[4]["card_id"]
    assert all(row["seconds"] is not None for row in rows if row["verdict"] != "undone")


def test_marks_count_characters_as_python_does(browser: Browser, home: Path) -> None:
    session = begun(home)
    ws = Workspace(home)
    with ws.transaction() as transaction:
        transaction.execute("update outputs set text = '🧨 ' || text")
    ws.close()
    with running(home) as studio:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        open_review(page, studio.url, session)
        press(page, "x", "ArrowRight", "Shift+ArrowRight", "1")  # over the emoji, then two words
        page.get_by_test_id("review-fault-note").fill("never said")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("review-marks")).to_contain_text("Made-up fact in answer 1")
        page.get_by_test_id("review-answer-right").dblclick(position={"x": 40, "y": 12})  # a word, with the mouse
        page.get_by_test_id("review-kind-tone").click()
        page.keyboard.press("Escape")
        shoot(page, "review-marks")
        press(page, "2")
        saved(page)
        page.context.close()
    faults = json.loads(said(home)[0]["data"])["faults"]
    told = [(one["side"], one["kind"], one["note"]) for one in faults]
    assert told == [("left", "made_up", "never said"), ("right", "tone", "")]
    assert (faults[0]["start"], faults[0]["end"]) == (2, 14)  # "🧨 ALPHA answer 3": two words behind an emoji and a blank


def test_scores_are_given_cell_by_cell(browser: Browser, home: Path) -> None:
    session = begun(home, rubric=("correct", "tone"))
    with running(home) as studio:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        open_review(page, studio.url, session)
        press(page, "1")
        expect(page.get_by_test_id("review-words")).to_contain_text("Some scores are missing")
        press(page, "q", "5", "2", "4", "3")
        page.get_by_test_id("review-score-tone-right-1").click()
        press(page, "1")
        saved(page)
        expect(page.get_by_test_id("review-progress")).to_have_text("1 of 12 judged")
        page.context.close()
    scores = json.loads(said(home)[0]["data"])["scores"]
    assert scores == {"left": {"correct": 5, "tone": 4}, "right": {"correct": 2, "tone": 1}}


def test_what_was_begun_comes_back_after_a_reload(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        open_review(page, studio.url, session)
        press(page, "m")
        page.get_by_test_id("review-note-field").fill("12tb is what I typed")
        page.keyboard.press("Escape")
        press(page, "w")
        page.get_by_test_id("review-from-left").click()
        page.keyboard.type(" And more.")
        page.keyboard.press("Escape")
        page.reload()
        expect(page.get_by_test_id("review-words")).to_contain_text("is back", timeout=30_000)
        press(page, "b")
        saved(page)
        page.context.close()
    row = said(home)[0]
    better = json.loads(row["data"])["better"]
    assert (row["note"], better[-10:], better[:5] in ("ALPHA", "OMEGA")) == ("12tb is what I typed", " And more.", True)


def test_a_reloaded_page_goes_on_where_this_person_was(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = browser.new_context().new_page()
        open_review(page, studio.url, session)
        press(page, "1", "2", "t")
        saved(page)
        page.reload()
        expect(page.get_by_test_id("review-progress")).to_have_text("3 of 12 judged", timeout=30_000)
        press(page, "k")
        expect(page.get_by_test_id("review-card")).to_contain_text("You said: both good")
        page.context.close()


def judge_all(page: Page, keys: str) -> None:
    """Until the end of the deck."""
    for n in count():
        page.wait_for_function(DRAWN)
        if page.get_by_text("You have judged all your pairs").count():
            return
        page.keyboard.press(keys[n % len(keys)])


def test_two_people_review_one_session_at_once_and_read_the_result_together(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        ann, bob = (browser.new_context(viewport={"width": 1280, "height": 900}).new_page() for _ in range(2))
        for page, who in ((ann, "ann"), (bob, "bob")):
            open_review(page, studio.url, session, who)
        ledgers = [press(page, "1") for page in (ann, bob, ann, bob)]
        judge_all(ann, "112t")
        judge_all(bob, "221b")
        for page in (ann, bob):
            saved(page)
        assert not ledgers[0] and bob.get_by_text("For you, who opened this session").count() == 0
        ann.get_by_text("For you, who opened this session").click()
        expect(ann.get_by_text("24 of 24 (100 %) cards of 2 people are judged.")).to_be_visible(timeout=20_000)
        ann.get_by_role("button", name="End and reveal").click()
        expect(ann.get_by_text("Can these verdicts be trusted?")).to_be_visible(timeout=30_000)
        shoot(ann, "review-result")
        bob.reload()
        expect(bob.get_by_text("Can these verdicts be trusted?")).to_be_visible(timeout=30_000)
        for page in (ann, bob):
            page.context.close()
    ws = Workspace(home)
    found = Counter(one.who for one in reviews.standing(ws, session))
    ws.close()
    assert found == {"ann": 12, "bob": 12}


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_two_hundred_verdicts_through_six_kills_and_six_cuts(browser: Browser, home: Path) -> None:
    session, ledger = widened(home, 260, 5), Ledger(desk="review")
    done: Counter[str] = Counter()
    with running(home) as studio, closing(Line(studio.port)) as line:
        page = browser.new_page()
        ledger.watch(page)
        open_review(page, line.url, session)
        starting = threading.Thread(target=lambda: None)
        starting.start()
        for n in count():
            if len(ledger.made) >= 200:
                break
            page.wait_for_function(DRAWN, timeout=120_000)
            page.keyboard.press("u" if n % 23 == 11 else "s" if n % 17 == 4 else "12tb"[n % 4])
            page.wait_for_timeout(20)
            event, at = divmod(n, 16)
            if at == 5 and event % 2 == 0 and done["kill"] < 6:
                starting.join()
                studio.kill()
                starting = threading.Thread(target=studio.start)
                starting.start()
                done["kill"] += 1
            if at == 5 and event % 2 == 1 and done["cut"] < 6:
                line.cut()
                threading.Timer(0.7, line.mend).start()
                done["cut"] += 1
            if at == 12 and event % 6 == 4:
                starting.join()
                page.reload()
        starting.join()
        saved(page)
        page.close()
    stored = Counter(row["review_id"] for row in said(home))
    made = {name for name, one in ledger.made.items() if one["do"] == "judge"}
    assert (made <= set(stored), set(stored) <= set(ledger.made), set(stored.values()), ledger.unseen, dict(done)) == (
        True, True, {1}, [], {"kill": 6, "cut": 6})
