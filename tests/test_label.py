"""The label desk under real keys in a real browser: every kind of field, undo, keys of one's own, text that never runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from studio import intake, key_maps, label_sets, labels, marks, records
from studio.columns import Choices
from studio.label_sets import LabelSet
from studio.records import Filter
from studio.workspace import Row, Workspace
from tests.browser import chromium, running, settled, shoot
from tests.tickets import COLUMNS, import_forty, write_csv

pytestmark = [pytest.mark.slow]

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "[click](javascript:document.title='owned') **bold** :material/home: $x$",
    "\u202etxet desrever\u202c and \u2066isolated\u2069",
    "🧨👩‍👩‍👧‍👦 é́ \u0000 NUL \u0007",
    "x" * 1_000_000,
)


DRAWN = """() => [...document.querySelectorAll("*")].some((one) => {
    const card = one.shadowRoot?.querySelector("[data-testid=label-card]");
    return card && (!card.dataset.record || card.dataset.seen === card.dataset.record);
})"""


def choice(*values: str, **more: Any) -> Row:
    return {"key": "mood", "title": "Mood", "kind": "choice", "options": [{"value": value} for value in values], **more}


MOOD = choice("angry", "calm")
FAULTS = {"key": "faults", "title": "Faults", "kind": "multi", "options": [{"value": v} for v in ("wrong", "rude", "long")]}
PARTS = {"key": "parts", "title": "Parts", "kind": "spans", "options": [
    {"value": "product", "title": "Product", "colour": "#3366cc", "key": "q"}, {"value": "trouble", "title": "Trouble"}]}
NOTE = {"key": "note", "title": "Note", "kind": "text", "required": False}


@pytest.fixture(scope="module")
def browser(chromium_here: str) -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ws"


def made(home: Path, *fields: Row, needed: int = 1) -> tuple[LabelSet, list[str]]:
    """Forty records and a set of these fields; the set, and the records' ids in their order."""
    ws = Workspace(home)
    if not records.counts(ws).total:
        import_forty(ws)
    label_set = label_sets.save(ws, {"name": "Test", "needed": needed, "fields": list(fields)}, "ann")
    ids = [record.record_id for record in records.page(ws, Filter(), 40)]
    ws.close()
    return label_set, ids


def open_label(browser: Browser, url: str, view: str = "Label", show: str = "need answers") -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{url}/label?person=ann&view={view}&show={show}")
    settled(page)
    expect(page.get_by_test_id("label-card")).to_contain_text("Customer", timeout=30_000)
    page.wait_for_timeout(100)
    return page


def keys(page: Page, pressed: Sequence[str]) -> None:
    for key in pressed:
        page.keyboard.press(key)
        page.wait_for_function(DRAWN)


def saved(page: Page) -> None:
    expect(page.get_by_test_id("label-saved")).to_have_text("Saved", timeout=30_000)


def answers(home: Path, set_id: str) -> dict[str, Any]:
    ws = Workspace(home)
    found = {record_id: answer for record_id, _, answer in labels.votes(ws, set_id)}
    ws.close()
    return found


def test_one_press_a_record_labels_exactly_what_was_shown(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, "12" * 10)
        saved(page)
    assert answers(home, label_set.set_id) == {one: {"mood": ("angry", "calm")[n % 2]} for n, one in enumerate(ids[:20])}


def test_undo_walks_back_over_a_reload(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, "111f")
        saved(page)
        page.reload()
        settled(page)
        expect(page.get_by_test_id("label-card")).to_contain_text("wrong colour", timeout=30_000)
        for shown in ("has the wrong colour", "does not fit", "is torn"):
            keys(page, "u")
            expect(page.get_by_test_id("label-card")).to_contain_text(f"My jacket {shown}", timeout=20_000)
            saved(page)
    assert list(answers(home, label_set.set_id)) == ids[:1]


def test_undo_shows_the_record_at_once_and_takes_the_label_back(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, "12u")
        expect(page.get_by_test_id("label-card")).to_have_attribute("data-record", ids[1])
        keys(page, "1")
        saved(page)
    assert answers(home, label_set.set_id) == {ids[0]: {"mood": "angry"}, ids[1]: {"mood": "angry"}}


