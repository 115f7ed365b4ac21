"""Tuning at a service from the app's side: what must be known before anything is sent, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import launch
from studio import candidates, customers, forgetting, ledger, managed, models, playground, runs, services
from studio.errors import StudioError
from studio.managed import Dials
from studio.services import Service
from studio.snapshots import Snapshot
from studio.workspace import Workspace
from tests.tickets import freeze_forty
from tests.tunings import looked, tuned

OPENAI = Service("OpenAI")
DIALS = Dials(model="gpt-4o-mini-2024-07-18")


@pytest.fixture
def frozen(ws: Workspace) -> Snapshot:
    return freeze_forty(ws)


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is begun here is looked at, not run: tests/test_managed.py runs it."""
    monkeypatch.setattr(launch, "start", lambda folder, workspace: 1)


def start(ws: Workspace, snapshot: Snapshot, accepted: bool = True, dials: Dials = DIALS) -> str:
    return managed.start(ws, snapshot, OPENAI, dials, "", "ann", accepted)


def test_nothing_starts_before_somebody_looked(ws: Workspace, frozen: Snapshot) -> None:
    with pytest.raises(StudioError, match="Nobody looked"):
        start(ws, frozen)


def test_a_look_with_other_dials_is_another_look(ws: Workspace, frozen: Snapshot) -> None:
    looked(ws, frozen, OPENAI, DIALS)
    with pytest.raises(StudioError, match="Nobody looked"):
        start(ws, frozen, dials=Dials(model="gpt-4o-mini-2024-07-18", epochs=4))


def test_lines_that_the_service_would_refuse_are_not_sent(ws: Workspace, frozen: Snapshot) -> None:
    problem = {"file": "train", "line": 7, "words": "The last turn is not the agent's."}
    looked(ws, frozen, OPENAI, DIALS, problems=[problem], problem_count=1)
    with pytest.raises(StudioError, match=r"would refuse these lines: The last turn is not the agent's\."):
        start(ws, frozen)


@pytest.mark.parametrize("state", ["no_key", "refused", "may_not_tune"])
def test_an_account_that_cannot_tune_is_not_tried(ws: Workspace, frozen: Snapshot, state: str) -> None:
    looked(ws, frozen, OPENAI, DIALS, account={"state": state, "words": "This account may not tune."})
    with pytest.raises(StudioError, match="may not tune"):
        start(ws, frozen)


def test_unchecked_records_leave_only_when_somebody_says_so(ws: Workspace, frozen: Snapshot) -> None:
    looked(ws, frozen, OPENAI, DIALS)
    with pytest.raises(StudioError, match="nobody settled would leave"):
        start(ws, frozen, accepted=False)
    assert runs.every(ws, "managed") == []


def test_who_sent_what_where_is_kept(ws: Workspace, frozen: Snapshot) -> None:
    looked(ws, frozen, OPENAI, DIALS)
    run_id = start(ws, frozen)
    [row] = ws.rows("select run_id, service, lines, open_records, unchecked_records, who from sendings")
    assert row == {"run_id": run_id, "service": "OpenAI", "lines": 26, "open_records": 0, "unchecked_records": 26, "who": "ann"}


def test_test_items_are_neither_sent_nor_counted_among_what_leaves(ws: Workspace, frozen: Snapshot) -> None:
    assert managed.leaving(ws, frozen) == managed.Leaving(0, 26, False)


def test_the_run_is_asked_for_what_was_chosen_and_its_price_is_that_of_today(ws: Workspace, frozen: Snapshot) -> None:
    services.say_price(ws, DIALS.model, 4.0, "EUR", "ann")
    looked(ws, frozen, OPENAI, DIALS)
    spec = runs.get(ws, start(ws, frozen)).spec
    assert [spec[key] for key in ("kind", "model", "train_file", "validation_file", "epochs", "price", "money")] == [
        "managed", DIALS.model, frozen.file("train"), frozen.file("validation"), None, 4.0, "EUR"]  # fmt: skip


def test_the_cost_is_tokens_times_epochs_times_price(ws: Workspace, frozen: Snapshot) -> None:
    # 1,240 tokens × 3 epochs × 3 USD a million = 0.01116 USD.
    found = managed.read(runs.get(ws, looked(ws, frozen, OPENAI, DIALS)))
    assert found.cost(services.price(ws, DIALS.model)) == pytest.approx(0.01116)


def test_without_a_price_no_cost_is_made_up(ws: Workspace, frozen: Snapshot) -> None:
    found = managed.read(runs.get(ws, looked(ws, frozen, OPENAI, DIALS)))
    assert found.cost(services.price(ws, "some-new-model")) is None


def test_only_the_newest_looks_keep_what_would_be_sent(ws: Workspace, frozen: Snapshot) -> None:
    for epochs in range(1, 9):
        looked(ws, frozen, OPENAI, Dials(epochs=epochs))
    managed.look(ws, frozen, OPENAI, Dials(epochs=9))
    kept = [bool(managed.lines(ws, run, "train")) for run in runs.every(ws, "quote")]
    assert kept == [False, True, True, True, True, False, False, False, False]


