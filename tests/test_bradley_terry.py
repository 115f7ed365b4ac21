"""Strengths of several candidates: equal to a published fit, honest about its interval, finite where nobody lost."""

from __future__ import annotations

import numpy as np
import pytest

from studio import bradley_terry

JOURNALS = ("Biometrika", "Comm Statist", "JASA", "JRSS-B")
CITED = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]], float)
"""Citations among journals (Stigler 1994), rows cited by columns; the fit is that of the R package BradleyTerry2."""


@pytest.mark.parametrize(("place", "strength", "error"), [(1, -2.9491, 0.1025), (2, -0.4796, 0.0606), (3, 0.2690, 0.0708)])
def test_the_fit_is_the_published_one(place: int, strength: float, error: float) -> None:
    found = bradley_terry.fit(JOURNALS, CITED).difference(place, 0)
    assert (round(found.value, 4), round((found.high - found.value) / bradley_terry.Z, 4)) == (strength, error)


def test_two_candidates_have_the_chance_that_was_seen() -> None:
    found = bradley_terry.fit(("a", "b"), np.array([[0.0, 30.0], [10.0, 0.0]]))
    assert found.chance(0, 1).value == pytest.approx(0.75)


def test_who_never_lost_has_a_finite_strength_and_it_is_said() -> None:
    found = bradley_terry.fit(("a", "b", "c"), np.array([[0, 9, 8], [0, 0, 5], [0, 4, 0]], float))
    assert found.held and np.isfinite([one.value for one in found.strengths]).all() and found.strengths[0].low > 0


def test_candidates_that_never_met_are_refused() -> None:
    with pytest.raises(ValueError, match="never met"):
        bradley_terry.fit("abcd", np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], float))


def test_intervals_over_items_cover_the_truth_where_items_share_their_verdicts() -> None:
    dice, truth, covered = np.random.default_rng(1), 0.6, 0
    for _ in range(300):
        by_item = np.zeros((60, 3, 3))
        for item in range(60):
            shift = dice.normal(0, 1)  # some items suit one candidate: all its verdicts lean the same way
            for i, j in ((0, 1), (0, 2), (1, 2)):
                edge = (truth if i == 0 else 0.0) + (shift if i == 0 else 0.0)
                won = dice.random() < 1 / (1 + np.exp(-edge))
                by_item[item, i, j], by_item[item, j, i] = won, not won
        found = bradley_terry.fit("abc", by_item.sum(0), by_item).difference(1, 2)
        covered += found.low <= 0 <= found.high
    assert 0.92 <= covered / 300 <= 0.98
