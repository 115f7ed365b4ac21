"""The model and the tickets that training is measured with: the shape of Llama 3.1 8B with random weights, random token ids.

Speed does not depend on the values. Lengths are those of tickets: log-normal, median 170 tokens, p95 about 460, 16 to 1,024.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.template import Encoded

PEAK_FLOPS = 790e12
"""A dense bf16 product on one H100, operations a second: what "share of the chip" refers to."""
TICKETS, SEED = 4_000, 1_234
MEDIAN, P95, SHORTEST, LONGEST = 170, 450, 16, 1_024
RANK = 16


def tickets(vocabulary: int, count: int = TICKETS) -> list[Encoded]:
    """Conversations of random ids, every token learned but the first."""
    dice = np.random.default_rng(SEED)
    sigma = math.log(P95 / MEDIAN) / 1.6449
    lengths = np.clip(np.round(np.exp(dice.normal(math.log(MEDIAN), sigma, count))), SHORTEST, LONGEST).astype(int)
    return [
        Encoded(str(number), tuple(dice.integers(10, vocabulary - 1000, length).tolist()), (False,) + (True,) * (length - 1))
        for number, length in enumerate(lengths)
    ]


def config(small: bool = False) -> Any:
    from transformers import LlamaConfig

    if small:
        return LlamaConfig(
            vocab_size=3000,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            tie_word_embeddings=False,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    return LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131072,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        rope_parameters=rope,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )


def build(small: bool = False, where: str = "cuda") -> Any:
    """The model, made layer by layer on the device: linear layers of the blocks in NF4, doubly quantised, the rest bf16."""
    import bitsandbytes as bnb
    from transformers import BitsAndBytesConfig, LlamaForCausalLM
    from transformers.quantizers.auto import AutoHfQuantizer

    torch.manual_seed(0)
    settings = config(small)
    settings.use_cache = False
    with torch.device("meta"):
        model = LlamaForCausalLM._from_config(settings, attn_implementation="sdpa", dtype=torch.bfloat16)
    model = model.to(torch.bfloat16)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear) and "layers." in name:
            _put(model, name, _nf4(layer, where))
    for name, parameter in list(model.named_parameters()):
        if parameter.device.type == "meta":
            value = torch.empty(parameter.shape, dtype=torch.bfloat16, device=where)
            filled = value.fill_(1.0) if "norm" in name else value.normal_(0, 0.02)
            _put(model, name, nn.Parameter(filled, requires_grad=False))
    inner = model.model
    inner.rotary_emb = type(inner.rotary_emb)(config=settings).to(where)
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )
    model.config.quantization_config = quantisation
    model.is_loaded_in_4bit = model.is_quantized = True
    model.quantization_method = "bitsandbytes"
    model.hf_quantizer = AutoHfQuantizer.from_config(quantisation, pre_quantized=False)
    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
    model.train()
    return model


def _nf4(layer: nn.Linear, where: str) -> Any:
    import bitsandbytes as bnb

    weight = torch.empty(layer.out_features, layer.in_features, dtype=torch.bfloat16, device=where).normal_(0, 0.02)
    made = bnb.nn.Linear4bit(
        layer.in_features,
        layer.out_features,
        bias=False,
        compute_dtype=torch.bfloat16,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    made.weight = bnb.nn.Params4bit(
        weight,
        requires_grad=False,
        compress_statistics=True,
        quant_type="nf4",
        blocksize=64,
        quant_storage=torch.uint8,
        module=made,
    ).to(where)
    return made


def _put(model: Any, name: str, value: Any) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, value)


def flops(settings: Any, tokens: int, squares: int) -> float:
    """Useful operations: 4 N base (forward and slope of the input; frozen, so no slope of weights) + 6 N adapter a token, and
    causal attention, 6 L² x layers x heads x head size a conversation. Recomputation and padding do not count."""
    hidden, wide, layers = settings.hidden_size, settings.intermediate_size, settings.num_hidden_layers
    keys = settings.num_key_value_heads * hidden // settings.num_attention_heads
    shapes = [
        (hidden, hidden),
        (hidden, keys),
        (hidden, keys),
        (hidden, hidden),
        (hidden, wide),
        (hidden, wide),
        (wide, hidden),
    ]
    base = layers * sum(a * b for a, b in shapes) + hidden * settings.vocab_size
    adapter = layers * sum(RANK * (a + b) for a, b in shapes)
    return tokens * (4 * base + 6 * adapter) + 6 * squares * layers * hidden
