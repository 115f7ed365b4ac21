"""A local model that answers: the base as it was trained on, with an adapter merged or beside, or as it is.

On a CPU everything is float32. On a GPU it is bfloat16; 4-bit values are held in it where they fit, which rounds nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline import base_models, machine, template
from pipeline.errors import PipelineError
from pipeline.examples import Example
from pipeline.generation import batches, likelihoods, memory
from pipeline.generation.answer import Answer, Ask
from pipeline.generation.batches import Ears, Made, Model, Row, Watch
from pipeline.generation.likelihoods import Asked
from pipeline.generation.memory import Memory
from pipeline.specs import Candidate, Decoding
from pipeline.training import quantised

MOST_ROWS = {"cpu": 64, "cuda": 256}
SHARE_OF_FREE = {"cpu": 0.25, "cuda": 0.6}
"""How many rows at a time, and what part of the free memory their keys and values may take."""

EXPORTED_IN = "tunewright_precision"
"""In the config of a merged model that was exported (`pipeline.deploy.merging`)."""

AGREES = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far logits may lie apart, as a share of the largest, for the quick way to be taken."""


def memory_for(folder: Path) -> int:
    """Bytes that a base model takes when it is loaded here, about: its weights in float32 on a CPU, as they are on a GPU, and
    some more while they are put into place."""
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return weights * (3 if quantised.device().type == "cpu" else 1)


def free_memory() -> int:
    """Bytes that a model could take."""
    return int(torch.cuda.mem_get_info()[0]) if quantised.device().type == "cuda" else machine.ram()[1]


def nothing() -> None:
    """Nobody watches."""


def load(candidate: Candidate, workspace: Path, say: Callable[[str], None]) -> LocalModel:
    """A candidate's base, made ready where it is not, with its adapter. `say` hears what takes long."""
    assert candidate.base is not None, "an endpoint has no model here"
    say(f"Loading {candidate.name}")
    folder = base_models.prepare(candidate.base, workspace, say)
    return LocalModel(folder, workspace / candidate.adapter if candidate.adapter else None, candidate.method)


@dataclass(frozen=True)
class Likelihood:
    """`nats` is minus the log-probability of the reference's `tokens` tokens, the one that ends its turn included; `labels`
    the log-probability of each label as the whole answer."""

    item_id: str
    nats: float
    tokens: int
    labels: dict[str, float]


