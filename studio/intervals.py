"""How sure one can be of a mean: pure numpy on whole arrays, so that a simulation asks a thousand data sets at once.

Which interval keeps its promise was measured (`benchmarks/verdicts.py`, docs/architecture.md): Student's t, widened on the side
where skewness makes it miss (Johnson 1978); for yes and no, Tango's score interval (Tango 1998). The unit is the item, or the
cluster of items that share a ticket or a customer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from studio.distributions import binomial, t_quantile, t_tail

Floats = NDArray[np.float64]
Z = 1.959963984540054
SKEW_SHARE = 0.75
"""How much of Johnson's correction widens an interval: all of it covers 97 % of skewed data, none 90 % at 20 items."""


@dataclass(frozen=True)
class Estimate:
    """A mean of one data set or of many (arrays of one shape): its standard error, degrees of freedom, and how far skewness
    moves it (`shift`). `units` is the number of independent ones. NaN where nothing can be said."""

    value: Floats
    error: Floats
    freedom: Floats
    shift: Floats
    units: int

    def bounds(self, p: float = 0.975) -> tuple[Floats, Floats]:
        """The interval from 1 - p to p."""
        q = _quantiles(self.freedom, p)
        skew = self.shift * (1 + 2 * q * q)
        return self.value - q * self.error + np.minimum(skew, 0), self.value + q * self.error + np.maximum(skew, 0)

    def p_value(self) -> float:
        """The two-sided chance of a mean this far from 0 where there is no difference; of one data set. It is below 0.05
        exactly where the interval leaves 0 out."""
        away, error = abs(float(self.value)), float(self.error)
        if error == 0:
            return 1.0 if away == 0 else 0.0
        against = max(0.0, -float(self.shift) * np.sign(float(self.value)))  # skewness that widens the side towards 0
        if away <= against:
            return 1.0
        # away = t error + against (1 + 2 t²), solved for t so that nothing cancels where skewness is next to none
        t = 2 * (away - against) / (error + math.sqrt(error * error + 8 * against * (away - against)))
        return t_tail(t, float(self.freedom))


def mean(values: Floats) -> Estimate:
    """Of values of shape (..., items), all independent."""
    n = values.shape[-1]
    value = values.mean(-1)
    apart = values - value[..., None]
    return _estimate(value, (apart**2).sum(-1), (apart**3).sum(-1), n, np.full(value.shape, n - 1.0), n)


def mean_of_sums(n: int, total: float, squares: float, cubes: float) -> Estimate:
    """`mean` of independent values of which only the number and the sums of their first, second and third powers are known."""
    value = total / n if n else math.nan
    apart = max(squares - n * value * value, 0.0)
    third = cubes - 3 * value * squares + 2 * n * value**3
    return _estimate(np.asarray(value), np.asarray(apart), np.asarray(third), n, np.asarray(n - 1.0), n)


def clustered_mean(values: Floats, place: NDArray[np.intp]) -> Estimate:
    """Of one data set whose items belong to clusters: `place` has each item's, from 0 on.

    The variance is CR2, with Bell and McCaffrey's degrees of freedom (2002), which are honest with few clusters too: the fewer
    of those for items that are alike within their cluster and for such that are not. With every item in its own it is `mean`.
    """
    sizes = np.bincount(place).astype(np.float64)
    total, groups = float(values.size), len(sizes)
    value = values.mean()
    apart = np.bincount(place, values - value)
    if groups < 2:
        nothing = np.array(np.nan)
        return Estimate(np.asarray(value), nothing, nothing, nothing, groups)
    rest = 1 - sizes / total
    scale = groups / (groups - 1)  # `_estimate` expects plain sums of squares over groups - 1
    squares = (apart**2 / rest).sum() * (groups / total) ** 2 / scale
    cubes = (apart**3).sum() * (groups / total) ** 3
    return _estimate(np.asarray(value), np.asarray(squares), np.asarray(cubes), groups, np.asarray(_freedom(sizes)), groups)