def test_a_suffix_that_no_service_takes_is_refused(ws: Workspace, frozen: Snapshot) -> None:
    with pytest.raises(StudioError, match="suffix"):
        managed.look(ws, frozen, OPENAI, Dials(suffix="a/b"))


def test_what_a_service_made_joins_the_models_with_its_checkpoints_and_its_base(ws: Workspace, frozen: Snapshot) -> None:
    run_id = tuned(ws, frozen)
    found = {model.name: (model.base["model"], model.run_id) for model in models.endpoints(ws)}
    assert found == {
        "Small on forty (tuned)": ("ft:small:me::9", run_id), "Small on forty (step 10)": ("ft:small:me::9:ckpt-10", run_id),
        "small": ("small", None)}  # fmt: skip


def test_collecting_twice_adds_no_model(ws: Workspace, frozen: Snapshot) -> None:
    run_id = tuned(ws, frozen)
    before = len(models.every(ws))
    ws.path(f"runs/{run_id}/launch.json").write_text(json.dumps({"attempt": 2, "at": 0}))
    result = ws.path(f"runs/{run_id}/result.json")
    result.write_text(json.dumps(json.loads(result.read_text()) | {"attempt": 2}))
    runs.collect(ws)
    assert len(models.every(ws)) == before


def test_it_is_compared_with_the_model_it_was_tuned_from(ws: Workspace, frozen: Snapshot) -> None:
    model = models.get(ws, tuned(ws, frozen))
    chosen = candidates.default_set(ws, model, frozen)
    assert [one.model.base["model"] for one in chosen] == ["small", "small", "ft:small:me::9"]


def test_it_is_offered_once_in_the_playground(ws: Workspace, frozen: Snapshot) -> None:
    tuned(ws, frozen)
    names = [one.name for one in playground.options(ws) if "forty" in one.name]
    assert sorted(names) == ["Small on forty (step 10)", "Small on forty (tuned)"]


def test_where_it_must_be_deployed_first_it_is_not_offered_before(ws: Workspace, frozen: Snapshot) -> None:
    azure = Service("Azure", base_url="https://us.openai.azure.com/openai/v1", key_env="AZURE_OPENAI_API_KEY")
    model = models.get(ws, tuned(ws, frozen, azure, needs_deployment=True, checkpoints=[]))
    before = [one.model_id for one in models.tuned(ws)]
    answers = models.deployed(ws, model, "my-deployment")
    assert (before, [one.base["model"] for one in models.tuned(ws)], answers.base["base_url"]) == (
        [], ["my-deployment"], azure.base_url)  # fmt: skip


def test_togethers_models_answer_at_together_with_its_key(ws: Workspace, frozen: Snapshot) -> None:
    model = models.get(ws, tuned(ws, frozen, Service("Together", "together")))
    assert (model.base["base_url"], model.base["key_env"]) == ("https://api.together.xyz/v1", "TOGETHER_API_KEY")


def test_billed_tokens_are_in_the_ledger(ws: Workspace, frozen: Snapshot) -> None:
    tuned(ws, frozen)
    [row] = ledger.by_run(ws)
    assert (row.kind, row.model, row.calls, row.prompt_tokens, row.cost, row.money) == (
        "managed", "small", 1, 3_720, 0.01116, "USD")  # fmt: skip


def test_the_speed_of_the_newest_job_is_remembered(ws: Workspace, frozen: Snapshot) -> None:
    tuned(ws, frozen)
    assert managed.speed(ws, OPENAI, "small") == pytest.approx(40.0)


def test_only_a_job_that_is_watched_can_be_asked_for_something(ws: Workspace, frozen: Snapshot) -> None:
    run = runs.get(ws, tuned(ws, frozen))
    with pytest.raises(StudioError, match="Nobody watches"):
        managed.ask(ws, run, "cancel")


def test_forgetting_somebody_says_where_their_lines_were_sent_and_deletes_the_looks(ws: Workspace, frozen: Snapshot) -> None:
    look = looked(ws, frozen, OPENAI, DIALS)
    start(ws, frozen)
    record = frozen_record(ws, frozen)
    found = customers.find(ws, "T1")
    said = " ".join(customers.sentences(ws, found, [record]))
    for run in runs.every(ws, "managed"):
        ws.path(f"{run.folder}/launch.json").unlink(missing_ok=True)
    forgetting.forget(ws, found, [record], "ann")
    assert ("Lines of theirs were sent to OpenAI" in said, Path(ws.path(f"runs/{look}/train.jsonl")).exists()) == (True, False)


def frozen_record(ws: Workspace, snapshot: Snapshot) -> str:
    sql = "select record_id from snapshot_items where snapshot_id = ? and split = 'train' limit 1"
    return str(ws.value(sql, [snapshot.snapshot_id]))
