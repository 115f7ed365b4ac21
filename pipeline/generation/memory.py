"""Keys and values of rows that are being answered, and attention over them: what lets rows of any length stand side by side.

Row r's token at position p lies in column p. The first columns hold the prompt that all rows share, computed once and copied.
A row that leaves is replaced by one from the end, so that the rows in use are always the first ones and are read without a
copy. Models of transformers pass the memory on to their attention as the keyword `memory`, as they do with the trainer's rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

NAME = "tunewright_memory"
"""What a model is told to use as its attention."""


class Memory:
    """Room for `rows` × `columns` tokens in every layer; layers are made at the first pass.

    Before each pass `block` or `step` says where its tokens go and what they see.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        self._first = self._start = self._total = 0
        self._places: tuple[Tensor, Tensor] | None = None
        self._sees: Tensor | None = None
        self._seen: dict[tuple[int | None, int], Tensor] = {}
        self._asking = self._standing = torch.empty(0)

    def block(self, first: int, start: int, positions: Tensor, kept: Tensor | None = None) -> None:
        """The next pass is a block of tokens for rows from `first` on, put into columns from `start` on. What they see: the
        columns before `start`, themselves, and of the block what stands at or before their own position.

        `positions` is (rows or 1, tokens); `kept` (rows or 1, tokens, tokens) says further which of the block's tokens see
        which others.
        """
        count, length = positions.shape
        before = torch.arange(start, device=positions.device).expand(count, start)
        self._begin(first, start, start + length, None, positions, torch.cat([before, positions], 1))
        if kept is not None:
            self._sees[:, :, :, start:] &= kept[:, None]  # type: ignore[index]

    def step(self, lengths: Tensor, total: int) -> None:
        """The next pass is one token for each of the first rows, behind the `lengths` tokens that it has. `total` is more than
        any length; on a GPU it is known without asking the device."""
        columns = torch.arange(total, device=lengths.device).expand(1, total)
        places = torch.arange(len(lengths), device=lengths.device), lengths
        self._begin(0, 0, total, places, lengths[:, None], columns)

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Put rows into the place of others."""
        for keys, values in self.layers.values():
            keys[targets], values[targets] = keys[sources], values[sources]

    def spread(self, columns: int) -> None:
        """Give all rows the first row's first columns: the prompt that they share."""
        for keys, values in self.layers.values():
            keys[1:, :, :columns], values[1:, :, :columns] = keys[:1, :, :columns], values[:1, :, :columns]

    def put(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep a pass's keys and values, (rows, heads, tokens, head size); returns all that its rows have, as views."""
        if layer not in self.layers:
            self.layers[layer] = (self._room(key), self._room(value))
        first, last = self._first, self._first + len(key)
        for room, new in zip(self.layers[layer], (key, value), strict=True):
            if self._places is None:
                room[first:last, :, self._start : self._total] = new
            else:
                room[self._places[0], :, self._places[1]] = new[:, :, 0]
        keys, values = self.layers[layer]
        return keys[first:last, :, : self._total], values[first:last, :, : self._total]

    def seen(self, window: int | None, groups: int) -> Tensor:
        """(rows or 1, 1, groups × tokens, columns): what each token sees, no further back than `window` tokens, itself among
        them. Made once a pass."""
        window = window if window and window < self._total else None
        if (window, groups) not in self._seen:
            sees = self._sees
            if window:
                sees = sees & (self._standing[:, None, None, :] > self._asking[:, None, :, None] - window)  # type: ignore[operator]
            self._seen[window, groups] = sees.repeat(1, 1, groups, 1)  # type: ignore[union-attr]
        return self._seen[window, groups]

    def _begin(self, first: int, start: int, total: int, places: tuple[Tensor, Tensor] | None, asking: Tensor,
               standing: Tensor) -> None:
        self._first, self._start, self._total, self._places = first, start, total, places
        self._asking, self._standing = asking, standing
        self._sees, self._seen = standing[:, None, None, :] <= asking[:, None, :, None], {}

    def _room(self, like: Tensor) -> Tensor:
        """Zeros: what is masked still takes part in a product with 0."""
        return torch.zeros(self.rows, like.shape[1], self.columns, like.shape[3], dtype=like.dtype, device=like.device)


def register() -> None:
    """Let models of transformers use this attention by its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _for_transformers)


def _for_transformers(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
                      scaling: float | None = None, sliding_window: int | None = None, softcap: float | None = None,
                      memory: Memory | None = None, **_: Any) -> tuple[Tensor, None]:
    """transformers' signature: (rows, heads, tokens, head size) in, (rows, tokens, heads, head size) out.

    Queries of heads that share a key head stand behind each other, so keys are never repeated.
    """
    if memory is None:
        raise RuntimeError("this attention needs the memory that it reads")
    rows, heads, tokens, size = query.shape
    keys, values = memory.put(int(module.layer_idx), key, value)
    groups = heads // keys.shape[1]
    seen = memory.seen(sliding_window, groups)
    query = query.reshape(rows, keys.shape[1], groups * tokens, size)
    scale = scaling if scaling is not None else size**-0.5
    if softcap is None:
        found = scaled_dot_product_attention(query, keys, values, attn_mask=seen, scale=scale)
    else:
        scores = softcap * torch.tanh(query @ keys.transpose(-1, -2) * scale / softcap)
        found = torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-1, dtype=torch.float32).to(values.dtype) @ values
    return found.reshape(rows, heads, tokens, values.shape[3]).transpose(1, 2).contiguous(), None
