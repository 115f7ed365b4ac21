"""An adapter merged into its base: a folder of safetensors that answers as the adapter on the base does.

The product of the adapter is added in float32 where there is room, and rounded once, when the folder is written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pipeline import base_models, template
from pipeline.generation import local
from pipeline.rundir import write_atomic
from pipeline.training import quantised

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
SHARD = "4GB"
ROOM = 3
"""Times the size of the base's files: what float32 takes, with some to spare."""


@dataclass(frozen=True)
class Merged:
    """`distance` is how far the 4-bit values lie from the base's own, as a share of their size (Frobenius norms over all
    quantised layers); none where nothing was held in 4 bits or nobody looked."""

    layers: int
    distance: float | None
    ends: tuple[int, ...]


def merge(base: Path, adapter: Path, in_4_bits: bool, precision: str, out: Path, say: Callable[[str], None]) -> Merged:
    """Write the folder: weights, config, tokenizer, chat template and generation config. `in_4_bits`: into the values that the
    adapter learned on, where it learned on 4 bits."""
    where, dtype = quantised.device(), DTYPES[precision]
    weights = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    compute = torch.float32 if local.free_memory() > ROOM * weights else dtype
    say("Loading the base model")
    model: Any = quantised.load_base(base, compute, where, in_4_bits)
    if in_4_bits:
        local.dequantise(model, compute)
    distance = _distance(model, base) if in_4_bits else None
    say("Merging the adapter")
    before = sum(1 for _ in adapter_pairs(adapter))
    model = local.with_adapter(model, adapter, merge=True).to(dtype)
    tokenizer = base_models.load_tokenizer(base)
    ends = tuple(local.end_tokens(tokenizer, model))
    _settle(model, tokenizer, dtype, ends)
    say("Writing the merged model")
    model.save_pretrained(out, max_shard_size=SHARD)
    tokenizer.save_pretrained(out)
    _also_in_the_config(out, tokenizer.chat_template)
    return Merged(before, distance, ends)


def distance(base: Path, say: Callable[[str], None]) -> float | None:
    """How far 4 bits would lie from this base, as in `Merged`."""
    say("Measuring what 4 bits leave out")
    model: Any = quantised.load_base(base, torch.float32, quantised.device(), True)
    local.dequantise(model, torch.float32)
    return _distance(model, base)


def adapter_pairs(adapter: Path) -> list[str]:
    """The names of the layers that an adapter changes."""
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        return [name.removesuffix(".lora_A.weight") for name in file.keys() if name.endswith(".lora_A.weight")]  # noqa: SIM118


def _settle(model: Any, tokenizer: Any, dtype: torch.dtype, ends: tuple[int, ...]) -> None:
    """What a server reads beside the weights: the template as it was trained on, greedy answers, every token that ends one."""
    from transformers import GenerationConfig

    tokenizer.chat_template = template.written_out(tokenizer)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=list(ends), pad_token_id=tokenizer.pad_token_id,
                                               bos_token_id=tokenizer.bos_token_id)
    model.config.use_cache, model.config.dtype = True, dtype
    setattr(model.config, local.EXPORTED_IN, str(dtype).removeprefix("torch."))
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _also_in_the_config(out: Path, template: Any) -> None:
    """transformers writes the chat template into a file of its own, which converters older than that do not look for."""
    path = out / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(template, str) and "chat_template" not in config:
        write_atomic(path, json.dumps(config | {"chat_template": template}, indent=2, ensure_ascii=False) + "\n")


def _distance(model: Any, base: Path) -> float | None:
    """Of the linear layers of a dequantised model from the files of its base; layers under other names there are left out."""
    places: dict[str, Path] = {}
    for path in base.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            places |= {name: path for name in file.keys()}  # noqa: SIM118
    apart = size = 0.0
    for name, layer in model.named_modules():
        key = f"{name}.weight"
        if isinstance(layer, torch.nn.Linear) and key in places:
            with safe_open(places[key], "pt") as file:
                own = file.get_tensor(key).to(layer.weight.device, torch.float32)
            if own.shape == layer.weight.shape:
                apart += float((layer.weight.float() - own).square().sum())
                size += float(own.square().sum())
    return math.sqrt(apart / size) if size else None
