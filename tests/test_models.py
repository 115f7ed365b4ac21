"""The list of models: what can be a base, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import models
from studio.errors import StudioError
from studio.models import BaseKind
from studio.workspace import Workspace


def test_the_starter_is_there_from_the_beginning(ws: Workspace) -> None:
    assert [model.model_id for model in models.every(ws)] == ["starter"]


def test_a_hub_id_is_taken_without_asking_the_network(ws: Workspace) -> None:
    model = models.add_base(ws, "hub", "Qwen/Qwen3-0.6B")
    assert models.get(ws, model.model_id).base == {"kind": "hub", "ref": "Qwen/Qwen3-0.6B", "name": "Qwen/Qwen3-0.6B"}


def test_adding_the_same_base_again_finds_the_first(ws: Workspace) -> None:
    assert models.add_base(ws, "hub", "a/b").model_id == models.add_base(ws, "hub", " a/b ").model_id


def test_a_folder_with_config_and_safetensors_is_a_base(ws: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    assert models.add_base(ws, "folder", str(folder)).name == "my-model"


@pytest.mark.parametrize(
    ("kind", "ref", "words"),
    [
        ("hub", "no-owner", "not a Hugging Face id"),
        ("hub", "../../etc", "not a Hugging Face id"),
        ("folder", "/nowhere/at/all", "no folder"),
        ("folder", "/tmp", "no config.json"),
        ("gguf", "/nowhere.gguf", "no file"),
        ("gguf", __file__, "not a GGUF file"),
        ("folder", "", "no folder"),
    ],
)
def test_what_cannot_be_a_base_is_refused_in_words(ws: Workspace, kind: BaseKind, ref: str, words: str) -> None:
    with pytest.raises(StudioError, match=words):
        models.add_base(ws, kind, ref)


def test_pickled_weights_are_refused(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(StudioError, match=r"no \.safetensors"):
        models.add_base(ws, "folder", str(tmp_path))
