"""Answers in batches whose rows come and go: a finished row leaves, a waiting one takes its place.

The prompt that all rows share is computed once. What a prompt has beyond it is computed in blocks, then every row takes its
last prompt token as its first step, so nothing but steps ever needs logits. Greedy answers are those of `generate` one at a
time, up to how the machine rounds in products of another shape.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import PipelineError, is_out_of_memory
from pipeline.generation.graphs import Graphs
from pipeline.generation.memory import Memory
from pipeline.specs import Decoding

STEPS_BEFORE_A_LOOK = 8
"""On a GPU: asking after every step which rows are done would make it wait for the host."""

BLOCK_TOKENS = 4_096
"""Most tokens of prompts computed at once."""

Watch = Callable[[], None]
Ears = Callable[[Tensor, Tensor, "Sequence[Row]", Tensor], None]
"""Hears each step: the logits, the tokens that were chosen, the rows they belong to, and how many tokens each had before."""


@dataclass
class Row:
    """One answer on its way. `number` is its place among what was asked, `seed` draws its tokens, of which there are `most`."""

    number: int
    ids: list[int]
    seed: int
    most: int
    length: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Made:
    """`tokens` end with the token that ended the turn, where one did (`ended`)."""

    number: int
    tokens: list[int]
    ended: bool
    seconds: float


@dataclass(frozen=True)
class Model:
    """A causal model whose attention reads a `Memory`, where it is, and the tokens that end its turn. `pad` is any token."""

    forward: Any
    where: torch.device
    ends: tuple[int, ...]
    pad: int


def generate(model: Model, rows: Sequence[Row], decoding: Decoding, size: int, watch: Watch,
             ears: Ears | None = None) -> Iterator[Made]:
    """An answer for each row, in the order they are done, at most `size` at a time; out of memory halves that and goes on."""
    left = {row.number: row for row in rows}
    while left:
        try:
            for made in Table(model, list(left.values()), decoding, size, ears).run(watch):
                del left[made.number]
                yield made
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise PipelineError("One question alone does not fit into memory.",
                                    "Use a machine with more memory, or a smaller base model.") from None
            size = max(1, min(size, len(left)) // 2)
        gc.collect()
        if model.where.type == "cuda":
            torch.cuda.empty_cache()


@dataclass
class Table:
    """The rows that are being answered, as tensors with one line a place; the first `len(self.active)` places are in use."""

    model: Model
    rows: Sequence[Row]
    decoding: Decoding
    size: int
    ears: Ears | None = None
    active: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = min(self.size, len(self.rows))
        self.look = STEPS_BEFORE_A_LOOK if self.model.where.type == "cuda" else 1
        limit = self.decoding.max_new_tokens + self.look
        longest = max(len(row.ids) for row in self.rows)
        where = self.model.where
        self.waiting = deque(sorted(self.rows, key=lambda row: (-len(row.ids), row.number)))
        self.shared = shared([row.ids for row in self.rows])
        self.memory = Memory(self.size, longest + limit)
        self.token, self.length, self.count, self.most = torch.zeros(4, self.size, dtype=torch.long, device=where).unbind()
        self.length += self.shared  # a place nobody has yet must not write over what all share
        self.graphs = Graphs(self._compute, self.size, longest + limit) if where.type == "cuda" else None
        self.done = torch.zeros(self.size, dtype=torch.bool, device=where)
        self.out = torch.zeros(self.size, limit, dtype=torch.long, device=where)
        self.ends = torch.tensor(self.model.ends, device=where)
        self.draws = torch.zeros(self.size, limit if self.decoding.temperature else 0, device=where)

    @torch.inference_mode()
    def run(self, watch: Watch) -> Iterator[Made]:
        began = time.perf_counter()
        if self.shared:
            self._block(0, 0, [self.rows[0].ids[: self.shared]])
            self.memory.spread(self.shared)
        for row in self.rows:
            row.seconds = (time.perf_counter() - began) / len(self.rows)
        while self.waiting or self.active:
            watch()
            self._fill()
            began = time.perf_counter()
            for _ in range(self.look):
                self._step()
            over = self.done[: len(self.active)].tolist()
            each = (time.perf_counter() - began) / len(self.active)
            for row in self.active:
                row.seconds += each
            if any(over):
                yield from self._leave(over)

    @torch.inference_mode()
    def aloud(self) -> Iterator[tuple[list[int], bool]]:
        """The first row alone: its tokens after every look, without the one that ends its turn, and whether that came."""
        row = self.rows[0]
        if self.shared:
            self._block(0, 0, [row.ids[: self.shared]])
        self._fill()
        made: list[int] = []
        while len(made) < row.most:
            for _ in range(self.look):
                self._step()
            made = self.out[0, : int(self.count[0])].tolist()[: row.most]
            end = next((place for place, token in enumerate(made) if token in self.model.ends), None)
            yield made[:end], end is not None
            if end is not None:
                return

    def _fill(self) -> None:
        """Waiting rows take free places, once a quarter of the places is free: blocks of a few rows are slow."""
        free = self.size - len(self.active)
        if not self.waiting or (self.active and free < max(1, self.size // 4)):
            return
        new = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        while new:
            count = max(1, min(len(new), BLOCK_TOKENS // max(1, len(new[0].ids) - self.shared)))
            self._enter(new[:count])
            new = new[count:]

    def _enter(self, new: list[Row]) -> None:
        """Compute what these rows have beyond the shared prompt, but for the last token, and give them places."""
        began, first, last = time.perf_counter(), len(self.active), len(self.active) + len(new)
        where = self.model.where
        beyond = [row.ids[self.shared : -1] for row in new]
        if longest := max(map(len, beyond)):
            self._block(first, self.shared, [ids + [self.model.pad] * (longest - len(ids)) for ids in beyond])
        self.token[first:last] = torch.tensor([row.ids[-1] for row in new], device=where)
        self.length[first:last] = torch.tensor([len(row.ids) - 1 for row in new], device=where)
        self.most[first:last] = torch.tensor([row.most for row in new], device=where)
        self.count[first:last] = 0
        self.done[first:last] = False
        if self.decoding.temperature:
            self.draws[first:last] = torch.stack([draws(row.seed, self.draws.shape[1]) for row in new]).to(where)
        for row in new:
            row.length = len(row.ids) - 1
            row.seconds += (time.perf_counter() - began) / len(new)
        self.active += new

    def _block(self, first: int, start: int, ids: list[list[int]]) -> None:
        tokens = torch.tensor(ids, device=self.model.where)
        positions = torch.arange(start, start + tokens.shape[1], device=self.model.where)[None]
        self.memory.block(first, start, positions)
        self.model.forward(input_ids=tokens, position_ids=positions.expand(len(ids), -1), use_cache=False, logits_to_keep=1,
                           memory=self.memory)

    def _step(self) -> None:
        """One more token for every row; rows that are done go on until somebody looks, which changes nothing."""
        (self.graphs.step if self.graphs else self._compute)(len(self.active), max(row.length for row in self.active) + 1)
        for row in self.active:
            row.length += 1

    def _compute(self, count: int, columns: int) -> None:
        """A step of the first `count` places within the first columns. Places that are not in use (a graph's sizes are rounded
        up) count on to their last column and stay there."""
        length, made = self.length[:count], self.count[:count]
        self.memory.step(length, columns)
        logits = self.model.forward(input_ids=self.token[:count, None], position_ids=length[:, None], use_cache=False,
                                    logits_to_keep=1, memory=self.memory).logits[:, -1]
        token = choose(logits, self.decoding, self.draws[:count], made)
        if self.ears:
            self.ears(logits, token, self.active, made)
        self.out[:count].scatter_(1, made[:, None], token[:, None])
        self.token[:count] = token
        length.add_(1).clamp_(max=self.memory.columns - 1)
        made.add_(1).clamp_(max=self.out.shape[1] - 1)
        self.done[:count] |= torch.isin(token, self.ends) | (made >= self.most[:count])

    def _leave(self, over: list[bool]) -> Iterator[Made]:
        """Hand out the rows that are done and close the gaps with rows from the end."""
        gone = [place for place, done in enumerate(over) if done]
        kept = len(over) - len(gone)
        tokens = self.out[gone].tolist()
        finished = [self.active[place] for place in gone]
        sources = [place for place, done in enumerate(over) if not done and place >= kept]
        targets = [place for place in gone if place < kept]
        if targets:
            self._move(sources, targets)
        del self.active[kept:]
        for row, made in zip(finished, tokens, strict=True):
            made = made[: row.most]
            end = next((place for place, token in enumerate(made) if token in self.model.ends), None)
            yield Made(row.number, made if end is None else made[: end + 1], end is not None, row.seconds)

    def _move(self, sources: list[int], targets: list[int]) -> None:
        left, right = (torch.tensor(places, device=self.model.where) for places in (sources, targets))
        self.memory.move(left, right)
        for part in (self.token, self.length, self.count, self.most, self.done, self.out, self.draws):
            part[right] = part[left]
        for source, target in zip(sources, targets, strict=True):
            self.active[target] = self.active[source]


def shared(prompts: Sequence[list[int]]) -> int:
    """How many first tokens all prompts share; every prompt keeps one for itself, where its answer begins."""
    least, most = min(prompts), max(prompts)
    same = next((place for place, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least))
    return min(same, *(len(prompt) - 1 for prompt in prompts), len(least) - 1)


def choose(logits: Tensor, decoding: Decoding, draws: Tensor, made: Tensor) -> Tensor:
    """The next token of each row: the likeliest, or the one that the row's own number for this step falls on.

    Of the likeliest tokens only as many count as it takes to reach `top_p` (nucleus sampling, arXiv:1904.09751).
    """
    if not decoding.temperature:
        return logits.argmax(-1)
    chances, order = torch.softmax(logits.double() / decoding.temperature, -1).sort(dim=-1, descending=True, stable=True)
    reached = chances.cumsum(-1)
    chances = chances.masked_fill(reached - chances >= decoding.top_p, 0)
    wanted = draws.gather(1, made[:, None]).double() * chances.sum(-1, keepdim=True)
    place = torch.searchsorted(chances.cumsum(-1), wanted, right=True).clamp(max=logits.shape[-1] - 1)
    return order.gather(1, place)[:, 0]


def draws(seed: int, count: int) -> Tensor:
    """Numbers from 0 to 1 for one row, one a step: made on the CPU, so that every device draws the same."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed))