class LocalModel:
    """A base with an adapter or without, loaded and ready to answer."""

    def __init__(self, folder: Path, adapter: Path | None, method: str = "qlora") -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        self.where = quantised.device()
        self.tokenizer = base_models.load_tokenizer(folder)
        self.model = _load(folder, adapter, self.where, method == "qlora")
        self.ends = end_tokens(self.tokenizer, self.model)
        self.config = self.model.config.get_text_config()
        self.quick = Model(self.model, self.where, tuple(self.ends), int(self.tokenizer.pad_token_id))
        self._own = self.config._attn_implementation
        self.takes_memory = self._takes_memory()

    @property
    def compute(self) -> str:
        """The type it computes in: "float32" or "bfloat16"."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def context(self) -> int:
        """Tokens that the model reads at once, as its config says it."""
        return int(getattr(self.config, "max_position_embeddings", None) or 1 << 30)

    def prompt(self, example: Example) -> list[int]:
        return template.prompt_ids(self.tokenizer, example.question, example.tools)

    def expect(self, likely: Sequence[Example], labels: Sequence[str], asked: Sequence[tuple[Decoding, Sequence[Ask]]]) -> None:
        """What will be asked: nothing is to be done for it here, where the model is loaded already."""

    def answers(self, asked: Sequence[Ask], decoding: Decoding, watch: Watch = nothing,
                ears: Ears | None = None) -> Iterator[Answer]:
        """One answer each, in the order they are done. `watch` is called between steps and may raise to end it. `ears` hear
        each step, of a model that takes a memory.

        A question that leaves no room for an answer in what the model reads gets an empty one that says "length".
        """
        prompts = [self.prompt(one.example) for one in asked]
        rows = [Row(number, ids, asked[number].seed(decoding.seed), min(decoding.max_new_tokens, self.context - len(ids)))
                for number, ids in enumerate(prompts) if len(ids) < self.context]
        for one, ids in zip(asked, prompts, strict=True):
            if len(ids) >= self.context:
                yield Answer(one.example.id, one.sample, "", 0, len(ids), 0.0, "length")
        made = (batches.generate(self.quick, rows, decoding, self._rows(rows, decoding), watch, ears) if self.takes_memory
                else self._one_by_one(rows, decoding, watch))
        for row in made:
            said = row.tokens[:-1] if row.ended else row.tokens
            text = self.tokenizer.decode(said, skip_special_tokens=True).strip()
            ask = asked[row.number]
            yield Answer(ask.example.id, ask.sample, text, len(row.tokens), len(prompts[row.number]), row.seconds,
                         "stop" if row.ended else "length")

    def likelihoods(self, examples: Sequence[Example], labels: Sequence[str], watch: Watch = nothing) -> Iterator[Likelihood]:
        """How likely each example's own answer is, and each of the labels, in its place; what cannot be encoded is left out."""
        if not self.takes_memory:
            return
        asked = [self._asked(number, example, labels) for number, example in enumerate(examples)]
        usable = [one for one in asked if one is not None and len(one.prompt) + max(map(len, one.answers)) <= self.context]
        for number, found in likelihoods.log_likelihoods(self.quick, usable, self.config.vocab_size, watch):
            sizes = asked[number].answers  # type: ignore[union-attr]
            yield Likelihood(examples[number].id, -found[0], len(sizes[0]), dict(zip(labels, found[1:], strict=True)))

    def _asked(self, number: int, example: Example, labels: Sequence[str]) -> Asked | None:
        """Only the last answer counts: earlier ones of the agent are read, as they are when it is answered."""
        before = tuple(turn | {"weight": 0} if turn["role"] == "assistant" else turn for turn in example.question)
        answers = ({**example.messages[-1], "weight": 1}, *({"role": "assistant", "content": label} for label in labels))
        found = template.encode_all(self.tokenizer, [Example(example.id, (*before, answer), example.tools)
                                                     for answer in answers])
        if any(isinstance(one, PipelineError) for one in found):
            return None
        whole = [one[-1] for one in found]  # type: ignore[index]
        begins = [one.learned.index(True) for one in whole]
        prompts = {one.ids[:begin] for one, begin in zip(whole, begins, strict=True)}
        if len(prompts) > 1:
            return None
        return Asked(number, prompts.pop(), tuple(one.ids[begin:] for one, begin in zip(whole, begins, strict=True)))

    def _rows(self, rows: Sequence[Row], decoding: Decoding) -> int:
        """How many rows at a time: as many as were asked for, or as there is memory for."""
        if decoding.batch_size or not rows:
            return decoding.batch_size or 1
        config, kind = self.config, self.where.type
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        columns = max(len(row.ids) for row in rows) + decoding.max_new_tokens
        each = 2 * config.num_hidden_layers * heads * size * columns * self.model.dtype.itemsize
        free = torch.cuda.mem_get_info()[0] if kind == "cuda" else machine.ram()[1]
        return max(1, min(MOST_ROWS[kind], int(SHARE_OF_FREE[kind] * free / each)))

    def _takes_memory(self) -> bool:
        """Whether the model answers through a `Memory` as it does by itself, seen on one short text; else it is asked one
        question at a time, as transformers does it."""
        ids = torch.tensor([template.prompt_ids(self.tokenizer, [{"role": "user", "content": "Where is my order?"}])],
                           device=self.where)
        memory.register()
        with torch.inference_mode():
            with self.own_attention():
                own = self.model(input_ids=ids, use_cache=False).logits[:, -1].float()
            try:
                ours = self._through_memory(ids).float()
            except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError):
                ours = torch.full_like(own, torch.nan)
        return bool((ours - own).abs().max() <= AGREES[self.model.dtype] * own.abs().max())

    @contextmanager
    def own_attention(self) -> Iterator[None]:
        """Inside, the model reads no memory of ours but computes as transformers does."""
        self.config._attn_implementation = self._own
        try:
            yield
        finally:
            self.config._attn_implementation = memory.NAME

    def _through_memory(self, ids: torch.Tensor) -> torch.Tensor:
        """The logits of what follows: all but the last token as a block, the last one as a step."""
        room, positions = Memory(1, ids.shape[1]), torch.arange(ids.shape[1], device=self.where)[None]
        room.block(0, 0, positions[:, :-1])
        self.model(input_ids=ids[:, :-1], position_ids=positions[:, :-1], use_cache=False, logits_to_keep=1, memory=room)
        room.step(positions[:, -1], ids.shape[1])
        return self.model(input_ids=ids[:, -1:], position_ids=positions[:, -1:], use_cache=False, logits_to_keep=1,  # type: ignore[no-any-return]
                          memory=room).logits[:, -1]

    def _one_by_one(self, rows: Sequence[Row], decoding: Decoding, watch: Watch) -> Iterator[Made]:
        """transformers' own `generate`."""
        for row in rows:
            watch()
            began = time.perf_counter()
            tokens = self.own_answer(row, decoding)
            yield Made(row.number, tokens, tokens[-1] in self.ends, time.perf_counter() - began)

    def own_answer(self, row: Row, decoding: Decoding, streamer: Any = None) -> list[int]:
        """The tokens that transformers' `generate` makes; a `streamer` of theirs hears each as it comes."""
        drawn: dict[str, Any] = ({"do_sample": True, "temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
                                 if decoding.temperature else {"do_sample": False})
        torch.manual_seed(row.seed)
        ids = torch.tensor([row.ids], device=self.where)
        with self.own_attention(), torch.inference_mode():
            made = self.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=row.most,
                                       eos_token_id=self.ends, pad_token_id=self.quick.pad, use_cache=True,
                                       streamer=streamer, **drawn)
        found: list[int] = made[0, len(row.ids) :].tolist()
        return found


