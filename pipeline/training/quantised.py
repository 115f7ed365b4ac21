"""The NF4 base under the adapter: loading, LoRA, the forward pass to the loss, and a guard against wrong gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.training.data import Batch

MOST_DIFFERENT = 0.05
"""A LoRA gradient may differ this much (relative, L2) before and after an evaluation pass; the trap makes it differ by 1."""

TIMINGS = 12


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(where: torch.device) -> torch.dtype:
    """bfloat16 where it is the faster one (GPUs; CPUs with AMX or AVX512-BF16), else float32: found out by timing."""
    if where.type == "cuda":
        return torch.bfloat16
    quickest = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    for _ in range(TIMINGS):  # in turns and the best of each, so that another process's burst does not decide
        for dtype in quickest:
            left, right = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
            began = time.perf_counter()
            left @ right
            quickest[dtype] = min(quickest[dtype], time.perf_counter() - began)
    return min(quickest, key=lambda dtype: quickest[dtype])


def load_base(folder: Path, dtype: torch.dtype, where: torch.device) -> nn.Module:
    """The base with every linear layer but the head in NF4 with double quantisation (arXiv:2305.14314), frozen."""
    import bitsandbytes as bnb
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=settings, dtype=dtype,
                                                 device_map={"": where.type}, trust_remote_code=False)
    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            # On CPUs with AVX512-BF16 bitsandbytes 0.50 repacks the weight at the first forward pass in eval mode, and
            # training after it gets wrong gradients without a word. `check` proves that this keeps it off.
            module.support_avx512bf16_for_cpu = False
    model.requires_grad_(False)
    model.config.use_cache = False
    return model  # type: ignore[no-any-return]


def add_adapter(base: nn.Module, rank: int, seed: int) -> Any:
    """LoRA (arXiv:2106.09685) on every linear layer but the head, float32, alpha = 2 × rank, drawn from the seed."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules="all-linear",
                          task_type="CAUSAL_LM")
    return get_peft_model(base, settings, autocast_adapter_dtype=True)  # type: ignore[arg-type]


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


class Forward:
    """From a batch to the summed loss over its learned tokens.

    The head runs only on positions whose next token is learned, and its loss is taken in float32: the full matrix of
    logits (batch × length × vocabulary) is the largest thing in memory and most of it is not needed.
    """

    def __init__(self, model: Any, dtype: torch.dtype, where: torch.device) -> None:
        self.model = model
        self.dtype = dtype
        self.where = where
        self._body = model.get_base_model().base_model
        self._head = model.get_base_model().get_output_embeddings()

    def __call__(self, batch: Batch) -> tuple[Tensor, int]:
        """(sum of the cross-entropy in nats, number of learned tokens)."""
        ids, mask, learned = (tensor.to(self.where) for tensor in (batch.ids, batch.attention, batch.learned))
        with torch.autocast(self.where.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            hidden = self._body(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
            wanted = learned[:, 1:]
            logits = self._head(hidden[wanted])
        loss = nn.functional.cross_entropy(logits.float(), ids[:, 1:][wanted], reduction="sum")
        return loss, int(wanted.sum())


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients, then back."""
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()


def mean_loss(forward: Forward, batches: Sequence[Batch], before_each: Callable[[], None] = lambda: None) -> float:
    """Mean cross-entropy in nats a learned token, over all batches; `before_each` may raise to leave early."""
    total, tokens = 0.0, 0
    with evaluating(forward.model):
        for batch in batches:
            before_each()
            loss, learned = forward(batch)
            total, tokens = total + float(loss), tokens + learned
    return total / tokens


def gradient_change(forward: Forward, batch: Batch) -> float:
    """How much the LoRA-B gradients of one batch change when an evaluation pass happens in between (relative, L2)."""
    before = _gradients(forward, batch)
    mean_loss(forward, [batch])
    after = _gradients(forward, batch)
    return float((after - before).norm() / before.norm().clamp_min(1e-12))


def check(forward: Forward, batch: Batch) -> None:
    """Raises PipelineError when training would go wrong in silence: when an evaluation pass changes the gradients, or when
    the loss is not the model's own. The model must not have been evaluated yet: only the first pass does the damage."""
    change = gradient_change(forward, batch)
    if not change < MOST_DIFFERENT:
        raise PipelineError(f"On this machine an evaluation pass changes the gradients by {change:.0%}, so training would "
                            "learn wrong things without a word. It was not started.",
                            "The 4-bit library is at fault on this processor: update bitsandbytes, or use another machine.")
    ours, own = mean_loss(forward, [batch]), _own_loss(forward, batch)
    if not abs(ours - own) <= 0.02 * max(1.0, abs(own)):
        raise PipelineError(f"The loss taken here ({ours:.3f}) is not this model's own ({own:.3f}): it changes its output in "
                            "a way that is not known here.", "Choose a base model of another family.")


def _own_loss(forward: Forward, batch: Batch) -> float:
    """The same mean loss from the model's own full logits."""
    ids, mask, learned = (tensor.to(forward.where) for tensor in (batch.ids, batch.attention, batch.learned))
    with evaluating(forward.model), torch.autocast(forward.where.type, torch.bfloat16, forward.dtype == torch.bfloat16):
        logits = forward.model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    wanted = learned[:, 1:]
    return float(nn.functional.cross_entropy(logits[wanted].float(), ids[:, 1:][wanted]))


def _gradients(forward: Forward, batch: Batch) -> Tensor:
    forward.model.train()
    forward.model.zero_grad(set_to_none=True)
    loss, learned = forward(batch)
    (loss / learned).backward()
    found = [parameter.grad.flatten().float().cpu() for name, parameter in trained(forward.model).items()
             if "lora_B" in name and parameter.grad is not None]
    forward.model.zero_grad(set_to_none=True)
    return torch.cat(found)
