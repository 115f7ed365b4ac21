"""Rows: several conversations one after the other, each with positions from 0 and attention kept inside itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pipeline.template import Encoded
from pipeline.training import recipe


@dataclass(frozen=True)
class Row:
    """`ids`, `positions`: int64 (tokens,). `borders`: int32 (conversations + 1,), where each begins and the last ends.

    `predicting`: int64 (targets,), the places whose next token is learned; `targets`: int64 (targets,), those tokens.
    """

    ids: Tensor
    positions: Tensor
    borders: Tensor
    predicting: Tensor
    targets: Tensor
    examples: int
    longest: int

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def learned(self) -> int:
        return len(self.targets)

    @cached_property
    def ends(self) -> list[int]:
        """The borders as numbers; asked for on a CPU only, where that costs nothing."""
        return [int(border) for border in self.borders]

    def to(self, where: torch.device) -> Row:
        """The row on a device, copied while the device still works on the one before."""
        if where.type == "cpu":
            return self
        ids, positions, borders, predicting, targets = (
            part.pin_memory().to(where, non_blocking=True)
            for part in (self.ids, self.positions, self.borders, self.predicting, self.targets))
        return Row(ids, positions, borders, predicting, targets, self.examples, self.longest)


def row(examples: Sequence[Encoded], multiple: int = 1) -> Row:
    """One row of whole conversations. The first token of each is never learned: nothing comes before it.

    Filled up to a multiple of so many tokens, with zeros that are a conversation of their own and not learned.
    """
    ids: list[int] = []
    positions: list[int] = []
    borders = [0]
    predicting: list[int] = []
    for example in examples:
        start = len(ids)
        ids += example.ids
        positions += range(len(example.ids))
        predicting += [start + place - 1 for place, learned in enumerate(example.learned) if learned and place]
        borders.append(len(ids))
    if fill := -len(ids) % multiple:
        ids += [0] * fill
        positions += range(fill)
        borders.append(len(ids))
    tokens = torch.tensor(ids, dtype=torch.long)
    wanted = torch.tensor(predicting, dtype=torch.long)
    return Row(tokens, torch.tensor(positions, dtype=torch.long), torch.tensor(borders, dtype=torch.int32), wanted,
               tokens[wanted + 1], len(examples),
               max(fill, *(len(example.ids) for example in examples)))


def filler(multiple: int = 1) -> Row:
    """A row in which nothing is learned, for a process that has none while the others compute."""
    size = max(2, multiple)
    nothing = torch.empty(0, dtype=torch.long)
    return Row(torch.zeros(size, dtype=torch.long), torch.arange(size), torch.tensor([0, size], dtype=torch.int32), nothing,
               nothing, 0, size)


def rows(examples: Sequence[Encoded], most_tokens: int, multiple: int = 1) -> list[Row]:
    """As few rows as pack well, of at most `most_tokens` tokens, or as many as the longest example has,
    before they are filled up."""
    lengths = [len(example.ids) for example in examples]
    return [row([examples[place] for place in places], multiple)
            for places in recipe.pack(range(len(examples)), lengths, max(most_tokens, *lengths))]
