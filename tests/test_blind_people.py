"""What reviewers and viewers never see: whose an answer is before the reveal, and personal data that nobody settled."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import timedelta

import pytest

from studio import audit, findings, masking, people, records, report, review_texts, reviews, runs, snapshots, team, wins
from studio.components import review
from studio.errors import StudioError
from studio.grids import read
from studio.opinions import Opinion
from studio.people import Person
from studio.permissions import NotAllowed, may
from studio.records import Filter
from studio.reviews import Settings
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.checks import email, import_twelve, recorded_check
from tests.test_permissions import declared, nouns
from tests.tickets import freeze_forty, recorded_evaluation, recorded_training

PAIR = ("starter", "trained00001")
RITA = "rita@example.org"


@pytest.fixture
def session(ws: Workspace) -> str:
    """A blind session over twelve answered items in a checked workspace, with a reviewer who has a deck."""
    snapshot = freeze_forty(ws)
    recorded_check(ws, [])
    run_id = recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    for name, role in (("olga", "owner"), ("cora", "curator"), ("rita", "reviewer"), ("vera", "viewer")):
        team.give(ws, f"{name}@example.org", role, "test")  # type: ignore[arg-type]
    cora = seen(ws, "cora@example.org")
    made = reviews.start(cora, run_id, PAIR, review_texts.items(cora, run_id, PAIR), Settings(per_person=0, aim=0),
                         "cora@example.org")
    reviews.join(seen(ws, RITA), made, RITA)
    return made


def seen(ws: Workspace, email_address: str) -> Workspace:
    return ws.seen_by(Person(email_address))


def test_a_reviewer_in_a_blind_session_reaches_no_noun_but_those_of_the_desk(
        ws: Workspace, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "refused", lambda *given: None)
    rita, reached = seen(ws, RITA), set()
    for name, noun in nouns().items():
        try:
            noun(rita, no_such_parameter=1)
        except NotAllowed:
            continue
        except TypeError:
            reached.add(name)
    assert reached == {name for name, right in declared().items() if right in ("open", "review")}


@pytest.mark.parametrize("name", [
    "runs.every", "runs.proven", "models.every", "playground.options", "playground.saved", "evaluations.measured",
    "report.newest", "team.every", "team.trail", "production.comparison", "deploys.live", "review_texts.played"])
def test_what_would_unblind_says_why_it_is_closed(ws: Workspace, session: str, name: str) -> None:
    module, _, function = name.partition(".")
    noun = getattr(importlib.import_module(f"studio.{module}"), function)
    with pytest.raises(NotAllowed, match=r"still blind|Your role here is reviewer"):
        noun(seen(ws, RITA))


def test_the_verdict_the_outputs_and_the_report_are_closed_until_the_reveal(ws: Workspace, session: str) -> None:
    held, rita = reviews.get(ws, session), seen(ws, RITA)
    run = runs.get(ws, held.run_id)
    item = review_texts.items(ws, held.run_id, PAIR)[:1]
    for closed in (
            lambda: read(rita, held.run_id), lambda: wins.page(rita, run, read(ws, held.run_id), "rouge_l", *PAIR, [0]),
            lambda: report.of(rita, held.run_id), lambda: runs.lines(rita, run, "outputs.jsonl"),
            lambda: reviews.texts(rita, session, item), lambda: reviews.standing(rita, session, RITA),
            lambda: reviews.unnamed(rita, session), lambda: reviews.people_said(rita, held.run_id, *PAIR),
            lambda: reviews.look(rita, session, RITA), lambda: reviews.reveal(rita, session, RITA),
            lambda: review_texts.read(rita, held.run_id, item, PAIR), lambda: records.every(rita, item)):
        with pytest.raises(NotAllowed):
            closed()


def test_nothing_that_the_desk_gives_a_reviewer_names_a_candidate(ws: Workspace, session: str) -> None:
    rita = seen(ws, RITA)
    [first, *_] = cards = reviews.window(rita, session, RITA)
    reviews.judge(rita, session, first.card_id, Opinion("left"), RITA, "press1")
    given = [cards, reviews.mine(rita, session, RITA, 5), reviews.card(rita, session, first.card_id), reviews.sessions(rita),
             reviews.get(rita, session), reviews.progress(rita, session, RITA)]
    assert not [candidate for candidate in PAIR if candidate in repr(given)] and len(cards) == 12


def test_a_card_of_somebody_else_is_neither_read_nor_judged(ws: Workspace, session: str) -> None:
    team.give(ws, "rolf@example.org", "reviewer", "test")
    rita, rolf = seen(ws, RITA), seen(ws, "rolf@example.org")
    [hers, *_] = reviews.window(rita, session, RITA)
    reviews.judge(rita, session, hers.card_id, Opinion("left", note="her own words"), RITA, "press1")
    with pytest.raises(StudioError, match="not to you"):
        reviews.card(rolf, session, hers.card_id)
    with pytest.raises(StudioError, match="not to you"):
        reviews.judge(rolf, session, hers.card_id, Opinion("right"), "rolf@example.org", "press2")


@pytest.mark.parametrize("why", ["expired", "removed", "another role"])
def test_a_press_of_who_may_not_review_any_more_is_not_acknowledged(ws: Workspace, session: str, why: str) -> None:
    rita = ws.seen_by(Person(RITA, until=ws.now() + timedelta(seconds=-1 if why == "expired" else 60)))
    [card, *_] = reviews.window(seen(ws, RITA), session, RITA)
    if why == "removed":
        team.remove(ws, RITA, "test")
    elif why == "another role":
        team.give(ws, RITA, "viewer", "test")
    press = {"id": "press1", "do": "judge", "card": card.card_id, "verdict": "left"}
    with pytest.raises(NotAllowed):
        review.answer(rita, session, RITA, {"reply": 0}, [press])
    assert not reviews.stored(ws, ["press1"])


def test_a_reviewer_who_has_no_deck_yet_is_as_blind_and_a_viewer_is_not(ws: Workspace, session: str) -> None:
    team.give(ws, "rolf@example.org", "reviewer", "test")
    assert (may(seen(ws, "rolf@example.org"), "read"), may(seen(ws, "vera@example.org"), "read")) == (False, True)


def test_the_reveal_opens_the_results_to_reviewers(ws: Workspace, session: str) -> None:
    rita = seen(ws, RITA)
    [first, *_] = reviews.window(rita, session, RITA)
    reviews.judge(rita, session, first.card_id, Opinion("left"), RITA, "press1")
    reviews.reveal(seen(ws, "cora@example.org"), session, "cora@example.org")
    assert (people.blind(ws), len(reviews.standing(rita, session)), reviews.get(rita, session).candidates) == (False, 1, PAIR)


def test_a_record_that_was_not_checked_is_hidden_letter_by_letter(ws: Workspace) -> None:
    [first, *_] = import_twelve(ws)
    team.give(ws, RITA, "reviewer", "test")
    said, masked = records.get(ws, first), records.get(seen(ws, RITA), first)
    assert [turn["content"] for turn in masked.messages][1:] == [
        "".join(letter if letter.isspace() else "█" for letter in turn["content"]) for turn in said.messages][1:]


def test_open_findings_are_hidden_and_the_rest_is_read(ws: Workspace) -> None:
    ids = import_twelve(ws)
    recorded_check(ws, [email(ws, ids[0])])
    for name, role in (("vera", "viewer"), ("lola", "labeller"), ("cora", "curator")):
        team.give(ws, f"{name}@example.org", role, "test")  # type: ignore[arg-type]
    said = {name: records.get(seen(ws, f"{name}@example.org"), ids[0]).messages[1]["content"]
            for name in ("vera", "lola", "cora")}
    raw = "Where is my parcel 0? Write to ana0@mail.example"
    assert said == {"vera": "Where is my parcel 0? Write to █████████████████", "lola": raw, "cora": raw}


def test_a_finding_that_is_no_problem_hides_nothing_any_more(ws: Workspace) -> None:
    ids = import_twelve(ws)
    recorded_check(ws, [email(ws, ids[0])])
    team.give(ws, RITA, "reviewer", "test")
    findings.dismiss(ws, findings.of_record(ws, ids[0])[0], "cora")
    assert "ana0@mail.example" in records.every(seen(ws, RITA), ids[:1])[0].messages[1]["content"]


def test_a_frozen_line_stays_hidden_after_its_record_was_cleaned(ws: Workspace) -> None:
    ids = import_twelve(ws)
    recorded_check(ws, [email(ws, one) for one in ids])
    snapshot = snapshots.freeze(ws, "s", Recipe(sizes=(6, 3, 3)), findings.privacy_gate(ws), "cora")
    findings.apply(ws, ["email"], "cora")
    recorded_check(ws, [])
    team.give(ws, "vera@example.org", "viewer", "test")
    vera = seen(ws, "vera@example.org")
    texts = [turn["content"] for item in snapshots.items(vera, snapshot, "train") for turn in item.messages]
    texts += [turn["content"] for line in snapshots.lines_of(vera, snapshot, ids).values() for turn in line.messages]
    assert "[EMAIL_1]" in records.get(vera, ids[0]).messages[1]["content"] and not any("mail.example" in text for text in texts)


def test_a_models_answer_hides_the_words_that_are_open_in_its_question() -> None:
    mask = masking.Mask(("Jane Roe", "Jane", "Roe"))
    assert mask.text("Dear JANE, Roeland and Mrs. roe") == "Dear ████, Roeland and Mrs. ███"


def test_cards_of_unchecked_items_are_hidden_and_a_better_answer_must_not_hold_hidden_words(
        ws: Workspace, session: str) -> None:
    rita = seen(ws, RITA)
    plain = reviews.window(rita, session, RITA)[0]
    with ws.transaction() as transaction:
        transaction.execute("delete from checked_now")
    hidden = reviews.window(rita, session, RITA)[0]
    assert set(hidden.left.replace(" ", "")) == {"█"} and len(hidden.left) == len(plain.left) and "█" not in plain.left
    with pytest.raises(StudioError, match="hidden words"):
        reviews.judge(rita, session, hidden.card_id, replace(Opinion("left"), better=hidden.left), RITA, "press1")


def test_nobody_without_raw_reaches_a_noun_that_hands_out_texts_as_they_came(ws: Workspace) -> None:
    ids = import_twelve(ws)
    team.give(ws, "vera@example.org", "viewer", "test")
    vera = seen(ws, "vera@example.org")
    texts = [name for name, right in declared().items() if right == "raw"]
    assert {"findings.page", "labels.of_records", "search.positions", "samples.every", "traffic.texts"} <= set(texts)
    assert not may(vera, "raw") and "mail.example" not in repr(records.every(vera, ids))
    with pytest.raises(NotAllowed):  # a search would tell who is named where
        records.page(vera, Filter(text="ana0"), 12)