def test_a_queue_that_is_read_again_ends_and_shows_what_i_had_said(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD)
    ws = Workspace(home)
    for one in ids:
        labels.answer(ws, label_set.set_id, one, {"mood": "angry"}, "ann", f"press-{one}")
    ws.close()
    with running(home) as studio:
        page = open_label(browser, studio.url, show="answered by me")
        expect(page.get_by_test_id("label-option-0")).to_have_attribute("aria-pressed", "true")
        keys(page, "s" * 39 + "2")
        expect(page.get_by_test_id("label-card")).to_contain_text("That was the last record")
        saved(page)
    assert [answer["mood"] for answer in answers(home, label_set.set_id).values()] == ["angry"] * 39 + ["calm"]


def test_several_options_are_toggled_and_enter_answers(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, FAULTS)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["3", "1", "2", "2", "Enter"])
        saved(page)
    assert answers(home, label_set.set_id) == {ids[0]: {"faults": ["wrong", "long"]}}


def test_a_required_field_is_asked_for_in_words(browser: Browser, home: Path) -> None:
    made(home, FAULTS, NOTE)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["Enter"])
        expect(page.get_by_test_id("label-words")).to_contain_text("Faults needs an answer first")


def test_one_of_many_options_is_found_by_typing(browser: Browser, home: Path) -> None:
    label_set, _ = made(home, choice(*(f"intent {n}" for n in range(77))))
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["/"])
        page.keyboard.type("intent 65")
        keys(page, ["Enter", "/"])
        page.keyboard.type("intent 3")
        keys(page, ["ArrowDown", "Enter", "5"])
        saved(page)
    said = [answer["mood"] for answer in answers(home, label_set.set_id).values()]
    assert said == ["intent 65", "intent 30", "intent 4"]


def test_marks_are_set_by_keys_alone_and_shown_with_their_word(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, PARTS)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["ArrowRight", "ArrowRight", "q", "ArrowRight", "Shift+ArrowRight", "2"])
        expect(page.locator("mark[data-word='Product']")).to_have_text("jacket")
        keys(page, ["Enter"])
        saved(page)
    assert answers(home, label_set.set_id)[ids[0]]["parts"] == [
        {"turn": 1, "start": 3, "end": 9, "value": "product"}, {"turn": 1, "start": 10, "end": 17, "value": "trouble"}]


def test_a_selection_behind_an_emoji_is_counted_in_characters(browser: Browser, home: Path) -> None:
    _, ids = made(home, MOOD)
    ws = Workspace(home)
    record = records.get(ws, ids[0])
    worded = [turn | {"content": "🧨🧨 My lamp broke"} if turn["role"] == "user" else turn for turn in record.messages]
    records.edit(ws, ids[0], worded, "ann")
    label_set = label_sets.save(ws, {"name": "Marks", "fields": [PARTS]}, "ann")
    ws.close()
    with running(home) as studio:
        page = open_label(browser, studio.url)
        page.goto(f"{studio.url}/label?person=ann&set=Marks")
        settled(page)
        expect(page.get_by_test_id("label-card")).to_contain_text("lamp", timeout=30_000)
        page.wait_for_timeout(200)
        page.locator(".turn.user .said").evaluate("""said => {
            const range = document.createRange();
            range.setStart(said.firstChild, 8);
            range.setEnd(said.firstChild, 12);
            getSelection().removeAllRanges();
            getSelection().setBaseAndExtent(range.startContainer, range.startOffset, range.endContainer, range.endOffset);
        }""")
        keys(page, ["q", "Enter"])
        saved(page)
    assert answers(home, label_set.set_id)[ids[0]]["parts"] == [{"turn": 1, "start": 6, "end": 10, "value": "product"}]


def test_a_key_of_ones_own_works_at_once_and_after_a_reload(browser: Browser, home: Path) -> None:
    made(home, MOOD)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["?"])
        page.get_by_test_id("label-change-flag").click()
        keys(page, ["z"])
        expect(page.get_by_test_id("label-words")).to_have_text("The keys are changed.", timeout=20_000)
        keys(page, ["z"])
        expect(page.get_by_test_id("label-card")).to_contain_text("Flagged")
        saved(page)
    ws = Workspace(home)
    found = key_maps.get(ws, "ann")["flag"], key_maps.get(ws, "ben")["flag"]
    ws.close()
    assert found == ("z", "f")


@pytest.mark.parametrize(("key", "words"), [
    ("s", "S is the key of Skip already"), ("r", "R is a key of the page itself"), ("q", "Q is the key of the option Product")])
