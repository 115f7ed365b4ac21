"""Previews: remembered for the same question, and what they found keeps a run from starting."""

from __future__ import annotations

import pytest

from studio import models, previews, runs, starts
from studio.dials import Dials
from studio.errors import StudioError
from studio.models import Model
from studio.snapshots import Snapshot
from studio.workspace import Workspace
from tests.tickets import freeze_forty
from tests.training_runs import FOUND, PART, RENDERED, looked, searched


def starter(ws: Workspace) -> Model:
    return models.get(ws, models.STARTER_ID)


def newest(ws: Workspace, snapshot: Snapshot, dials: Dials) -> str:
    run = previews.newest(ws, starts.question(snapshot, starter(ws), dials))
    return run.run_id if run else ""


def refused(ws: Workspace, snapshot: Snapshot, dials: Dials = Dials()) -> str:
    found = previews.refusal(ws, starts.question(snapshot, starter(ws), dials), dials.too_long)
    return found.message if found else ""


def test_a_preview_is_remembered_for_the_same_question(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, Dials(rank=8))
    assert [newest(ws, snapshot, Dials(rank=rank)) for rank in (8, 16)] == ["looked000001", ""]


@pytest.mark.parametrize("dials", [Dials(learning_rate=1e-3), Dials(seed=7), Dials(keep=1), Dials(too_long="leave_out")])
def test_dials_that_change_nothing_of_it_ask_the_same(ws: Workspace, dials: Dials) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot)
    assert newest(ws, snapshot, dials) == "looked000001"


@pytest.mark.parametrize(
    "dials", [Dials(epochs=4), Dials(method="qlora"), Dials(step_tokens=512), Dials(max_tokens=256), Dials(processes=2)]
)
def test_dials_that_matter_ask_another_question(ws: Workspace, dials: Dials) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot)
    assert newest(ws, snapshot, dials) == ""


def test_what_was_found_is_read_with_its_plan(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    found = previews.read(runs.get(ws, looked(ws, snapshot)))
    assert (found.plan.method, found.plan.peak_gib, found.train.learned_tokens, found.longest) == ("lora", 1.71, 520, 8_192)


def test_the_plan_that_needs_least_stands_for_those_that_do_not_fit(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    found = previews.read(runs.get(ws, looked(ws, snapshot, found=FOUND | {"recommended": ""})))
    assert found.plan.method == "qlora"


def test_rendered_examples_keep_which_pieces_are_learned(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    first = previews.examples(ws, runs.get(ws, looked(ws, snapshot)))[0]
    assert (first.record_id, first.pieces[1], first.learned) == ("r1", ("Hello! We are sorry.<|im_end|>", True), 7)


def test_without_a_preview_nothing_is_refused(ws: Workspace) -> None:
    assert refused(ws, freeze_forty(ws)) == ""


def test_answers_that_would_be_cut_are_refused(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, Dials(max_tokens=64), FOUND | {"train": PART | {"too_long": ["a", "b"]}})
    assert refused(ws, snapshot, Dials(max_tokens=64)) == (
        "2 examples of train are longer than 64 tokens, so answers would be cut."
    )


def test_the_user_may_say_that_longer_ones_are_left_out(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, found=FOUND | {"train": PART | {"too_long": ["a", "b"]}})
    assert refused(ws, snapshot, Dials(too_long="leave_out")) == ""


def test_examples_with_nothing_to_learn_are_refused_whatever_the_user_says(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, found=FOUND | {"validation": PART | {"no_target": ["a"]}})
    assert refused(ws, snapshot, Dials(too_long="leave_out")) == (
        "1 example of validation has nothing to learn: no answer of the agent."
    )


def test_examples_that_the_template_refuses_are_refused_with_its_reason(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    part = PART | {"template_failures": ["a"], "template_said": "It takes no system prompt."}
    looked(ws, snapshot, found=FOUND | {"train": part})
    assert refused(ws, snapshot, Dials(too_long="leave_out")) == (
        "The model's chat template refuses 1 example of train: It takes no system prompt."
    )


def test_what_is_wrong_with_the_data_counts_for_other_ranks_and_epochs_too(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, found=FOUND | {"train": PART | {"no_target": ["a"]}})
    assert refused(ws, snapshot, Dials(rank=64, epochs=1)) != ""


def test_a_refused_training_leaves_nothing_behind(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, found=FOUND | {"train": PART | {"no_target": ["a"]}})
    with pytest.raises(StudioError, match="nothing to learn"):
        starts.training(ws, snapshot, starter(ws), Dials())
    assert runs.every(ws, "train") == []


def test_a_refused_group_starts_none_of_its_runs(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    looked(ws, snapshot, found=FOUND | {"train": PART | {"no_target": ["a"]}})
    with pytest.raises(StudioError, match="nothing to learn"):
        starts.group(ws, snapshot, starter(ws), [Dials(rank=8), Dials(rank=16)], "Search")
    assert (runs.every(ws, "train"), ws.value("select count(*) from run_groups")) == ([], 0)


def test_only_the_newest_previews_keep_their_examples(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    ids = [looked(ws, snapshot, Dials(rank=rank), run_id=f"looked{rank}") for rank in range(1, previews.KEPT + 2)]
    previews.clear_older(ws)
    kept = [len(previews.examples(ws, runs.get(ws, run_id))) for run_id in ids]
    assert kept == [0, 0] + [len(RENDERED)] * (previews.KEPT - 1)


def test_a_group_that_was_started_is_not_a_preview(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    searched(ws, snapshot)
    assert newest(ws, snapshot, Dials()) == ""


def test_a_step_has_at_least_four_examples_and_never_more_than_there_are() -> None:
    assert [starts.examples_a_step(number) for number in (0, 3, 200, 1_000, 100_000)] == [0, 3, 4, 20, 40]
