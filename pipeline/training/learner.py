"""One optimizer step on some rows: loss, slopes, clipping, AdamW (arXiv:1711.05101) on the adapter's flat values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pipeline.training.decoder import Decoder
from pipeline.training.rows import Row

CLIP = 1.0
"""The largest norm of a step's slope."""


class Learner:
    """A decoder with its optimizer. All state of the optimizer is `optimizer.state[values]`: step, exp_avg, exp_avg_sq."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.values = nn.Parameter(decoder.adapters.values)
        self.values.grad = decoder.adapters.slopes
        self.optimizer = torch.optim.AdamW([self.values], weight_decay=0.0, fused=self.values.is_cuda)

    def step(self, rows: Sequence[Row], rate: float,
             exchange: Callable[[Tensor, Tensor], None] = lambda slopes, loss: None, learned: int = 0) -> Tensor:
        """(mean loss in nats a learned token, norm of its slope) of the rows together, as a tensor on the device.

        Nothing waits for the device. `learned` is the number of learned tokens in the whole step, where other processes have
        rows of it too; `exchange` then sums the slopes and the loss over all of them, in place.
        """
        learned = learned or sum(row.learned for row in rows)
        slopes = self.decoder.adapters.slopes
        total = torch.zeros((), dtype=torch.float32, device=slopes.device)
        for row in rows:
            loss = self.decoder.loss(row.to(slopes.device), 1 / learned)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        exchange(slopes, total)
        norm = slopes.norm()
        slopes.mul_((CLIP / (norm + 1e-6)).clamp(max=1.0))
        for part in self.optimizer.param_groups:
            part["lr"] = rate
        self.optimizer.step()
        self.decoder.adapters.refresh()
        slopes.zero_()
        return torch.stack([total, norm])

    def forget_slopes(self) -> None:
        """After a step that broke in the middle."""
        self.decoder.adapters.slopes.zero_()
