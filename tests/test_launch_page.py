"""Launch and Runs under Streamlit's own test driver."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import PreviewSpec
from studio import models, presets, prices, runs, starts
from studio import workspace as folders
from studio.dials import Dials
from studio.snapshots import Snapshot
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.tickets import freeze_forty
from tests.training_runs import FOUND, PART, begun, learned, looked, sample, searched, train_spec, trained

pytestmark = pytest.mark.heavy


@pytest.fixture
def open_ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    return folders.open_workspace(tmp_path / "ws")


@pytest.fixture
def frozen(open_ws: Workspace) -> Snapshot:
    return freeze_forty(open_ws)


def draw(name: str, **query: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert list(page.exception) == []
    return page


def words(page: AppTest) -> str:
    parts = [*page.subheader, *page.markdown, *page.caption, *page.warning, *page.error, *page.success]
    return "\n".join(str(part.value) for part in parts)


def shown(page: AppTest) -> str:
    return "\n".join(str(part.proto.body) for part in page.get("html"))


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert list(page.exception) == []
    return page


def number(page: AppTest, label: str) -> float:
    return next(field.value for field in page.number_input if field.label == label)


def moving(child: Child, *said: str) -> None:
    """As a run that is at work: its lock is held by whoever holds the child."""
    child.say("training", 5, 60, "steps", *said)


def test_every_dial_has_its_advice(frozen: Snapshot) -> None:
    said = words(draw("launch"))
    advice = ("costs time wherever 16 bits fit", "1–2 underfit, 3–5 are right", "10 and more memorise", "2e-4", "8 to 64")
    assert [word for word in (*advice, "1.5 × the training loss") if word not in said] == []


def test_what_follows_from_the_dials_is_shown(frozen: Snapshot) -> None:
    found = shown(draw("launch"))
    values = ("all linear layers", "2 × rank = 32", "first 5 % of the steps", "cosine, down to a tenth", "1234")
    assert [word for word in (*values, "those of about 4 examples") if word not in found] == []


def test_a_preset_fills_the_dials(frozen: Snapshot) -> None:
    page = draw("launch", preset="Quick look")
    assert (number(page, "Epochs"), number(page, "LoRA rank"), number(page, "Evaluations an epoch")) == (1, 8, 4)


def test_the_guides_recipe_is_qlora(frozen: Snapshot) -> None:
    page = draw("launch", preset="The guide's recipe")
    assert next(box.value for box in page.selectbox if box.label == "Method") == "qlora"


def test_dials_are_saved_under_a_name_and_chosen(open_ws: Workspace, frozen: Snapshot) -> None:
    page = draw("launch", preset="Quick look")
    next(field for field in page.text_input if field.label == "Name").set_value("Mine")
    press(page.run(), "Save these dials")
    assert ([one.dials.rank for one in presets.every(open_ws)][2:], page.query_params["preset"]) == ([8], "Mine")


def test_a_saved_preset_is_replaced_by_its_name(open_ws: Workspace, frozen: Snapshot) -> None:
    presets.save(open_ws, "Mine", Dials(rank=8), "ann")
    page = draw("launch", preset="Mine")
    next(field for field in page.number_input if field.label == "LoRA rank").set_value(64)
    press(page.run(), "Replace the preset")
    assert [one.dials.rank for one in presets.every(open_ws)][2:] == [64]


def test_a_saved_preset_is_deleted_after_a_second_word(open_ws: Workspace, frozen: Snapshot) -> None:
    presets.save(open_ws, "Mine", Dials(rank=8), "ann")
    page = draw("launch", preset="Mine")
    before = [button.label for button in page.button]
    next(box for box in page.checkbox if box.label == "Delete Mine").check()
    press(page.run(), "Delete it for good")
    assert ("Delete it for good" in before, len(presets.every(open_ws))) == (False, 2)


def test_a_preset_that_is_built_in_cannot_be_replaced(frozen: Snapshot) -> None:
    page = draw("launch")
    next(field for field in page.text_input if field.label == "Name").set_value("quick look")
    assert "stays as it is" in words(press(page.run(), "Save these dials"))


def test_before_a_look_there_is_a_button_for_it(frozen: Snapshot) -> None:
    assert "Look before you start" in [button.label for button in draw("launch").button]


def test_a_look_shows_whether_it_fits_and_how_long_it_takes(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen)
    page = draw("launch")
    takes = {metric.label: metric.value for metric in page.metric}["Takes about"]
    said = "**It fits.** LoRA needs 1.7 GiB at its highest, of 5.5 GiB that are free"
    assert (said in words(page), takes) == (True, "1 min 30 s")


def test_a_look_that_does_not_fit_says_what_to_do(open_ws: Workspace, frozen: Snapshot) -> None:
    plans = [plan | {"fits": False, "peak_gib": 20.0} for plan in FOUND["plans"]]
    looked(open_ws, frozen, found=FOUND | {"plans": plans, "recommended": "", "why": "Nothing fits."})
    said = words(draw("launch"))
    assert ("**It does not fit.** Even" in said, "Choose a smaller base model" in said) == (True, True)


def test_costs_are_shown_once_an_hour_has_a_price(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen)
    before = {metric.label for metric in draw("launch").metric}
    prices.say(open_ws, 40.0, "CHF", "ann")
    after = {metric.label: metric.value for metric in draw("launch").metric}
    assert ("Costs about" in before, after["Costs about"]) == (False, "1.00 CHF")


def test_a_price_is_kept_with_a_press(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen)
    page = draw("launch")
    next(field for field in page.number_input if field.label.startswith("Price")).set_value(2.5)
    press(page.run(), "Keep this price")
    assert prices.now(open_ws).per_hour == 2.5


def test_learned_text_is_underlined_and_escaped(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen)
    found = shown(draw("launch"))
    assert (
        '<ins class="tw-learned">Hello! We are sorry.&lt;|im_end|&gt;</ins>' in found,
        "My &lt;b&gt;jacket&lt;/b&gt; is late." in found,
    ) == (True, True)


def test_a_look_is_remembered_and_other_dials_ask_again(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen)
    page = draw("launch")
    next(field for field in page.number_input if field.label == "LoRA rank").set_value(64)
    assert "Look before you start" in [button.label for button in page.run().button]


def test_examples_that_were_cleared_away_are_missed_in_words(open_ws: Workspace, frozen: Snapshot) -> None:
    run_id = looked(open_ws, frozen)
    runs.clear_copies(open_ws, runs.get(open_ws, run_id))
    assert "were cleared away" in words(draw("launch"))


def test_a_look_that_failed_says_why_and_may_be_taken_again(open_ws: Workspace, frozen: Snapshot) -> None:
    asked = starts.question(frozen, models.get(open_ws, models.STARTER_ID), Dials())
    child = begun(open_ws, PreviewSpec(**(asked | {"run_id": "failed000001"})), frozen, "Look")
    child.finish("failed", "The model's folder is gone.", "Put it back.")
    page = draw("launch")
    assert ("The model's folder is gone." in words(page), "Look before you start" in [b.label for b in page.button]) == (
        True,
        True,
    )


def test_a_look_that_is_under_way_shows_its_progress(open_ws: Workspace, frozen: Snapshot) -> None:
    asked = starts.question(frozen, models.get(open_ws, models.STARTER_ID), Dials())
    child = begun(open_ws, PreviewSpec(**(asked | {"run_id": "moving000001"})), frozen, "Look")
    with child:
        child.say("reading", 5, 20, "examples", "Reading the snapshot")
        page = draw("launch")
        assert "Look before you start" not in [button.label for button in page.button]


def test_a_start_is_refused_where_answers_would_be_cut(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen, found=FOUND | {"train": PART | {"too_long": ["a"]}})
    page = press(draw("launch"), "Start training")
    assert ("1 example of train is longer than 8,192 tokens" in words(page), runs.every(open_ws, "train")) == (True, [])


def test_a_search_counts_its_runs_before_it_starts_them(frozen: Snapshot) -> None:
    page = draw("launch")
    next(box for box in page.multiselect if box.label == "Ranks").set_value([8, 16, 32])
    next(box for box in page.multiselect if box.label == "Learning rates").set_value([1e-4, 2e-4])
    page.run()
    assert ("6 runs, 18 epochs in all." in words(page), "Start 6 runs as a group" in [b.label for b in page.button]) == (
        True,
        True,
    )


def test_a_search_of_too_many_runs_says_so(frozen: Snapshot) -> None:
    page = draw("launch")
    for label, values in (("Ranks", [8, 16, 32]), ("Learning rates", [1e-4, 2e-4, 4e-4]), ("Epochs to try", [1, 3])):
        next(box for box in page.multiselect if box.label == label).set_value(values)
    assert "That would be 18 runs" in words(page.run())


def test_a_training_run_shows_what_it_learns(open_ws: Workspace, frozen: Snapshot) -> None:
    trained(open_ws, frozen)
    page = draw("runs", run="trained00009")
    metrics = {metric.label: metric.value for metric in page.metric}
    seen = [metrics[name] for name in ("Best validation loss", "Learning rate at the end", "Memory, GiB")]
    assert seen == ["1.200", "2e-4", "1.6"]


def test_a_training_run_shows_what_followed_from_its_dials(open_ws: Workspace, frozen: Snapshot) -> None:
    trained(open_ws, frozen)
    found = shown(draw("runs", run="trained00009"))
    assert [word for word in ("Trained parameters", "4,884,480", "Warm-up steps", "sdpa") if word not in found] == []


def test_memory_that_ran_out_is_said(open_ws: Workspace, frozen: Snapshot) -> None:
    trained(open_ws, frozen)
    assert "Memory ran out at step 12" in words(draw("runs", run="trained00009"))


def test_sample_answers_stand_newest_first_beside_the_expected_one(open_ws: Workspace, frozen: Snapshot) -> None:
    trained(open_ws, frozen)
    found = shown(draw("runs", run="trained00009"))
    places = [found.index(word) for word in ("Hello! We are sorry. Please send it back.", "Step 60", "Step 40", "Step 0")]
    assert places == sorted(places)


def test_sample_answers_are_escaped(open_ws: Workspace, frozen: Snapshot) -> None:
    trained(open_ws, frozen)
    found = shown(draw("runs", run="trained00009"))
    assert ("<b>A lamp" in found, "&lt;b&gt;A lamp&lt;/b&gt;" in found) == (False, True)


def test_a_run_that_memorises_is_told_so_with_what_to_do(open_ws: Workspace, frozen: Snapshot) -> None:
    learned(begun(open_ws, train_spec(frozen, "memorises001"), frozen, "Memorises"), losses=(2.4, 1.3, 1.6, 2.2))
    said = words(draw("runs", run="memorises001"))
    assert ("**The model begins to memorise:**" in said, "lower rank" in said) == (True, True)


def test_an_old_run_without_the_newer_fields_is_shown(open_ws: Workspace, frozen: Snapshot) -> None:
    child = begun(open_ws, train_spec(frozen, "old000000001"), frozen, "Old")
    child.event("validation", step=0, epoch=0.0, loss=2.1)
    child.event("loss", step=1, epoch=0.1, loss=2.0, lr=2e-4)
    assert {metric.label for metric in draw("runs", run="old000000001").metric} == {
        "Validation loss before",
        "Best validation loss",
        "Training loss now",
        "Learning rate now",
    }


def test_a_group_names_its_best_dials(open_ws: Workspace, frozen: Snapshot) -> None:
    searched(open_ws, frozen)
    assert "**Best: 1e-4 · rank 16 · 3 epochs**, validation loss 1.210 at step 60." in words(draw("runs", group="group0000001"))


def test_a_groups_table_has_every_run_best_first(open_ws: Workspace, frozen: Snapshot) -> None:
    searched(open_ws, frozen)
    table = draw("runs", group="group0000001").dataframe[0].value
    assert (list(table["rank"]), list(table["state"])) == ([16, 8, 8, 16], ["done", "stopped", "done", "failed"])


def test_a_moving_group_can_be_stopped_whole(open_ws: Workspace, frozen: Snapshot) -> None:
    searched(open_ws, frozen)
    child = begun(open_ws, train_spec(frozen, "moving000001"), frozen, "Moving", "group0000001")
    with child:
        moving(child, "Training, loss 2.0")
        press(draw("runs", group="group0000001"), "Stop all")
        assert child.stop_requested()


def test_waiting_runs_are_listed_in_their_order(open_ws: Workspace, frozen: Snapshot) -> None:
    children = [begun(open_ws, train_spec(frozen, f"waits{n}"), frozen, f"Waits {n}") for n in (2, 1)]
    rundir.write_atomic(children[1].folder / "launch.json", json.dumps({"attempt": 1, "at": time.time() - 60}))
    with children[0], children[1]:
        for child in children:
            child.say("queued", sentence="Waiting for another run to finish")
        page = draw("runs")
    links = [link.proto.label for link in page.get("page_link") if "Waits" in link.proto.label]
    assert links == ["1. Waits 1", "2. Waits 2"]


def test_a_moving_run_says_when_it_ends(open_ws: Workspace, frozen: Snapshot) -> None:
    child = begun(open_ws, train_spec(frozen, "moving000001"), frozen, "Moving")
    sample(child, 0, 0, "base")
    with child:
        moving(child)
        time.sleep(1.1)
        child.say("training", 10, 60, "steps")
        page = draw("runs", run="moving000001")
    assert "left, until about" in "".join(str(part.proto) for part in page.get("progress"))
