"""What an evaluation measured, as it is stored."""

from __future__ import annotations

from studio import models, runs, scores
from studio.workspace import Workspace
from tests.tickets import filled

RUN = "evaluated001"


def test_collecting_twice_adds_nothing(ws: Workspace) -> None:
    filled(ws)
    before = ws.value("select count(*) from outputs"), len(models.tuned(ws))
    runs.collect(ws)
    assert (ws.value("select count(*) from outputs"), len(models.tuned(ws))) == before == (24, 1)


def test_only_the_questions_that_are_asked_for_are_read(ws: Workspace) -> None:
    filled(ws)
    item = ws.value("select min(item_id) from outputs")
    found = scores.questions(ws, RUN, [item, "gone"])
    assert (list(found), [turn["role"] for turn in found[item]][-2:]) == ([item], ["user", "assistant"])
