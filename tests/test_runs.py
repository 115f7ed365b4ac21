"""Runs as they stand: what they tell is read on, groups are compared, those that wait have an order."""

from __future__ import annotations

import json
import math
import time
from datetime import datetime
from pathlib import Path

import pytest

from pipeline import rundir
from pipeline.rundir import Mark
from pipeline.specs import dumps
from studio import groups, runs, samples
from studio.dials import Dials
from studio.errors import StudioError
from studio.samples import Answer
from studio.workspace import Workspace
from tests.tickets import freeze_forty
from tests.training_runs import begun, sample, searched, train_spec, trained


def test_only_whole_new_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"a": 1}\n{"a": 2')
    first, mark, _ = rundir.read_new(path, Mark())
    with path.open("a") as file:
        file.write('}\n{"a": 3}\n')
    second, _, anew = rundir.read_new(path, mark)
    assert (first, second, anew) == ([{"a": 1}], [{"a": 2}, {"a": 3}], False)


def test_a_file_written_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    _, mark, _ = rundir.read_new(path, Mark())
    rundir.write_atomic(path, '{"a": 2}\n')
    rows, _, anew = rundir.read_new(path, mark)
    assert (rows, anew) == ([{"a": 2}], True)


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    assert rundir.read_new(tmp_path / "events.jsonl", Mark()) == ([], Mark(), False)


def test_events_grow_with_the_file(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    child = begun(ws, train_spec(snapshot, "run1"), snapshot, "One")
    child.event("loss", step=1, epoch=0.1, loss=2.0)
    run = runs.get(ws, "run1")
    before = len(runs.events(ws, run).losses)
    child.event("loss", step=2, epoch=0.2, loss=1.9)
    assert (before, [row["loss"] for row in runs.events(ws, run).losses]) == (1, [2.0, 1.9])


def test_steps_that_a_resumed_run_repeats_are_counted_once(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    child = begun(ws, train_spec(snapshot, "run1"), snapshot, "One")
    for step, loss in ((1, 2.0), (2, 1.9), (3, 1.8), (2, 1.95), (3, 1.85)):
        child.event("loss", step=step, epoch=step / 10, loss=loss)
    assert [row["loss"] for row in runs.events(ws, runs.get(ws, "run1")).losses] == [2.0, 1.95, 1.85]


def test_what_else_a_run_tells_is_kept_apart(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    trained(ws, snapshot, "run1")
    heard = runs.events(ws, runs.get(ws, "run1"))
    assert (heard.recipe["alpha"], heard.out_of_memory[0]["row_tokens"], len(heard.validation)) == (32, 2048, 4)


def test_events_of_an_old_run_lack_what_was_not_written_then(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    begun(ws, train_spec(snapshot, "run1"), snapshot, "One").event("note", sentence="Computing in float32.")
    heard = runs.events(ws, runs.get(ws, "run1"))
    assert (heard.notes, heard.recipe, heard.losses) == (["Computing in float32."], {}, [])


def test_sample_answers_stand_by_their_question_newest_first(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    child = begun(ws, train_spec(snapshot, "run1"), snapshot, "One")
    for step, said in ((0, "base"), (10, "better"), (10, "better, after a resume")):
        sample(child, 1, step, said)
        sample(child, 0, step, said)
    found = samples.every(ws, runs.get(ws, "run1"))
    assert [(one.record_id, one.answers) for one in found] == [
        (name, (Answer(10, "better, after a resume"), Answer(0, "base"))) for name in ("r0", "r1")
    ]


def test_a_group_has_its_best_run_first_and_those_without_a_loss_last(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    ids = searched(ws, snapshot)
    members = groups.members(ws, "group0000001")
    assert [(one.run.run_id, one.best, one.best_step) for one in members] == [
        (ids[1], 1.21, 60),
        (ids[2], 1.25, 40),
        (ids[0], 1.62, 60),
        (ids[3], math.inf, 0),
    ]


def test_a_member_knows_its_dials_and_its_place(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    searched(ws, snapshot)
    assert [(one.place, one.dials) for one in groups.members(ws, "group0000001")][:2] == [
        (1, Dials(learning_rate=1e-4, rank=16)),
        (2, Dials(learning_rate=4e-4, rank=8)),
    ]


def test_groups_are_listed_newest_first(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    searched(ws, snapshot, "group0000001")
    searched(ws, snapshot, "xgroup000002")
    assert [group.group_id for group in groups.every(ws)] == ["xgroup000002", "group0000001"]


def test_a_group_that_is_not_here_is_said(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="no group of runs nowhere"):
        groups.get(ws, "nowhere")


def test_stopping_a_group_asks_only_what_moves(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    searched(ws, snapshot)
    child = begun(ws, train_spec(snapshot, "moving"), snapshot, "Moving", "group0000001")
    asked = groups.stop(ws, "group0000001")
    assert (asked, (child.folder / "stop").exists()) == (1, True)


def test_runs_that_wait_are_in_the_order_of_their_starts(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    second = begun(ws, train_spec(snapshot, "second"), snapshot, "Second")
    first = begun(ws, train_spec(snapshot, "first"), snapshot, "First")
    rundir.write_atomic(first.folder / "launch.json", json.dumps({"attempt": 1, "at": time.time() - 60}))
    with first, second:
        for child in (first, second):
            child.say("queued", sentence="Waiting for another run to finish")
        assert [run.run_id for run in runs.queue(ws)] == ["first", "second"]


def test_a_run_says_when_its_phase_is_over(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    clock = iter([1_000.0, 1_010.0])
    child = begun(ws, train_spec(snapshot, "run1"), snapshot, "One")
    child.clock = lambda: next(clock)
    child.say("training", 0, 100, "steps")
    child.say("training", 20, 100, "steps")
    assert runs.get(ws, "run1").ends_at == datetime(1970, 1, 1, 0, 17, 30)  # 40 s after 1,010


@pytest.mark.slow
def test_a_run_whose_folder_was_never_made_can_be_resumed_into_one(with_starter: Path) -> None:
    ws = Workspace(with_starter)
    snapshot = freeze_forty(ws)
    spec = train_spec(snapshot, "run1")
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "One", snapshot.snapshot_id)
    runs.resume(ws, "run1")
    runs.stop(ws, "run1")
    deadline = time.time() + 240
    while rundir.result(ws.path("runs/run1")) is None:
        assert time.time() < deadline
        time.sleep(0.1)
    ws.close()
    assert (with_starter / "runs/run1/spec.json").read_text() == dumps(spec)
