"""The test items one by one: who won, and with what words."""

from __future__ import annotations

from typing import get_args

import numpy as np

from studio import grids, runs, wins
from studio.workspace import Workspace
from tests.evaluated import PROMPTED, RUN, TUNED
from tests.test_rivals import small
from tests.tickets import filled


def test_items_are_sorted_by_who_won(ws: Workspace) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    gain = wins.gains(grid, "rougeL", "starter", "trained00001")
    page = wins.page(ws, run, grid, "rougeL", "starter", "trained00001", wins.places(gain, "all", "wins").tolist())
    assert ([one.winner for one in page], wins.counted(gain)) == (
        ["judged"] * 9 + ["tie"] * 2 + ["rival"],
        {"all": 12, "judged": 9, "rival": 1, "tie": 2},
    )


def test_an_item_comes_with_question_reference_and_both_answers(ws: Workspace) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    one = wins.page(ws, run, grid, "rougeL", "starter", "trained00001", [0])[0]
    assert (one.question[-1]["role"], one.reference.startswith("Hello!"), one.rival.text[:5], one.judged.text[:5]) == (
        "user",
        True,
        "OMEGA",
        "ALPHA",
    )


def test_the_heaviest_losses_and_the_largest_differences() -> None:
    grid = small({"rougeL": [[0.5] * 4, [0.8, 0.4, 0.1, 0.5]]})
    gain = wins.gains(grid, "rougeL", "a", "b")
    assert [wins.places(gain, "all", order).tolist() for order in get_args(wins.Order)] == [
        [2, 1, 3, 0],
        [0, 3, 1, 2],
        [2, 0, 1, 3],
    ]


def test_only_some_items_are_shown_where_a_slice_is_chosen() -> None:
    grid = small({"rougeL": [[0.5] * 4, [0.9, 0.4, 0.1, 0.5]]})
    gain = wins.gains(grid, "rougeL", "a", "b")
    assert wins.places(gain, "rival", "losses", np.array([True, True, False, True])).tolist() == [1]


def test_less_perplexity_is_a_win() -> None:
    grid = small({"perplexity": [[8.0, 4.0], [4.0, 8.0]]})
    assert [wins.winner(one) for one in wins.gains(grid, "perplexity", "a", "b")] == ["judged", "rival"]


def test_the_nearest_training_examples_stand_beside_an_item(three: Workspace) -> None:
    ws = three
    run, grid = runs.get(ws, RUN), grids.read(ws, RUN)
    item = str(grid.items[0])
    found = wins.nearest(ws, run, [item, "gone"])
    assert (list(found), len(found[item]), all(near.question and near.answer for near in found[item])) == ([item], 3, True)


def test_an_evaluation_that_did_not_look_for_neighbours_shows_none(ws: Workspace) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    assert wins.nearest(ws, run, [str(grid.items[0])]) == {}


def test_an_answer_of_several_samples_is_shown_by_its_first(three: Workspace) -> None:
    ws = three
    run, grid = runs.get(ws, RUN), grids.read(ws, RUN)
    item = str(grid.items[0])
    with ws.transaction() as transaction:
        transaction.execute(
            """insert into outputs select run_id, candidate_id, item_id, 1, 'the second', * exclude (run_id,
            candidate_id, item_id, sample, text) from outputs where run_id = ? and item_id = ?""",
            [RUN, item],
        )
    one = wins.page(ws, run, grid, "rougeL", PROMPTED, TUNED, [0])[0]
    assert (one.judged.samples, one.judged.text == "the second") == (2, False)
