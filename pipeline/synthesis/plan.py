"""The fixed list of examples that a spec asks for: each slot with its key, and the seeds that its prompt shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from pipeline import shots
from pipeline.errors import PipelineError
from pipeline.examples import Example
from pipeline.specs import Cell, SynthesisSpec
from pipeline.synthesis import names

MOST_COMPARED = 4_000
"""Seeds that are spread by how unlike they are; where there are more, at even steps through them."""

A_USE = 0.2
"""How much more alike (a cosine) a seed may be for having been used once less."""


@dataclass(frozen=True)
class Slot:
    """One example to be made: `number` counts from 0 within the cell, `seeds` are places in seeds.jsonl.

    The key depends on what the cell says and on the number alone, not on how many the cell asks for.
    """

    key: str
    cell: Cell
    number: int
    seeds: tuple[int, ...] = ()


def slots(spec: SynthesisSpec, seeds: Sequence[Example] = ()) -> list[Slot]:
    """Every slot, the first of each cell before the second of any: so a preview shows all cells, and a run that ends early
    has some of each. `seeds` are all lines of seeds.jsonl. Raises PipelineError where the work needs seeds and has none."""
    drawn = _of_work(spec, seeds)
    by_cell, begins, used = [], 0, dict[str, int]()
    for cell in spec.cells:
        told = json.dumps(cell.model_dump(exclude={"count"}), sort_keys=True)
        first = used.get(told, 0)  # a cell that stands in the list twice goes on counting
        used[told] = first + cell.count
        by_cell.append([Slot(_key(told, first + number), cell, first + number, drawn[begins + number])
                        for number in range(cell.count)])
        begins += cell.count
    found = [slot for row in zip_longest(*by_cell) for slot in row if slot is not None]
    return found[: spec.only] if spec.only is not None else found


def usable(seeds: Sequence[Example]) -> list[int]:
    """Places of seeds that are plain text: with a customer's turn, without tools."""
    return [place for place, seed in enumerate(seeds)
            if not seed.tools and any(turn["role"] == "user" for turn in seed.question)
            and all(turn["role"] != "tool" and not turn.get("tool_calls") for turn in seed.messages)]


def _of_work(spec: SynthesisSpec, seeds: Sequence[Example]) -> list[tuple[int, ...]]:
    """The seeds of each slot, cell after cell."""
    places, wanted = usable(seeds), sum(cell.count for cell in spec.cells)
    if spec.work in names.ON_SEEDS:
        if not places:
            raise PipelineError(f"{names.WORKS[spec.work].title} need seeds: questions of plain text.", "Choose records first.")
        return [(places[number % len(places)],) for number in range(wanted)]
    if not places or not spec.shots:
        return [()] * wanted
    places = places[:: -(-len(places) // MOST_COMPARED)]
    drawn = _spread([seeds[place] for place in places], wanted, min(spec.shots, len(places)), spec.seed)
    return [tuple(places[one] for one in some) for some in drawn]


def _spread(seeds: Sequence[Example], wanted: int, count: int, seed: int) -> list[list[int]]:
    """`wanted` times `count` seeds: the first is one that was used least, each further one is as unlike those before it as
    any, with those that were used less preferred. So all are used about equally often, and each prompt shows different ones."""
    order = np.random.default_rng(seed).permutation(len(seeds))  # of equals the first in this order is taken
    vectors = shots.vectors([shots.question(seeds[place]) for place in order])
    likeness = np.asarray((vectors @ vectors.T).todense(), np.float32)
    used, found = np.zeros(len(seeds), np.int64), []
    for _ in range(wanted):
        chosen = [int(np.argmin(used))]
        near = likeness[chosen[0]].copy()
        while len(chosen) < count:
            near[chosen[-1]] = np.inf
            chosen.append(int(np.argmin(near + A_USE * (used - used.min()))))
            near = np.maximum(near, likeness[chosen[-1]])
        used[chosen] += 1
        found.append([int(order[place]) for place in chosen])
    return found


def _key(told: str, number: int) -> str:
    return hashlib.sha256(f"{told}\n{number}".encode()).hexdigest()[:24]
