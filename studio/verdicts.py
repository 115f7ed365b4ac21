"""Statistics of a paired comparison: pure functions on numbers, no workspace, no words from data.

Every model answers the same items, so the unit is the item and every interval is of the paired difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Word = Literal["better", "worse", "no difference worth having", "inconclusive"]
RESAMPLES = 10_000
LEAST_WORTH = 0.02
"""A difference smaller than this is not worth having, on metrics that run from 0 to 1."""
MIN_ITEMS = 10
"""With fewer items a bootstrap interval is too narrow to be believed."""

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


@dataclass(frozen=True)
class Comparison:
    """Two models on one metric: each one's value, the paired difference b - a, and what it means in one word."""

    metric: str
    items: int
    a: Interval
    b: Interval
    difference: Interval
    word: Word


def resample_weights(n: int, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """How often each of n items is drawn in each resample, shape (resamples, n): the bootstrap of Efron (1979)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def compare_means(metric: str, a: list[float], b: list[float], seed: int = 0) -> Comparison:
    """Paired percentile bootstrap of the means; a and b are the same items in the same order. Raises ValueError else."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError("a paired comparison needs the same items for both models, and at least one")
    weights = resample_weights(first.size, seed) / first.size
    return _comparison(metric, first.size, (float(first.mean()), float(second.mean())), weights @ first, weights @ second)


def compare_macro_f1(expected: list[str], a: list[str | None], b: list[str | None], seed: int = 0) -> Comparison:
    """The same for macro-F1 over the labels that occur as expected or predicted (scikit-learn's definition)."""
    weights = resample_weights(len(expected), seed)
    whole = np.ones((1, len(expected)))
    values = (float(_macro_f1(expected, a, whole)[0]), float(_macro_f1(expected, b, whole)[0]))
    return _comparison("macro_f1", len(expected), values, _macro_f1(expected, a, weights), _macro_f1(expected, b, weights))


def word_for(difference: Interval, items: int) -> Word:
    """What an interval of the difference b - a allows one to say."""
    if items < MIN_ITEMS:
        return "inconclusive"
    if difference.low > -LEAST_WORTH and difference.high < LEAST_WORTH:
        return "no difference worth having"
    if difference.low > 0:
        return "better"
    if difference.high < 0:
        return "worse"
    return "inconclusive"


def wilson(successes: int, trials: int, z: float = 1.959963984540054) -> Interval:
    """Wilson's score interval of a share (Wilson 1927); with no trials it is the whole range from 0 to 1."""
    if trials == 0:
        return Interval(float("nan"), 0.0, 1.0)
    p = successes / trials
    middle = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half))


def _comparison(metric: str, items: int, values: tuple[float, float], a: Floats, b: Floats) -> Comparison:
    difference = _interval(values[1] - values[0], b - a)
    return Comparison(metric, items, _interval(values[0], a), _interval(values[1], b), difference,
                      word_for(difference, items))


def _interval(value: float, resampled: Floats) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _macro_f1(expected: list[str], predicted: list[str | None], weights: Floats) -> Floats:
    """Macro-F1 of each resample: F1 of a label is 2 tp / (expected + predicted), averaged over the labels present."""
    truth = np.asarray(expected, dtype=object)
    said = np.asarray(["(none)" if label is None else label for label in predicted], dtype=object)
    total, present = np.zeros(len(weights)), np.zeros(len(weights))
    for label in sorted(set(truth) | set(said)):
        hits = weights @ ((truth == label) & (said == label)).astype(np.float64)
        both = weights @ (truth == label).astype(np.float64) + weights @ (said == label).astype(np.float64)
        total += np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
        present += both > 0
    return total / np.maximum(present, 1)
