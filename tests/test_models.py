"""The list of models: what can be a base, and what is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def test_an_endpoint_is_kept_with_its_prices_and_the_name_of_its_keys_variable(ws: Workspace) -> None:
    found = models.add_endpoint(ws, " Our  vLLM ", "http://localhost:8000/v1/", " small ", "TUNEWRIGHT_KEY", 1.0, 2.5, "EUR")
    assert (found.name, found.kind, found.base) == ("Our vLLM", "endpoint", {
        "base_url": "http://localhost:8000/v1", "model": "small", "key_env": "TUNEWRIGHT_KEY", "price_in": 1.0,
        "price_out": 2.5, "money": "EUR"})
    assert models.endpoints(ws) == [found] and found not in models.bases(ws)


def test_adding_the_same_endpoint_again_finds_the_first(ws: Workspace) -> None:
    assert models.add_endpoint(ws, "", "", "small").model_id == models.add_endpoint(ws, "small", "", "small").model_id


@pytest.mark.parametrize(("fields", "words"), [
    ({"model": " "}, "needs the name of a model"), ({"base_url": "localhost:8000"}, "not the address"),
    ({"base_url": "ftp://a/v1"}, "not the address"), ({"base_url": "http://a:b@c/v1"}, "no password"),
    ({"base_url": "http://a/v1?key=sk-1"}, "no key"), ({"base_url": "http://[::1"}, "not the address"),
    ({"key_env": "sk-secret"}, "environment variable"), ({"key_env": "AWS_SECRET"}, "environment variable"),
    ({"price_in": -1.0}, "price"), ({"name": "n" * 81}, "80 characters")])
def test_what_cannot_be_an_endpoint_is_refused_without_a_word_of_a_key(
        ws: Workspace, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(StudioError, match=words) as told:
        models.add_endpoint(ws, **({"name": "n", "base_url": "http://a/v1", "model": "m"} | fields))
    assert "sk-" not in told.value.message + told.value.hint
