"""Answers of a local model, greedy, in batches: the base as it was trained on, with an adapter merged or without."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline import base_models, template
from pipeline.errors import PipelineError, is_out_of_memory
from pipeline.examples import Example
from pipeline.specs import Decoding
from pipeline.training import quantised


@dataclass(frozen=True)
class Answer:
    """`finish` is "stop" when the model ended its turn, "length" at the token limit; `seconds` is its part of the batch."""

    item_id: str
    text: str
    new_tokens: int
    seconds: float
    finish: str


class LocalModel:
    """A base with an adapter or without, loaded and ready to answer."""

    def __init__(self, folder: Path, adapter: Path | None, method: str = "qlora") -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        self.where = quantised.device()
        self.tokenizer = base_models.load_tokenizer(folder)
        self.model = _load(folder, adapter, self.where, method == "qlora")
        self.ends = end_tokens(self.tokenizer, self.model)

    def answers(self, items: Sequence[Example], decoding: Decoding) -> Iterator[Answer]:
        """One answer an item, shortest prompts first; a batch that does not fit into memory is halved."""
        prompts = sorted(((template.prompt_ids(self.tokenizer, item.question, item.tools), item) for item in items),
                         key=lambda pair: (len(pair[0]), pair[1].id))
        size, start = decoding.batch_size or 16, 0
        while start < len(prompts):
            part = prompts[start : start + size]
            try:
                found = self._batch([ids for ids, _ in part], decoding.max_new_tokens)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise PipelineError("One question alone does not fit into memory.",
                                        "Use a machine with more memory, or a smaller base model.") from None
                size //= 2
                continue
            for (_, item), (text, new, seconds, finish) in zip(part, found, strict=True):
                yield Answer(item.id, text, new, seconds, finish)
            start += len(part)

    def _batch(self, prompts: list[list[int]], limit: int) -> list[tuple[str, int, float, str]]:
        began = time.perf_counter()
        longest, pad = max(map(len, prompts)), self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts], device=self.where)
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=self.where)
        with torch.inference_mode():
            made = self.model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=limit, do_sample=False,
                                       pad_token_id=pad, eos_token_id=self.ends, use_cache=True)
        seconds = (time.perf_counter() - began) / len(prompts)
        return [(*self._read(row[longest:].tolist()), seconds, self._finish(row[longest:].tolist())) for row in made]

    def _read(self, tokens: list[int]) -> tuple[str, int]:
        """The text up to the end of the turn, and how many tokens it took (the ending one included)."""
        end = next((place for place, token in enumerate(tokens) if token in self.ends), None)
        text = self.tokenizer.decode(tokens if end is None else tokens[:end], skip_special_tokens=True).strip()
        return text, len(tokens) if end is None else end + 1

    def _finish(self, tokens: list[int]) -> str:
        return "stop" if any(token in self.ends for token in tokens) else "length"


def _load(folder: Path, adapter: Path | None, where: torch.device, in_4_bits: bool) -> Any:
    """On a CPU NF4 weights are dequantised once to float32 (the same values, three times as fast), then the adapter is merged
    into them in float32; on a GPU the base stays as it was trained on, with the adapter beside."""
    dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
    model: Any = quantised.load_base(folder, dtype, where, in_4_bits)
    if where.type == "cpu" and in_4_bits:
        dequantise(model)
    if adapter is not None:
        model = _with_adapter(model, adapter, merge=where.type == "cpu")
    model.eval()
    model.generation_config.do_sample = False
    model.generation_config.temperature = model.generation_config.top_p = model.generation_config.top_k = None
    return model


def _with_adapter(model: Any, adapter: Path, merge: bool) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_model.safetensors").is_file():
        raise PipelineError(f"The adapter {adapter.parent.name}/{adapter.name} is gone.",
                            "Put it back from a backup, or train again.")
    wrapped = PeftModel.from_pretrained(model, adapter)
    return wrapped.merge_and_unload() if merge else wrapped  # type: ignore[operator]


def dequantise(model: nn.Module) -> None:
    """Put plain float32 linear layers in place of the 4-bit ones, with the values that training saw."""
    import bitsandbytes as bnb

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, bnb.nn.Linear4bit):
                packed: Any = layer.weight
                weight = bnb.functional.dequantize_4bit(packed.data, packed.quant_state).float()
                plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, dtype=torch.float32)
                plain.weight = nn.Parameter(weight, requires_grad=False)
                if layer.bias is not None:
                    plain.bias = nn.Parameter(layer.bias.data.float(), requires_grad=False)
                setattr(parent, name, plain)
    # transformers and peft look here to decide whether layers are quantised: they no longer are.
    model.is_loaded_in_4bit = False  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]
    model.quantization_method = None  # type: ignore[assignment]
    model.config.quantization_config = None  # type: ignore[union-attr]


def end_tokens(tokenizer: Any, model: Any) -> list[int]:
    """What ends an answer: the tokenizer's and the model's end tokens, and the one that ends a turn in the template."""
    found = {tokenizer.eos_token_id}
    config = model.generation_config.eos_token_id
    found |= set(config if isinstance(config, list) else [config])
    turn = template.prompt_ids(tokenizer, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    found |= {token for token in tokenizer.all_special_ids if token in turn and token != tokenizer.bos_token_id
              and tokenizer.decode([token]).strip() in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "</s>")}
    return sorted(token for token in found if token is not None)