def _freedom(sizes: Floats) -> float:
    """Bell and McCaffrey's degrees of freedom of a mean over clusters, tr(B)² / tr(B²), worked out for a design of ones."""
    total, share = sizes.sum(), sizes / sizes.sum()
    rest = 1 - share
    between = ((sizes**2 / rest).sum() ** 2 - (sizes**4 / rest**2).sum()) / total**2
    unlike = total**2 / ((sizes**2).sum() + between)
    a, s = share**2 / rest, (share**2).sum()
    trace, p, q, r = (a * (1 - 2 * share + s)).sum(), a.sum(), (a * share).sum(), (a * share**2).sum()
    squares = s * s * p * p - 4 * s * p * q + 2 * p * r + 2 * q * q
    squares += (a**2 * ((1 - 2 * share + s) ** 2 - (s - 2 * share) ** 2)).sum()
    return float(min(unlike, trace**2 / squares))


def _estimate(value: Floats, squares: Floats, cubes: Floats, n: int, freedom: Floats, units: int) -> Estimate:
    if n < 2:
        nothing = np.full(value.shape, np.nan)
        return Estimate(value, nothing, nothing, nothing, units)
    variance = squares / (n - 1)
    third = cubes * n / ((n - 1) * (n - 2)) if n > 2 else np.zeros(value.shape)
    shift = np.divide(SKEW_SHARE * third, 6 * n * variance, out=np.zeros(value.shape), where=variance > 0)
    return Estimate(value, np.sqrt(variance / n), freedom, shift, units)


@lru_cache(maxsize=65_536)
def tango(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """Tango's 95 % score interval of the difference of two paired shares, (only_b - only_a) / n.

    `only_a` counts items that the first alone had right. The bounds are found by halving.
    """
    def bound(outside: float) -> float:
        inside = (only_b - only_a) / n
        for _ in range(50):
            half = (inside + outside) / 2
            if abs(_tango_z(only_a, only_b, n, half)) < Z:
                inside = half
            else:
                outside = half
        return inside

    return bound(-1.0), bound(1.0)


def _tango_z(only_a: int, only_b: int, n: int, difference: float) -> float:
    """How far the counts are from a true difference, in standard errors where it holds (Tango 1998, equations 6 and 7)."""
    b = -only_a - only_b + (2 * n - only_b + only_a) * difference
    c = -only_a * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (only_b - only_a - n * difference) / math.sqrt(max(variance, 1e-300))


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """McNemar's test without approximation: two-sided binomial, of the items that one alone had right."""
    n, k = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(binomial(at, n) for at in range(k + 1))) if n else 1.0


def macro_f1_parts(expected: Sequence[str], predicted: Sequence[str | None]) -> tuple[float, Floats]:
    """Macro-F1 over the labels that occur (scikit-learn's definition), and each item's part of it: the jackknife's
    pseudo-values (Tukey 1958), moved so that their mean is the macro-F1 itself. A label may occur once, so what an item adds
    is found by leaving it out and not by a slope: slopes cover 87 % where twenty labels share a hundred items."""
    said = ["(none)" if label is None else label for label in predicted]
    names, codes = np.unique(np.array([*expected, *said], dtype=str), return_inverse=True)
    n, labels = len(said), len(names)
    truth, answer = codes[:n], codes[n:]
    right = truth == answer
    hits = np.bincount(truth[right], minlength=labels).astype(np.float64)
    both = (np.bincount(truth, minlength=labels) + np.bincount(answer, minlength=labels)).astype(np.float64)
    f1 = 2 * hits / both
    less = np.where(right, 2.0, 1.0)  # a right item counts as expected and as said of one label
    sums = f1.sum() - f1[truth] + _f1(hits[truth] - right, both[truth] - less)
    sums += np.where(right, 0.0, _f1(hits[answer], both[answer] - 1) - f1[answer])
    left = labels - (both[truth] == less) - (~right & (both[answer] == 1))
    without = sums / np.maximum(left, 1)
    return float(f1.mean()), float(f1.mean()) + (n - 1) * (without.mean() - without)


def _f1(hits: Floats, both: Floats) -> Floats:
    return np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)


def _quantiles(freedom: Floats, p: float) -> Floats:
    found = {one: t_quantile(p, one) for one in set(np.unique(freedom[~np.isnan(freedom)]).tolist())}
    return np.vectorize(lambda one: found.get(one, np.nan), otypes=[np.float64])(freedom)
