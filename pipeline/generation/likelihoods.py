"""How likely a model finds given answers: the reference, and each label. No token of the prompt is computed twice.

All answers to one question stand behind it in one row, side by side: each sees the question and itself, and its positions go
on from the question's. So a hundred labels take one pass, and the shared prompt is computed once for all items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.generation.batches import Model, Watch, shared
from pipeline.generation.memory import Memory

LOGIT_BYTES = {"cpu": 256 << 20, "cuda": 2 << 30}
"""What the logits of one pass may take."""


@dataclass(frozen=True)
class Asked:
    """A prompt's tokens and those of each answer to it, the token that ends the turn included."""

    number: int
    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]

    @property
    def beyond(self) -> int:
        """Tokens that are computed for the answers: of each all but the last."""
        return sum(len(answer) - 1 for answer in self.answers)


def log_likelihoods(model: Model, asked: Sequence[Asked], vocabulary: int, watch: Watch) -> Iterator[tuple[int, list[float]]]:
    """For each question its number and the log-probability (nats) of each answer."""
    if not asked:
        return
    common = shared([list(one.prompt) for one in asked])
    ordered = sorted(asked, key=lambda one: (len(one.prompt) + one.beyond, one.number))
    with torch.inference_mode():
        prefix = Memory(1, common)
        if common:
            positions = torch.arange(common, device=model.where)[None]
            prefix.block(0, 0, positions)
            model.forward(input_ids=torch.tensor([asked[0].prompt[:common]], device=model.where), position_ids=positions,
                          use_cache=False, logits_to_keep=1, memory=prefix)
        for part in _parts(ordered, common, vocabulary, LOGIT_BYTES[model.where.type]):
            watch()
            for one, found in zip(part, _pass(model, part, common, prefix), strict=True):
                yield one.number, found


def _parts(ordered: Sequence[Asked], common: int, vocabulary: int, room: int) -> Iterator[list[Asked]]:
    """Questions of like lengths, as many as the logits leave room for."""
    part: list[Asked] = []
    for one in ordered:
        kept = 1 + max(other.beyond for other in [*part, one])
        if part and (len(part) + 1) * kept * vocabulary * 8 > room:
            yield part
            part = []
        part.append(one)
    yield part


def _pass(model: Model, part: Sequence[Asked], common: int, prefix: Memory) -> list[list[float]]:
    rows = [_row(one, common) for one in part]
    length = max(len(ids) for ids, _, _ in rows)
    padding = [length - len(ids) for ids, _, _ in rows]
    ids = torch.tensor([[model.pad] * pad + row[0] for pad, row in zip(padding, rows, strict=True)], device=model.where)
    positions = torch.tensor([[common] * pad + row[1] for pad, row in zip(padding, rows, strict=True)], device=model.where)
    branch = torch.tensor([[-1] * pad + row[2] for pad, row in zip(padding, rows, strict=True)], device=model.where)
    memory = Memory(len(part), common + length)
    memory.layers = {layer: (_grown(keys, len(part), length), _grown(values, len(part), length))
                     for layer, (keys, values) in prefix.layers.items()}
    theirs, own = branch[:, None, :], branch[:, :, None]
    memory.block(0, common, positions, (theirs == own) & (theirs > 0) | (theirs == 0) | _itself(length, model.where))
    keep = 1 + max(one.beyond for one in part)
    logits = model.forward(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=keep, memory=memory).logits
    return [_sums(logits[place, keep - 1 - one.beyond :], one.answers) for place, one in enumerate(part)]


def _row(one: Asked, common: int) -> tuple[list[int], list[int], list[int]]:
    """Tokens, positions and branches: 0 for the prompt, then one for each answer."""
    ids, positions = list(one.prompt[common:]), list(range(common, len(one.prompt)))
    branches = [0] * len(ids)
    for number, answer in enumerate(one.answers, start=1):
        ids += answer[:-1]
        positions += range(len(one.prompt), len(one.prompt) + len(answer) - 1)
        branches += [number] * (len(answer) - 1)
    return ids, positions, branches


def _sums(logits: Tensor, answers: Sequence[tuple[int, ...]]) -> list[float]:
    """The first token of every answer is foretold by the prompt's last, each further one by the one before it."""
    places: list[int] = []
    tokens: list[int] = []
    at = 1
    for answer in answers:
        places += [0, *range(at, at + len(answer) - 1)]
        tokens += answer
        at += len(answer) - 1
    logits = logits.float()
    norm = logits.logsumexp(-1)
    index = torch.tensor(places, device=logits.device)
    found = logits[index, torch.tensor(tokens, device=logits.device)] - norm[index]
    return [float(part.sum()) for part in found.double().cpu().split([len(answer) for answer in answers])]


def _grown(prefix: Tensor, rows: int, length: int) -> Tensor:
    """A layer's room for these rows, with the shared prompt in its first columns."""
    _, heads, columns, size = prefix.shape
    room = torch.zeros(rows, heads, columns + length, size, dtype=prefix.dtype, device=prefix.device)
    room[:, :, :columns] = prefix
    return room


def _itself(length: int, where: torch.device) -> Tensor:
    """Every token sees itself, padding too: a softmax over nothing would not be a number."""
    return torch.eye(length, dtype=torch.bool, device=where)
