"""The Scores and Judge views of the Evaluate page, under Streamlit's own test driver."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import own_metrics, rescored, runs, snapshots
from studio import workspace as folders
from studio.workspace import Workspace
from tests.test_evaluate_page import press, said
from tests.test_judges import item_ids, recorded
from tests.test_pages import draw, home  # noqa: F401  (a fixture)
from tests.tickets import filled

RUN = "evaluated001"


@pytest.fixture
def there(home: Path) -> Workspace:  # noqa: F811
    return filled(folders.open_workspace(home))


def scores_view() -> AppTest:
    return draw("evaluate", view="Scores", run=RUN)


def test_a_function_is_saved_from_the_editor(there: Workspace) -> None:
    page = scores_view()
    next(field for field in page.text_input if field.label == "Name").set_value("Asks back").run()
    press(page, "Save")
    assert ([one.name for one in own_metrics.every(there)], list(page.error)) == (["Asks back"], [])


def test_code_that_is_no_python_is_said_and_not_saved(there: Workspace) -> None:
    page = scores_view()
    next(field for field in page.text_input if field.label == "Name").set_value("Broken").run()
    next(field for field in page.text_area if field.label == "Python").set_value("def score(\n").run()
    press(page, "Save")
    assert ("is not Python" in page.error[0].value, own_metrics.every(there)) == (True, [])


def test_what_a_score_needs_is_asked_where_it_is_chosen(there: Workspace) -> None:
    page = scores_view()
    page.multiselect[0].set_value(["contains", "regex", "schema_valid"]).run()
    labels = [field.label for field in [*page.text_input, *page.text_area]]
    assert sum(label.startswith(("Words that", "Regular expression", "JSON schema")) for label in labels) == 3


def test_labels_are_shown_one_by_one(there: Workspace) -> None:
    lines = [{"candidate_id": "starter", "item_id": item, "sample": 0, "scores": {"accuracy": float(n % 3 > 0)},
              "expected": "late", "predicted": "late" if n % 3 else "torn"}
             for n, item in enumerate(item_ids(there, runs.get(there, RUN)))]
    with there.transaction() as transaction:
        rescored.collect(transaction, RUN, ["accuracy"], lines)
    page = scores_view()
    assert (page.subheader[0].value, list(page.dataframe[0].value["label"])) == ("Label by label", ["late", "torn"])


def test_a_judge_that_nobody_held_against_people_is_unlicensed(there: Workspace) -> None:
    run = runs.get(there, RUN)
    assert snapshots.get(there, run.snapshot_id)
    judge = recorded(there, run, dict.fromkeys(item_ids(there, run), "b"))
    with there.transaction() as transaction:
        transaction.insert("run_results", [{
            "run_id": judge, "attempt": 1, "outcome": "done", "message": "", "hint": "", "ended_at": there.now(),
            "collected_at": there.now(),
            "data": '{"asked": 24, "unread": 0, "spent": 0.5, "money": "USD", "budget_reached": false}'}])
    page = draw("evaluate", view="Judge", run=RUN)
    assert "unlicensed" in said(page) and "a licence needs 30" in said(page) and "24 questions, 0.50 USD" in said(page)
    assert "12 wins, 0 losses, 0 ties" in said(page) and "flips 0.00 [0.00, 0.24]" in said(page)
