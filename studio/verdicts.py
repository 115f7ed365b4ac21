"""Statistics of a paired comparison: pure functions on numbers, no workspace, no words from data.

Every candidate answers the same items, so the unit is the item (or the cluster of items that share a ticket or a customer) and
every interval is of the paired difference, b - a. `intervals` has the mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studio import intervals
from studio.distributions import NORMAL, binomial
from studio.intervals import Estimate

Word = Literal["better", "worse", "no difference worth having", "inconclusive"]
Better = Literal["higher", "lower", "neither"]
LEAST_WORTH = 0.02
"""A difference smaller than this is not worth having, on metrics that run from 0 to 1, unless people say otherwise."""
MIN_ITEMS = 10
"""With fewer items, or clusters, no interval is to be believed."""
EXACT, ABOUT, POWER = 0.05, 0.04, 0.8
"""Below which p-value a difference is called one. A verdict promises to be wrong about equals in at most 5 % of cases; an exact
test keeps that, an approximate one is only near its word (4.6 to 5.1 % in simulations), so it must be a little surer."""
_SURE = NORMAL.inv_cdf(1 - ABOUT / 2) + NORMAL.inv_cdf(POWER)
_LEAST_APART = 6
"""Fewer items on which two candidates differ cannot convince McNemar's test, even where all of them go one way."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def parts(self) -> tuple[float, float, float]:
        return self.value, self.low, self.high

    def within(self, low: float, high: float) -> Interval:
        """The part of it that values can reach: cutting off what cannot be true misses nothing."""
        return Interval(self.value, max(low, self.low), min(high, self.high))


@dataclass(frozen=True)
class Comparison:
    """Two candidates on one metric: each one's value, the paired difference b - a, and what it means in one word.

    `p_value` is that of this comparison alone; `adjusted` says it again as one of `family` (Holm 1979), and only the word
    heeds it: intervals stay as they are. `clusters` counts the units where items share one (0: each item is its own).
    `smallest_detectable` is the true difference that a test set like this one would have found in four of five cases, and
    `more_items` how many further items would settle it if all else stays as it looks now (none: it is settled, or no number of
    items can be told). `worth` is the smallest difference worth having, `level` what `adjusted` must not pass.
    """

    metric: str
    items: int
    a: Interval
    b: Interval
    difference: Interval
    word: Word
    p_value: float = math.nan
    clusters: int = 0
    smallest_detectable: float = math.nan
    more_items: int | None = None
    better: Better = "higher"
    worth: float = LEAST_WORTH
    adjusted: float = math.nan
    family: int = 1
    level: float = ABOUT

    @property
    def units(self) -> int:
        return self.clusters or self.items


def compare_means(metric: str, a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None = None,
                  least_worth: float = LEAST_WORTH, better: Better = "higher") -> Comparison:
    """a and b are the scores of the same items in the same order, `clusters` what each item shares with others.

    Where all are 0 or 1 and no item shares anything, the interval is Tango's and the test McNemar's; else both are Student's,
    corrected for skewness and clusters. Raises ValueError where a, b and clusters are not of the same items, or of none.
    """
    first, second = _paired(a, b, clusters)
    place = _places(clusters)
    if place is None and _all_yes_or_no(first) and _all_yes_or_no(second):
        return _compare_shares(metric, first, second, least_worth, better)
    return _said(metric, first.size, _interval(_mean(first, place)), _interval(_mean(second, place)),
                 _mean(second - first, place), place is not None, least_worth, better)


