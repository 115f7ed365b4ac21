"""Evaluations over time: what may be compared, and what not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import evaluations, snapshots
from studio.errors import StudioError
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.evaluated import evaluated, later, recorded


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Two evaluations of the same items a day apart, and one of other items."""
    ws = Workspace(Path(tmp_path_factory.mktemp("twice")) / "ws")
    snapshot = evaluated(ws, 40)
    later(ws)
    recorded(ws, snapshot, "evaluated004", seed=9, skill=0.95, tokens=200)
    later(ws)
    recorded(ws, snapshots.freeze(ws, "Other", Recipe(sizes=(150, 30, 50), seed=5)), "evaluated005")
    yield ws
    ws.close()


def test_every_candidate_of_every_evaluation_is_an_entry_oldest_first(twice: Workspace) -> None:
    found = evaluations.entries(twice, "rougeL")
    assert [(one.run_id, one.role) for one in found] == [
        (run, role) for run in ("evaluated003", "evaluated004", "evaluated005") for role in ("base", "prompted base", "tuned")
    ]


def test_entries_are_parted_by_the_items_they_answered(twice: Workspace) -> None:
    sets = evaluations.sets(evaluations.entries(twice, "rougeL"))
    assert [[one.run_id for one in part] for part in sets.values()] == [
        ["evaluated005"] * 3,
        ["evaluated003"] * 3 + ["evaluated004"] * 3,
    ]


def test_other_items_are_refused_in_words(twice: Workspace) -> None:
    found = evaluations.entries(twice, "rougeL")
    with pytest.raises(StudioError) as refused:
        evaluations.paired(twice, found[2], found[8], "rougeL")
    assert "Sample and Other have other test items" in refused.value.hint


def test_two_evaluations_of_the_same_items_are_compared_item_by_item(twice: Workspace) -> None:
    found = evaluations.entries(twice, "rougeL")
    said = evaluations.paired(twice, found[2], found[5], "rougeL")
    assert (
        said.items,
        said.word,
        round(said.difference.value, 6) == round(found[5].value.value - found[2].value.value, 6),
    ) == (40, "better", True)


def test_another_way_of_answering_is_said(twice: Workspace) -> None:
    found = evaluations.entries(twice, "rougeL")
    assert evaluations.warning(found[2], found[5]) == (
        "Their answers were made differently: greedy, at most 150 tokens; greedy, at most 200 tokens."
    )
