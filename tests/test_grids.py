"""All scores of an evaluation as numbers in memory."""

from __future__ import annotations

import numpy as np

from studio import grids
from studio.workspace import Workspace
from tests.evaluated import PROMPTED, RUN, TUNED
from tests.tickets import filled


def stored(ws: Workspace, *rows: tuple[str, str, int, str, float | None, str | None]) -> None:
    """Scores of a run called r: candidate, item, sample, metric, value, label."""
    names = ("candidate_id", "item_id", "sample", "metric", "value", "label")
    with ws.transaction() as transaction:
        transaction.insert("scores", [{"run_id": "r"} | dict(zip(names, row, strict=True)) for row in rows])


def test_every_score_stands_in_its_place(ws: Workspace) -> None:
    stored(ws, ("b", "y", 0, "rougeL", 0.4, None), ("a", "y", 0, "rougeL", 0.3, None), ("a", "x", 0, "rougeL", 0.1, None))
    grid = grids.read(ws, "r")
    assert (list(grid.items), grid.candidates, grid.of("rougeL", "a").tolist(), grid.both("rougeL", "a", "b").tolist()) == (
        ["x", "y"],
        ("a", "b"),
        [0.1, 0.3],
        [False, True],
    )


def test_samples_of_an_item_are_averaged(ws: Workspace) -> None:
    stored(ws, ("a", "x", 0, "rougeL", 0.2, None), ("a", "x", 1, "rougeL", 0.6, None))
    assert grids.read(ws, "r").of("rougeL", "a").tolist() == [0.4]


def test_the_general_suite_is_left_out(ws: Workspace) -> None:
    stored(ws, ("a", "x", 0, "rougeL", 0.2, None), ("a", "probe:one", 0, "probe", 1.0, None))
    grid = grids.read(ws, "r")
    assert (list(grid.items), grid.metrics) == (["x"], ("rougeL",))


def test_labels_are_places_in_a_list(ws: Workspace) -> None:
    for item, truth, said in (("x", "late", "late"), ("y", "torn", "(none)")):
        stored(ws, ("a", item, 0, "accuracy", float(truth == said), said), ("a", item, 0, "expected", None, truth))
    grid = grids.read(ws, "r")
    assert (grid.labels, grid.expected.tolist(), grid.predicted.tolist()) == (("(none)", "late", "torn"), [1, 2], [[1, 0]])


def test_a_run_without_scores_is_an_empty_grid(ws: Workspace) -> None:
    grid = grids.read(ws, "gone")
    assert (len(grid.items), grid.metrics, grid.values.shape) == (0, (), (0, 0, 0))


def test_what_belongs_together_is_one_cluster() -> None:
    assert grids.joined(6, [(0, 3), (3, 5), (1, 2)]).tolist() == [0, 1, 1, 0, 2, 0]


def test_items_of_one_customer_or_one_ticket_are_one_cluster(ws: Workspace) -> None:
    filled(ws)
    items = [row["item_id"] for row in ws.rows("select distinct item_id from scores order by item_id")]
    with ws.transaction() as transaction:
        transaction.insert(
            "record_people",
            [
                {"record_id": items[0], "name": "Ana Lee", "email": ""},
                {"record_id": items[3], "name": " ana lee", "email": None},
                {"record_id": items[5], "name": "", "email": "b@example.com"},
            ],
        )
        transaction.execute("update records set external_id = 'T1' where record_id in (?, ?)", [items[1], items[2]])
    assert grids.read(ws, "evaluated001").clusters.tolist() == [0, 1, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_grid_of_three_candidates_is_whole(three: Workspace) -> None:
    grid = grids.read(three, RUN)
    assert (grid.values.shape, np.isfinite(grid.values).all(), sorted(grid.candidates)) == (
        (5, 3, 60),
        True,
        sorted(["starter", PROMPTED, TUNED]),
    )
