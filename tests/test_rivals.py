"""One candidate judged against each other, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from studio import grids, rivals, runs, verdict_words
from studio.errors import StudioError
from studio.grids import Grid
from studio.workspace import Workspace
from tests.evaluated import PROMPTED, RUN, TUNED
from tests.tickets import filled, freeze_forty, recorded_evaluation, recorded_training


def small(values: dict[str, list[list[float]]], **more: object) -> Grid:
    """A grid of two candidates, a and b."""
    items = len(next(iter(values.values()))[0])
    none = np.full(items, -1)
    return Grid(
        np.array([f"i{n}" for n in range(items)], object),
        tuple(values),
        ("a", "b"),
        np.array(list(values.values())),
        more.get("labels", ()),
        more.get("expected", none),
        more.get("predicted", np.full((2, items), -1)),  # type: ignore[arg-type]
        more.get("clusters", np.arange(items)),
    )  # type: ignore[arg-type]


def all_of(grid: Grid) -> np.ndarray:
    return np.ones(len(grid.items), bool)


def test_the_verdict_is_plain_where_the_tuned_model_wins(ws: Workspace) -> None:
    filled(ws)
    run = runs.get(ws, "evaluated001")
    first = rivals.judge(run, grids.read(ws, run.run_id), "trained00001")[0].first
    assert (first.metric, first.word, first.items, round(first.b.value, 3)) == ("rougeL", "better", 12, 0.492)


def test_without_suspicious_items_the_rest_is_compared(ws: Workspace) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    gain = grid.of("rougeL", "trained00001") - grid.of("rougeL", "starter")
    won = [str(item) for item in grid.items[np.argsort(-gain)][:8]]
    rest = rivals.judge(run, grid, "trained00001", won)[0].first
    assert (rest.items, round(rest.b.value, 3), rest.word) == (4, 0.275, "inconclusive")


def test_where_every_item_is_suspicious_nothing_is_compared(ws: Workspace) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    with pytest.raises(StudioError, match="nothing is left to compare on"):
        rivals.judge(run, grid, "trained00001", [str(item) for item in grid.items])


def test_an_evaluation_without_scores_says_so(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    run = runs.get(ws, recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot)))
    with pytest.raises(StudioError, match="no scores yet"):
        rivals.judge(run, grids.read(ws, "another"), "trained00001")


def test_who_is_judged_is_the_tuned_model_and_all_others_are_its_rivals(three: Workspace) -> None:
    run = runs.get(three, RUN)
    found = rivals.judge(run, grids.read(three, RUN), rivals.judged(run))
    assert (rivals.judged(run), [one.rival for one in found], [one.first.family for one in found], rivals.roles(run)) == (
        TUNED,
        ["starter", PROMPTED],
        [2, 2],
        {"starter": "base", PROMPTED: "prompted base", TUNED: "tuned"},
    )


def test_a_metric_that_one_candidate_lacks_is_left_out() -> None:
    grid = small({"rougeL": [[0.1] * 12, [0.5, 0.6] * 6], "perplexity": [[4.0] * 12, [np.nan] * 12]})
    assert (
        rivals.grid_has(grid, "rougeL", "a", "b", all_of(grid)),
        rivals.grid_has(grid, "perplexity", "a", "b", all_of(grid)),
    ) == (True, False)


def test_a_lower_perplexity_is_better() -> None:
    grid = small({"perplexity": [[8.0, 9.0] * 20, [4.0, 5.0] * 20]})
    found = rivals.compare(grid, "perplexity", "a", "b", all_of(grid))
    assert (found.word, round(found.a.value, 2), found.difference.value < 0) == ("better", 8.49, True)


def test_no_interval_says_more_than_the_metric_can_reach() -> None:
    grid = small({"rougeL": [[0.1] * 10, [1.0] * 9 + [0.3]]})
    found = rivals.compare(grid, "rougeL", grid.candidates[0], grid.candidates[1], all_of(grid))
    assert found.b.high == 1.0 and found.b.low < found.b.value


def test_macro_f1_is_compared_where_answers_are_labels() -> None:
    expected = np.array([0, 1] * 20)
    grid = small(
        {"accuracy": [[0.5] * 40, [1.0] * 40]},
        labels=("late", "torn"),
        expected=expected,
        predicted=np.array([np.zeros(40, int), expected]),
    )
    found = rivals.compare(grid, "macro_f1", "a", "b", all_of(grid))
    assert (rivals.measured(grid), round(found.a.value, 3), found.b.value, found.word) == (
        ["accuracy", "macro_f1"],
        0.333,
        1.0,
        "better",
    )


def test_items_of_one_customer_count_as_one() -> None:
    grid = small({"rougeL": [[0.1, 0.2] * 20, [0.5, 0.3] * 20]}, clusters=np.repeat(np.arange(4), 10))
    found = rivals.compare(grid, "rougeL", "a", "b", all_of(grid))
    assert (found.clusters, found.word, "of 4 tickets or customers" in verdict_words.numbers(found, "tuned", "base")) == (
        4,
        "inconclusive",
        True,
    )


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.3, "The tuned model is better than the base model"),
        (-0.3, "The tuned model is worse than the base model"),
        (0.0, "No difference worth having between the tuned model and the base model"),
    ],
)
def test_the_headline_says_what_the_interval_allows(gain: float, said: str) -> None:
    grid = small({"rougeL": [[0.4, 0.5] * 200, [0.4 + gain, 0.501 + gain] * 200]})
    found = rivals.compare(grid, "rougeL", "a", "b", all_of(grid))
    assert verdict_words.headline(found, "tuned", "base") == said


def test_what_is_inconclusive_says_how_many_more_items_would_settle_it() -> None:
    dice = np.random.default_rng(3)
    a = dice.random(60)
    grid = small({"rougeL": [list(a), list(a + 0.05 + 0.4 * dice.standard_normal(60))]})
    found = rivals.compare(grid, "rougeL", "a", "b", all_of(grid))
    assert (found.word, "more items like these would settle it" in verdict_words.reach(found)) == ("inconclusive", True)
