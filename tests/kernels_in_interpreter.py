"""Runs every Triton kernel in Triton's interpreter, without a GPU, and prints its largest difference from plain torch as JSON.

A child of `test_triton_kernels`, because the interpreter is chosen before Triton is imported.
"""

from __future__ import annotations

import json

import bitsandbytes.functional as bnb
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, silu

from pipeline.training import triton_kernels as kernels

LOW = torch.bfloat16
ROWS, WIDTH, SPARE = 5, 96, 16


def apart(found: Tensor, expected: Tensor) -> float:
    """Relative to the largest expected value."""
    return float((found.float() - expected.float()).abs().max() / expected.float().abs().max())


def norms() -> dict[str, float]:
    x, other, weight = torch.randn(ROWS, WIDTH).to(LOW), torch.randn(ROWS, WIDTH).to(LOW), torch.rand(WIDTH).to(LOW)
    slope, beside = torch.randn(ROWS, WIDTH + SPARE).to(LOW), torch.randn(ROWS, WIDTH).to(LOW)
    out = torch.zeros(ROWS, WIDTH + SPARE, dtype=LOW)
    total, inverse = kernels.add_norm(x, other, weight, 1e-5, out)
    given = total.float().requires_grad_()
    expected = given * torch.rsqrt(given.square().mean(-1, keepdim=True) + 1e-5) * weight.float()
    expected.backward(slope[:, :WIDTH].float())
    made = kernels.add_norm_backward(slope[:, :WIDTH], total, inverse, weight, beside)
    assert given.grad is not None
    return {
        "sum": apart(total, x.float() + other.float()),
        "norm": apart(out[:, :WIDTH], expected.detach()),
        "norm, slope": apart(made, given.grad + beside.float()),
        "norm, spare columns": float(out[:, WIDTH:].abs().max()),
    }


def gated() -> dict[str, float]:
    width = 300
    both, slope = torch.randn(ROWS, 2 * width).to(LOW), torch.randn(ROWS, width + SPARE).to(LOW)
    out = torch.zeros(ROWS, width + SPARE, dtype=LOW)
    kernels.swiglu(both, out)
    given = both.float().requires_grad_()
    expected = silu(given[:, :width]) * given[:, width:]
    expected.backward(slope[:, :width].float())
    kernels.swiglu_backward(slope[:, :width], both)
    assert given.grad is not None
    return {
        "product": apart(out[:, :width], expected.detach()),
        "product, slopes": apart(both, given.grad),
        "product, again": apart(slope[:, :width], out[:, :width]),
    }


def rotary() -> dict[str, float]:
    heads, size = 6, 32
    rows, half = torch.randn(ROWS, heads * size + 10).to(LOW), torch.randn(ROWS, size // 2)
    cosine, sine = (torch.cat([part, part], 1).to(LOW) for part in (half.cos(), half.sin()))
    before = rows.clone()
    parts = before[:, : heads * size].view(ROWS, heads, size).float()
    turned = torch.cat([-parts[..., size // 2 :], parts[..., : size // 2]], -1)
    expected = parts * cosine[:, None].float() + turned * sine[:, None].float()
    kernels.rotate(rows, cosine, sine, heads, size, 1.0)
    found = rows[:, : heads * size].view(ROWS, heads, size).clone()
    kernels.rotate(rows, cosine, sine, heads, size, -1.0)
    return {"rotary": apart(found, expected), "rotary, taken back": apart(rows, before)}


def loss() -> dict[str, float]:
    logits, targets = torch.randn(6, 20_000).to(LOW), torch.arange(6) * 3_001
    given = logits.float().requires_grad_()
    expected = cross_entropy(given, targets, reduction="none")
    (0.5 * expected.sum()).backward()
    found = kernels.cross_entropy(logits, targets, 0.5, True)
    assert given.grad is not None
    return {"loss": apart(found, expected.detach()), "loss, slope": apart(logits, given.grad)}


def four_bits() -> dict[str, float]:
    packed, state = bnb.quantize_4bit(torch.randn(64, 256).to(LOW), blocksize=64, compress_statistics=True, quant_type="nf4")
    out = torch.zeros(64, 256 + SPARE, dtype=LOW)
    kernels.nf4(packed.view(-1), state, out)
    return {
        "nf4": apart(out[:, :256], bnb.dequantize_4bit(packed, state)),
        "nf4, spare columns": float(out[:, 256:].abs().max()),
    }


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps(norms() | gated() | rotary() | loss() | four_bits()))
