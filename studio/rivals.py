"""Rivals: one candidate of an evaluation judged against every other, and what the numbers allow one to say of each.

The metric that was chosen beforehand is one family of comparisons (one a rival), all other metrics are another; within a family
chance has several tries, so what is called better or worse is corrected for their number (`verdicts.settle`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio import metrics, runs, verdicts
from studio.errors import StudioError
from studio.grids import Grid
from studio.metrics import Metric
from studio.runs import Run
from studio.verdicts import Comparison

MACRO_F1 = "macro_f1"


@dataclass(frozen=True)
class Verdict:
    """The judged candidate against one rival: `first` on the primary metric, `others` on the rest, in the order of reading."""

    rival: str
    first: Comparison
    others: tuple[Comparison, ...]

    @property
    def every(self) -> tuple[Comparison, ...]:
        return (self.first, *self.others)


def names(run: Run) -> dict[str, str]:
    """What the candidates of an evaluation are called, in their order."""
    return {candidate.candidate_id: candidate.name for candidate in runs.candidates(run)}


def roles(run: Run) -> dict[str, str]:
    """What each candidate is, in a word or two: `base`, `prompted base`, `tuned`, `endpoint`; a number where two are alike."""
    said: dict[str, str] = {}
    for candidate in runs.candidates(run):
        what = "endpoint" if candidate.endpoint else "tuned" if candidate.adapter else "base"
        given = ("few-shot " if candidate.shots else "") + ("prompted " if candidate.system is not None else "")
        said[candidate.candidate_id] = given + what
    seen: dict[str, int] = {}
    for candidate_id, role in said.items():
        seen[role] = seen.get(role, 0) + 1
        said[candidate_id] = role if seen[role] == 1 else f"{role} {seen[role]}"
    return said


def judged(run: Run) -> str:
    """Who is judged where nobody chose: the last tuned candidate, else the last one."""
    every = runs.candidates(run)
    return next((one.candidate_id for one in reversed(every) if one.adapter), every[-1].candidate_id)


def measured(grid: Grid) -> list[str]:
    """The metrics of an evaluation in the order in which they are read, macro-F1 among them where answers are labels."""
    return metrics.in_order([*grid.metrics, *([MACRO_F1] if grid.labels else [])])


def primary(run: Run, grid: Grid) -> str:
    """The metric that the verdict speaks of: the one chosen beforehand, else the first in the order of reading.

    Raises StudioError without scores.
    """
    found = measured(grid)
    if not found:
        raise StudioError("This evaluation has no scores yet.", "Wait until its run is done, then open it again.")
    wanted = str(run.spec.get("primary") or "")
    return wanted if wanted in found else found[0]


def judge(run: Run, grid: Grid, who: str, without: Collection[str] = ()) -> list[Verdict]:
    """The verdict on `who` against each other candidate, `without` some of the items.

    Raises StudioError without scores, or where no item is left that both answered.
    """
    first = primary(run, grid)
    among = ~grid.among(without) if without else np.ones(len(grid.items), bool)
    if not among.any():
        raise StudioError("Every test item is suspicious: nothing is left to compare on.",
                          "Freeze again, and quarantine what resembles train.")
    others = [candidate for candidate in names(run) if candidate != who and candidate in grid.candidates]
    rest = [metric for metric in measured(grid) if metric != first]
    heads = verdicts.settle([compare(grid, first, rival, who, among) for rival in others])
    tails = iter(verdicts.settle([compare(grid, metric, rival, who, among) for rival in others for metric in rest
                                  if grid_has(grid, metric, rival, who, among)]))
    return [Verdict(rival, head, tuple(next(tails) for metric in rest if grid_has(grid, metric, rival, who, among)))
            for rival, head in zip(others, heads, strict=True)]


def grid_has(grid: Grid, metric: str, a: str, b: str, among: NDArray[np.bool_]) -> bool:
    """Whether both have a score of this metric on one of these items (an endpoint has no perplexity)."""
    return bool((_there(grid, metric, a, b) & among).any())


def compare(grid: Grid, metric: str, a: str, b: str, among: NDArray[np.bool_]) -> Comparison:
    """Candidate b against candidate a on one metric, on these items. Raises StudioError where both have no score on any."""
    there = _there(grid, metric, a, b) & among
    if not there.any():
        raise StudioError(f"No test item has a score of {metrics.title(metric)} for both.", "Choose another metric.")
    clusters, known = _shared(grid.clusters[there]), metrics.of(metric)
    if metric != MACRO_F1:
        return compare_values(metric, grid.of(metric, a)[there], grid.of(metric, b)[there], clusters)
    places = [grid.candidates.index(one) for one in (a, b)]
    expected, mine, other = (_words(grid, codes[there]) for codes in (grid.expected, *(grid.predicted[one] for one in places)))
    return verdicts.compare_macro_f1(expected, mine, other, clusters, known.worth)


def compare_values(metric: str, a: Any, b: Any, clusters: list[Any] | None = None) -> Comparison:
    """The same items' scores of two, by what is known of the metric."""
    known = metrics.of(metric)
    compared = verdicts.compare_ratios if known.logs else verdicts.compare_means
    return _possible(compared(metric, a, b, clusters, known.worth, known.better), known)


def _possible(found: Comparison, known: Metric) -> Comparison:
    """Its intervals within what the metric runs over, where that is known (not of a function that somebody wrote)."""
    if known.kind == "own":
        return found
    high = float("inf") if known.high is None else known.high
    span = high - known.low
    apart = found.difference if known.logs else found.difference.within(-span, span)
    return replace(found, a=found.a.within(known.low, high), b=found.b.within(known.low, high), difference=apart)


def _there(grid: Grid, metric: str, a: str, b: str) -> NDArray[np.bool_]:
    if metric != MACRO_F1:
        return grid.both(metric, a, b)
    places = [grid.candidates.index(one) for one in (a, b)]
    return (grid.expected >= 0) & (grid.predicted[places] >= 0).all(axis=0)


def _shared(clusters: NDArray[np.int64]) -> list[Any] | None:
    """Each item's cluster; None where no two of these share one."""
    return None if np.bincount(clusters).max() == 1 else list(clusters.tolist())


def _words(grid: Grid, codes: NDArray[np.int64]) -> list[Any]:
    return [grid.labels[code] for code in codes]

