"""The base under the adapter: where it computes and in which type, how it is held, and its LoRA layers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

TIMINGS = 12


def device() -> torch.device:
    """The graphics card of this process, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


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


def load_base(folder: Path, dtype: torch.dtype, where: torch.device, in_4_bits: bool = True) -> nn.Module:
    """The frozen base in `dtype`; in 4 bits, all linear layers but the head are NF4, doubly quantised (arXiv:2305.14314)."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=settings if in_4_bits else None, dtype=dtype,
                                                 device_map={"": where}, trust_remote_code=False)
    if in_4_bits:
        keep_codes(model)
    model.requires_grad_(False)
    model.config.use_cache = False
    return model  # type: ignore[no-any-return]


def keep_codes(model: nn.Module) -> None:
    """On CPUs with AVX512-BF16 bitsandbytes 0.50 repacks a weight at the first forward pass in eval mode, and training after it
    gets wrong gradients without a word. `guard.check` proves that this keeps it off."""
    import bitsandbytes as bnb

    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def add_adapter(base: nn.Module, rank: int, seed: int) -> Any:
    """LoRA (arXiv:2106.09685) on every linear layer but the head, float32, alpha = 2 × rank, drawn from the seed."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules="all-linear",
                          task_type="CAUSAL_LM")
    return get_peft_model(base, settings, autocast_adapter_dtype=True)  # type: ignore[arg-type]


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients, then back."""
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()
