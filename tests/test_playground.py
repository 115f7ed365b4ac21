"""The playground's nouns: questions that outlive their run, threads, what is kept of them, and who may be in them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import rundir
from studio import authored, customers, forgetting, hard_prompts, models, pins, playground, plays, records, runs, starts
from studio.candidates import Chosen
from studio.errors import StudioError
from studio.playground import Decoding
from studio.workspace import Workspace
from tests import chat_server
from tests.plays import asked
from tests.test_playing import FIXTURES, LONG
from tests.tickets import freeze_forty, recorded_training

LOOK_SECONDS = 0.05


def settled(ws: Workspace, thread_id: str) -> list[plays.Ask]:
    """The thread, once all its replies have ended."""
    deadline = time.time() + 60
    while True:
        found = playground.thread(ws, thread_id)
        if not any(one.open for one in found):
            return found
        assert time.time() < deadline, found
        time.sleep(LOOK_SECONDS)


def over(ws: Workspace) -> None:
    """Stop the playground and wait for the end of its process."""
    run = runs.every(ws, "play")[0]
    runs.stop(ws, run.run_id)
    while runs.get(ws, run.run_id).moving:
        time.sleep(LOOK_SECONDS)


def test_each_reply_reads_its_own_earlier_answers_and_no_question_it_did_not_answer(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here.", "B": "There."})
    asked(ws, "And now?", {"A": "Still here.", "B": ""}, "ask2")
    last = asked(ws, "Sure?", {"A": "Yes.", "B": "No."}, "ask3")
    said = [[turn["content"] for turn in playground.conversation(ws, last, one)] for one in ("a", "b")]
    assert said == [["Where is it?", "Here.", "And now?", "Still here.", "Sure?"], ["Where is it?", "There.", "Sure?"]]


def test_collecting_again_changes_nothing_and_a_forgotten_question_is_not_brought_back(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here."})
    lines = [{"reply": "ask1-0", "at": 0, "text": "Else."}, {"reply": "ask1-0", "finish": "stop"},
             {"reply": "gone-0", "finish": "stop"}]  # fmt: skip
    with ws.transaction() as transaction:
        plays.collect(ws, transaction, lines, over=True)
    assert [row["text"] for row in ws.rows("select text from play_replies")] == ["Here."]


def test_what_died_unsaid_is_cut_and_what_was_not_begun_stays_open(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here."})
    spec = plays.of_ids(ws, ["ask1"])[0]
    plays.add(ws, "ask2", spec.run_id, "t2", "And?", [*spec.candidates, *spec.candidates], spec.decoding, "ann")
    with ws.transaction() as transaction:
        plays.collect(ws, transaction, [{"reply": "ask2-0", "begun": 1.0}, {"reply": "ask2-0", "at": 0, "text": "We"},
                                        {"reply": "ask2-1", "waits": "Waits"}], over=True)  # fmt: skip
    first, second = plays.of_ids(ws, ["ask2"])[0].replies
    assert (first.finish, first.text, first.said, second.open) == ("cut", "We", True, True)


def test_a_thread_is_listed_by_its_first_question_the_newest_first(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here."})
    asked(ws, "Hello?", {"A": "Hi.", "B": "Hi."}, "ask2", "t2", "eve")
    asked(ws, "And?", {"A": "Here."}, "ask3")
    found = plays.threads(ws, 10)
    assert [(one.thread_id, one.question, one.names, one.asks) for one in found] == [
        ("t1", "Where is it?", ("A",), 2), ("t2", "Hello?", ("A", "B"), 1)]  # fmt: skip


def test_a_comparison_is_saved_for_review_and_taken_off_again(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here.", "B": "There."})
    playground.save_for_review(ws, "ask1", "ann", "press1")
    playground.save_for_review(ws, "ask1", "ann", "press1")
    saved = playground.saved(ws)
    assert [(one.ask_id, one.question, one.answers) for one in saved] == [
        ("ask1", [{"role": "user", "content": "Where is it?"}], {"a": "Here.", "b": "There."})]  # fmt: skip
    playground.unsave(ws, "ask1", "ann", "press2")
    assert (playground.saved(ws), len(ws.rows("from play_saved"))) == ([], 2)


def test_what_is_no_comparison_cannot_be_saved_for_review(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here.", "B": ""})
    asked(ws, "And?", {"A": "Here.", "B": "There."}, "ask2")
    for ask_id in ("ask1", "ask2"):
        with pytest.raises(StudioError, match="first question of a conversation with at least two answers"):
            playground.save_for_review(ws, ask_id, "ann", "press")


def test_a_good_question_becomes_a_test_item_once(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here."})
    asked(ws, "And now?", {"A": "Gone."}, "ask2")
    record_id = playground.save_as_item(ws, "ask2", "a", " Still here. ", "ann")
    again = playground.save_as_item(ws, "ask2", "a", " Still here. ", "ann")
    record = records.get(ws, record_id)
    assert [turn["content"] for turn in record.messages] == ["Where is it?", "Here.", "And now?", "Still here."]
    assert (again, pins.every(ws), authored.origins(ws, [record_id])) == (
        record_id, {record_id: "test"}, {record_id: "playground"})  # fmt: skip


def test_questions_outlive_a_lost_database(ws: Workspace) -> None:
    asked(ws, "Where is it?", {"A": "Here.", "B": "There."})
    playground.save_for_review(ws, "ask1", "ann", "press1")
    ws.close()
    for name in ("studio.duckdb", "studio.duckdb.wal"):
        (ws.root / name).unlink(missing_ok=True)
    again = Workspace(ws.root)
    found = [row["question"] for row in again.rows("select question from play_asks")], len(again.rows("from play_saved"))
    again.close()
    assert found == (["Where is it?"], 1)


def test_whoever_is_named_in_a_question_an_answer_or_a_prompt_is_found(ws: Workspace) -> None:
    asked(ws, "Is Ana Karenina there?", {"A": "No."})
    asked(ws, "Who is there?", {"A": "Bob", "B": "ana karenina is."}, "ask2", "t2")
    asked(ws, "Nobody", {"A": "Anakarenina"}, "ask3", "t3")
    ws_asks = plays.of_ids(ws, ["ask3"])[0]
    plays.add(ws, "ask4", ws_asks.run_id, "t4", "Hi", [ws_asks.candidates[0] | {"system": "You are Ana Karenina."}],
              ws_asks.decoding, "eve")  # fmt: skip
    assert plays.about(ws, ["ana karenina"]) == ["ask1", "ask2", "ask4"]
    assert customers.Reach({}, 0, 0, ()).asks == 0


def test_tuned_and_base_are_chosen_first_and_a_named_model_alone(ws: Workspace) -> None:
    assert playground.defaults(ws) == ["starter"]
    snapshot = freeze_forty(ws)
    recorded_training(ws, snapshot)
    server = models.add_endpoint(ws, "Server", "http://127.0.0.1:9/v1", "small")
    names = [one.name for one in playground.options(ws)]
    assert (playground.defaults(ws), playground.defaults(ws, server.model_id), playground.defaults(ws, "gone")) == (
        ["trained00001", "starter"], [server.model_id], ["trained00001", "starter"])  # fmt: skip
    assert names == ["Forty in style (tuned)", "SmolLM2-135M-Instruct (starter)",
                     "SmolLM2-135M-Instruct (starter) + written prompt", "Server"]  # fmt: skip


@pytest.mark.parametrize("question", ["  ", "x" * 20_001])
def test_a_question_that_is_none_is_refused(ws: Workspace, question: str) -> None:
    chosen = playground.options(ws)[:1]
    with pytest.raises(StudioError, match="A question has 1 to 20,000 characters"):
        playground.ask(ws, question, chosen, Decoding(), "ann", "ask1")
    assert not runs.every(ws, "play") and not ws.rows("from play_asks")


def test_nobody_and_twins_do_not_answer(ws: Workspace) -> None:
    chosen = playground.options(ws)[:1]
    for some, words in (([], "One to 4 models"), (chosen * 2, "are the same"), (chosen * 5, "One to 4 models")):
        with pytest.raises(StudioError, match=words):
            playground.ask(ws, "Hi", some, Decoding(), "ann", "ask1")


def test_hard_prompts_cover_what_a_support_team_fears() -> None:
    titles = {one.title for one in hard_prompts.HARD}
    assert {"Gibberish", "Hostile", "Off topic", "Pricing", "Prompt injection", "Another customer's data",
            "Two questions in one", "Another language"} <= titles  # fmt: skip
    assert len(titles) == len(hard_prompts.HARD) and all(one.text and one.wanted for one in hard_prompts.HARD)


@pytest.fixture
def talking(ws: Workspace, tmp_path: Path) -> Iterator[tuple[Workspace, list[Chosen]]]:
    """A workspace with two entries of one server that answers."""
    with chat_server.serving(tmp_path / "server", FIXTURES) as address:
        yield ws, [Chosen(models.add_endpoint(ws, name, address, "small", price_in=1.0, price_out=2.0)) for name in "AB"]
        over(ws)


@pytest.mark.heavy
def test_a_question_is_answered_followed_and_answered_after_its_process_died(talking: tuple[Workspace, list[Chosen]]) -> None:
    ws, chosen = talking
    thread_id = playground.ask(ws, "Where is it?", chosen, Decoding(temperature=0.5), "ann", "ask1")
    first = settled(ws, thread_id)[0]
    assert [(one.text, one.tokens, one.money) for one in first.replies] == [(LONG, 25, "USD")] * 2
    assert first.replies[0].cost == pytest.approx(90e-6)
    playground.follow(ws, thread_id, "slow please", "ann", "ask2")
    run = runs.every(ws, "play")[0]
    deadline = time.time() + 60
    while not playground.now(ws, "ask2").replies[0].text:
        assert time.time() < deadline
    with pytest.raises(StudioError, match="still on its way"):
        playground.follow(ws, thread_id, "And?", "ann", "ask3")
    kill(ws)
    cut = settled(ws, thread_id)[1]
    assert {one.finish for one in cut.replies} == {"cut"} and LONG.startswith(cut.replies[0].text)
    playground.follow(ws, thread_id, "And?", "ann", "ask3")
    last = settled(ws, thread_id)[2]
    again = runs.every(ws, "play")
    assert [one.text for one in last.replies] == [LONG] * 2 and [one.run_id for one in again] == [run.run_id]
    assert again[0].attempt == 2
    line = rundir.read_lines(ws.path(run.folder) / "asks.jsonl")[0]
    assert [turn["content"] for turn in line["messages"]] == ["Where is it?", LONG, "slow please", cut.replies[0].text, "And?"]


def kill(ws: Workspace) -> None:
    """kill -9 of the playground's process, found by its folder."""
    run = runs.every(ws, "play")[0]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if str(ws.path(run.folder)) in line and "-m\0pipeline" in line:
            os.kill(int(entry.name), signal.SIGKILL)
    while runs.get(ws, run.run_id).moving:
        time.sleep(LOOK_SECONDS)


