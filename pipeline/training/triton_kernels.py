"""Triton kernels of the training step. Each has a plain torch form in `ops`, which the tests hold it against.

All work on rows: `T` tokens, `K` features. Computations are in float32, tensors in 16 bits, the last dimension is contiguous.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _add_norm(x, other, weight, total, normed, inverse, columns, x_stride, normed_stride, eps, has_other: tl.constexpr,
              block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    here = at < columns
    value = tl.load(x + row * x_stride + at, mask=here, other=0.0).to(tl.float32)
    if has_other:
        value += tl.load(other + row * columns + at, mask=here, other=0.0).to(tl.float32)
        rounded = value.to(total.dtype.element_ty)
        tl.store(total + row * columns + at, rounded, mask=here)
        value = rounded.to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(value * value, axis=0) / columns + eps)
    tl.store(inverse + row, scale)
    factor = tl.load(weight + at, mask=here, other=0.0).to(tl.float32)
    tl.store(normed + row * normed_stride + at, (value * scale * factor).to(normed.dtype.element_ty), mask=here)


@triton.jit
def _add_norm_backward(slope, total, inverse, weight, residual_slope, out, columns, slope_stride,
                       has_residual: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    here = at < columns
    value = tl.load(total + row * columns + at, mask=here, other=0.0).to(tl.float32)
    scale = tl.load(inverse + row)
    factor = tl.load(weight + at, mask=here, other=0.0).to(tl.float32)
    given = tl.load(slope + row * slope_stride + at, mask=here, other=0.0).to(tl.float32) * factor
    unit = value * scale
    made = scale * (given - unit * (tl.sum(given * unit, axis=0) / columns))
    if has_residual:
        made += tl.load(residual_slope + row * columns + at, mask=here, other=0.0).to(tl.float32)
    tl.store(out + row * columns + at, made.to(out.dtype.element_ty), mask=here)


@triton.jit
def _swiglu(gate_up, out, columns, out_stride, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    here = at < columns
    gate = tl.load(gate_up + row * 2 * columns + at, mask=here, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * columns + columns + at, mask=here, other=0.0).to(tl.float32)
    tl.store(out + row * out_stride + at, (gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty), mask=here)


@triton.jit
def _swiglu_backward(slope, gate_up, columns, slope_stride, block: tl.constexpr):
    """Slopes of gate and up in their place, and the product once more in the place of its slope."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    here = at < columns
    gate = tl.load(gate_up + row * 2 * columns + at, mask=here, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * columns + columns + at, mask=here, other=0.0).to(tl.float32)
    given = tl.load(slope + row * slope_stride + at, mask=here, other=0.0).to(tl.float32)
    soft = tl.sigmoid(gate)
    silu = gate * soft
    kind = gate_up.dtype.element_ty
    tl.store(slope + row * slope_stride + at, (silu * up).to(kind), mask=here)
    tl.store(gate_up + row * 2 * columns + at, (given * up * soft * (1.0 + gate * (1.0 - soft))).to(kind), mask=here)
    tl.store(gate_up + row * 2 * columns + columns + at, (given * silu).to(kind), mask=here)


