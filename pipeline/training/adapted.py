"""Linear layers with a LoRA adapter (arXiv:2106.09685), computed as one matrix product each way.

Layers that read the same input (query, key, value; gate and up) form a group. With K features in, N out (all layers of the
group) and R = layers x rank, the group holds `wide` = [W | s B], of shape (N, K + R), and its input x has R spare columns:

    x[:, K:] = x[:, :K] Aᵀ        y = x wideᵀ        (so y = x Wᵀ + s (x Aᵀ) Bᵀ, summed in float32)
    dx = dy wide                  dA = dx[:, K:]ᵀ x[:, :K]     dB = s dyᵀ x[:, K:]     dx[:, :K] += dx[:, K:] A

so the adapter costs no pass over the activations of its own. A 4-bit base is written into one shared `wide` just before it is
needed, or once and for all where memory allows. Adapters are float32 parameters in one flat tensor, and their slopes in
another; products see them in the type of the base.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from pipeline.training import ops
from pipeline.training.sharded import Gather

ADAPTER = "default"


class Group:
    """Some adapted layers with one input. `bias` is that of all layers, or None."""

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        self.layers = list(layers)
        bases = [layer.get_base_layer() for layer in layers]
        self.features = int(bases[0].in_features)
        self.sizes = [int(base.out_features) for base in bases]
        self.rank = int(layers[0].r[ADAPTER])
        self.spare = self.rank * len(self.layers)
        self.scaling = float(layers[0].scaling[ADAPTER])
        self.dtype = dtype
        self.bias = _bias(bases, self.sizes, dtype)
        self.anchor = layers[0].lora_A[ADAPTER].weight
        self.down = torch.empty(0)
        self.slopes: list[tuple[Tensor, Tensor]] = []
        self.tail = torch.zeros(sum(self.sizes), self.spare, dtype=dtype, device=bases[0].weight.device)
        self.wide: Tensor | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All A, then all B: the A of a group lie one after the other in memory."""
        return [layer.lora_A[ADAPTER].weight for layer in self.layers] + [layer.lora_B[ADAPTER].weight for layer in self.layers]

    def refresh(self) -> None:
        """Bring s B into the products' type, after the optimizer changed it."""
        target = self.tail if self.wide is None else self.wide[:, self.features :]
        row = 0
        for number, (layer, size) in enumerate(zip(self.layers, self.sizes, strict=True)):
            block = target[row : row + size, number * self.rank : (number + 1) * self.rank]
            torch.mul(layer.lora_B[ADAPTER].weight.detach(), self.scaling, out=block)
            row += size

    def hold(self) -> None:
        """Keep the base weight in the products' type, its adapter beside; the layers' own weights become views of it."""
        wide = torch.empty(sum(self.sizes), self.features + self.spare, dtype=self.dtype, device=self.tail.device)
        self._fill(wide, None)
        row = 0
        for layer, size in zip(self.layers, self.sizes, strict=True):
            _replace(layer, nn.Parameter(wide[row : row + size, : self.features], requires_grad=False))
            row += size
        self.wide = wide
        self.wide[:, self.features :] = self.tail
        self.tail = torch.empty(0)

    def weight(self, scratch: Scratch) -> Tensor:
        """[W | s B]; when it is made in the scratch, it is only good until another group asks."""
        if self.wide is not None:
            return self.wide
        wide = scratch.of(sum(self.sizes), self.features + self.spare)
        self._fill(wide, scratch.gather)
        wide[:, self.features :] = self.tail
        return wide

    def _fill(self, wide: Tensor, gather: Gather | None) -> None:
        row = 0
        for layer, size in zip(self.layers, self.sizes, strict=True):
            write_weight(layer.get_base_layer().weight, wide[row : row + size, : self.features], gather)
            row += size


class Scratch:
    """Memory for one group's weight at a time, as large as the largest needs. `gather` brings its codes together where each
    process holds a part of them."""

    def __init__(self, numbers: int, dtype: torch.dtype, where: torch.device, gather: Gather | None) -> None:
        self._flat = torch.empty(numbers, dtype=dtype, device=where)
        self.gather = gather

    def of(self, rows: int, columns: int) -> Tensor:
        return self._flat[: rows * columns].view(rows, columns)


class Adapters:
    """All groups of a model; their parameters flat in `values`, their slopes flat in `slopes` (both float32)."""

    def __init__(self, groups: Sequence[Group], hold: bool, gather: Gather | None = None) -> None:
        self.groups = list(groups)
        parameters = [parameter for group in self.groups for parameter in group.parameters]
        where = parameters[0].device
        self.values = torch.cat([parameter.detach().flatten().float() for parameter in parameters]).to(where)
        self.slopes = torch.zeros_like(self.values)
        self._low = torch.empty_like(self.values, dtype=self.groups[0].dtype)
        at = 0
        for group in self.groups:
            at = self._place(group, at)
        if hold:
            for group in self.groups:
                group.hold()
            gc.collect()  # a 4-bit weight and its layer refer to each other, so they go no sooner
        sizes = [sum(group.sizes) * (group.features + group.spare) for group in self.groups if group.wide is None]
        self.scratch = Scratch(max(sizes, default=0), self.groups[0].dtype, where, gather)
        self.refresh()

    def refresh(self) -> None:
        """After the values changed: what the products see of them follows."""
        self._low.copy_(self.values)
        for group in self.groups:
            group.refresh()

    def _place(self, group: Group, at: int) -> int:
        """Make the group's parameters views of the flat tensors, from `at` on; returns where the next group begins."""
        down_end = at + group.spare * group.features
        group.down = self._low[at:down_end].view(group.spare, group.features)
        for parameter in group.parameters:
            end = at + parameter.numel()
            parameter.data = self.values[at:end].view(parameter.shape)
            parameter.grad = self.slopes[at:end].view(parameter.shape)
            at = end
        count = len(group.layers)
        grads = [parameter.grad for parameter in group.parameters]
        group.slopes = [(grads[number], grads[count + number]) for number in range(count)]  # type: ignore[misc]
        return at