def compare_ratios(metric: str, a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None = None,
                   least_worth: float = LEAST_WORTH, better: Better = "lower") -> Comparison:
    """Geometric means of scores above 0 (perplexities), compared by their ratio; `least_worth` is a share of a's.

    The difference is given in the metric's own unit: what b / a makes of a's mean. Raises ValueError as `compare_means`.
    """
    first, second = _paired(a, b, clusters)
    place = _places(clusters)
    before, after = np.log(first), np.log(second)
    found = _said(metric, first.size, _interval(_mean(before, place)), _interval(_mean(after, place)),
                  _mean(after - before, place), place is not None, math.log1p(least_worth), better)
    start = math.exp(found.a.value)
    return replace(found, a=_each(found.a, math.exp), b=_each(found.b, math.exp), worth=start * least_worth,
                   difference=_each(found.difference, lambda ratio: start * math.expm1(ratio)),
                   smallest_detectable=start * math.expm1(found.smallest_detectable))


def compare_macro_f1(expected: Sequence[str], a: Sequence[str | None], b: Sequence[str | None],
                     clusters: Sequence[str] | None = None, least_worth: float = LEAST_WORTH) -> Comparison:
    """The same for macro-F1 over the labels that occur as expected or predicted (scikit-learn's definition), by jackknife."""
    if not len(expected) == len(a) == len(b) or not len(expected):
        raise ValueError("a paired comparison needs the same items for both models, and at least one")
    place = _places(clusters)
    (_, parts_a), (_, parts_b) = (intervals.macro_f1_parts(expected, said) for said in (a, b))
    return _said("macro_f1", len(expected), _interval(_mean(parts_a, place), (0, 1)), _interval(_mean(parts_b, place), (0, 1)),
                 _mean(parts_b - parts_a, place), place is not None, least_worth, "higher")


def mcnemar(only_a: int, only_b: int, kind: Literal["exact", "mid-p", "corrected"] = "exact") -> float:
    """The two-sided chance of so uneven a split where both are equally good, of the items that one alone had right.

    "exact" never errs more often than it says (verdicts use it), "mid-p" about as often (Fagerland et al. 2013), "corrected" is
    the χ² with Edwards' continuity correction. 1 where the two never differ.
    """
    if not only_a + only_b:
        return 1.0
    if kind == "corrected":
        z = max(0.0, abs(only_a - only_b) - 1) / math.sqrt(only_a + only_b)
        return math.erfc(z / math.sqrt(2))
    exact = intervals.mcnemar_exact(only_a, only_b)
    if kind == "exact" or only_a == only_b:
        return exact
    return exact - binomial(min(only_a, only_b), only_a + only_b)


def settle(found: Sequence[Comparison]) -> list[Comparison]:
    """Correct the words of comparisons that are read together (many metrics, many candidates) by Holm's step-down (1979): a
    family calls one of equals better or worse in at most 5 % of cases. Intervals stay those of each comparison alone.

    Metrics of which neither way is better are no members.
    """
    members = [place for place, one in enumerate(found) if one.better != "neither" and not math.isnan(one.p_value)]
    ranked = sorted(members, key=lambda place: found[place].p_value)
    settled, reached = list(found), 0.0
    for rank, place in enumerate(ranked):
        one = found[place]
        reached = max(reached, min(1.0, (len(members) - rank) * one.p_value))
        word = word_for(one.difference, one.units, one.worth, one.better, reached, one.level)
        settled[place] = replace(one, word=word, adjusted=reached, family=len(members))
    return settled


def word_for(difference: Interval, units: int, least_worth: float = LEAST_WORTH, better: Better = "higher",
             p_value: float = 0.0, level: float = EXACT) -> Word:
    """What the interval of a difference b - a allows one to say, and its p-value where there is one. Where neither way is
    better nothing is called so."""
    low, high = difference.low, difference.high
    if units < MIN_ITEMS or math.isnan(low) or math.isnan(high):
        return "inconclusive"
    if low > -least_worth and high < least_worth:
        return "no difference worth having"
    if better == "neither" or p_value > level or low <= 0 <= high:
        return "inconclusive"
    return "better" if (low > 0) == (better == "higher") else "worse"


def wilson(successes: int, trials: int, z: float = intervals.Z) -> Interval:
    """Wilson's score interval of a share (Wilson 1927); with no trials it is the whole range from 0 to 1."""
    if trials == 0:
        return Interval(float("nan"), 0.0, 1.0)
    p = successes / trials
    middle = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half))


