"""Blind review: nothing leaves before the reveal, no press is lost or counted twice."""

from __future__ import annotations

import dataclasses

import pytest

from studio import reviews
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.tickets import filled, freeze_forty, recorded_evaluation, recorded_training


@pytest.fixture
def run_id(ws: Workspace) -> str:
    snapshot = freeze_forty(ws)
    return recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))


@pytest.fixture
def session(ws: Workspace, run_id: str) -> str:
    return reviews.start(ws, run_id, "starter", "trained00001", "ann", limit=12, seed=5)


def test_a_pair_holds_texts_and_an_opaque_id_and_no_names(ws: Workspace, session: str) -> None:
    pair = reviews.waiting(ws, session)[0]
    assert sorted(field.name for field in dataclasses.fields(pair)) == ["left", "pair_id", "question", "reference", "right"]


def test_the_sides_are_drawn_so_that_neither_model_is_always_left(ws: Workspace, session: str) -> None:
    sides = {pair.left.split()[0] for pair in reviews.waiting(ws, session)}
    assert sides == {"ALPHA", "OMEGA"}


def test_nothing_is_told_before_the_reveal(ws: Workspace, session: str) -> None:
    for look in (reviews.judged, reviews.models_of):
        with pytest.raises(StudioError, match="still blind"):
            look(ws, session)


def test_verdicts_are_counted_for_the_model_that_stood_on_that_side(ws: Workspace, session: str) -> None:
    for place, pair in enumerate(reviews.waiting(ws, session)):
        reviews.judge(ws, session, pair.pair_id, "left" if pair.left.startswith("ALPHA") else "right", "", "ann", f"p{place}")
    reviews.reveal(ws, session, "ann")
    tally = reviews.tally(reviews.judged(ws, session))
    assert (tally.a_wins, tally.b_wins) == (0, 12)


def test_a_press_sent_again_is_stored_once(ws: Workspace, session: str) -> None:
    pair = reviews.waiting(ws, session)[0]
    for _ in range(2):
        reviews.judge(ws, session, pair.pair_id, "tie", "", "ann", "the same press")
    assert ws.value("select count(*) from reviews") == 1


def test_undo_brings_the_newest_pair_back(ws: Workspace, session: str) -> None:
    first, second = reviews.waiting(ws, session)[:2]
    reviews.judge(ws, session, first.pair_id, "tie", "", "ann", "1")
    reviews.judge(ws, session, second.pair_id, "left", "", "ann", "2")
    back = reviews.undo(ws, session, "ann", "3")
    assert (back, reviews.get(ws, session).done) == (second.pair_id, 1)


def test_a_revealed_session_takes_no_more_verdicts(ws: Workspace, session: str) -> None:
    pair = reviews.waiting(ws, session)[0]
    reviews.reveal(ws, session, "ann")
    with pytest.raises(StudioError, match="no more verdicts"):
        reviews.judge(ws, session, pair.pair_id, "tie", "", "ann", "late")


def test_a_pair_of_another_session_is_refused(ws: Workspace, run_id: str, session: str) -> None:
    other = reviews.start(ws, run_id, "starter", "trained00001", "bob", limit=3)
    with pytest.raises(StudioError, match="does not belong"):
        reviews.judge(ws, session, reviews.waiting(ws, other)[0].pair_id, "tie", "", "ann", "x")


def test_the_queue_goes_on_behind_a_pair(ws: Workspace, session: str) -> None:
    pairs = reviews.waiting(ws, session)
    assert [pair.pair_id for pair in reviews.waiting(ws, session, 3, after=pairs[4].pair_id)] == [
        pair.pair_id for pair in pairs[5:8]
    ]


def test_a_half_judged_session_is_found_again_with_its_notes(ws: Workspace) -> None:
    filled(ws)
    session = reviews.sessions(ws)[0]
    reviews.reveal(ws, session.session_id, "ann")
    assert (session.done, [pair.note for pair in reviews.judged(ws, session.session_id)]) == (3, ["a note"] * 3)


def test_the_words_for_a_tally_say_we_do_not_know_when_the_interval_does() -> None:
    few = reviews.tally([])
    assert reviews.word_for(few).startswith("Too few")
