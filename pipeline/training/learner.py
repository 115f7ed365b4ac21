"""One optimizer step on some rows: loss, slopes, clipping, AdamW (arXiv:1711.05101) on the adapter's flat values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from pipeline.errors import is_out_of_memory
from pipeline.training.decoder import Decoder
from pipeline.training.rows import Row
from pipeline.training.together import World

CLIP = 1.0
"""The largest norm of a step's slope."""


class Learner:
    """A decoder with its optimizer."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.values = nn.Parameter(decoder.adapters.values)
        self.values.grad = decoder.adapters.slopes
        self.optimizer = torch.optim.AdamW([self.values], weight_decay=0.0, fused=self.values.is_cuda)
        # Made now and not at the first step: a step that runs out of memory must not have begun to change anything.
        counter = torch.zeros((), device=self.values.device if self.values.is_cuda else "cpu")
        self.optimizer.state[self.values] = {"step": counter, "exp_avg": torch.zeros_like(self.values),
                                             "exp_avg_sq": torch.zeros_like(self.values)}

    @property
    def moments(self) -> dict[str, Tensor]:
        """The optimizer's whole state, by its own names."""
        return self.optimizer.state[self.values]  # type: ignore[no-any-return]

    def learn(self, rows: Iterable[Row], learned: int) -> Tensor:
        """Add the rows' slopes; returns their part of the mean loss over `learned` tokens, as a tensor on the device.

        `learned` counts the whole step, also what other processes compute of it. Nothing waits for the device.
        """
        where = self.values.device
        total = torch.zeros((), dtype=torch.float32, device=where)
        for row in rows:
            loss = self.decoder.loss(row.to(where), 1 / learned)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def learn_together(self, rows: Iterable[Row], learned: int, world: World) -> Tensor:
        """`learn` where each process holds a part of the base. All have equally many rows, and at the end of each all know
        whether memory ran out in one of them. Raises MemoryError in all when it did."""
        gather = self.decoder.gather
        assert gather is not None
        total = torch.zeros((), dtype=torch.float32, device=self.values.device)
        for row in rows:
            short = False
            try:
                total += self.learn([row], learned)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                short = True
            if short:  # outside of the handler, so that the broken row's tensors are gone
                gather.keep_up()
            gather.row_ends()
            if world.any(short):
                raise MemoryError("one of the processes that share the base has too little memory")
        return total

    def update(self, loss: Tensor, rate: float,
               exchange: Callable[[Tensor, Tensor], None] = lambda slopes, loss: None) -> Tensor:
        """Clip, step and forget the slopes; returns (mean loss in nats a learned token, norm of its slope) on the device.

        `exchange` sums slopes and loss over all processes, in place.
        """
        slopes = self.decoder.adapters.slopes
        exchange(slopes, loss)
        norm = slopes.norm()
        slopes.mul_((CLIP / (norm + 1e-6)).clamp(max=1.0))
        for part in self.optimizer.param_groups:
            part["lr"] = rate
        self.optimizer.step()
        self.decoder.adapters.refresh()
        slopes.zero_()
        return torch.stack([loss, norm])

    def step(self, rows: Sequence[Row], rate: float) -> Tensor:
        """`learn` and `update` of a step that one process computes."""
        return self.update(self.learn(rows, sum(row.learned for row in rows)), rate)

    def forget_slopes(self) -> None:
        """After a step that broke in the middle."""
        self.decoder.adapters.slopes.zero_()
