"""From a review back into the data: corrections go to train and never to test, faults become slices, files say what was
judged."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from studio import (
    card_text,
    cards,
    corrections,
    faults,
    leaks,
    pins,
    playground,
    records,
    review_exports,
    review_texts,
    reviews,
    runs,
    slices,
    snapshots,
    splits,
)
from studio.errors import StudioError
from studio.grids import read as read_grid
from studio.opinions import Fault, Opinion
from studio.review_texts import PLAYGROUND
from studio.splits import SPLITS, Piece, Recipe
from studio.workspace import Workspace
from tests.plays import asked
from tests.tickets import freeze_forty, opened, recorded_evaluation, recorded_training

NAMES = {"starter": "the base model", "trained00001": "the tuned model"}


@pytest.fixture
def session(ws: Workspace) -> str:
    """Twelve pairs judged by ann: the tuned model wins eight, loses two, one tie, one both bad; marks and better answers."""
    snapshot = freeze_forty(ws)
    session = opened(ws, recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot)), 12, "ann")
    for place, card in enumerate(reviews.window(ws, session, "ann", 20)):
        tuned, base = ("left", "right") if card.left.startswith("ALPHA") else ("right", "left")
        verdict = tuned if place < 8 else base if place < 10 else ("tie", "both_bad")[place - 10]
        marked: tuple[Fault, ...] = (Fault(base, 0, 5, "made_up", "never said"),) if place < 4 else ()
        marked += (Fault(tuned, 0, 5, "tone"),) if place == 4 else ()
        better = "=Dear customer, it ships on Monday." if place in (0, 11) else ""
        reviews.judge(ws, session, card.card_id, Opinion(verdict, faults=marked, better=better), "ann", f"press-{place}")
    reviews.reveal(ws, session, "ann")
    return session


def test_corrections_wait_until_somebody_says_what_becomes_of_them(ws: Workspace, session: str) -> None:
    assert [(one.better, one.state, one.has_record) for one in corrections.of_session(ws, session)] == [
        ("=Dear customer, it ships on Monday.", "", True)] * 2


def test_a_correction_becomes_a_version_of_its_record_tied_to_train(ws: Workspace, session: str) -> None:
    one = corrections.of_session(ws, session)[0]
    for _ in range(2):
        corrections.take(ws, session, one, "version", "ann", "press")
    now = records.get(ws, one.item_id)
    assert (now.answer, now.version, now.decision, pins.every(ws)) == (one.better, 2, "keep", {one.item_id: "train"})
    assert [other.state for other in corrections.of_session(ws, session)] == ["", "version"]


def test_a_correction_becomes_a_record_of_its_own(ws: Workspace, session: str) -> None:
    one = corrections.of_session(ws, session)[0]
    record_id = corrections.take(ws, session, one, "example", "ann", "press")
    assert (records.get(ws, record_id).messages, records.get(ws, one.item_id).version) == (
        [*one.question, {"role": "assistant", "content": one.better}], 1)


def test_what_came_from_a_review_is_in_train_of_every_later_snapshot_and_its_card_says_so(ws: Workspace, session: str) -> None:
    first, second = corrections.of_session(ws, session)
    made = corrections.take(ws, session, first, "example", "ann", "1")
    corrections.take(ws, session, second, "version", "ann", "2")
    for seed in range(8):
        snapshot = snapshots.freeze(ws, f"Seed {seed}", Recipe(seed=seed))
        rows = ws.rows("select record_id from snapshot_items where snapshot_id = ? and split <> 'train'",
                       [snapshot.snapshot_id])
        held = {row["record_id"] for row in rows}
        assert not held & {made, first.item_id, second.item_id}  # the item itself asks what its correction asks
    card = cards.get(ws, snapshot.snapshot_id)
    assert card is not None and (card.from_reviews, card.tied["train"]) == ({"example": 1, "version": 1}, 3)
    said = "\n".join(line for section in card_text.sections(snapshot, card) for line in section.sentences)
    assert "From reviews: 1 answer corrected, 1 example written." in said


def test_a_model_that_learned_a_correction_is_shown_without_that_item_on_the_old_test_set(ws: Workspace, session: str) -> None:
    old = snapshots.every(ws)[0]
    one = corrections.of_session(ws, session)[0]
    corrections.take(ws, session, one, "version", "ann", "press")
    new = snapshots.freeze(ws, "New", Recipe(seed=5))
    model_id = recorded_training(ws, new, run_id="trained00009")
    assert one.item_id in leaks.learned(ws, old.snapshot_id, [model_id])
    assert leaks.learned(ws, old.snapshot_id, ["trained00001"]) == frozenset()


def test_nothing_is_taken_over_before_the_reveal(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    blind = opened(ws, recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot)), 3, "ann")
    with pytest.raises(StudioError, match="still blind"):
        corrections.of_session(ws, blind)


def test_a_fault_comes_back_from_three_items_on(ws: Workspace, session: str) -> None:
    found = faults.count(reviews.standing(ws, session))
    assert [(one.candidate, one.kind, len(one.items), one.judged, one.repeated) for one in found] == [
        ("starter", "made_up", 4, 12, True), ("trained00001", "tone", 1, 12, False)]


def test_faults_are_slices_of_the_evaluation(ws: Workspace, session: str) -> None:
    run = runs.get(ws, reviews.get(ws, session).run_id)
    grid = read_grid(ws, run.run_id)
    parts = slices.part(ws, run, grid, "fault")
    assert ("fault" in slices.ways(ws, grid, run), {name: len(places) for name, places in parts.items()}) == (
        True, {"Made-up fact (base)": 4, "Tone (tuned)": 1})


def test_verdicts_leave_as_csv_that_no_spreadsheet_runs(ws: Workspace, session: str) -> None:
    rows = list(csv.DictReader(io.StringIO(review_exports.as_csv(review_exports.rows(ws, session, NAMES)))))
    assert (len(rows), {row["verdict"] for row in rows}) == (12, {"the base model", "the tuned model", "tie", "both bad"})
    assert {row["better answer"][:6] for row in rows} == {"", "'=Dear"}
    assert json.loads(next(row["marks"] for row in rows if "tone" in row["marks"].lower()))[0]["words"] == "ALPHA"


def test_preference_pairs_have_openais_form(ws: Workspace, session: str) -> None:
    found = review_exports.preferences(ws, session)
    lines = [json.loads(line) for line in found.text.splitlines()]
    assert (len(lines), found.left_out) == (13, {"ties and both bad": 2})  # 10 decided, 1 + 2 better answers
    assert {tuple(sorted(line)) for line in lines} == {("input", "non_preferred_output", "preferred_output")}
    first = lines[0]
    assert (first["input"]["messages"][-1]["role"], first["preferred_output"][0]["role"]) == ("user", "assistant")
    assert sum(line["preferred_output"][0]["content"].startswith("ALPHA") for line in lines) == 8


PINS = some.sampled_from(("", "", "", "train", "test"))
PIECES = some.lists(some.tuples(some.integers(0, 30), PINS), min_size=12, max_size=60)


@settings(max_examples=80, deadline=None)
@given(PIECES, some.integers(0, 1_000), some.booleans())
def test_what_is_tied_to_a_part_is_there_with_its_group_and_train_wins(
    made: list[tuple[int, str]], seed: int, by_time: bool
) -> None:
    pieces = [Piece(f"r{n}", 1, f"mark {n}", (f"twins:{group}",), "", None, pin) for n, (group, pin) in enumerate(made)]
    try:
        division = splits.divide(pieces, Recipe(seed=seed, by_time=by_time))
    except StudioError:
        return
    where = {piece.record_id: name for name in SPLITS for piece in division.splits[name]}
    for group in {group for group, _ in made}:
        names = [f"r{n}" for n, (other, _) in enumerate(made) if other == group]
        tied = {pin for other, pin in made if other == group} - {""}
        assert len({where[name] for name in names}) == 1
        assert not tied or where[names[0]] == ("train" if "train" in tied else "test")


def test_without_ties_the_parts_are_what_they_were() -> None:
    pieces = [Piece(f"r{n:03}", 1, f"mark {n}", (f"twins:{n // 2}",), "", None) for n in range(100)]
    found = splits.divide(pieces, Recipe(seed=3))
    assert ([piece.record_id for piece in found.splits["test"]][:4], found.tied) == (["r066", "r067", "r088", "r089"], {})


@pytest.fixture
def played(ws: Workspace) -> str:
    """Three comparisons saved in the playground, judged and revealed."""
    for n in range(3):
        replies = {"Alpha": f"ALPHA says {n}", "Omega": f"OMEGA says {n}"}
        asked(ws, f"Where is my parcel, number {n}?", replies, f"ask{n}", f"t{n}")
        playground.save_for_review(ws, f"ask{n}", "ann", f"keep{n}")
    both = ("alpha", "omega")
    items = review_texts.items(ws, PLAYGROUND, both)
    session = reviews.start(ws, PLAYGROUND, both, items, reviews.Settings(per_person=0), "ann")
    reviews.join(ws, session, "ann")
    for place, card in enumerate(reviews.window(ws, session, "ann")):
        reviews.judge(ws, session, card.card_id, Opinion("left", better="It comes on Monday."), "ann", f"p{place}")
    reviews.reveal(ws, session, "ann")
    return session


def test_comparisons_of_the_playground_are_judged_like_answers_of_an_evaluation(ws: Workspace, played: str) -> None:
    found = reviews.standing(ws, played)
    assert (len(found), {(one.a, one.b) for one in found}, review_texts.played(ws)) == (
        3, {("alpha", "omega")}, {"alpha": "Alpha", "omega": "Omega"})


def test_a_better_answer_to_a_prompt_of_the_playground_becomes_an_example(ws: Workspace, played: str) -> None:
    one = corrections.of_session(ws, played)[0]
    with pytest.raises(StudioError, match="not here any more"):
        corrections.take(ws, played, one, "version", "ann", "1")
    made = records.get(ws, corrections.take(ws, played, one, "example", "ann", "2"))
    assert (made.answer, pins.every(ws)) == ("It comes on Monday.", {made.record_id: "train"})


def test_what_is_taken_off_the_list_stays_in_the_sessions_over_it(ws: Workspace, played: str) -> None:
    playground.unsave(ws, "ask0", "ann", "off")
    assert (len(review_texts.items(ws, PLAYGROUND, ("alpha", "omega"))), len(reviews.texts(ws, played, ["ask0"]))) == (2, 1)
