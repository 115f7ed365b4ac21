"""What answers took, and what was forgotten."""

from __future__ import annotations

from studio import costs, models, runs
from studio.prices import Price
from studio.workspace import Workspace
from tests.evaluated import PROMPTED, RUN, TUNED
from tests.tickets import filled


def test_time_and_tokens_are_counted_by_candidate(ws: Workspace) -> None:
    filled(ws)
    base, tuned = costs.of(ws, runs.get(ws, "evaluated001"))
    assert (base.answers, base.cut, base.median, base.p95, base.new_tokens, base.prompt_tokens, tuned.cut) == (
        12,
        1,
        0.5,
        0.5,
        144,
        None,
        0,
    )


def test_reused_answers_are_counted(three: Workspace) -> None:
    assert [one.reused for one in costs.of(three, runs.get(three, RUN))] == [60, 0, 0]


def test_money_is_what_was_paid_else_the_machines_time_else_not_known(ws: Workspace) -> None:
    filled(ws)
    cost = costs.of(ws, runs.get(ws, "evaluated001"))[0]
    paid = costs.Cost(**(cost.__dict__ | {"money": 0.06}))
    assert (
        costs.money(paid, Price(), "USD"),
        costs.money(cost, Price(3.6, "EUR"), "USD"),
        costs.money(cost, Price(), "USD"),
    ) == ("5.00 USD", "0.50 EUR (this machine's time)", "not known")


def test_the_general_suite_is_compared_by_kind_and_as_a_whole(three: Workspace) -> None:
    kept = costs.kept(three, runs.get(three, RUN), PROMPTED, TUNED)
    assert (kept[-1].title, kept[-1].items, sum(one.items for one in kept[:-1]), kept[-1].before > kept[-1].after) == (
        "All together",
        40,
        40,
        True,
    )


def test_without_the_suite_nothing_is_said(ws: Workspace) -> None:
    filled(ws)
    assert costs.kept(ws, runs.get(ws, "evaluated001"), "starter", "trained00001") == []


def test_a_question_that_an_older_suite_had_counts_in_the_whole_only(ws: Workspace) -> None:
    filled(ws)
    rows = [
        {
            "run_id": "evaluated001",
            "candidate_id": who,
            "item_id": "probe:of-old",
            "sample": 0,
            "metric": "probe",
            "value": 1.0,
            "label": None,
        }
        for who in ("starter", "trained00001")
    ]
    with ws.transaction() as transaction:
        transaction.insert("scores", rows)
    kept = costs.kept(ws, runs.get(ws, "evaluated001"), "starter", "trained00001")
    assert [(one.title, one.before, one.after) for one in kept] == [("All together", 1, 1)]


def test_a_tuned_model_leads_to_its_training(ws: Workspace) -> None:
    filled(ws)
    run = runs.get(ws, "evaluated001")
    found = [costs.training(ws, run, models.get(ws, one)) for one in ("trained00001", "starter")]
    assert [one.run_id if one else None for one in found] == ["trained00001", None]
