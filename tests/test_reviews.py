"""Blind review: nothing leaves before the reveal, no press is lost or counted twice, every person has a deck of their own."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from studio import decks, opinions, review_samples, review_texts, reviews, runs
from studio.errors import StudioError
from studio.grids import read as read_grid
from studio.migrations import STEPS
from studio.opinions import Fault, Opinion
from studio.review_samples import Wanted
from studio.reviews import Card, Settings
from studio.workspace import Workspace
from tests.tickets import filled, freeze_forty, opened, recorded_evaluation, recorded_training

PAIR = ("starter", "trained00001")


@pytest.fixture
def run_id(ws: Workspace) -> str:
    snapshot = freeze_forty(ws)
    return recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))


@pytest.fixture
def session(ws: Workspace, run_id: str) -> str:
    return opened(ws, run_id, 12, "ann")


def cards(ws: Workspace, session: str, who: str = "ann") -> list[Card]:
    return reviews.window(ws, session, who, 100)


def say(ws: Workspace, session: str, card: Card, verdict: str, press: str, who: str = "ann") -> None:
    reviews.judge(ws, session, card.card_id, Opinion(verdict), who, press)


def test_a_card_holds_texts_and_an_opaque_id_and_no_names(ws: Workspace, session: str) -> None:
    card = cards(ws, session)[0]
    fields = [field.name for field in dataclasses.fields(card)]
    assert fields == ["card_id", "question", "left", "right", "reference", "opinion"]


def test_two_people_get_orders_and_ids_of_their_own(ws: Workspace, session: str) -> None:
    reviews.join(ws, session, "bob")
    mine, theirs = cards(ws, session), cards(ws, session, "bob")
    orders = [[card.question[-1]["content"] for card in deck] for deck in (mine, theirs)]
    both = {card.card_id for card in mine} & {card.card_id for card in theirs}
    assert (sorted(orders[0]) == sorted(orders[1]), orders[0] == orders[1], both) == (True, False, set())


def test_the_sides_are_drawn_evenly_for_each_card(ws: Workspace) -> None:
    deck = decks.draw([(f"p{n}", 0) for n in range(2_000)], (), 2_000, 0, 0, random.Random(1))
    assert abs(sum(card.left_is_a for card in deck) - 1_000) < 90  # four standard deviations


def test_a_deck_is_drawn_once(ws: Workspace, session: str) -> None:
    before = cards(ws, session)
    reviews.join(ws, session, "ann")
    assert cards(ws, session) == before


def test_everybody_gets_the_shared_pairs_and_else_what_the_fewest_have() -> None:
    held: Counter[str] = Counter()
    decks_of = []
    for who in range(4):
        deck = decks.draw([(f"p{n}", held[f"p{n}"]) for n in range(50)], (), 20, 5, 0, random.Random(who))
        held.update(card.pair_id for card in deck)
        decks_of.append({card.pair_id for card in deck})
    everywhere = set.intersection(*decks_of)
    assert ({f"p{n}" for n in range(5)} <= everywhere, [len(deck) for deck in decks_of]) == (True, [20] * 4)
    assert sorted({held[f"p{n}"] for n in range(5, 50)}) == [1, 2]  # 4 × 15 cards over 45 pairs


def test_hidden_repeats_stand_far_behind_with_the_sides_exchanged() -> None:
    deck = decks.draw([(f"p{n}", 0) for n in range(30)], (), 30, 0, 3, random.Random(2))
    again = [place for place, card in enumerate(deck) if card.again]
    firsts = [next(at for at, card in enumerate(deck) if card.pair_id == deck[place].pair_id) for place in again]
    assert (len(deck), len(again)) == (33, 3)
    assert all(place - first >= decks.FAR and deck[first].left_is_a != deck[place].left_is_a
               for place, first in zip(again, firsts, strict=True))


def test_more_pairs_are_given_to_who_asks_until_there_are_none(ws: Workspace, run_id: str) -> None:
    session = opened(ws, run_id, 12, "ann", per_person=5)
    for _ in range(3):
        reviews.join(ws, session, "ann", more=5)
    assert len({card.question[-1]["content"] for card in cards(ws, session)}) == len(cards(ws, session)) == 12


def test_answers_that_are_the_same_are_ties_that_nobody_is_asked_about(ws: Workspace, run_id: str) -> None:
    with ws.transaction() as transaction:
        transaction.execute("update outputs set text = 'The same.' where item_id in (select min(item_id) from outputs)")
    found = reviews.get(ws, opened(ws, run_id, 12, "ann"))
    assert (found.items, found.same) == (11, 1)


def test_three_candidates_meet_each_other_equally_often(ws: Workspace, run_id: str) -> None:
    with ws.transaction() as transaction:
        transaction.execute("insert into outputs by name select * replace ('third' as candidate_id, 'OTHER ' || text as text) "
                            "from outputs where candidate_id = 'starter'")
    items = review_texts.items(ws, run_id, PAIR)
    session = reviews.start(ws, run_id, [*PAIR, "third"], items, Settings(aim=24), "ann")
    met = ws.rows("select a, b, count(*) as n from review_pairs where session_id = ? group by all", [session])
    assert sorted(row["n"] for row in met) == [8, 8, 8]


def test_nothing_is_told_before_the_reveal(ws: Workspace, session: str) -> None:
    with pytest.raises(StudioError, match="still blind"):
        reviews.standing(ws, session, "ann")


def test_only_who_opened_a_session_may_look_before_the_end(ws: Workspace, session: str) -> None:
    with pytest.raises(StudioError, match="Only ann"):
        reviews.look(ws, session, "bob")


def test_what_the_organiser_judges_after_a_look_does_not_count(ws: Workspace, session: str) -> None:
    first, second = cards(ws, session)[:2]
    say(ws, session, first, "left", "1")
    ws.now = lambda at=ws.now(): at.replace(year=2100)  # type: ignore[misc]
    reviews.look(ws, session, "ann")
    say(ws, session, second, "left", "2")
    assert [one.blind for one in sorted(reviews.standing(ws, session, "ann"), key=lambda one: one.said_at)] == [True, False]


def test_verdicts_marks_and_scores_are_turned_to_the_candidate_that_stood_there(ws: Workspace, session: str) -> None:
    for place, card in enumerate(cards(ws, session)):
        side = "left" if card.left.startswith("ALPHA") else "right"
        opinion = Opinion(side, {side: {"tone": 5}}, (Fault(side, 0, 5, "tone"),))
        reviews.judge(ws, session, card.card_id, opinion, "ann", f"p{place}")
    reviews.reveal(ws, session, "ann")
    found = reviews.standing(ws, session)
    assert {(one.winner, tuple(one.scores), one.faults[0].side, one.b) for one in found} == {("b", ("b",), "b", "trained00001")}
    assert {one.left_is_a for one in found} == {True, False}


def test_a_press_sent_again_is_stored_once(ws: Workspace, session: str) -> None:
    card = cards(ws, session)[0]
    for _ in range(2):
        say(ws, session, card, "tie", "the same press")
    assert ws.value("select count(*) from reviews") == 1


def test_the_newest_word_on_a_card_counts(ws: Workspace, session: str) -> None:
    card = cards(ws, session)[0]
    say(ws, session, card, "tie", "1")
    say(ws, session, card, "both_bad", "2")
    assert [one.winner for one in reviews.unnamed(ws, session)] == ["both_bad"]


def test_undo_brings_the_newest_pair_back(ws: Workspace, session: str) -> None:
    first, second = cards(ws, session)[:2]
    say(ws, session, first, "tie", "1")
    say(ws, session, second, "left", "2")
    back = reviews.undo(ws, session, "ann", "3")
    now = (back, reviews.progress(ws, session, "ann").mine, cards(ws, session)[0].card_id)
    assert now == (second.card_id, 1, second.card_id)


def test_undo_takes_back_ones_own_only(ws: Workspace, session: str) -> None:
    reviews.join(ws, session, "bob")
    say(ws, session, cards(ws, session, "bob")[0], "left", "1", "bob")
    assert reviews.undo(ws, session, "ann", "2") is None


def test_a_revealed_session_takes_no_more_verdicts(ws: Workspace, session: str) -> None:
    card = cards(ws, session)[0]
    reviews.reveal(ws, session, "ann")
    with pytest.raises(StudioError, match="no more verdicts"):
        say(ws, session, card, "tie", "late")


def test_a_card_of_another_session_is_refused(ws: Workspace, run_id: str, session: str) -> None:
    other = opened(ws, run_id, 3, "bob")
    with pytest.raises(StudioError, match="does not belong"):
        say(ws, session, cards(ws, other, "bob")[0], "tie", "x")


def test_the_queue_goes_on_behind_a_card(ws: Workspace, session: str) -> None:
    every = cards(ws, session)
    assert [card.card_id for card in reviews.window(ws, session, "ann", 3, every[4].card_id)] == [
        card.card_id for card in every[5:8]]


def test_a_half_judged_session_is_found_again_with_its_notes(ws: Workspace) -> None:
    filled(ws)
    session = reviews.sessions(ws)[0]
    reviews.reveal(ws, session.session_id, "ann")
    found = reviews.standing(ws, session.session_id)
    assert (session.done, session.people, [one.note for one in found]) == (3, 1, ["a note"] * 3)


def test_a_session_survives_a_database_that_lost_its_newest_rows(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    filled(ws)
    session = reviews.sessions(ws)[0].session_id
    ws.close()
    with duckdb.connect(str(tmp_path / "ws" / "studio.duckdb")) as broken:
        for table in ("reviews", "review_cards", "review_pairs", "review_sessions", "journaled"):
            broken.execute(f"delete from {table}")
    again = Workspace(tmp_path / "ws")
    assert reviews.progress(again, session, "ann") == reviews.Progress(3, 6, 3, 1)
    again.close()


def test_a_session_from_before_there_were_decks_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "ws"
    home.mkdir()
    with duckdb.connect(str(home / "studio.duckdb")) as old:
        old.execute("create table migrations (number integer primary key, name varchar, applied_at timestamp)")
        for number, name, sql in STEPS[:12]:
            old.execute(sql)
            old.execute("insert into migrations values (?, ?, now()::timestamp)", [number, name])
        old.execute("insert into review_sessions values ('s', 'r', 'base', 'tuned', 'ann', 2, '2026-01-01')")
        old.execute("insert into review_pairs values ('p1', 's', 0, 'i1', true), ('p2', 's', 1, 'i2', false)")
        old.execute("insert into reviews values ('v', 1, 's', 'p2', 'left', 'mine', 'ann', '2026-01-02')")
    ws = Workspace(home)
    session = reviews.get(ws, "s")
    found = [(one.card_id, one.winner, one.a, one.b, one.note) for one in reviews.unnamed(ws, "s")]
    ws.close()
    assert (session.candidates, session.done, session.cards) == (("base", "tuned"), 1, 2)
    assert found == [("p2", "b", "base", "tuned", "mine")]


@pytest.mark.parametrize(("press", "words"), [
    ({"verdict": "first"}, "not a verdict"),
    ({"verdict": "left", "scores": {"left": {"correct": 6}}}, "from 1 to 5"),
    ({"verdict": "left", "scores": {"left": {"charm": 3}}}, "one of the criteria"),
    ({"verdict": "left", "faults": [{"side": "left", "start": 0, "end": 4, "kind": "tone"}]}, "outside the answer"),
    ({"verdict": "left", "faults": [{"side": "left", "start": 0, "end": 2, "kind": "boring"}]}, "says what is wrong"),
])
def test_a_press_that_cannot_be_meant_is_refused(press: dict[str, object], words: str) -> None:
    with pytest.raises(StudioError, match=words):
        opinions.read(press, "abc", "defg")


def test_the_words_of_an_opinion_come_back_as_they_were_said(ws: Workspace, session: str) -> None:
    card = cards(ws, session)[0]
    press = {"verdict": "both_bad", "scores": {"right": {"safe": 1}}, "note": "No.", "better": "  Dear Ann.\n",
             "faults": [{"side": "left", "start": 1, "end": 3, "kind": "unsafe", "note": "why"}]}
    said = opinions.read(press, card.left, card.right)
    reviews.judge(ws, session, card.card_id, said, "ann", "1")
    assert reviews.card(ws, session, card.card_id).opinion == Opinion(
        "both_bad", {"right": {"safe": 1}}, (Fault("left", 1, 3, "unsafe", "why"),), "No.", "Dear Ann.")


def test_losses_are_the_items_that_the_last_candidate_loses(ws: Workspace, run_id: str) -> None:
    wanted = Wanted("losses", metric="rougeL")
    items, of = review_samples.draw(ws, run_id, read_grid(ws, run_id), PAIR, wanted, 10, runs.get(ws, run_id))
    lost = ws.rows("""select t.item_id from scores t join scores b using (run_id, item_id, metric)
                      where metric = 'rougeL' and t.candidate_id = ? and b.candidate_id = ? and t.value < b.value""",
                   PAIR[::-1])
    assert (items, of) == ([lost[0]["item_id"]], 1)


def test_a_sample_by_slice_gives_each_slice_its_share(ws: Workspace, run_id: str) -> None:
    grid = read_grid(ws, run_id)
    items, of = review_samples.draw(ws, run_id, grid, PAIR, Wanted("slices", by="tag"), 6, runs.get(ws, run_id),
                                    random.Random(1))
    tags = {row["record_id"]: row["tags"] for row in ws.rows("select record_id, tags from record_now")}
    whole, drawn = Counter(tags[item] for item in grid.items), Counter(tags[item] for item in items)
    assert (len(items), of) == (6, 12)
    assert all(abs(drawn[tag] - 6 * n / 12) <= 1 for tag, n in whole.items())


def test_where_nothing_can_be_drawn_it_says_what_to_do(ws: Workspace, run_id: str) -> None:
    with pytest.raises(StudioError, match="No item is there to draw"):
        review_samples.draw(ws, run_id, read_grid(ws, run_id), PAIR, Wanted("metrics", metric="rougeL", other="rouge1"), 10,
                            runs.get(ws, run_id))