def test_a_key_that_is_taken_is_refused_in_words(browser: Browser, home: Path, key: str, words: str) -> None:
    made(home, PARTS)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["?"])
        page.evaluate("document.addEventListener('keydown', (event) => { window.heard = event.key; })")
        page.get_by_test_id("label-change-flag").click()
        keys(page, [key])
        expect(page.get_by_test_id("label-words")).to_contain_text(words, timeout=20_000)
        assert page.evaluate("window.heard") is None  # Streamlit would draw the page again at r


def test_marks_tags_ratings_and_comments_are_kept_and_stand_in_the_history(browser: Browser, home: Path) -> None:
    _, ids = made(home, MOOD)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["f", "Shift+Digit4", "t"])
        page.keyboard.type("shiny 12")
        keys(page, ["Enter", "m"])
        page.keyboard.type("Ask kim, 1 of 2")
        keys(page, ["Enter"])
        saved(page)
        keys(page, ["h"])
        expect(page.get_by_test_id("label-side")).to_contain_text("commented it: Ask kim, 1 of 2", timeout=20_000)
        shoot(page, "label-history")
    ws = Workspace(home)
    found = [(mark.kind, mark.value) for mark in marks.of(ws, ids[:1])[ids[0]]]
    ws.close()
    assert found == [("flag", ""), ("rating", "4"), ("tag", "shiny 12"), ("comment", "Ask kim, 1 of 2")]


def test_a_turn_is_edited_in_place_and_keys_stay_quiet_meanwhile(browser: Browser, home: Path) -> None:
    _, ids = made(home, MOOD)
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["e"])
        page.get_by_test_id("label-edit-1").fill("My jacket is 2 weeks late.")
        keys(page, ["1", "Control+Enter", "s"])
        saved(page)
    ws = Workspace(home)
    found = records.get(ws, ids[0]).question, labels.total(ws)
    ws.close()
    assert found == ("My jacket is 2 weeks late.1", 0)


def begun(browser: Browser, home: Path, url: str, *pressed: str) -> Page:
    """The page loaded again after a half answer."""
    page = open_label(browser, url)
    keys(page, pressed)
    page.reload()
    settled(page)
    expect(page.get_by_test_id("label-card")).to_contain_text("Customer", timeout=30_000)
    return page


def test_what_was_begun_is_there_after_a_reload(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD, FAULTS, NOTE)
    with running(home) as studio:
        page = begun(browser, home, studio.url, "2", "3", "n", "/", "W", "h", "y")
        expect(page.get_by_test_id("label-words")).to_contain_text("What you had begun on this record is back")
        keys(page, ["Enter"])
        saved(page)
    assert answers(home, label_set.set_id) == {ids[0]: {"mood": "calm", "faults": ["long"], "note": "Why"}}


@pytest.mark.parametrize("sent", ["Enter", "s"])
def test_a_draft_is_forgotten_once_its_record_is_answered_or_passed_over(browser: Browser, home: Path, sent: str) -> None:
    made(home, FAULTS, NOTE)
    with running(home) as studio:
        page = begun(browser, home, studio.url, "3")
        keys(page, [sent])
        saved(page)
        assert not page.evaluate("Object.keys(localStorage).filter((one) => one.startsWith('tunewright-draft'))")


def test_a_wording_that_was_half_written_is_there_after_a_reload(browser: Browser, home: Path) -> None:
    _, ids = made(home, MOOD)
    with running(home) as studio:
        page = begun(browser, home, studio.url, "e", "!", "!")
        keys(page, ["Control+Enter"])
        page.get_by_test_id("label-save-edit").click()
        saved(page)
    ws = Workspace(home)
    found = records.get(ws, ids[0]).answer
    ws.close()
    assert found.endswith("Please send it back.!!")


def test_a_suggestion_is_filled_in_with_its_confidence_and_enter_takes_it(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD)
    ws = Workspace(home)
    with ws.transaction() as transaction:
        transaction.insert("suggestions", [{"set_id": label_set.set_id, "field": "mood", "record_id": one, "record_version": 1,
                                            "value": json.dumps("calm"), "confidence": 0.87, "rank": n, "run_id": "run"}
                                           for n, one in enumerate(ids[:3])])
    ws.close()
    with running(home) as studio:
        page = open_label(browser, studio.url)
        expect(page.get_by_test_id("label-option-1")).to_contain_text("suggested, 87 %")
        keys(page, ["Enter", "a", "1"])
        saved(page)
        page.reload()
        settled(page)
        expect(page.get_by_test_id("label-agreed")).to_contain_text("suggested mood chosen 0.67", timeout=20_000)
    assert [answer["mood"] for answer in answers(home, label_set.set_id).values()] == ["calm", "calm", "angry"]


