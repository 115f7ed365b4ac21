"""What happens at a reviewer's desk in two hours: a slip of the key, second thoughts, a finger for a mouse, one pair more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from studio import reviews
from studio.components import review
from studio.workspace import Workspace
from tests.browser import chromium, running, shoot
from tests.reviewing import begun, open_review, press, said, saved

LOOP, OTHER_LOOP = "the cat " * 700, "the " * 1_400


@pytest.fixture(scope="module")
def browser(chromium_here: str) -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ws"


def desk(browser: Browser, url: str, session: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    open_review(page, url, session)
    return page


def rewritten(home: Path, left: str, right: str) -> None:
    """All answers of the two candidates are these."""
    ws = Workspace(home)
    with ws.transaction() as transaction:
        transaction.execute("update outputs set text = case candidate_id when 'starter' then ? else ? end", [left, right])
    ws.close()


def data(home: Path, place: int) -> dict[str, object]:
    return dict(json.loads(said(home)[place]["data"]))


@pytest.mark.slow
def test_undo_gives_back_what_was_written(browser: Browser, home: Path) -> None:
    session = begun(home, rubric=("tone",))
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "q", "4", "2", "x", "ArrowRight", "2", "Escape", "m")
        page.get_by_test_id("review-note-field").fill("Both miss the voucher")
        page.keyboard.press("Escape")
        press(page, "w")
        page.get_by_test_id("review-better-field").fill("Take this voucher.")
        page.keyboard.press("Escape")
        press(page, "1", "u")
        expect(page.get_by_test_id("review-words")).to_have_text("Taken back; here it is again.")
        press(page, "2")
        saved(page)
        page.context.close()
    rows = said(home)
    assert [(row["verdict"], row["note"]) for row in rows] == [
        ("left", "Both miss the voucher"), ("undone", ""), ("right", "Both miss the voucher")]
    assert data(home, 2) == data(home, 0)


@pytest.mark.slow
def test_undo_of_yesterdays_verdict_gives_back_what_was_written(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "m")
        page.get_by_test_id("review-note-field").fill("Too curt")
        page.keyboard.press("Escape")
        press(page, "1")
        saved(page)
        page.reload()
        expect(page.get_by_test_id("review-progress")).to_have_text("1 of 12 judged", timeout=30_000)
        press(page, "u")
        expect(page.get_by_test_id("review-note-field")).to_have_value("Too curt", timeout=10_000)
        expect(page.get_by_test_id("review-progress")).to_have_text("0 of 12 judged")
        page.context.close()


@pytest.mark.slow
def test_the_end_of_the_deck_knows_which_pairs_wait_after_second_thoughts(browser: Browser, home: Path) -> None:
    session = begun(home, per_person=4)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "1", "2")
        press(page, "k", "b", "u", "1", "s", "t")  # goes back, says both bad, takes it back, says the left one; skips one
        expect(page.get_by_test_id("review-progress")).to_have_text("3 of 4 judged")
        expect(page.get_by_test_id("review-card")).to_contain_text("One pair still waits for a verdict.")
        shoot(page, "review-end")
        page.get_by_test_id("review-again").click()
        press(page, "2")
        expect(page.get_by_test_id("review-card")).to_contain_text("You have judged all your pairs")
        saved(page)
        page.context.close()


def test_a_press_that_comes_again_is_counted_anew_and_a_new_one_is_not(home: Path) -> None:
    session = begun(home)
    ws = Workspace(home)
    reviews.join(ws, session, "ann")
    card = reviews.window(ws, session, "ann", 1)[0].card_id
    press = {"id": "p1", "do": "judge", "card": card, "verdict": "left"}
    first, second = (review.answer(ws, session, "ann", {"reply": n}, [press]) for n in (0, 1))
    ws.close()
    assert "numbers" not in first and second["numbers"]["mine"] == 1


@pytest.mark.slow
def test_more_pairs_are_there_as_soon_as_they_are_asked_for(browser: Browser, home: Path) -> None:
    session = begun(home, per_person=2)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "1", "2")
        expect(page.get_by_test_id("review-card")).to_contain_text("You have judged all your pairs")
        page.get_by_role("button", name="Give me 20 more").click()
        expect(page.get_by_test_id("review-progress")).to_have_text("2 of 12 judged", timeout=20_000)
        expect(page.get_by_test_id("review-answer-left")).to_be_visible(timeout=10_000)
        press(page, "t")
        saved(page)
        page.context.close()
    assert [row["verdict"] for row in said(home)] == ["left", "right", "tie"]


@pytest.mark.slow
def test_a_note_on_a_mark_is_kept_when_the_verdict_is_clicked(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "x", "1")
        page.keyboard.type("no such voucher")
        page.get_by_test_id("review-both-bad").click()
        saved(page)
        page.context.close()
    faults = data(home, 0)["faults"]
    assert isinstance(faults, list) and [one["note"] for one in faults] == ["no such voucher"]


def word(said: Locator, start: int) -> dict[str, float]:
    """The middle of the character at this place of an answer, on the screen."""
    return dict(said.evaluate("""(said, start) => {
        const range = document.createRange();
        range.setStart(said.firstChild, start);
        range.setEnd(said.firstChild, start + 1);
        const box = range.getBoundingClientRect();
        return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    }""", start))


@pytest.mark.slow
def test_words_are_marked_with_a_finger(browser: Browser, home: Path) -> None:
    session = begun(home)
    rewritten(home, "🧨 Please send it back today.", "🧨 Please wait for our call.")
    with running(home) as studio:
        page = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True).new_page()
        open_review(page, studio.url, session)
        answer = page.get_by_test_id("review-answer-right")
        page.get_by_test_id("review-mark").tap()
        expect(page.get_by_test_id("review-left")).to_be_hidden()  # the digits say what is wrong meanwhile
        page.get_by_test_id("review-mark-leave").tap()
        expect(page.get_by_test_id("review-left")).to_be_visible()
        page.get_by_test_id("review-mark").tap()
        for at in [word(answer, place) for place in (4, 12)]:
            page.touchscreen.tap(at["x"], at["y"])
            page.wait_for_timeout(100)
        shoot(page, "review-touch")
        page.get_by_test_id("review-kind-missing").tap()
        page.get_by_test_id("review-right").tap()
        saved(page)
        page.context.close()
    text = "🧨 Please send it back today." if "send" in said_text(home, session) else "🧨 Please wait for our call."
    faults = data(home, 0)["faults"]
    assert isinstance(faults, list) and [text[one["start"]:one["end"]] for one in faults] == [" ".join(text.split()[1:3])]


def said_text(home: Path, session: str) -> str:
    """The answer that stood right on the first judged card."""
    ws = Workspace(home)
    found = reviews.card(ws, session, said_card(ws)).right
    ws.close()
    return found


def said_card(ws: Workspace) -> str:
    return str(ws.value("select card_id from reviews order by seq limit 1"))


@pytest.mark.slow
def test_other_words_may_be_selected_before_it_is_said_what_is_wrong(browser: Browser, home: Path) -> None:
    session = begun(home)
    rewritten(home, "Please send it back.", "Please wait for us.")
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        answer = page.get_by_test_id("review-answer-left")
        for place in (1, 8):
            at = word(answer, place)
            page.mouse.dblclick(at["x"], at["y"])
            page.wait_for_timeout(100)
        page.get_by_test_id("review-kind-tone").click()
        press(page, "Escape", "1")
        saved(page)
        page.context.close()
    faults = data(home, 0)["faults"]
    assert isinstance(faults, list) and [one["start"] for one in faults] == [7]


@pytest.mark.slow
def test_starting_from_an_answer_never_writes_over_own_words(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "w")
        page.get_by_test_id("review-from-left").click()
        expect(page.get_by_test_id("review-from-right")).to_be_enabled()  # nothing of one's own is lost yet
        page.keyboard.type(" Sorry.")
        expect(page.get_by_test_id("review-from-right")).to_be_disabled()
        page.context.close()


@pytest.mark.slow
def test_a_refused_verdict_comes_back_in_words_with_what_was_written(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        ann, bob = desk(browser, studio.url, session), desk(browser, studio.url, session)
        bob.get_by_text("For you, who opened this session").click()
        bob.get_by_role("button", name="End and reveal").click()
        expect(bob.get_by_text("Can these verdicts be trusted?")).to_be_visible(timeout=30_000)
        press(ann, "m")
        ann.get_by_test_id("review-note-field").fill("Came too late")
        ann.keyboard.press("Escape")
        press(ann, "1")
        expect(ann.get_by_test_id("review-words")).to_contain_text("Not stored: This session was revealed", timeout=20_000)
        expect(ann.get_by_test_id("review-note-field")).to_have_value("Came too late")
        expect(ann.get_by_test_id("review-progress")).to_have_text("0 of 12 judged")
        for page in (ann, bob):
            page.context.close()


@pytest.mark.slow
def test_answers_that_go_round_in_circles_are_not_compared_and_it_is_said(browser: Browser, home: Path) -> None:
    session = begun(home)
    rewritten(home, LOOP, OTHER_LOOP)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        press(page, "d")
        expect(page.get_by_test_id("review-words")).to_contain_text("repeat themselves too much", timeout=10_000)
        page.context.close()


SKIPPED = """() => {
    const root = [...document.querySelectorAll("*")].map((one) => one.shadowRoot)
        .find((one) => one?.querySelector(".pairbox.ahead"));
    const card = root?.querySelector("[data-testid=review-card]");
    if (!card || card.dataset.seen !== card.dataset.card) return null;
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "s", bubbles: true, composed: true }));
    return [card.dataset.card, root.querySelector(".pairbox:not(.ahead)").textContent];
}"""
"""Skips the pair once another is laid out ahead: which card is said to be shown then, and its text. In one step, because a
word from Python may come in between two calls of the browser, and lay out anew."""


@pytest.mark.slow
def test_the_pair_laid_out_ahead_is_the_one_that_is_shown_next(browser: Browser, home: Path) -> None:
    session = begun(home)
    with running(home) as studio:
        page = desk(browser, studio.url, session)
        ahead, shown = page.locator(".pairbox.ahead"), []
        for keys in (["1"], ["k"], ["s"], ["r", "2"], ["u", "2"], ["s", "k", "t"]):
            press(page, *keys)
            expect(ahead).to_have_count(1)
            expect(ahead).to_be_hidden()
            expect(page.get_by_test_id("review-answer-left")).to_have_count(1)
            shown.append(page.wait_for_function(SKIPPED).json_value())
        page.context.close()
    ws = Workspace(home)
    cards = [reviews.card(ws, session, card_id) for card_id, _ in shown]
    ws.close()
    assert [(card.left in text, card.right in text) for card, (_, text) in zip(cards, shown, strict=True)] == [(True, True)] * 6


def test_an_undo_that_is_sent_twice_names_its_pair_both_times(home: Path) -> None:
    session = begun(home)
    ws = Workspace(home)
    reviews.join(ws, session, "ann")
    reviews.join(ws, session, "ann")
    card = reviews.window(ws, session, "ann", 1)[0].card_id
    review.apply(ws, session, "ann", {"id": "p1", "do": "judge", "card": card, "verdict": "left"})
    told = [review.apply(ws, session, "ann", {"id": "p2", "do": "undo"}) for _ in range(2)]
    ws.close()
    assert [one["front"] for answer in told for one in answer] == [card, card]


def test_a_card_weighs_the_same_whoever_stands_left_and_they_stand_there_equally_often(home: Path) -> None:
    session = begun(home, repeats=2)
    ws = Workspace(home)
    people = [f"person{n}" for n in range(30)]
    for who in people:
        reviews.join(ws, session, who)
    cards = [review.card(one) for who in people for one in reviews.window(ws, session, who, 50)]
    ws.close()
    beside = {len(json.dumps(one)) - sum(len(json.dumps(one[part])) for part in ("question", "left", "right", "reference"))
              for one in cards}
    alpha = sum(one["left"].startswith("ALPHA") for one in cards)
    assert (len(cards), len(beside), abs(alpha - 210) < 4 * 420 ** 0.5 / 2) == (420, 1, True)
