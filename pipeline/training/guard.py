"""Before the first step: proof on this machine, with this model, that what will be learned is right."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.template import Encoded
from pipeline.training import quantised, rows
from pipeline.training.decoder import Decoder

MOST_DIFFERENT = 0.05
"""A gradient may differ this much (relative, L2) before and after an evaluation pass; the fault makes it differ by 1."""

MOST_TOKENS = 256
"""Tokens looked at, to keep it short; the first of each example."""


def check(decoder: Decoder, examples: Sequence[Encoded]) -> None:
    """Raises PipelineError when training would go wrong in silence: when an evaluation pass of the model changes the gradients,
    or when the loss taken here is not the model's own, or not that of each conversation for itself.

    The model must not have been evaluated yet: only the first pass does the damage.
    """
    if decoder.gather:  # no process has the model whole, so its own loss cannot be asked for
        _slopes(decoder, rows.filler())
        decoder.gather.learn_order()
        return
    looked_at = [part for example in examples[:2] if any((part := _beginning(example)).learned[1:])]
    row = rows.row(looked_at or examples[:2])
    before = _slopes(decoder, row)
    own = _own_loss(decoder, row)
    change = float((_slopes(decoder, row) - before).norm() / before.norm().clamp_min(1e-12))
    if not change < MOST_DIFFERENT:
        raise PipelineError(f"On this machine an evaluation pass changes the gradients by {change:.0%}, so training would "
                            "learn wrong things without a word. It was not started.",
                            "The 4-bit library is at fault on this processor: update bitsandbytes, or use another machine.")
    with torch.no_grad():
        ours = float(decoder.loss(row.to(decoder.where), 1 / row.learned))
    if not abs(ours - own) <= 0.02 * max(1.0, abs(own)):
        raise PipelineError(f"The loss taken here ({ours:.3f}) is not this model's own ({own:.3f}): it changes its output in "
                            "a way that is not known here.", "Choose a base model of another family.")


def _beginning(example: Encoded) -> Encoded:
    return Encoded(example.id, example.ids[:MOST_TOKENS], example.learned[:MOST_TOKENS])


def _slopes(decoder: Decoder, row: rows.Row) -> Tensor:
    """The adapter's gradient of the row's mean loss; the decoder's own is empty again afterwards."""
    decoder.adapters.slopes.zero_()
    decoder.loss(row.to(decoder.where), 1 / max(1, row.learned)).backward()  # type: ignore[no-untyped-call]
    found = decoder.adapters.slopes.clone()
    decoder.adapters.slopes.zero_()
    return found


def _own_loss(decoder: Decoder, row: rows.Row) -> float:
    """The same mean loss from the model's own full logits, each conversation alone, in eval mode."""
    model, total = decoder.plain(), 0.0
    with quantised.evaluating(model):
        for start, end in zip(row.ends, row.ends[1:], strict=False):
            inside = (row.predicting >= start) & (row.predicting < end)
            logits = model(input_ids=row.ids[None, start:end].to(decoder.where)).logits[0, row.predicting[inside] - start]
            total += float(nn.functional.cross_entropy(logits.float(), row.targets[inside].to(decoder.where), reduction="sum"))
    return total / row.learned
