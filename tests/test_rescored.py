"""Scores that come after an evaluation: made by a real child from stored answers, put in place of earlier ones, forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from studio import own_metrics, rescored, runs, starts
from studio.errors import StudioError
from studio.workspace import Workspace
from tests import children
from tests.tickets import freeze_forty, recorded_evaluation, recorded_training

BREAKS = "def score(answer, reference, item):\n    n = int(answer.split()[-1])\n    return n / (n % 4)\n"


@pytest.fixture
def run(ws: Workspace) -> runs.Run:
    snapshot = freeze_forty(ws)
    return runs.get(ws, recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot)))


def scored(ws: Workspace, run: runs.Run, asked: list[str], **more: Any) -> runs.Run:
    return children.collected(ws, starts.scoring(ws, run, asked, **more))


def values(ws: Workspace) -> list[tuple[str, str, str, float]]:
    rows = ws.rows("select metric, candidate_id, item_id, value from scores order by all")
    return [(row["metric"], row["candidate_id"], row["item_id"], row["value"]) for row in rows]


@pytest.mark.slow
def test_scoring_again_adds_replaces_and_says_which_calls_failed(ws: Workspace, run: runs.Run) -> None:
    own_metrics.save(ws, "quotient", BREAKS, "ann")
    before = values(ws)
    asked = ["rougeL", "contains", "regex", "own:quotient"]
    first = scored(ws, run, asked, contains=["alpha"], pattern=r"\d{2}$")
    once = values(ws)
    again = scored(ws, run, asked, contains=["alpha"], pattern=r"\d{2}$")
    means = {
        row["metric"]: row["value"]
        for row in ws.rows(
            "select metric, avg(value) as value from scores where candidate_id = 'trained00001' group by metric"
        )
    }
    errors = runs.lines(ws, first, runs.OWN_ERRORS)
    assert (first.state, again.state, values(ws) == once, len(errors)) == ("done", "done", True, 6)
    assert (means["contains"], means["regex"]) == (1.0, pytest.approx(2 / 12))
    assert {(row["line"], row["words"]) for row in errors} == {(3, "ZeroDivisionError: division by zero")}
    assert [row for row in once if row[0] == "rouge1"] == [row for row in before if row[0] == "rouge1"]
    assert [row for row in once if row[0] == "rougeL"] != [row for row in before if row[0] == "rougeL"]
    assert sum(row[0] == "own:quotient" for row in once) == 18 and "6 calls of own functions failed" in first.result.message
    assert not (ws.path(first.folder) / "answers.jsonl").exists()


@pytest.mark.slow
def test_a_function_that_cannot_be_run_fails_the_run_in_words_and_changes_no_score(ws: Workspace, run: runs.Run) -> None:
    own_metrics.save(ws, "gone", "import nowhere_at_all\ndef score(a, b, c):\n    return 1\n", "ann")
    before = values(ws)
    ended = scored(ws, run, ["rougeL", "own:gone"])
    assert ended.result is not None and "gone cannot be run (line 1): ModuleNotFoundError" in ended.result.message
    assert (ended.state, values(ws)) == ("failed", before)


def test_an_evaluation_that_is_not_done_has_nothing_to_score(ws: Workspace, run: runs.Run) -> None:
    with ws.transaction() as transaction:
        transaction.execute("delete from outputs")
    with pytest.raises(StudioError, match="has no answers yet"):
        starts.scoring(ws, run, ["bleu"])


def test_nothing_chosen_is_nothing_scored(ws: Workspace, run: runs.Run) -> None:
    with pytest.raises(StudioError, match="No score is chosen"):
        starts.scoring(ws, run, [])


SAID = ["pin", "card", "fee", "pin", "(none)", "card", "pin", "fee", "card", "card"]
TRUTH = ["pin", "card", "fee", "card", "fee", "card", "pin", "pin", "card", "fee"]


def labelled(ws: Workspace, truth: list[str], said: list[str]) -> None:
    lines = [
        {"candidate_id": "m", "item_id": f"i{n}", "sample": 0, "scores": {"accuracy": float(a == b)}, "expected": a,
         "predicted": b}
        for n, (a, b) in enumerate(zip(truth, said, strict=True))
    ]
    with ws.transaction() as transaction:
        rescored.collect(transaction, "e", ["macro_f1"], lines)


def test_labels_one_by_one_are_scikit_learns(ws: Workspace) -> None:
    labelled(ws, TRUTH, SAID)
    found = rescored.labels(ws, "e", "m")
    names = sorted({*TRUTH, *SAID})
    theirs = precision_recall_fscore_support(TRUTH, SAID, labels=names, zero_division=0)
    assert found is not None and list(found.labels) == names
    assert [list(row) for row in found.confusion] == confusion_matrix(TRUTH, SAID, labels=names).tolist()
    assert [one.f1 for one in found.each] == pytest.approx(list(theirs[2]))
    told = [one for one in found.each if one.label != "(none)"]
    assert [one.precision.value for one in told] == pytest.approx(list(theirs[0][1:]))
    assert [one.recall.value for one in told] == pytest.approx(list(theirs[1][1:]))


def test_labels_scored_again_are_replaced_and_not_doubled(ws: Workspace) -> None:
    labelled(ws, TRUTH, SAID)
    labelled(ws, TRUTH, TRUTH)
    found = rescored.labels(ws, "e", "m")
    assert found is not None and [one.f1 for one in found.each] == [1.0, 1.0, 1.0]


def test_many_labels_leave_the_rare_ones_together(ws: Workspace) -> None:
    names = [f"label {n:02d}" for n in range(60)]
    labelled(ws, names * 2, names * 2)
    found = rescored.labels(ws, "e", "m")
    assert found is not None and (len(found.labels), found.labels[-1], len(found.each)) == (40, "(others)", 60)
    assert sum(map(sum, found.confusion)) == 120


def test_an_evaluation_of_free_text_has_no_labels(ws: Workspace, run: runs.Run) -> None:
    assert rescored.labels(ws, run.run_id, "starter") is None
