"""What an evaluation measured, and the verdict that follows."""

from __future__ import annotations

import pytest

from studio import models, runs, scores
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.tickets import filled, freeze_forty, recorded_evaluation, recorded_training

RUN = "evaluated001"


def test_the_verdict_is_plain_where_the_tuned_model_wins(ws: Workspace) -> None:
    filled(ws)
    first = scores.compare(ws, RUN, "starter", "trained00001")[0]
    assert (first.metric, first.word, first.items, round(first.b.value, 3)) == ("rougeL", "better", 12, 0.492)


def test_without_suspicious_items_the_rest_is_compared(ws: Workspace) -> None:
    filled(ws)
    won = [item.item_id for item in scores.items(ws, RUN, "starter", "trained00001", "rougeL")[:9]]
    rest = scores.compare(ws, RUN, "starter", "trained00001", won[:8])[0]
    assert (rest.items, round(rest.b.value, 3), rest.word) == (4, 0.275, "inconclusive")


def test_where_every_item_is_suspicious_nothing_is_compared(ws: Workspace) -> None:
    filled(ws)
    every = [item.item_id for item in scores.items(ws, RUN, "starter", "trained00001", "rougeL")]
    with pytest.raises(StudioError, match="nothing is left to compare on"):
        scores.compare(ws, RUN, "starter", "trained00001", every)


def test_items_are_sorted_by_who_won(ws: Workspace) -> None:
    filled(ws)
    items = scores.items(ws, RUN, "starter", "trained00001", "rougeL")
    assert [item.winner for item in items] == ["tuned"] * 9 + ["tie"] * 2 + ["base"]


def test_answers_that_hit_the_token_limit_are_counted_by_model(ws: Workspace) -> None:
    filled(ws)
    assert scores.cut_answers(ws, RUN) == {"starter": 1, "trained00001": 0}


def test_collecting_twice_adds_nothing(ws: Workspace) -> None:
    filled(ws)
    before = ws.value("select count(*) from outputs"), len(models.tuned(ws))
    runs.collect(ws)
    assert (ws.value("select count(*) from outputs"), len(models.tuned(ws))) == before == (24, 1)


def test_an_evaluation_without_scores_says_so(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    with pytest.raises(StudioError, match="no scores yet"):
        scores.compare(ws, "another", "starter", "trained00001")
