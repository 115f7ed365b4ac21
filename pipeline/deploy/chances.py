"""How likely a local model found its tokens while it answered, and which others were likely there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pipeline.generation.batches import Row
    from pipeline.generation.local import LocalModel


@dataclass(frozen=True)
class Chance:
    """One token of an answer: its log-probability, and the likeliest tokens there with theirs, the likeliest first."""

    token: int
    nats: float
    top: tuple[tuple[int, float], ...]


@dataclass
class Listener:
    """Hears the steps of a `Table`; `told` are the chances of each row's tokens, by the row's number."""

    top: int
    told: dict[int, list[Chance]] = field(default_factory=dict)

    def __call__(self, logits: Tensor, token: Tensor, rows: Sequence[Row], made: Tensor) -> None:
        for row, before, chance in zip(rows, made.tolist(), _chances(logits, token, self.top), strict=True):
            if before == 0:  # begun, or begun again after memory ran out
                self.told[row.number] = []
            self.told[row.number].append(chance)


def first(model: LocalModel, ids: list[int], top: int) -> Chance:
    """Of the first token of an answer, as the model alone sees it: for those that take no memory."""
    with model.own_attention(), torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([ids], device=model.where), use_cache=False).logits[:, -1]
    return _chances(logits, logits.argmax(-1), top)[0]


def _chances(logits: Tensor, token: Tensor, top: int) -> list[Chance]:
    nats = logits.float().log_softmax(-1)
    own = nats.gather(1, token[:, None])[:, 0].tolist()
    values, ids = nats.topk(max(1, top))
    return [Chance(one, mine, tuple(zip(likely, said, strict=True)) if top else ())
            for one, mine, likely, said in zip(token.tolist(), own, ids.tolist(), values.tolist(), strict=True)]
