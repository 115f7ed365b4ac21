"""Bradley–Terry: one strength for each of several candidates, from who won against whom (Bradley and Terry 1952).

P(i beats j) = 1 / (1 + exp(s_j − s_i)); ties count half for each. Fitted by Newton's method on the log-likelihood; intervals
come from the observed information, or, where several pairs share an item, from a sandwich over items. Checked against the fit
of Stigler (1994), citations among journals, as the R package BradleyTerry2 publishes it. """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.verdicts import Interval

Floats = NDArray[np.float64]
Z = 1.959963984540054
PRIOR = 0.5
"""Added to both sides of every pair of candidates where one of them never lost, or never won: a finite strength, said to be
so."""


@dataclass(frozen=True)
class Strengths:
    """Log strengths that sum to 0, with 95 % intervals and the covariance. `held` says that a slight prior keeps the fit
    finite: some group of candidates was never beaten, or never won, against the rest."""

    names: tuple[str, ...]
    strengths: tuple[Interval, ...]
    covariance: Floats
    held: bool

    def difference(self, i: int, j: int) -> Interval:
        """Strength of i minus that of j."""
        value = self.strengths[i].value - self.strengths[j].value
        spread = Z * float(np.sqrt(max(0.0, self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j])))
        return Interval(value, value - spread, value + spread)

    def chance(self, i: int, j: int) -> Interval:
        """How often i wins against j, with its interval."""
        return Interval(*(float(1 / (1 + np.exp(-part))) for part in self.difference(i, j).parts))


def fit(names: Sequence[str], wins: Floats, by_item: Floats | None = None) -> Strengths:
    """The strengths. `wins[i, j]` is how often i won against j (ties a half each), shape (n, n), diagonal 0. `by_item`, where
    given, has the same of each item, shape (items, n, n): items are then the unit of the intervals. Raises ValueError where
    the candidates fall apart into groups that never met."""
    if not _connected(wins + wins.T):
        raise ValueError("the candidates fall apart into groups that never met")
    held = not _strongly_connected(wins)
    met = (wins + wins.T > 0).astype(float)
    counted = wins + PRIOR * met if held else wins
    strengths = _newton(counted)
    information = _information(counted, strengths)
    inverse: Floats = np.asarray(np.linalg.pinv(information), np.float64)
    covariance = inverse
    if by_item is not None and len(by_item) > 1:
        slopes = np.stack([_slope(one, strengths) for one in by_item])
        covariance = np.asarray(inverse @ (slopes.T @ slopes * len(by_item) / (len(by_item) - 1)) @ inverse, np.float64)
    spread = Z * np.sqrt(np.maximum(0.0, np.diag(covariance)))
    return Strengths(tuple(names), tuple(Interval(float(s), float(s - d), float(s + d)) for s, d in
                                         zip(strengths, spread, strict=True)), covariance, held)


def _newton(wins: Floats) -> Floats:
    strengths = np.zeros(len(wins))
    for _ in range(100):
        step = np.linalg.pinv(_information(wins, strengths)) @ _slope(wins, strengths)
        step *= min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))  # far from the end a whole step can overshoot
        strengths = strengths + step - step.mean()
        if np.abs(step).max() < 1e-12:
            break
    return strengths - strengths.mean()


def _chances(strengths: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(strengths[None, :] - strengths[:, None])))


def _slope(wins: Floats, strengths: Floats) -> Floats:
    return np.asarray((wins - (wins + wins.T) * _chances(strengths)).sum(1))


def _information(wins: Floats, strengths: Floats) -> Floats:
    chance = _chances(strengths)
    weights = (wins + wins.T) * chance * (1 - chance)
    return np.diag(weights.sum(1)) - weights


def _connected(met: Floats) -> bool:
    return bool(_reached(met > 0).all())


def _strongly_connected(wins: Floats) -> bool:
    """Whether everybody beats everybody through a chain: then the likelihood has a finite top (Ford 1957)."""
    return bool(_reached(wins > 0).all() and _reached(wins.T > 0).all())


def _reached(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What can be reached from the first one."""
    seen = np.zeros(len(edges), bool)
    seen[0] = True
    for _ in range(len(edges)):
        seen = seen | edges[seen].any(0)
    return seen
