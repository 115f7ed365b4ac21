"""The test items parted by what they are, and what can be done about a part."""

from __future__ import annotations

import numpy as np
import pytest

from studio import acts, grids, label_sets, labels, marks, places, records, runs, search, similar, slices
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.evaluated import RUN
from tests.test_rivals import small
from tests.tickets import filled


def test_the_surest_losses_come_first_and_small_slices_say_nothing() -> None:
    grid = small({"rougeL": [[0.4] * 36, [0.9, 0.8] * 6 + [0.1, 0.2] * 6 + [0.4, 0.41] * 6]})
    parts = {"good": np.arange(12), "bad": np.arange(12, 24), "even": np.arange(24, 33), "rest": np.arange(33, 36)}
    found = slices.cut(grid, parts, "rougeL", "a", "b")
    assert [(one.name, one.found.word if one.found else "too few") for one in found] == [
        ("bad", "worse"),
        ("good", "better"),
        ("even", "too few"),
        ("rest", "too few"),
    ]


def test_of_a_metric_where_less_is_better_the_highest_comes_first() -> None:
    grid = small({"perplexity": [[8.0] * 24, [4.0, 4.1] * 6 + [9.0, 9.1] * 6]})
    found = slices.cut(grid, {"good": np.arange(12), "bad": np.arange(12, 24)}, "perplexity", "a", "b")
    assert [(one.name, one.found.word if one.found else "") for one in found] == [("bad", "worse"), ("good", "better")]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("tag", {"colour": 3, "fit": 3, "late": 3, "torn": 3}),
        ("source", {"forty.csv": 12}),
        ("length", {"1–10 words": 12}),
        ("twins", {}),
        ("marked", {}),
    ],
)
def test_items_are_parted_by_what_is_known_of_their_records(ws: Workspace, by: str, names: dict[str, int]) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    found = {name: len(part) for name, part in slices.part(ws, run, grid, by).items()}
    assert (sum(found.values()), set(found) <= set(names)) == (12 if names else 0, True)


def test_items_are_parted_by_the_labels_that_people_gave(ws: Workspace) -> None:
    filled(ws)
    made = label_sets.save(ws, label_sets.starter_sets(ws)[0], "ann")
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    labels.answer(ws, made.set_id, str(grid.items[2]), {made.fields[0].key: "late"}, "ann", "press")
    by = f"label:{made.set_id}:{made.fields[0].key}"
    assert (by in slices.ways(ws, grid), {name: part.tolist() for name, part in slices.part(ws, run, grid, by).items()}) == (
        True,
        {"late": [2]},
    )


def test_language_is_no_way_where_nothing_was_checked(ws: Workspace) -> None:
    filled(ws)
    assert "language" not in slices.ways(ws, grids.read(ws, "evaluated001"))


def test_a_slice_is_tagged_in_one_act_and_untagged_by_one_undo(ws: Workspace) -> None:
    filled(ws)
    grid = grids.read(ws, "evaluated001")
    tag = slices.tag_for("tag", "a very long name of a tag that nobody would ever read to its end, not even once")
    tagged = slices.tag_items(ws, grid, [0, 1, 2], tag, "ann", "press")
    standing = len(marks.positions(ws, "tag", tag))
    acts.undo(ws, "ann", "press2")
    assert (tagged, standing, len(marks.positions(ws, "tag", tag)), len(tag) <= 60) == (3, 3, 0, True)


def test_records_like_a_slice_are_kept_in_one_act(three: Workspace) -> None:
    ws = three
    while search.read_on(ws):
        pass
    run, grid = runs.get(ws, RUN), grids.read(ws, RUN)
    parts = slices.part(ws, run, grid, "tag")
    name = next(iter(parts))
    words, found = similar.to(ws, [str(grid.items[place]) for place in parts[name]], run.snapshot_id, 10)
    frozen = {row["record_id"] for row in ws.rows("select record_id from snapshot_items")}
    same = [record for one in found if (record := one.record).tags == name]
    kept = similar.keep(ws, found, name, "ann", "press")
    after = [place.decision for place in places.find(ws, [one.record.record_id for one in found]).values()]
    records.undo(ws, "ann", "press2")
    undone = [place.decision for place in places.find(ws, [one.record.record_id for one in found]).values()]
    assert (
        bool(words),
        kept == len(found) > 3,
        2 * len(same) > len(found),
        set(after),
        set(undone),
        {one.record.record_id for one in found} & frozen,
    ) == (True, True, True, {"keep"}, {"undecided"}, set())


def test_before_the_index_has_read_them_no_record_is_found_and_that_is_said(ws: Workspace) -> None:
    filled(ws)
    run, grid = runs.get(ws, "evaluated001"), grids.read(ws, "evaluated001")
    assert (similar.to(ws, [str(grid.items[0])], run.snapshot_id, 5), similar.unread(ws)) == (([], []), 40)


def test_records_that_are_gone_are_said_to_be(ws: Workspace) -> None:
    filled(ws)
    with pytest.raises(StudioError, match="are gone"):
        similar.to(ws, ["forgotten"], "snapshot", 5)
