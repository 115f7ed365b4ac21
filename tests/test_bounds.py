"""What is kept in memory has a bound, however long the studio runs."""

from __future__ import annotations

import pytest

from studio import boards, hearing, label_sets, labels, queues, runs
from studio.queues import QueueFilter
from studio.workspace import Workspace
from tests.test_label_chaos import MOODS
from tests.tickets import freeze_forty, import_forty, recorded_training


def test_files_of_runs_are_kept_as_far_as_they_were_read_for_the_last_ones_that_were_asked_for(ws: Workspace) -> None:
    run_id = recorded_training(ws, freeze_forty(ws))
    run = runs.get(ws, run_id)
    for n in range(hearing.KEPT_FILES + 20):
        (ws.path(run.folder) / f"{n}.jsonl").write_text('{"id": "a"}\n')
        assert (runs.lines(ws, run, f"{n}.jsonl"), len(runs.events(ws, run).losses)) == ([{"id": "a"}], 10)
    assert len(hearing._heard[ws]) == hearing.KEPT_FILES and (run_id, "events.jsonl") in hearing._heard[ws]


def test_queues_that_nobody_works_on_are_let_go_of_and_those_in_use_stay(ws: Workspace) -> None:
    import_forty(ws)
    sets = [label_sets.save(ws, MOODS | {"name": f"Mood {n}"}, "ann").set_id for n in range(queues.KEPT_BOARDS + 6)]
    held = queues.window(ws, QueueFilter(sets[0]), "oldest", "ann", "tab", 5)
    for one in sets[1:]:
        queues.size(ws, QueueFilter(one), "ben")
    assert (sets[0] in queues._boards[ws], len(queues._boards[ws])) == (True, queues.KEPT_BOARDS + 1)
    assert not set(held) & set(queues.window(ws, QueueFilter(sets[0]), "oldest", "ben", "other", 5))


def test_what_was_said_since_somebody_looked_at_disputes_is_folded(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import_forty(ws)
    made = label_sets.save(ws, MOODS | {"needed": 2}, "ann")
    ids = queues.window(ws, QueueFilter(made.set_id), "oldest", "ann", "tab", 20)
    labels.answer(ws, made.set_id, ids[0], {"mood": "happy"}, "ann", "a")
    labels.answer(ws, made.set_id, ids[0], {"mood": "angry"}, "ben", "b")
    assert queues.size(ws, QueueFilter(made.set_id, "disagreed"), "ann") == 1
    monkeypatch.setattr(boards, "_PIECES", 5)
    for n, record_id in enumerate(ids[1:]):
        for who, mood in (("ann", "happy"), ("ben", "angry")):
            labels.answer(ws, made.set_id, record_id, {"mood": mood}, who, f"{who}{n}")
            queues.size(ws, QueueFilter(made.set_id), "ann")
            assert len(queues._boards[ws][made.set_id]._since) <= 6
    assert queues.size(ws, QueueFilter(made.set_id, "disagreed"), "ann") == 20


def test_the_journal_lets_go_of_its_lines_once_the_workspace_is_open(ws: Workspace) -> None:
    import_forty(ws)
    label_sets.save(ws, MOODS, "ann")
    ws.close()
    again = Workspace(ws.root)
    assert (again.journal.entries, again.journal.last[0]) == ((), 1)
    again.close()