@triton.jit
def _rotate(rows, cosine, sine, row_stride, angle_stride, sign, heads: tl.constexpr, half: tl.constexpr, block: tl.constexpr):
    """Rotary embedding of the first `heads` heads of every row, in place; sign -1 takes it back."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, heads)[:, None]
    at = tl.arange(0, block)[None, :]
    number = tl.program_id(1) * heads + head
    here = at < half
    cos = tl.load(cosine + row * angle_stride + at, mask=here, other=0.0).to(tl.float32)
    sin = sign * tl.load(sine + row * angle_stride + at, mask=here, other=0.0).to(tl.float32)
    left_at = rows + row * row_stride + number * 2 * half + at
    mask = here & (number >= 0)
    left = tl.load(left_at, mask=mask, other=0.0).to(tl.float32)
    right = tl.load(left_at + half, mask=mask, other=0.0).to(tl.float32)
    kind = rows.dtype.element_ty
    tl.store(left_at, (left * cos - right * sin).to(kind), mask=mask)
    tl.store(left_at + half, (right * cos + left * sin).to(kind), mask=mask)


@triton.jit
def _cross_entropy(logits, targets, losses, stride, scale, columns: tl.constexpr, with_slope: tl.constexpr,
                   block: tl.constexpr):
    """Loss of each row, and the slope of `scale` x loss in place of its logits."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * stride
    target = tl.load(targets + row)
    most = -float("inf")
    total = 0.0
    for start in range(0, columns, block):
        at = start + tl.arange(0, block)
        value = tl.load(logits + at, mask=at < columns, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(most, tl.max(value, axis=0))
        total = total * tl.exp(most - higher) + tl.sum(tl.exp(value - higher), axis=0)
        most = higher
    whole = most + tl.log(total)
    tl.store(losses + row, whole - tl.load(logits + target).to(tl.float32))
    if with_slope:
        tl.debug_barrier()  # the target's logit must have been read before it is overwritten
        for start in range(0, columns, block):
            at = start + tl.arange(0, block)
            value = tl.load(logits + at, mask=at < columns, other=-float("inf")).to(tl.float32)
            made = (tl.exp(value - whole) - tl.where(at == target, 1.0, 0.0)) * scale
            tl.store(logits + at, made.to(logits.dtype.element_ty), mask=at < columns)


@triton.jit
def _nf4(words, absmax, absmax_code, absmax_scale, code, out, offset, blocks, columns, out_stride, nested: tl.constexpr,
         parts: tl.constexpr, absmax_blocksize: tl.constexpr, together: tl.constexpr):
    """Values of 4-bit codes, `parts` words of eight codes for each absmax, which is in 8 bits where it is nested."""
    number = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    here = number < blocks
    if nested:
        part = tl.load(absmax_code + tl.load(absmax + number, mask=here, other=0).to(tl.int32))
        scale = part * tl.load(absmax_scale + number // absmax_blocksize, mask=here, other=0.0) + tl.load(offset)
    else:
        scale = tl.load(absmax + number, mask=here, other=0.0)
    word_at = number[:, None] * parts + tl.arange(0, parts)[None, :]
    word = tl.load(words + word_at, mask=here[:, None], other=0)
    digit = tl.arange(0, 8)
    shift = 8 * (digit // 2) + 4 * (1 - digit % 2)  # the high half of a byte comes first
    value = tl.load(code + ((word[:, :, None] >> shift[None, None, :]) & 15)) * scale[:, None, None]
    first = number * (parts * 8)
    place = (first // columns * out_stride + first % columns)[:, None, None] \
        + 8 * tl.arange(0, parts)[None, :, None] + digit[None, None, :]
    tl.store(out + place, value.to(out.dtype.element_ty), mask=here[:, None, None])


def add_norm(x: Tensor, other: Tensor | None, weight: Tensor, eps: float, out: Tensor) -> tuple[Tensor, Tensor]:
    """RMSNorm of x (+ other) into `out` (its rows may be wider apart); returns (the sum, 1/rms of each row in float32)."""
    rows, columns = x.shape
    total = x if other is None else torch.empty_like(x)
    inverse = torch.empty(rows, dtype=torch.float32, device=x.device)
    block = triton.next_power_of_2(columns)
    _add_norm[(rows,)](x, x if other is None else other, weight, total, out, inverse, columns, x.stride(0), out.stride(0), eps,
                       other is not None, block, num_warps=min(16, max(4, block // 512)))
    return total, inverse


def add_norm_backward(slope: Tensor, total: Tensor, inverse: Tensor, weight: Tensor,
                      residual_slope: Tensor | None) -> Tensor:
    rows, columns = total.shape
    out = torch.empty_like(total)
    block = triton.next_power_of_2(columns)
    residual = total if residual_slope is None else residual_slope
    _add_norm_backward[(rows,)](slope, total, inverse, weight, residual, out, columns, slope.stride(0),
                                residual_slope is not None, block, num_warps=min(16, max(4, block // 512)))
    return out


def swiglu(gate_up: Tensor, out: Tensor) -> None:
    """silu(gate) x up of rows [gate | up] into `out`, whose rows may be wider apart."""
    rows, columns = gate_up.shape[0], gate_up.shape[1] // 2
    _swiglu[(rows, triton.cdiv(columns, 2048))](gate_up, out, columns, out.stride(0), 2048, num_warps=8)


def swiglu_backward(slope: Tensor, gate_up: Tensor) -> None:
    """In place: the slopes of [gate | up] for their values, and the product for its slope."""
    rows, columns = gate_up.shape[0], gate_up.shape[1] // 2
    _swiglu_backward[(rows, triton.cdiv(columns, 2048))](slope, gate_up, columns, slope.stride(0), 2048, num_warps=8)


def rotate(rows: Tensor, cosine: Tensor, sine: Tensor, heads: int, head_size: int, sign: float) -> None:
    """Rotary embedding of the first `heads` heads of each row, in place; `cosine`, `sine` are (T, head_size)."""
    together = heads & -heads  # the largest power of two that divides them
    _rotate[(rows.shape[0], heads // together)](rows, cosine, sine, rows.stride(0), cosine.stride(0), sign, together,
                                                head_size // 2, triton.next_power_of_2(head_size // 2), num_warps=4)


def cross_entropy(logits: Tensor, targets: Tensor, scale: float, with_slope: bool) -> Tensor:
    """Loss of each row in float32; the logits become the slope of `scale` x their sum where `with_slope` is set."""
    losses = torch.empty(logits.shape[0], dtype=torch.float32, device=logits.device)
    _cross_entropy[(logits.shape[0],)](logits, targets, losses, logits.stride(0), scale, logits.shape[1], with_slope, 8192,
                                       num_warps=16)
    return losses


def nf4(packed: Tensor, state: Any, out: Tensor) -> None:
    """bitsandbytes' 4-bit weight into `out` (rows of the weight's columns, which may be wider apart).

    The columns must be a multiple of the block size of the codes.
    """
    rows, columns = state.shape
    inner = state.state2 if state.nested else state  # what is not nested is not looked at
    blocks = rows * columns // state.blocksize
    _nf4[(triton.cdiv(blocks, 32),)](
        packed.view(torch.int32), state.absmax, inner.code, inner.absmax, state.code, out,
        state.offset if state.nested else state.absmax, blocks, columns, out.stride(0), state.nested, state.blocksize // 8,
        inner.blocksize, 32, num_warps=4)
