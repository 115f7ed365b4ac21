"""The Deploy page in each of its states, as a person meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.spec_deploy import ServeSpec
from studio import deploys, models, runs
from studio import workspace as folders
from tests.deployed import WRONG, begun, exported, proven, serving, tuned
from tests.test_models_page import press
from tests.test_pages import draw, home, words
from tests.tickets import filled

__all__ = ["home"]
MODEL = "trained00001"


def plain(page: AppTest) -> str:
    return words(page).replace("\\", "")


def test_a_model_that_was_never_exported_can_be_exported_and_served(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    filled(folders.open_workspace(home))
    page = draw("deploy")
    labels = [button.label for button in page.button]
    assert {"Export", "Serve it"} <= set(labels) and "Prove that it is the same model" not in labels
    assert "TUNEWRIGHT_LLAMA_CPP" in plain(page) and "It lives in this studio only" in plain(page) and not page.exception


def test_a_deployed_model_shows_its_address_its_proof_and_a_way_to_chat(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    exported(ws, MODEL)
    with serving(ws, MODEL) as server:
        proven(ws, MODEL, server.run_id)
        page = draw("deploy")
    said = plain(page)
    assert "It answers at http://127.0.0.1:8001/v1, and gives the answers that were evaluated." in said
    assert "The same model on 12 prompts: adapter = served" in said and "Only this machine can reach it" in said
    assert {"Chat with it now", "Stop serving"} <= {button.label for button in page.button} and not page.exception


def test_a_mismatch_says_where_it_begins_and_what_to_do(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    with serving(ws, MODEL) as server:
        proven(ws, MODEL, server.run_id, WRONG)
        said = plain(draw("deploy"))
    assert "Not the same model: the served model differs, and it begins with the chat template" in said
    assert "from character 15 on, before the first turn" in said and "its chat_template.jinja is the one" in said


def test_a_served_model_is_stopped_and_served_there_again(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    with serving(ws, MODEL) as server:
        press(draw("deploy"), "Stop serving")
        assert (ws.path(server.folder) / "stop").exists()
    assert deploys.servers(ws, models.get(ws, MODEL))[0].state == "lost"
    assert "process is gone without a word" in plain(draw("deploy"))


def test_serving_to_others_without_a_token_is_refused_in_words(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("deploy")
    next(field for field in page.text_input if field.label == "Address").set_value("0.0.0.0")
    page = press(page, "Serve it")
    assert "others can reach the server, so it needs a token" in plain(page) and runs.every(ws, "serve") == []


def test_models_and_evaluate_lead_there(home: Path) -> None:
    filled(folders.open_workspace(home))
    for name in ("models", "evaluate"):
        assert "Deploy it" in [button.label for button in draw(name).button]


def test_a_server_that_still_loads_is_not_said_to_answer(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    with begun(ws, ServeSpec(run_id="loading00001", name="x", tuned=tuned(ws, MODEL), port=8001), "Forty served") as child:
        child.say("loading", 0, 0, "", "Loading Forty")
        page = draw("deploy")
    assert "Its server starts at http://127.0.0.1:8001/v1. Nothing answers there yet." in plain(page)
    assert "Chat with it now" not in {button.label for button in page.button}
