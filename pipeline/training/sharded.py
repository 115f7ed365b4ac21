"""A 4-bit base of which each process holds a part, for models that do not fit into one card whole.

That is fully sharded QLoRA (FSDP, arXiv:2304.11277, for weights that never change): the codes of every weight are cut into as
many parts as there are processes and gathered just before a product needs them, in one buffer for all. Scales, norms,
embeddings and the head are whole everywhere, and so is the adapter.

A gathering is done by all processes together. So all must compute equally many rows, and ask for the same weights in the
same order; one that runs out of memory in the middle of a row takes part in the rest of it without computing (`keep_up`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from pipeline.training.together import World

_all_gather = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)
"""The same under its newer name, where torch has it."""


class Gather:
    """Whole codes of a weight, good until the one after the next is asked for.

    While a product is computed, the codes of the next one are on their way into the other of two buffers: which one that is
    follows from the order in which a row before asked for them.
    """

    def __init__(self, world: World, parts: list[Tensor], where: torch.device) -> None:
        self.world = world
        most = world.size * max(len(part) for part in parts)
        self._buffers = [torch.empty(most, dtype=torch.uint8, device=where) for _ in range(2)]
        self._asked: list[Tensor] = []
        self._order: list[Tensor] = []
        self._coming: tuple[Tensor, Tensor, Any] | None = None

    def codes(self, weight: Any) -> Tensor:
        """(bytes, 1): the packed values of `weight`, of which `weight.data` is this process's part."""
        return self._take(weight.data)[: weight.quant_state.shape.numel() // 2].view(-1, 1)

    def learn_order(self) -> None:
        """Take what was asked for since the last row's end as what a row asks for."""
        self._order = list(self._asked)
        self.row_ends()

    def row_ends(self) -> None:
        self._finish()
        self._asked.clear()

    def keep_up(self) -> None:
        """After a row broke in this process: take part in what the others still gather for theirs."""
        for part in self._order[len(self._asked) :]:
            self._take(part)

    def _take(self, part: Tensor) -> Tensor:
        self._asked.append(part)
        if self._coming is None or self._coming[0].data_ptr() != part.data_ptr():
            self._finish()
            self._begin(part)
        whole = self._finish()
        if len(self._asked) < len(self._order):
            self._begin(self._order[len(self._asked)])
        assert whole is not None
        return whole

    def _begin(self, part: Tensor) -> None:
        """The buffer's last reader was begun before this; the device keeps that order."""
        self._buffers.reverse()
        whole = self._buffers[0][: self.world.size * len(part)]
        self._coming = part, whole, _all_gather(whole, part, async_op=True)

    def _finish(self) -> Tensor | None:
        """What was on its way, arrived."""
        if self._coming is None:
            return None
        _, whole, work = self._coming
        work.wait()
        self._coming = None
        return whole


def share(model: nn.Module, world: World, where: torch.device) -> Gather:
    """Bring a model that was loaded into main memory to the device: of its 4-bit weights this process's part."""
    import bitsandbytes as bnb

    parts = []
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(where))
        for parameter in module.parameters(recurse=False):
            packed = getattr(parameter, "quant_state", None) is not None
            parameter.data = (_part(parameter.data, world) if packed else parameter.data).to(where)
        if isinstance(module, bnb.nn.Linear4bit):
            weight: Any = module.weight
            weight.quant_state.to(where)
            parts.append(weight.data)
    return Gather(world, parts, where)


def _part(codes: Tensor, world: World) -> Tensor:
    """This process's bytes, all parts being equally long."""
    flat = codes.reshape(-1)
    size = -(-len(flat) // world.size)
    part = torch.zeros(size, dtype=torch.uint8)
    mine = flat[world.rank * size : (world.rank + 1) * size]
    part[: len(mine)] = mine
    return part
