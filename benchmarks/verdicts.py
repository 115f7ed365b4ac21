"""Do the intervals and the words of a verdict keep their promise? Simulated data sets whose truth is known.

    python -m benchmarks.verdicts [DATA SETS]

For each shape of data and number of items: how often the 95 % interval covers the true difference, and how often two equal
candidates are called better or worse. Each data set goes through `studio.verdicts`, as a page's does. Beside it stand the
other intervals that were tried on the same data. Records `verdict.coverage` (over all shapes), its smallest and largest, and
`verdict.false_verdicts` (the largest); writes the table `verdicts` into RESULTS.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from studio import intervals, verdicts
from studio.verdicts import Comparison

Floats = NDArray[np.float64]
Dice = np.random.Generator
DATA_SETS, RESAMPLES = 1_000, 1_000
SIZES = (20, 40, 100, 400)


@dataclass(frozen=True)
class Shape:
    """Scores of a and b of some data sets, shape (sets, items), whose true difference of means is `truth`."""

    name: str
    truth: float
    draw: Callable[[Dice, int, int], tuple[Floats, Floats]]


def _right(both: float, a_alone: float, b_alone: float) -> Callable[[Dice, int, int], tuple[Floats, Floats]]:
    def draw(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
        at = dice.random((sets, items))
        a = at < both + a_alone
        b = (at < both) | ((at >= both + a_alone) & (at < both + a_alone + b_alone))
        return a.astype(np.float64), b.astype(np.float64)

    return draw


def _little_help(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
    a = dice.beta(2, 5, (sets, items))
    return a, a + dice.normal(0.05, 0.1, (sets, items))


def _much_help_for_few(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
    helped = dice.random((sets, items)) < 0.2
    return np.zeros((sets, items)), np.where(helped, dice.beta(5, 2, (sets, items)), 0) + dice.normal(0, 0.02, (sets, items))


def _mostly_ties(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
    same = dice.random((sets, items)) < 0.6
    a = dice.beta(1, 4, (sets, items))
    return a, np.where(same, a, dice.beta(1, 3, (sets, items)))


def _unlike_betas(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
    return dice.beta(2, 8, (sets, items)), dice.beta(2, 5, (sets, items))


def _equal_betas(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
    return dice.beta(2, 5, (sets, items)), dice.beta(2, 5, (sets, items))


def _equal_ties(dice: Dice, sets: int, items: int) -> tuple[Floats, Floats]:
    a = dice.beta(0.5, 2, (sets, items))
    return a, np.where(dice.random((sets, items)) < 0.6, a, dice.beta(0.5, 2, (sets, items)))


SHAPES = (
    Shape("scores, a little better", 0.05, _little_help),
    Shape("scores, unlike shapes", 2 / 7 - 2 / 10, _unlike_betas),
    Shape("scores, a lot better on a fifth", 0.2 * 5 / 7, _much_help_for_few),
    Shape("scores, 60 % ties", 0.4 * (1 / 4 - 1 / 5), _mostly_ties),
    Shape("right or wrong, 30 % differ", 0.1, _right(0.6, 0.1, 0.2)),
    Shape("right or wrong, 40 % differ", 0.2, _right(0.5, 0.1, 0.3)),
)
EQUAL = (
    Shape("equal scores", 0.0, _equal_betas),
    Shape("equal skewed scores, 60 % ties", 0.0, _equal_ties),
    Shape("equally often right, 20 % differ", 0.0, _right(0.5, 0.1, 0.1)),
    Shape("equally often right, 40 % differ", 0.0, _right(0.5, 0.2, 0.2)),
)


def compared(shape: Shape, items: int, sets: int, seed: int) -> list[Comparison]:
    """What a verdict says of each data set."""
    a, b = shape.draw(np.random.default_rng([seed, items]), sets, items)
    return [verdicts.compare_means("m", first, second) for first, second in zip(a, b, strict=True)]


def coverage(shape: Shape, items: int, sets: int = DATA_SETS, seed: int = 1) -> float:
    """The share of data sets whose interval holds the true difference."""
    found = compared(shape, items, sets, seed)
    return float(np.mean([one.difference.low <= shape.truth <= one.difference.high for one in found]))


def false_verdicts(shape: Shape, items: int, sets: int = DATA_SETS, seed: int = 2) -> float:
    """The share of data sets of equal candidates in which one is called better."""
    return float(np.mean([one.word in ("better", "worse") for one in compared(shape, items, sets, seed)]))


def clustered(tickets: int, truth: float, sets: int = DATA_SETS, seed: int = 3) -> list[Comparison]:
    """One to some items a ticket, alike within it (correlation 0.5), whose true difference is given."""
    dice, found = np.random.default_rng([seed, tickets]), []
    for _ in range(sets):
        sizes = dice.geometric(0.4, tickets)
        names = np.repeat(np.arange(tickets), sizes)
        spread = np.sqrt(0.5) * (dice.gamma(2, 0.1, tickets) - 0.2)[names] + dice.normal(0, 0.1, len(names))
        a = dice.beta(2, 5, len(names))
        found.append(verdicts.compare_means("m", a, a + truth + spread, [f"ticket {name}" for name in names]))
    return found


def labelled(labels: int, items: int, sets: int = DATA_SETS, seed: int = 4) -> tuple[list[Comparison], float]:
    """Macro-F1 of two who sort items into labels, 60 and 75 % right, half of the items hard for both; and the truth of two
    million."""
    dice = np.random.default_rng([seed, labels, items])
    weights = dice.dirichlet(np.full(labels, 5.0))
    names = np.array([f"label {n:02d}" for n in range(labels)])

    def draw(count: int) -> tuple[NDArray[np.intp], ...]:
        truth, luck = dice.choice(labels, count, p=weights), dice.random(count)
        hard = dice.random(count) < 0.5
        said = []
        for skill in (0.6, 0.75):
            right = np.where(hard, luck, dice.random(count)) < skill
            said.append(np.where(right, truth, (truth + dice.integers(1, labels, count)) % labels))
        return truth, *said

    whole = draw(1_000_000)
    true = [intervals.macro_f1_parts(names[whole[0]], names[said])[0] for said in whole[1:]]
    parts = [[names[part].tolist() for part in draw(items)] for _ in range(sets)]
    return [verdicts.compare_macro_f1(*part) for part in parts], true[1] - true[0]


def covered(found: list[Comparison], truth: float) -> float:
    return float(np.mean([one.difference.low <= truth <= one.difference.high for one in found]))


def tried(shape: Shape, items: int, sets: int, seed: int = 1) -> dict[str, float]:
    """Coverage of the other intervals on the same data sets."""
    a, b = shape.draw(np.random.default_rng([seed, items]), sets, items)
    apart = b - a
    found = {"t": _t(apart), "percentile": _bootstrap(apart, _percentile), "BCa": _bootstrap(apart, _bca),
             "bootstrap-t": _bootstrap(apart, _studentised)}
    return {name: float(np.mean((low <= shape.truth) & (shape.truth <= high))) for name, (low, high) in found.items()}


def _t(apart: Floats) -> tuple[Floats, Floats]:
    from scipy import stats

    half = stats.t.ppf(0.975, apart.shape[1] - 1) * apart.std(1, ddof=1) / np.sqrt(apart.shape[1])
    return apart.mean(1) - half, apart.mean(1) + half


def _bootstrap(apart: Floats, bounds: Callable[[Floats, Floats], tuple[float, float]]) -> tuple[Floats, Floats]:
    dice = np.random.default_rng(5)
    found = [bounds(row, row[dice.integers(0, len(row), (RESAMPLES, len(row)))]) for row in apart]
    return np.array([low for low, _ in found]), np.array([high for _, high in found])


def _percentile(row: Floats, drawn: Floats) -> tuple[float, float]:
    low, high = np.percentile(drawn.mean(1), [2.5, 97.5])
    return float(low), float(high)


def _bca(row: Floats, drawn: Floats) -> tuple[float, float]:
    from scipy.special import ndtr, ndtri

    means, apart = drawn.mean(1), row - row.mean()
    bias = ndtri(np.clip((means < row.mean()).mean() + (means == row.mean()).mean() / 2, 1e-3, 1 - 1e-3))
    squares = (apart**2).sum()
    skew = (apart**3).sum() / (6 * squares**1.5) if squares else 0.0
    ends = bias + ndtri(np.array([0.025, 0.975]))
    low, high = np.percentile(means, 100 * ndtr(bias + ends / (1 - skew * ends)))
    return float(low), float(high)


def _studentised(row: Floats, drawn: Floats) -> tuple[float, float]:
    errors = drawn.std(1, ddof=1)
    t = np.divide(drawn.mean(1) - row.mean(), errors, out=np.zeros_like(errors), where=errors > 0)
    low, high = np.percentile(t, [2.5, 97.5])
    return float(row.mean() - high * row.std(ddof=1)), float(row.mean() - low * row.std(ddof=1))


def main(sets: int = DATA_SETS) -> None:
    began = time.perf_counter()
    lines = ["| data | items | covered | t | percentile | BCa | bootstrap-t |", "|---|---:|---:|---:|---:|---:|---:|"]
    covers: list[float] = []
    for shape in SHAPES:
        for items in SIZES:
            covers.append(coverage(shape, items, sets))
            others = tried(shape, items, min(sets, 1_000)) if items <= 100 else {}
            cells = [f"{others[name]:.3f}" if others else "" for name in ("t", "percentile", "BCa", "bootstrap-t")]
            lines.append(f"| {shape.name} | {items} | **{covers[-1]:.3f}** | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    for tickets in (20, 40, 100):
        covers.append(covered(clustered(tickets, 0.05, sets), 0.05))
        lines.append(f"| clusters, 2.5 items each | {tickets} clusters | **{covers[-1]:.3f}** | | | | |")
        print(lines[-1], flush=True)
    for labels, items in ((3, 40), (10, 100), (10, 400), (20, 200)):
        covers.append(covered(*labelled(labels, items, sets)))
        lines.append(f"| macro-F1, {labels} labels | {items} | **{covers[-1]:.3f}** | | | | |")
        print(lines[-1], flush=True)
    lines += ["", "| two equal candidates | items | called better or worse |", "|---|---:|---:|"]
    wrong: list[float] = []
    for shape in EQUAL:
        for items in SIZES:
            wrong.append(false_verdicts(shape, items, sets))
            lines.append(f"| {shape.name} | {items} | {wrong[-1]:.3f} |")
            print(lines[-1], flush=True)
    for tickets in (20, 40, 100):
        wrong.append(float(np.mean([one.word in ("better", "worse") for one in clustered(tickets, 0.0, sets, seed=6)])))
        lines.append(f"| clusters | {tickets} clusters | {wrong[-1]:.3f} |")
        print(lines[-1], flush=True)
    figures = {"verdict.coverage": round(float(np.mean(covers)), 4), "verdict.coverage_lowest": round(min(covers), 4),
               "verdict.coverage_highest": round(max(covers), 4), "verdict.false_verdicts": round(max(wrong), 4)}
    print(figures, f"{time.perf_counter() - began:.0f} s")
    record.keep(figures)
    record.table("verdicts", f"Verdicts: {sets:,} simulated data sets a row, 95 % intervals of the paired difference", lines)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DATA_SETS)