def _compare_shares(metric: str, a: Floats, b: Floats, least_worth: float, better: Better) -> Comparison:
    """Right or wrong, each item its own unit."""
    n = a.size
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((b == 1) & (a == 0)).sum())
    difference = Interval((only_b - only_a) / n, *intervals.tango(only_a, only_b, n))
    p_value = mcnemar(only_a, only_b)
    word = word_for(difference, n, least_worth, better, p_value)
    spread = max(only_a + only_b - (only_b - only_a) ** 2 / n, 0.0) / n
    smallest = max(_SURE * math.sqrt(spread / n), _certain_to_show(n))
    more = _more(difference.value, math.sqrt(spread), n, least_worth) if word == "inconclusive" else None
    return Comparison(metric, n, wilson(int(a.sum()), n), wilson(int(b.sum()), n), difference, word, p_value, 0,
                      min(1.0, smallest), more, better, least_worth, p_value, level=EXACT)


def _certain_to_show(n: int) -> float:
    """The share of items that must go one way (none the other) for McNemar's test to see it in four of five cases."""
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        missed = sum(binomial(k, n, middle) for k in range(min(_LEAST_APART, n + 1)))
        low, high = (middle, high) if 1 - missed < POWER else (low, middle)
    return high


def _said(metric: str, items: int, a: Interval, b: Interval, estimate: Estimate, clustered: bool, least_worth: float,
          better: Better) -> Comparison:
    """Where all items differ alike, nothing was seen of how they vary: then a difference that three in `units` items would show
    is not ruled out (the rule of three, on a metric that runs over fifty times what is worth having)."""
    difference, p_value = _interval(estimate), estimate.p_value()
    if float(estimate.error) == 0:
        unseen = 3 / estimate.units * 50 * least_worth
        difference = Interval(difference.value, difference.low - unseen, difference.high + unseen)
    word = word_for(difference, estimate.units, least_worth, better, p_value, ABOUT)
    error = float(estimate.error)
    more = _more(difference.value, error * math.sqrt(items), items, least_worth) if word == "inconclusive" else None
    return Comparison(metric, items, a, b, difference, word, p_value, estimate.units if clustered else 0,
                      _SURE * error if error else math.nan, more, better, least_worth, p_value)


def _more(difference: float, spread: float, items: int, least_worth: float) -> int | None:
    """How many items more would show what this difference and this spread (of one item) are, in four of five cases: that it is
    none of zero, or that it is none worth having. The cheaper of the two counts."""
    if not spread or math.isnan(spread):
        return None
    away = max(abs(difference), least_worth - abs(difference))
    if away <= 0:
        return None
    return max(MIN_ITEMS - items, math.ceil((_SURE * spread / away) ** 2) - items, 1)


def _paired(a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None) -> tuple[Floats, Floats]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError("a paired comparison needs the same items for both models, and at least one")
    if clusters is not None and len(clusters) != first.size:
        raise ValueError("every item needs its cluster")
    return first, second


def _places(clusters: Sequence[str] | None) -> NDArray[np.intp] | None:
    """Each item's cluster as a number; None where no two items share one."""
    if clusters is None or len(set(clusters)) == len(clusters):
        return None
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in clusters], np.intp)


def _mean(values: Floats, place: NDArray[np.intp] | None) -> Estimate:
    return intervals.mean(values) if place is None else intervals.clustered_mean(values, place)


def _interval(estimate: Estimate, ends: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    low, high = estimate.bounds()
    return Interval(float(estimate.value), float(np.maximum(low, ends[0])), float(np.minimum(high, ends[1])))


def _each(interval: Interval, change: Callable[[float], float]) -> Interval:
    return Interval(*(change(part) for part in interval.parts))


def _all_yes_or_no(values: Floats) -> bool:
    return bool(((values == 0) | (values == 1)).all())
