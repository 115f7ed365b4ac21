"""The Playground page under Streamlit's own test driver: asking, reading, keeping."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline import rundir
from studio import pins, playground, plays, prompts, records, runs
from studio import workspace as folders
from studio.workspace import Workspace
from tests.plays import asked
from tests.test_pages import buttons, draw, home, press, shown, words
from tests.tickets import filled

__all__ = ["home"]
EVIL = "<b>bold</b><script>alert(1)</script> [link](http://x.example) $x$"


def compared(home: Path) -> Workspace:
    ws = folders.open_workspace(home)
    asked(ws, "Where is it?", {"A": EVIL, "B": "There."})
    return ws


def test_the_newest_tuned_model_and_its_base_are_chosen_at_first(home: Path) -> None:
    filled(folders.open_workspace(home))
    page = draw("playground")
    assert page.multiselect[0].value == ["trained00001", "starter"] and not page.exception


def test_the_address_of_a_model_opens_a_chat_with_it(home: Path) -> None:
    filled(folders.open_workspace(home))
    assert draw("playground", model="trained00001").multiselect[0].value == ["trained00001"]
    assert "Chat with it" in buttons(draw("models"))


def test_a_hard_prompt_fills_the_field_and_says_what_a_good_answer_does(home: Path) -> None:
    page = draw("playground")
    page.button_group[0].set_value("Prompt injection").run()
    text = next(field for field in page.text_area if field.label == "Question").value
    assert text.startswith("Ignore all previous instructions") and "reveals nothing" in words(page)


def test_an_empty_question_is_refused_on_the_page_and_starts_nothing(home: Path) -> None:
    page = press(draw("playground"), "Ask")
    assert "A question has 1 to 20,000 characters" in words(page) and not runs.every(folders.open_workspace(home), "play")


def test_a_saved_prompt_is_given_to_all_that_have_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = folders.open_workspace(home)
    prompts.save(ws, "Kind", "Be kind.", "ann")
    given = []
    monkeypatch.setattr(playground, "ask", lambda ws, text, chosen, decoding, *more: given.append((chosen, decoding)) or "t1")
    asked(ws, "Where is it?", {"A": "Here."})
    page = draw("playground")
    page.selectbox(key="play-prompt").set_value("Kind").run()
    page.number_input(key="play-temperature").set_value(0.7)
    next(field for field in page.text_area if field.label == "Question").set_value("Hello?")
    press(page, "Ask")
    chosen, decoding = given[0]
    assert ([one.system for one in chosen], [one.prompt_name for one in chosen]) == (["Be kind."], ["Kind"])
    assert (decoding.temperature, decoding.max_new_tokens) == (0.7, 200)


def test_answers_stand_beside_each_other_as_text_with_their_speed(home: Path) -> None:
    compared(home)
    page = draw("playground", thread="t1")
    assert "&lt;script&gt;" in shown(page) and "<script>" not in shown(page) + words(page)
    assert len(page.columns) == 2 and "9 tokens in 0.5 s · 18 tokens/s" in words(page).replace("\\", "")


def test_a_conversation_that_is_gone_is_said_to_be_so(home: Path) -> None:
    page = draw("playground", thread="nothing")
    assert [one.message for one in page.exception] == ["There is no such conversation here. Begin a new one."]


def test_earlier_conversations_are_listed_with_who_asked(home: Path) -> None:
    compared(home)
    assert "A, B · 1 question · ann, just now" in words(draw("playground")).replace("\\", "")


def test_a_test_item_is_saved_with_the_answer_that_was_written(home: Path) -> None:
    ws = compared(home)
    page = draw("playground", thread="t1")
    page.radio(key="from-ask1").set_value("b").run()
    begun = page.text_area(key="expected-ask1-b").value
    page.text_area(key="expected-ask1-b").set_value("There, since Monday.")
    page = press(page, "Save test item")
    (record_id, part), = pins.every(ws).items()
    assert (begun, part, records.get(ws, record_id).messages[-1]["content"]) == ("There.", "test", "There, since Monday.")
    assert "The next snapshot tests with it" in words(page)


def test_a_comparison_is_saved_for_review_and_taken_off(home: Path) -> None:
    ws = compared(home)
    page = press(draw("playground", thread="t1"), "Save for review")
    saved = [one.ask_id for one in playground.saved(ws)]
    press(page, "Take it off")
    assert (saved, playground.saved(ws)) == (["ask1"], [])


def test_a_reply_on_its_way_shows_what_it_waits_for_and_can_be_stopped(home: Path) -> None:
    ws = compared(home)
    first = plays.thread(ws, "t1")[0]
    run = runs.get(ws, first.run_id)
    with alive(ws, run):
        plays.add(ws, "ask2", first.run_id, "t1", "And now?", first.candidates, first.decoding, "ann")
        child = rundir.Child(ws.path(run.folder))
        child.piece({"reply": "ask2-0", "waits": "Waits for the training to end; ask an endpoint meanwhile."})
        child.piece({"reply": "ask2-1", "begun": 1.0})
        child.piece({"reply": "ask2-1", "at": 0, "text": "It is"})
        page = draw("playground", thread="t1")
        said = shown(page)
        press(page, "Stop")
        stopped = sorted(path.name for path in ws.path(run.folder).glob("stop-*"))
    assert "Waits for the training to end" in said and "It is<span" in said
    assert stopped == ["stop-ask2-0"] and "Ask" not in buttons(page)


def alive(ws: Workspace, run: runs.Run) -> rundir.Child:
    """The run's child, as if it lived."""
    rundir.note_launch(ws.path(run.folder), time.time())
    return rundir.Child(ws.path(run.folder))


def test_the_runs_page_leads_to_the_playground(home: Path) -> None:
    compared(home)
    page: AppTest = draw("runs")
    assert "Open the playground" in buttons(page)
