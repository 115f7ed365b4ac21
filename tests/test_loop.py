"""The one next thing to do, stage by stage."""

from __future__ import annotations

import pytest

from studio import loop, reviews
from studio.workspace import Workspace
from tests.checks import import_twelve, recorded_check
from tests.deployed import proven, serving
from tests.recorded_twins import recorded_search
from tests.tickets import filled, freeze_forty, import_forty, recorded_evaluation, recorded_training


def counts(ws: Workspace) -> list[int]:
    return [stage.count for stage in loop.stages(ws)]


def test_an_empty_workspace_is_told_to_import(ws: Workspace) -> None:
    assert (counts(ws), loop.next_step(ws).page_path) == ([0, 0, 0, 0, 0, 0, 0], "pages/import_tickets.py")


def test_records_that_nobody_checked_lead_to_a_check(ws: Workspace) -> None:
    import_forty(ws)
    assert (counts(ws), loop.next_step(ws).page_path) == ([40, 40, 0, 0, 0, 0, 0], "pages/clean.py")


def test_checked_records_lead_to_a_search_for_twins_and_then_to_a_freeze(ws: Workspace) -> None:
    ids = import_twelve(ws)
    recorded_check(ws, [])
    before = loop.next_step(ws).page_path
    recorded_search(ws, ids)
    assert (before, loop.next_step(ws).page_path) == ("pages/twins.py", "pages/freeze.py")


def test_a_snapshot_leads_to_training(ws: Workspace) -> None:
    freeze_forty(ws)
    assert loop.next_step(ws).page_path == "pages/launch.py"


def test_a_tuned_model_leads_to_an_evaluation(ws: Workspace) -> None:
    recorded_training(ws, freeze_forty(ws))
    assert (counts(ws), loop.next_step(ws).page_path) == ([40, 40, 0, 1, 1, 0, 0], "pages/evaluate.py")


def test_scores_lead_to_a_review(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    assert loop.next_step(ws).page_path == "pages/review.py"


def test_a_reviewed_workspace_is_told_to_deploy(ws: Workspace) -> None:
    filled(ws)
    assert (reviews.total(ws), loop.next_step(ws).page_path) == (3, "pages/deploy.py")


def test_a_deployed_model_leads_round_again(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(ws)
    with serving(ws, "trained00001") as server:
        proven(ws, "trained00001", server.run_id)
        assert (counts(ws)[-1], loop.next_step(ws).page_path) == (1, "pages/curate.py")


def test_what_blocks_a_stage_is_said_in_words(ws: Workspace) -> None:
    assert [stage.blocked for stage in loop.stages(ws)] == [
        "",
        "import tickets first",
        "import tickets first",
        "import tickets first",
        "freeze a snapshot first",
        "train a model first",
        "evaluate a model first",
    ]
