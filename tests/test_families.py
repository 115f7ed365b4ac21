"""Tiny random models of other families: they load in 4 bits, take an adapter, and the loss taken here is the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import base_models, template
from pipeline.specs import BaseSource
from tests import chat

pytestmark = pytest.mark.heavy

FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("llama", "llama3_1", {}),
    "qwen2": ("qwen", "qwen2_5", {}),
    "qwen3": ("qwen", "qwen3", {"head_dim": 32}),
    "gemma": ("gemma", "gemma", {"head_dim": 32}),
    "gemma2": ("gemma", "gemma", {"head_dim": 32, "sliding_window": 8}),
    "gemma3_text": ("gemma", "gemma3", {"head_dim": 32, "sliding_window": 8}),
    "mistral": ("mistral", "mistral", {"sliding_window": None}),
    "phi3": ("phi", "phi3", {"pad_token_id": 0}),
}
"""By `model_type`: its tokenizer, its chat template, and what its config needs beside the usual."""

TURNS = [
    {"role": "user", "content": "Where is my tent?"},
    {"role": "assistant", "content": "On its way."},
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": "Monday."},
]


def saved(folder: Path, model_type: str) -> Path:
    """A base model's folder: two layers of random weights, a byte-level tokenizer with the family's template."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    family, name, more = FAMILIES[model_type]
    tokenizer = chat.tokenizer(family, chat.template(name))
    config = AutoConfig.for_model(
        model_type,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(tokenizer),
        initializer_range=0.2,
        **more,
    )
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_model_of_the_family_is_taken_as_a_base(tmp_path: Path, model_type: str) -> None:
    folder = saved(tmp_path / "model", model_type)
    base = BaseSource(kind="folder", ref=str(folder), name=model_type)
    assert base_models.prepare(base, tmp_path, print) == folder and base_models.load_tokenizer(folder).chat_template


@pytest.mark.parametrize("model_type", FAMILIES)
def test_its_loss_is_the_models_own_and_an_evaluation_changes_no_gradient(tmp_path: Path, model_type: str) -> None:
    import torch

    from pipeline.training import guard, quantised
    from pipeline.training.decoder import Decoder

    folder = saved(tmp_path / "model", model_type)
    tokenizer = base_models.load_tokenizer(folder)
    turns = [template.encode_all(tokenizer, [template.Example("x", tuple(TURNS[:size]))])[0] for size in (2, 4)]
    cpu = torch.device("cpu")
    model = quantised.add_adapter(quantised.load_base(folder, torch.float32, cpu), 4, seed=1)
    guard.check(Decoder(model, torch.float32, hold=False), [one for found in turns for one in found])  # type: ignore[union-attr]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_adapter_stands_beside_every_linear_layer_but_the_head(tmp_path: Path, model_type: str) -> None:
    import json

    import torch

    from pipeline.training import fit, quantised

    folder = saved(tmp_path / "model", model_type)
    shape = fit.Shape.from_config(json.loads((folder / "config.json").read_text()))
    model = quantised.add_adapter(quantised.load_base(folder, torch.float32, torch.device("cpu")), 4, seed=1)
    assert sum(part.numel() for part in quantised.trained(model).values()) == shape.lora_parameters(4)
