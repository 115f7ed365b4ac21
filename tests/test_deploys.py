"""Deployed means: served, and proven to be the same model. What leaves holds no text of a customer."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from studio import customers, deploys, forgetting, intake, model_cards, models, runs, snapshots
from studio.columns import Choices
from studio.errors import StudioError
from studio.models import Model
from studio.workspace import Workspace
from tests.children import collected
from tests.commands import refused
from tests.deployed import LEG, WRONG, exported, proven, serving
from tests.tickets import COLUMNS, filled, freeze_forty, recorded_training, write_csv

MODEL = "trained00001"


@pytest.fixture
def model(ws: Workspace) -> Model:
    recorded_training(ws, freeze_forty(ws))
    return models.get(ws, MODEL)


def word(ws: Workspace, model: Model) -> str:
    return deploys.standing(ws, model).word


def test_a_model_is_deployed_while_it_is_served_and_its_newest_test_passed(ws: Workspace, model: Model) -> None:
    words = [word(ws, model)]
    exported(ws, MODEL)
    words.append(word(ws, model))
    with serving(ws, MODEL) as server:
        words.append(word(ws, model))
        proven(ws, MODEL, server.run_id)
        words.append(word(ws, model))
        assert [run.run_id for run in deploys.live(ws)] == [server.run_id]
    words.append(word(ws, model))
    assert words == ["not exported", "exported", "served, not proven", "deployed", "exported"] and deploys.live(ws) == []


def test_a_failed_test_takes_the_word_deployed_away(ws: Workspace, model: Model) -> None:
    with serving(ws, MODEL) as server:
        proven(ws, MODEL, server.run_id)
        proven(ws, MODEL, server.run_id, WRONG, "parity000002")
        found = deploys.standing(ws, model)
    assert (found.word, deploys.live(ws)) == ("not the same model", [])
    assert found.sentence.endswith("the served model differs, and it begins with the chat template.")


def test_a_merged_folder_that_differs_takes_nothing_from_a_server_that_does_not(ws: Workspace, model: Model) -> None:
    with serving(ws, MODEL) as server:
        run = proven(ws, MODEL, server.run_id)
        assert run.result is not None
        run.result.data["legs"].insert(0, WRONG | {"name": "merged"})
        assert deploys.passed(run) and not deploys.passed(proven(ws, MODEL, server.run_id, WRONG, "parity000002"))


def test_a_test_of_another_server_proves_nothing(ws: Workspace, model: Model) -> None:
    proven(ws, MODEL, "another00001")
    with serving(ws, MODEL):
        assert word(ws, model) == "served, not proven"


def test_what_is_served_is_an_endpoint_and_keeps_its_place_when_it_is_served_again(ws: Workspace, model: Model) -> None:
    run = runs.get(ws, deploys.serve(ws, model))
    runs.stop(ws, run.run_id)
    collected(ws, run.run_id)
    endpoint = deploys.endpoint(ws, run)
    again = runs.get(ws, deploys.serve(ws, model))
    runs.stop(ws, again.run_id)
    collected(ws, again.run_id)
    assert endpoint is not None and endpoint.base["base_url"] == deploys.address(run.spec)
    assert deploys.adapter_of(ws, endpoint) == model
    assert (run.spec["host"], again.spec["port"], len(models.endpoints(ws))) == ("127.0.0.1", run.spec["port"], 1)


def test_a_server_that_is_begun_again_does_not_answer_by_its_earlier_word(ws: Workspace, model: Model) -> None:
    with serving(ws, MODEL) as run:
        later = replace(run, launched_at=run.launched_at + 3_600)
        assert (deploys.answers_now(run), deploys.answers_now(later)) == (True, False)


def test_only_a_server_is_stopped_as_one(ws: Workspace, model: Model) -> None:
    exported(ws, MODEL)
    assert refused(ws, "servers", "stop", "exported0001") == "The run exported0001 is not a server."
    assert refused(ws, "servers", "again", "latest") == "There is no run that is a server."


def test_others_reach_it_only_with_a_token_that_is_set(ws: Workspace, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    for more in ({"host": "0.0.0.0"}, {"host": "0.0.0.0", "key_env": "TUNEWRIGHT_NONE"}, {"key_env": "OPENAI_API_KEY"}):
        with pytest.raises(StudioError, match="token"):
            deploys.serve(ws, model, **more)
    assert runs.every(ws, "serve") == [] and models.endpoints(ws) == []


def test_two_servers_do_not_share_a_port(ws: Workspace, model: Model) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(ws, MODEL, port=port), pytest.raises(StudioError, match="already"):
        deploys.serve(ws, model, port=port)


def test_nothing_is_tested_against_nothing(ws: Workspace, model: Model) -> None:
    with pytest.raises(StudioError, match="nothing to compare"):
        deploys.parity(ws, model, snapshots.every(ws)[0])


def test_the_command_for_vllm_serves_the_folder_on_this_machine(ws: Workspace, model: Model) -> None:
    exported(ws, MODEL)
    said = deploys.vllm_command(ws, model, deploys.exports(ws, model)[0])
    assert said.startswith(f"vllm serve {ws.root}/exports/exported0001/merged --served-model-name forty-in-style-tuned ")
    assert "--host 127.0.0.1 --port 8000 --dtype bfloat16" in said and said.endswith("""'{"temperature": 0}'""")


def test_what_learned_on_16_bits_is_not_merged_into_bfloat16_by_itself(ws: Workspace, model: Model) -> None:
    facts = [model.facts | {"method": method} for method in ("lora", "qlora")]
    assert [deploys.suited_precision(replace(model, facts=one)) for one in facts] == ["float16", "bfloat16"]


def test_a_base_is_not_exported(ws: Workspace, model: Model) -> None:
    with pytest.raises(StudioError, match="was not tuned here"):
        deploys.export(ws, models.get(ws, models.STARTER_ID), ["adapter"])


def test_the_card_says_what_it_learned_from_how_and_what_was_proven(ws: Workspace) -> None:
    filled(ws)
    card = model_cards.markdown(ws, models.get(ws, MODEL))
    assert card.startswith("# Forty in style (tuned)")
    for part in ("20 examples", "LoRA adapter of rank 16", "## Is it better?", "ROUGE-L: base", "Not known: "):
        assert part in card
    said = {turn["content"] for item in snapshots.items(ws, snapshots.every(ws)[0], "train") for turn in item.messages}
    assert not [text for text in said if len(text) > 12 and text in card]


def test_a_model_that_nobody_evaluated_says_so(ws: Workspace, model: Model) -> None:
    assert "Nobody has evaluated it yet" in model_cards.markdown(ws, model)


def test_a_repository_needs_a_name_and_a_token(ws: Workspace, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(ws, MODEL)
    there = deploys.exports(ws, model)[0]
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, said in (("nobody", "not the name of a model"), ("me/model", "HF_TOKEN is not set")):
        with pytest.raises(StudioError, match=said):
            deploys.push(ws, there, "merged", name)


def test_only_prompts_that_differ_are_shown(ws: Workspace, model: Model) -> None:
    run = proven(ws, MODEL, leg=LEG)
    rows: list[dict[str, Any]] = [{"item_id": "a", "said": {}, "differences": []},
                                  {"item_id": "b", "said": {}, "differences": [{"leg": "served"}]}]  # fmt: skip
    rundir.append(ws.path(run.folder) / "parity.jsonl", rows)
    assert [row["item_id"] for row in deploys.rows(ws, run)] == ["b"]


def test_forgetting_reaches_cards_exports_and_tested_prompts_while_a_model_is_served(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"question {n} here, I am Jane Doe" if n == 3 else f"question {n} here", f"answer {n}", "5", "x")
            for n in range(20)]  # fmt: skip
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS))
    snapshot = snapshots.freeze(ws, "For Jane Doe", snapshots.Recipe())
    recorded_training(ws, snapshot)
    exported(ws, MODEL)
    run = proven(ws, MODEL)
    customer = customers.find(ws, "Jane Doe")
    gone = (*customer.own, *customer.mentions)
    readme, card = ws.path("exports/exported0001/merged/README.md"), ws.path(run.folder) / "card.md"
    readme.write_text("Tuned on For Jane Doe.\n")
    card.write_text("Tuned on For Jane Doe.\n")
    rundir.append(ws.path(run.folder) / "parity.jsonl", [{"item_id": gone[0], "said": {"adapter": "x"}, "differences": []},
                                                         {"item_id": "other", "said": {}, "differences": []}])  # fmt: skip
    with serving(ws, MODEL):
        forgetting.forget(ws, customer, gone, "ann")
    assert (readme.read_text(), card.read_text()) == ("Tuned on For [forgotten].\n", "Tuned on For [forgotten].\n")
    left = [json.loads(line)["item_id"] for line in (ws.path(run.folder) / "parity.jsonl").read_text().splitlines()]
    assert left == ["other"]