@pytest.mark.heavy
def test_what_was_asked_while_nobody_answered_is_answered_by_the_next_process(
    talking: tuple[Workspace, list[Chosen]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ws, chosen = talking
    settled(ws, playground.ask(ws, "Where is it?", chosen[:1], Decoding(), "ann", "ask1"))
    over(ws)
    with monkeypatch.context() as patch:
        patch.setattr(starts, "hand_over", lambda *given: None)
        second = playground.ask(ws, "And now?", chosen[:1], Decoding(), "ann", "ask2")
    assert settled(ws, second)[0].replies[0].text == LONG


@pytest.mark.heavy
def test_a_reply_is_stopped_and_one_that_nobody_works_on_too(talking: tuple[Workspace, list[Chosen]]) -> None:
    ws, chosen = talking
    thread_id = playground.ask(ws, "slow please", chosen, Decoding(), "ann", "ask1")
    deadline = time.time() + 60
    while not (now := playground.now(ws, "ask1")).replies[0].text:
        assert time.time() < deadline
    playground.stop(ws, now.replies[0])
    assert [one.finish for one in settled(ws, thread_id)[0].replies] == ["stopped", "stop"]
    over(ws)
    plays.add(ws, "ask2", now.run_id, "t2", "Hi", now.candidates[:1], now.decoding, "ann")
    playground.stop(ws, plays.of_ids(ws, ["ask2"])[0].replies[0])
    assert plays.of_ids(ws, ["ask2"])[0].replies[0].finish == "stopped"


@pytest.mark.heavy
def test_an_idle_playground_does_not_keep_anybody_from_being_forgotten(talking: tuple[Workspace, list[Chosen]]) -> None:
    ws, chosen = talking
    settled(ws, playground.ask(ws, "Where is Ana Karenina?", chosen[:1], Decoding(), "ann", "ask1"))
    record_id = playground.save_as_item(ws, "ask1", chosen[0].candidate_id, "Ana Karenina is here.", "ann")
    forgetting.forget(ws, customers.find(ws, "Ana Karenina"), [record_id], "eve")
    assert (plays.threads(ws, 9), runs.every(ws, "play")[0].moving) == ([], False)
    folder = ws.path(runs.every(ws, "play")[0].folder)
    assert not [path for path in folder.iterdir() if path.is_file() and "karenina" in path.read_text().lower()]


@pytest.mark.heavy
def test_a_process_that_dies_at_its_start_is_not_started_again_and_again(ws: Workspace) -> None:
    missing = models.add_endpoint(ws, "A", "http://127.0.0.1:9/v1", "small")
    thread_id = playground.ask(ws, "Hi", [Chosen(missing)], Decoding(), "ann", "ask1")
    settled(ws, thread_id)
    over(ws)
    run = runs.every(ws, "play")[0]
    (ws.path(run.folder) / "spec.json").write_text("{")
    playground.follow(ws, thread_id, "And?", "ann", "ask2")
    while runs.get(ws, run.run_id).moving:
        time.sleep(LOOK_SECONDS)
    said = [playground.thread(ws, thread_id)[-1].replies[0].waits for _ in range(3)]
    assert runs.get(ws, run.run_id).attempt == 2 and "Nobody answers this: spec.json is not JSON" in said[-1]