def test_a_disagreement_is_settled_with_one_key(browser: Browser, home: Path) -> None:
    label_set, ids = made(home, MOOD, needed=2)
    ws = Workspace(home)
    for who, mood in (("ben", "angry"), ("cem", "calm")):
        labels.answer(ws, label_set.set_id, ids[0], {"mood": mood}, who, f"press-{who}")
    ws.close()
    with running(home) as studio:
        page = open_label(browser, studio.url, "Settle")
        expect(page.get_by_test_id("label-answer-1")).to_contain_text("cemMood: calm")
        keys(page, ["2"])
        expect(page.get_by_test_id("label-progress")).to_have_text("0 to settle")
        saved(page)
    ws = Workspace(home)
    found = labels.final(ws, label_set.set_id)
    ws.close()
    assert found == {ids[0]: {"mood": "calm"}}


def test_the_label_page_as_a_person_sees_it(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    intake.import_sample(ws)
    ids = [record.record_id for record in records.page(ws, Filter(), 12)]
    intent = label_sets.starter_sets(ws)[0]["fields"][0]
    values = [option["value"] for option in intent["options"]]
    label_set = label_sets.save(ws, {
        "name": "Triage", "needed": 2, "fields": [intent, PARTS | {"title": "What it is about", "required": False}],
        "guidelines": "Say what the customer wants: the one thing that the answer has to deal with.\n"
                      "A refund that is asked for in anger is still a refund.",
        "examples": [{"record_id": ids[3], "why": "A size is asked for.", "answer": {"intent": "sizing"}}]}, "ann")
    with ws.transaction() as transaction:
        transaction.insert("suggestions", [
            {"set_id": label_set.set_id, "field": "intent", "record_id": one, "record_version": 1,
             "value": json.dumps(values[n % 3]), "confidence": 0.91, "rank": n, "run_id": "run"} for n, one in enumerate(ids)])
    ws.close()
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["1", "Enter", "2", *["ArrowRight"] * 3, "q", *["ArrowRight"] * 2, *["Shift+ArrowRight"] * 2, "2", "g"])
        saved(page)
        shoot(page, "label")
        expect(page.locator("mark[data-word]")).to_have_count(2)


def test_hostile_text_is_shown_and_never_run(browser: Browser, home: Path) -> None:
    ws = Workspace(home)
    home.mkdir(exist_ok=True)
    rows = [(f"T{n}", f"{n} q", "fine", "5", "x") for n in range(12)]
    intake.import_file(ws, write_csv(home / "evil.csv", rows), "evil.csv", Choices(COLUMNS))
    ids = [record.record_id for record in records.page(ws, Filter(), 12)]
    for one, evil in zip(ids, HOSTILE, strict=False):
        turns = records.get(ws, one).messages
        records.edit(ws, one, [turn | {"content": f"{evil} {turn['content']}"} if turn["role"] != "system" else turn
                               for turn in turns], "ann")
        marks.put(ws, one, "tag", evil[:60].strip("\0 "), "ann", f"tag-{one}")
    evil_field = choice(*(text[:50].strip() for text in HOSTILE[:3])) | {"title": HOSTILE[0], "help": HOSTILE[1]}
    label_sets.save(ws, {"name": "Evil", "guidelines": "\n".join(HOSTILE[:5]), "fields": [evil_field],
                         "examples": [{"record_id": ids[0], "why": HOSTILE[1], "answer": {}}]}, "ann")
    ws.close()
    with running(home) as studio:
        page = open_label(browser, studio.url)
        keys(page, ["g"])
        for evil in HOSTILE:
            shown = page.locator(".turn.user .said").text_content() or ""
            assert shown.startswith(evil[:20_000])
            keys(page, ["s"])
        keys(page, ["b", "h"])
        page.wait_for_timeout(500)
        assert ("owned" in page.title(), page.locator(".desk script, .desk img, .desk a").count()) == (False, 0)


def test_the_desk_never_writes_markup_from_data() -> None:
    folder = Path(__file__).resolve().parent.parent / "studio" / "components"
    texts = [path.read_text() for path in folder.glob("*.js")]
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write")
    assert len(texts) == 12 and not [word for word in forbidden if any(word in text for text in texts)]
