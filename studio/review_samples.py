"""Review samples: which items of an evaluation people are to judge. A sample that is not random speaks of its items only."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from studio import judges, metrics, review_texts, slices
from studio.errors import StudioError
from studio.grids import Grid
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Workspace

WAYS: dict[str, str] = {
    "random": "At random", "slices": "By slice, each one with its share", "losses": "Only what the last one loses",
    "metrics": "Where two metrics disagree", "judge": "Where the judge is unsure"}
SAID: dict[str, str] = {
    "random": "The items were drawn at random from all that every candidate answered.",
    "slices": "The items were drawn at random within slices, each with its share and none left out.",
    "losses": "Only items that the last candidate loses by its score: the win rate speaks of these alone.",
    "metrics": "Only items on which two metrics disagree: the win rate speaks of these alone.",
    "judge": "Only items on which the judge was unsure: the win rate speaks of these alone."}


@dataclass(frozen=True)
class Wanted:
    """How to draw: a way, the slices' kind where it is by slice, the metric of losses, a second one where two disagree."""

    way: str = "random"
    by: str = ""
    metric: str = ""
    other: str = ""


@needs("curate", looks=True)
def ways(ws: Workspace, run: Run, grid: Grid) -> list[str]:
    """What can be drawn here: metrics can only disagree where there are two, a judge only where one was asked about pairs."""
    found = ["random", "slices"]
    found += ["losses"] if grid.metrics else []
    found += ["metrics"] if len(grid.metrics) > 1 else []
    return found + (["judge"] if _judging(ws, run) else [])


@needs("curate", looks=True)
def draw(ws: Workspace, source: str, grid: Grid | None, candidates: Sequence[str], wanted: Wanted, limit: int,
         run: Run | None = None, dice: random.Random | None = None) -> tuple[list[str], int]:
    """The items, at most `limit`, in the order they are to be judged, and how many there were to draw from. `source` is the
    id of an evaluation, which `grid` and `run` are then of, or stands for the playground.

    What is called a loss, a disagreement or unsure is between the first and the last of the candidates. Raises StudioError
    where there is none.
    """
    dice = dice or random.SystemRandom()
    there = review_texts.items(ws, source, candidates)
    first, last = candidates[0], candidates[-1]
    if run is None or grid is None or wanted.way == "random":
        return dice.sample(there, min(limit, len(there))), len(there)
    if wanted.way == "slices":
        found = _by_slice(slices.part(ws, run, grid, wanted.by), grid, there, limit, dice)
        return found, len(there)
    chosen = {"losses": lambda: _losses(grid, wanted.metric, first, last),
              "metrics": lambda: _disagreeing(grid, wanted.metric, wanted.other, first, last),
              "judge": lambda: judges.unsure(ws, _judging(ws, run), first, last)}[wanted.way]()
    there = [item for item in there if item in chosen]
    if not there:
        raise StudioError(f"No item is there to draw: {WAYS[wanted.way].lower()}.",
                          "Draw at random, or choose other candidates.")
    return dice.sample(there, min(limit, len(there))), len(there)


def _judging(ws: Workspace, run: Run) -> str:
    """The newest judge that was asked about pairs; empty where none was."""
    return next((one.run_id for one in judges.of_evaluation(ws, run.run_id) if one.mode == "pairwise"), "")


def _losses(grid: Grid, metric: str, first: str, last: str) -> set[str]:
    gains = _gains(grid, metric, first, last)
    return {str(item) for item in grid.items[np.nan_to_num(gains) < 0]}


def _disagreeing(grid: Grid, metric: str, other: str, first: str, last: str) -> set[str]:
    """Items that one metric calls better and the other worse."""
    product = _gains(grid, metric, first, last) * _gains(grid, other, first, last)
    return {str(item) for item in grid.items[np.nan_to_num(product) < 0]}


def _gains(grid: Grid, metric: str, first: str, last: str) -> NDArray[np.float64]:
    """By item, how much better the last candidate is; NaN where one of them has no score."""
    found: NDArray[np.float64] = grid.of(metric, last) - grid.of(metric, first)
    return -found if metrics.of(metric).better == "lower" else found


def _by_slice(parts: Mapping[str, NDArray[np.int64]], grid: Grid, there: Sequence[str], limit: int,
              dice: random.Random) -> list[str]:
    """Each slice its share in whole numbers (systematic rounding), at least one of each while there is room; then mixed."""
    open_ = set(there)
    groups: list[list[str]] = []
    for places in parts.values():
        mine = [str(grid.items[place]) for place in places if str(grid.items[place]) in open_]
        open_ -= set(mine)
        groups += [mine] if mine else []
    groups += [sorted(open_)] if open_ else []
    groups.sort(key=len, reverse=True)
    total = sum(map(len, groups))
    edges = [round(limit * sum(map(len, groups[:place])) / total) for place in range(len(groups) + 1)] if total else [0]
    chosen: list[str] = []
    for mine, share in zip(groups, (high - low for low, high in pairwise(edges)), strict=True):
        chosen += dice.sample(mine, min(len(mine), max(1, share)))
    dice.shuffle(chosen)
    return chosen[:limit]
