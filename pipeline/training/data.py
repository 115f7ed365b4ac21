"""Batches of encoded conversations: which examples go together is a pure function of (seed, epoch)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.template import Encoded

WINDOW = 8
"""Batches sorted by length together: enough to save most padding, few enough to keep the order well mixed."""


@dataclass(frozen=True)
class Batch:
    """Right-padded. `ids`, `attention` are int64 and `learned` bool, all of shape (examples, longest)."""

    ids: Tensor
    attention: Tensor
    learned: Tensor

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return int(self.attention.sum())


def order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Places of the examples in every batch of one epoch; each example exactly once.

    Shuffled, then sorted by length within windows of eight batches, then the batches shuffled.
    """
    dice = random.Random(f"{seed}/{epoch}")
    places = list(range(len(lengths)))
    dice.shuffle(places)
    span = batch_size * WINDOW
    near = [place for start in range(0, len(places), span)
            for place in sorted(places[start : start + span], key=lambda place: lengths[place])]
    batches = [near[start : start + batch_size] for start in range(0, len(near), batch_size)]
    dice.shuffle(batches)
    return batches


def collate(examples: Sequence[Encoded], pad_id: int) -> Batch:
    longest = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), longest), pad_id, dtype=torch.long)
    attention = torch.zeros_like(ids)
    learned = torch.zeros_like(ids, dtype=torch.bool)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        attention[row, :length] = 1
        learned[row, :length] = torch.tensor(example.learned)
    return Batch(ids, attention, learned)


def by_length(examples: Sequence[Encoded], batch_size: int, pad_id: int) -> list[Batch]:
    """Batches for validation: sorted by length, always the same."""
    ordered = sorted(examples, key=lambda example: (len(example.ids), example.id))
    return [collate(ordered[start : start + batch_size], pad_id) for start in range(0, len(ordered), batch_size)]