class Apply(Function):
    """y (tokens, N) of a wide x (tokens, K + R), whose spare columns are written here. Slopes of A and B are added in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, group: Group, scratch: Scratch) -> Tensor:
        ctx.save_for_backward(x)
        ctx.group, ctx.scratch = group, scratch
        return forward(x, group, scratch)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        group = ctx.group
        made = backward(slope, x[:, : group.features], x[:, group.features :], group, ctx.scratch, ctx.needs_input_grad[0])
        return made, None, None, None


class GatedMlp(Function):
    """down(silu(gate x) x up x) of a wide x; the product between is computed again in the backward pass, not kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, up: Group, down: Group, scratch: Scratch) -> Tensor:
        gate_up = forward(x, up, scratch)
        product = ops.swiglu(gate_up, down.spare)
        y = forward(product, down, scratch)
        ctx.save_for_backward(x, gate_up, product[:, down.features :].contiguous())
        ctx.up, ctx.down, ctx.scratch = up, down, scratch
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, gate_up, low = ctx.saved_tensors
        up, down = ctx.up, ctx.down
        made = dx(slope, down, ctx.scratch)
        product = made[:, : down.features]
        ops.swiglu_backward(product, gate_up)
        add_slopes(slope, made[:, down.features :], product, low, down)
        del made, product  # a third of what is held here
        return (backward(gate_up, x[:, : up.features], x[:, up.features :], up, ctx.scratch, ctx.needs_input_grad[0]),
                None, None, None, None)


def forward(x: Tensor, group: Group, scratch: Scratch) -> Tensor:
    torch.mm(x[:, : group.features], group.down.t(), out=x[:, group.features :])
    wide = group.weight(scratch)
    return x @ wide.t() if group.bias is None else torch.addmm(group.bias, x, wide.t())


def backward(slope: Tensor, x: Tensor, low: Tensor, group: Group, scratch: Scratch, wanted: bool) -> Tensor | None:
    """Add the slopes of A and B; returns the wide slope of x where it is wanted. `low` is x Aᵀ."""
    if not wanted:
        add_slopes(slope, slope @ group.weight(scratch)[:, group.features :], x, low, group)
        return None
    made = dx(slope, group, scratch)
    add_slopes(slope, made[:, group.features :], x, low, group)
    return made


def dx(slope: Tensor, group: Group, scratch: Scratch) -> Tensor:
    """The slope of the wide input: of x itself in the first columns, s dy B in the spare ones."""
    made = slope @ group.weight(scratch)
    made[:, : group.features].addmm_(made[:, group.features :], group.down)
    return made


def add_slopes(slope: Tensor, through: Tensor, x: Tensor, low: Tensor, group: Group) -> None:
    """Add dA = throughᵀ x and dB = s dyᵀ low to the flat slopes; `through` is s dy B."""
    downs = through.t() @ x
    ups = slope.t() @ low
    row, rank = 0, group.rank
    for number, (size, (down_slope, up_slope)) in enumerate(zip(group.sizes, group.slopes, strict=True)):
        at = slice(number * rank, (number + 1) * rank)
        down_slope += downs[at]
        up_slope.add_(ups[row : row + size, at], alpha=group.scaling)
        row += size


def widen(x: Tensor, spare: int) -> Tensor:
    """x with spare columns whose content is left to chance."""
    return _Widen.apply(x, spare)  # type: ignore[no-any-return, no-untyped-call]


class _Widen(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spare: int) -> Tensor:
        ctx.features = x.shape[1]
        out = torch.empty(x.shape[0], x.shape[1] + spare, dtype=x.dtype, device=x.device)
        out[:, : x.shape[1]] = x
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return slope[:, : ctx.features], None


def write_weight(weight: Any, out: Tensor, gather: Gather | None = None) -> None:
    """The values of a linear layer's weight, 4-bit or plain, into `out` (rows may be wider apart)."""
    state = getattr(weight, "quant_state", None)
    if state is None:
        out.copy_(weight)
        return
    codes = gather.codes(weight) if gather else weight.data
    kernels = ops.kernels_for(out)
    if kernels and state.quant_type == "nf4" and out.shape[1] % state.blocksize == 0:
        kernels.nf4(codes.view(-1), state, out)
        return
    import bitsandbytes.functional as bnb

    out.copy_(bnb.dequantize_4bit(codes, state))


def _bias(bases: Sequence[Any], sizes: Sequence[int], dtype: torch.dtype) -> Tensor | None:
    if all(base.bias is None for base in bases):
        return None
    where = bases[0].weight.device
    return torch.cat([torch.zeros(size, dtype=dtype, device=where) if base.bias is None else base.bias.detach().to(dtype)
                      for base, size in zip(bases, sizes, strict=True)])


def _replace(layer: Any, weight: nn.Parameter) -> None:
    """Give an adapted layer a plain base with this weight, and let go of what it had."""
    old = layer.get_base_layer()
    plain = nn.Linear(old.in_features, old.out_features, bias=False, device="meta")
    plain.weight = weight
    if old.bias is not None:
        plain.bias = nn.Parameter(old.bias.detach().to(weight.dtype), requires_grad=False)
    layer.base_layer = plain
