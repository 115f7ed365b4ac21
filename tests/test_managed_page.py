"""Launch, Runs and Models with a service that tunes, under Streamlit's own test driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import launch
from studio import runs, services
from studio import workspace as folders
from studio.managed import Dials
from studio.services import Service
from studio.snapshots import Snapshot
from studio.workspace import Workspace
from tests.test_launch_page import draw, press, shown, words
from tests.tickets import freeze_forty
from tests.tunings import looked, tuned

OPENAI = Service("OpenAI")


@pytest.fixture
def open_ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.setattr(launch, "start", lambda folder, workspace: 1)
    return folders.open_workspace(tmp_path / "ws")


@pytest.fixture
def frozen(open_ws: Workspace) -> Snapshot:
    return freeze_forty(open_ws)


def test_a_look_comes_before_the_start(open_ws: Workspace, frozen: Snapshot) -> None:
    page = press(draw("launch", where="A service"), "Look before you start")
    assert [run.spec["model"] for run in runs.every(open_ws, "quote")] == [Dials().model] and "Send" not in str(page.button)


def test_the_cost_its_basis_and_the_exact_lines_stand_before_the_button(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen, OPENAI, Dials(), closing="Self-serve fine-tuning at OpenAI ends on 6 January 2027.")
    page = draw("launch", where="A service")
    said = words(page) + shown(page) + "".join(f"{one.label} {one.value}" for one in page.metric)
    wanted = ("Costs about 0.01 USD", "1,240 tokens × 3 epochs × 1.5 USD a million", "o200k", "6 January 2027",
              "&lt;b&gt;Hi&lt;/b&gt;", "No record was ever checked")  # fmt: skip
    assert [one for one in wanted if one not in said] == []


def test_the_button_waits_until_somebody_says_that_personal_data_may_leave(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen, OPENAI, Dials())
    page = draw("launch", where="A service")
    before = next(button.disabled for button in page.button if button.label.startswith("Send 26 lines"))
    next(box for box in page.checkbox if "all the same" in box.label).check()
    page.run()
    after = next(button.disabled for button in page.button if button.label.startswith("Send 26 lines"))
    assert (before, after) == (True, False)


def test_problems_are_listed_by_line_and_nothing_can_be_sent(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen, OPENAI, Dials(), problem_count=1, problems=[{"file": "train", "line": 7, "words": "No answer."}])
    page = draw("launch", where="A service")
    assert ("1 problem" in words(page), page.dataframe[0].value.iloc[0].tolist()) == (True, ["train", 7, "No answer."])


def test_a_price_can_be_said_on_the_page(open_ws: Workspace, frozen: Snapshot) -> None:
    looked(open_ws, frozen, OPENAI, Dials())
    page = draw("launch", where="A service")
    next(field for field in page.number_input if field.label == "A million trained tokens").set_value(9.0)
    press(page, "Keep this price")
    price = services.price(open_ws, Dials().model)
    assert price and price.per_million == 9.0


def test_a_run_that_is_done_says_what_it_cost_and_leads_on(open_ws: Workspace, frozen: Snapshot) -> None:
    page = draw("runs", run=tuned(open_ws, frozen))
    labels = [button.label for button in page.button]
    assert ("0.0112 USD" in words(page), "Evaluate this model" in labels) == (True, True)


def test_what_a_service_tuned_cannot_be_exported_from_here(open_ws: Workspace, frozen: Snapshot) -> None:
    tuned(open_ws, frozen)
    assert "No model was tuned on this machine yet" in words(draw("deploy"))


def test_a_model_that_must_be_deployed_asks_for_its_deployment(open_ws: Workspace, frozen: Snapshot) -> None:
    azure = Service("Azure", base_url="https://us.openai.azure.com/openai/v1")
    tuned(open_ws, frozen, azure, needs_deployment=True, checkpoints=[])
    page = draw("models")
    next(field for field in page.text_input if field.label == "Name of its deployment").set_value("mine")
    page = press(page, "It is deployed")
    assert any("deployed" in str(head.value) for head in page.subheader)
