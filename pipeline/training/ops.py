"""What happens between the matrix products of a training step, each with its own backward pass.

On a GPU with Triton the kernels of `triton_kernels` do it; elsewhere plain torch, which is also what the tests hold them
against. Base weights are frozen, so no backward pass computes a slope for them. Tensors are (tokens, features); `wide` ones
have some spare columns at the end of each row (`adapted`).
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

CHUNK_BYTES, CPU_CHUNK_BYTES = 1 << 29, 1 << 26
"""The logits that exist at once, at most: many rows keep a GPU busy; a CPU needs some times as much for their slopes."""


@functools.cache
def _kernels() -> Any:
    """The Triton kernels, None where Triton is missing."""
    try:
        from pipeline.training import triton_kernels
    except ImportError:
        return None
    return triton_kernels


def kernels_for(tensor: Tensor) -> Any:
    """The Triton kernels where they take part: on NVIDIA GPUs, in 16 bits."""
    return _kernels() if tensor.is_cuda and tensor.dtype == torch.bfloat16 else None


class AddNorm(Function):
    """x (+ other), and its RMSNorm (arXiv:1910.07467) times the weight in a wide tensor: (normed, sum)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor | None, weight: Tensor, eps: float,
                spare: int) -> tuple[Tensor, Tensor]:
        out = torch.empty(x.shape[0], x.shape[1] + spare, dtype=x.dtype, device=x.device)
        kernels = kernels_for(x)
        if kernels:
            total, inverse = kernels.add_norm(x, other, weight, eps, out)
        else:
            total = x if other is None else x + other
            inverse = torch.rsqrt(total.float().square().mean(-1) + eps)
            out[:, : x.shape[1]] = total.float() * inverse[:, None] * weight.float()
        ctx.save_for_backward(total, inverse, weight)
        ctx.two = other is not None
        return out, total.view_as(total)

    @staticmethod
    def backward(ctx: Any, slope: Tensor, residual_slope: Tensor | None) -> tuple[Tensor | None, ...]:
        total, inverse, weight = ctx.saved_tensors
        kernels = kernels_for(total)
        if kernels:
            made = kernels.add_norm_backward(slope, total, inverse, weight, residual_slope)
        else:
            unit = total.float() * inverse[:, None]
            given = slope[:, : total.shape[1]].float() * weight.float()
            whole = inverse[:, None] * (given - unit * (given * unit).mean(-1, keepdim=True))
            made = (whole if residual_slope is None else whole + residual_slope.float()).to(total.dtype)
        return made, made if ctx.two else None, None, None, None


class Rotate(Function):
    """Rotary embedding (arXiv:2104.09864) of the first `heads` heads of each row, in place; angles are (tokens, head size)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, cosine: Tensor, sine: Tensor, heads: int) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        ctx.heads = heads
        ctx.mark_dirty(rows)
        _rotate(rows, cosine, sine, heads, 1.0)
        return rows

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        cosine, sine = ctx.saved_tensors
        slope = slope.contiguous()  # made where the heads were split off, so nobody else has it: turned in place
        _rotate(slope, cosine, sine, ctx.heads, -1.0)
        return slope, None, None, None


def _rotate(rows: Tensor, cosine: Tensor, sine: Tensor, heads: int, sign: float) -> None:
    size = cosine.shape[1]
    kernels = kernels_for(rows)
    if kernels:
        kernels.rotate(rows, cosine, sine, heads, size, sign)
        return
    part = rows[:, : heads * size].view(rows.shape[0], heads, size)
    half = size // 2
    cos, sin = cosine[:, None, :half], sign * sine[:, None, :half]
    left, right = part[..., :half].float(), part[..., half:].float()
    part[..., :half], part[..., half:] = left * cos - right * sin, right * cos + left * sin


def swiglu(gate_up: Tensor, spare: int) -> Tensor:
    """silu(gate) x up of rows [gate | up], wide."""
    columns = gate_up.shape[1] // 2
    out = torch.empty(gate_up.shape[0], columns + spare, dtype=gate_up.dtype, device=gate_up.device)
    kernels = kernels_for(gate_up)
    if kernels:
        kernels.swiglu(gate_up, out)
    else:
        out[:, :columns] = functional.silu(gate_up[:, :columns].float()) * gate_up[:, columns:].float()
    return out


def swiglu_backward(slope: Tensor, gate_up: Tensor) -> None:
    """In place, because these are the largest tensors of a layer: the slopes of [gate | up] for their values, and the product
    once more for its slope."""
    kernels = kernels_for(gate_up)
    if kernels:
        kernels.swiglu_backward(slope, gate_up)
        return
    columns = gate_up.shape[1] // 2
    gate, up, given = gate_up[:, :columns].float(), gate_up[:, columns:].float(), slope.float()
    soft = torch.sigmoid(gate)
    slopes = torch.cat([given * up * soft * (1 + gate * (1 - soft)), given * gate * soft], 1)
    slope.copy_(gate * soft * up)
    gate_up.copy_(slopes)


class HeadLoss(Function):
    """The sum of the cross-entropy (nats) times `scale` over rows of `hidden`, whose next tokens are `targets`.

    The head's logits exist only for some rows at a time, and their slope is taken at once: the whole matrix (tokens x
    vocabulary) is the largest thing in memory otherwise.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, scale: float, softcap: float | None) -> Tensor:
        with_slope = ctx.needs_input_grad[0]
        slope = torch.empty_like(hidden) if with_slope else None
        most = CHUNK_BYTES if hidden.is_cuda else CPU_CHUNK_BYTES
        rows = max(64, most // (head.shape[0] * hidden.element_size()))
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(targets), rows):
            part = hidden[start : start + rows]
            logits = part @ head.t()
            total += _cross_entropy(logits, targets[start : start + rows], scale, with_slope, softcap)
            if slope is not None:
                torch.mm(logits, head, out=slope[start : start + rows])
        ctx.save_for_backward(slope)
        return total * scale

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * given, None, None, None, None


def _cross_entropy(logits: Tensor, targets: Tensor, scale: float, with_slope: bool, softcap: float | None) -> Tensor:
    """The summed loss; the logits become its slope times `scale`, where that is wanted."""
    kernels = kernels_for(logits)
    if kernels and softcap is None:
        return kernels.cross_entropy(logits, targets, scale, with_slope).sum()  # type: ignore[no-any-return]
    values = logits.float()
    if softcap is not None:
        values = softcap * torch.tanh(values / softcap)
    logs = torch.log_softmax(values, -1)
    loss = -logs.gather(1, targets[:, None]).sum()
    if with_slope:
        made = logs.exp()
        made[torch.arange(len(targets), device=targets.device), targets] -= 1
        if softcap is not None:
            made *= 1 - (values / softcap).square()
        logits.copy_(made * scale)
    return loss
