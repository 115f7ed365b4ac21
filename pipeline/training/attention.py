"""Causal attention inside each conversation of a row, nothing across: the reason why packing changes no loss.

On a GPU torch's variable-length kernel reads the borders; elsewhere, or where that kernel is missing, each conversation is
computed for itself. A dense mask over the whole row would compute the square of it.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pipeline.training.rows import Row

NAME = "tunewright_packed"
"""What the generic path asks transformers for."""

try:
    from torch.nn.attention.varlen import varlen_attn

    _TAKES = frozenset(inspect.signature(varlen_attn).parameters)
except ImportError:
    varlen_attn, _TAKES = None, frozenset()  # type: ignore[assignment]


def has_kernel(where: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch's variable-length kernel takes part: an NVIDIA GPU of the Ampere generation or later, 16 bits."""
    return (varlen_attn is not None and where.type == "cuda" and dtype in (torch.bfloat16, torch.float16)
            and torch.cuda.get_device_capability(where) >= (8, 0) and "window_size" in _TAKES)


def attend(query: Tensor, key: Tensor, value: Tensor, row: Row, scale: float, window: int | None = None,
           softcap: float | None = None) -> Tensor:
    """(tokens, heads, head size) from queries of that shape and keys and values of (tokens, fewer heads, head size).

    `window` is how many tokens, itself among them, a token sees at most.
    """
    window = window if window and window < row.longest else None
    if softcap is None and has_kernel(query.device, query.dtype) and query.shape[-1] <= 256:
        given: dict[str, Any] = {"scale": scale, "window_size": (window - 1 if window else -1, 0)}
        if "enable_gqa" in _TAKES:
            given["enable_gqa"] = True
        return varlen_attn(query, key, value, row.borders, row.borders, row.longest, row.longest, **given)  # type: ignore[misc, return-value]
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    sizes = [end - start for start, end in zip(row.ends, row.ends[1:], strict=False)]
    parts = [_one(*part, scale, window, softcap) for part in zip(query.split(sizes), key.split(sizes), value.split(sizes),
                                                                  strict=True)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _one(query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None, softcap: float | None) -> Tensor:
    query, key, value = (part.transpose(0, 1)[None] for part in (query, key, value))
    length = query.shape[2]
    if softcap is None and (window is None or length <= window):
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)[0].transpose(0, 1)
    seen = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    if window is not None:
        seen &= ~torch.ones_like(seen).tril(-window)
    if softcap is None:
        return scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scale)[0].transpose(0, 1)
    scores = softcap * torch.tanh(query @ key.transpose(-1, -2) * scale / softcap)
    weights = torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-1, dtype=torch.float32).to(value.dtype)
    return (weights @ value)[0].transpose(0, 1)


def register() -> None:
    """Let models of transformers use `attend`: they pass the row as the keyword `packed_row`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _for_transformers)


def _for_transformers(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
                      scaling: float | None = None, sliding_window: int | None = None, softcap: float | None = None,
                      packed_row: Row | None = None, **_: Any) -> tuple[Tensor, None]:
    """transformers' signature: (1, heads, tokens, head size) in, (1, tokens, heads, head size) out."""
    if packed_row is None:
        raise RuntimeError("this attention needs the row that it works on")
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    return attend(query, key, value, packed_row, scale, sliding_window, softcap)[None], None
