"""Who answers: a model as it is, with a prompt, with examples; prompts are written from train alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio import candidates, intake, models, prompts, snapshots
from studio.candidates import Chosen
from studio.columns import Choices
from studio.errors import StudioError
from studio.snapshots import Recipe, Snapshot
from studio.workspace import Workspace
from tests.tickets import COLUMNS, freeze_forty, recorded_training, write_csv

TRAIN = "snapshots/s/train.jsonl"


@pytest.fixture
def snapshot(ws: Workspace) -> Snapshot:
    return freeze_forty(ws)


def frozen(ws: Workspace, tmp_path: Path, answer: Any) -> Snapshot:
    """Sixty tickets with these answers."""
    rows = [(f"T{n}", f"Question number {n} about thing {n * 7}?", answer(n), "5", "x") for n in range(60)]
    path = write_csv(tmp_path / "some.csv", rows)
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    return snapshots.freeze(ws, "Some", Recipe(sizes=(40, 10, 10)))


def test_the_default_set_is_the_base_the_base_with_a_prompt_and_the_tuned_one(ws: Workspace, snapshot: Snapshot) -> None:
    tuned = models.get(ws, recorded_training(ws, snapshot))
    found = candidates.default_set(ws, tuned, snapshot)
    assert [one.model.model_id for one in found] == ["starter", "starter", tuned.model_id]
    assert [bool(one.system) for one in found] == [False, True, False] and len({one.candidate_id for one in found}) == 3


def test_a_model_as_it_is_keeps_its_id_and_a_prompt_or_examples_make_another(ws: Workspace, snapshot: Snapshot) -> None:
    base = models.get(ws, "starter")
    some = [Chosen(base), Chosen(base, "A"), Chosen(base, "B"), Chosen(base, "A", candidates.few_shot(snapshot)),
            Chosen(base, shots=candidates.few_shot(snapshot, 2, "diverse"))]
    assert some[0].candidate_id == "starter" and len({one.candidate_id for one in some}) == 5
    assert Chosen(base, "A", prompt_name="Kind").candidate_id == some[1].candidate_id


def test_names_say_what_is_added_to_a_model(ws: Workspace, snapshot: Snapshot) -> None:
    base = replace(models.get(ws, "starter"), name="Base")
    assert [Chosen(base).name, Chosen(base, "A", prompt_name="Kind").name,
            Chosen(base, "A", candidates.few_shot(snapshot, 3)).name] == [
        "Base", "Base + Kind", "Base + own prompt, 3 nearest examples"]


def test_the_prompt_for_labels_names_every_label_of_train_as_it_is_spelled_there(ws: Workspace, tmp_path: Path) -> None:
    found = candidates.default_prompt(ws, frozen(ws, tmp_path, lambda n: ("Lost card", "Top up", "PIN")[n % 3]))
    assert found.endswith("\n- Lost card\n- PIN\n- Top up")


def test_the_prompt_for_json_names_the_keys(ws: Workspace, tmp_path: Path) -> None:
    snapshot = frozen(ws, tmp_path, lambda n: json.dumps({"intent": f"a{n}", "urgent": n % 2 == 0}))
    assert "the keys intent, urgent" in candidates.default_prompt(ws, snapshot)


def test_the_prompt_for_texts_says_how_long_answers_are(ws: Workspace, snapshot: Snapshot) -> None:
    assert "about 15 words" in candidates.default_prompt(ws, snapshot)


def test_prompts_and_examples_hold_nothing_of_validation_or_test(ws: Workspace, tmp_path: Path) -> None:
    snapshot = frozen(ws, tmp_path, lambda n: f"label {n % 5}" if n % 10 else f"rare {n}")
    others = [item.messages[-1]["content"] for split in ("validation", "test") for item in
              snapshots.items(ws, snapshot, split)]  # type: ignore[arg-type]
    known = {item.messages[-1]["content"] for item in snapshots.items(ws, snapshot, "train")}
    found = candidates.default_prompt(ws, snapshot)
    assert not [said for said in others if said not in known and said in found]
    assert candidates.few_shot(snapshot).train_file == snapshot.file("train")


def test_what_the_child_is_told_holds_the_adapters_hash_and_how_its_base_is_held(ws: Workspace, snapshot: Snapshot) -> None:
    tuned = models.get(ws, recorded_training(ws, snapshot))
    lora = replace(tuned, facts={"method": "lora"})
    some = [Chosen(models.get(ws, "starter")), Chosen(lora)]
    told = [candidates.spec(ws, one, candidates.held(some, one.model.base)) for one in some]
    assert [one.method for one in told] == ["lora", "lora"] and told[1].sha256 == "0" * 64


def test_another_base_in_the_same_folder_is_another_one(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    base = Chosen(models.add_base(ws, "folder", str(tmp_path)))
    before = candidates.spec(ws, base, "lora").sha256
    (tmp_path / "model.safetensors").write_bytes(b"22")
    assert before and candidates.spec(ws, base, "lora").sha256 != before


def test_kept_checkpoints_can_answer(ws: Workspace, snapshot: Snapshot) -> None:
    tuned = models.get(ws, recorded_training(ws, snapshot))
    folder = ws.path("runs/trained00001/checkpoints/step-000005")
    folder.mkdir(parents=True)
    (folder / "adapter.safetensors").write_bytes(b"weights")
    found = candidates.checkpoints(ws, tuned)
    assert [(one.name, one.adapter) for one in found] == [
        ("Forty in style (tuned), step 5", "runs/trained00001/checkpoints/step-000005")]
    assert found[0].fingerprint and found[0].model_id != tuned.model_id


def test_a_prompt_is_kept_under_a_name_replaced_and_deleted(ws: Workspace) -> None:
    prompts.save(ws, "Kind", "Be kind.", "ann")
    prompts.save(ws, " kind ", "Be very kind.", "bob")
    assert [(prompt.name, prompt.text, prompt.who) for prompt in prompts.every(ws)] == [("kind", "Be very kind.", "bob")]
    prompts.delete(ws, "kind", "ann")
    assert prompts.every(ws) == []


@pytest.mark.parametrize(("name", "text"), [("", "a"), ("a" * 61, "a"), ("a", " "), ("a", "b" * 20_001)])
def test_a_prompt_without_a_name_or_a_text_is_refused(ws: Workspace, name: str, text: str) -> None:
    with pytest.raises(StudioError, match="prompt"):
        prompts.save(ws, name, text, "ann")