def _load(folder: Path, adapter: Path | None, where: torch.device, in_4_bits: bool) -> Any:
    """NF4 weights are dequantised once where there is room (the same values, several times as fast). On a CPU the adapter is
    merged into them in float32; on a GPU it stays beside them, because 16 bits would round it."""
    dtype = torch.float32 if where.type == "cpu" else precision_of(folder)
    model: Any = quantised.load_base(folder, dtype, where, in_4_bits)
    if in_4_bits and (where.type == "cpu" or _has_room(model)):
        dequantise(model, dtype)
    if adapter is not None:
        model = with_adapter(model, adapter, merge=where.type == "cpu")
    model.eval()
    settings = model.generation_config
    settings.do_sample, settings.repetition_penalty = False, 1.0
    settings.temperature = settings.top_p = settings.top_k = None
    return model


def precision_of(folder: Path) -> torch.dtype:
    """What a GPU computes in: bfloat16, but for merged models that were exported in another precision, which it would round."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {"float16": torch.float16, "float32": torch.float32}.get(config.get(EXPORTED_IN, ""), torch.bfloat16)


def _has_room(model: Any) -> bool:
    """Whether the weights in 16 bits would take no more than half of the GPU's free memory."""
    import bitsandbytes as bnb

    values = sum(layer.in_features * layer.out_features for layer in model.modules() if isinstance(layer, bnb.nn.Linear4bit))
    return bool(2 * values < torch.cuda.mem_get_info()[0] / 2)


def with_adapter(model: Any, adapter: Path, merge: bool) -> Any:
    """The model with its adapter beside, or merged into its weights. Raises PipelineError where the adapter is gone."""
    from peft import PeftModel

    if not (adapter / "adapter_model.safetensors").is_file():
        raise PipelineError(f"The adapter {adapter.parent.name}/{adapter.name} is gone.",
                            "Put it back from a backup, or train again.")
    wrapped = PeftModel.from_pretrained(model, adapter)
    return wrapped.merge_and_unload() if merge else wrapped  # type: ignore[operator]


def dequantise(model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    """Put plain linear layers in place of the 4-bit ones, with the values that training saw."""
    import bitsandbytes as bnb

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, bnb.nn.Linear4bit):
                packed: Any = layer.weight
                weight = bnb.functional.dequantize_4bit(packed.data, packed.quant_state).to(dtype)
                plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, weight.device, dtype)
                plain.weight = nn.Parameter(weight, requires_grad=False)
                if layer.bias is not None:
                    plain.bias = nn.Parameter(layer.bias.data.to(dtype), requires_grad=False)
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
