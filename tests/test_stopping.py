"""When a review may stop: no winner by chance, however often one looks; what is there is found in time."""

from __future__ import annotations

import math

import pytest
from scipy import integrate, stats

from benchmarks import reviews as simulated
from benchmarks.reviews import COIN_FLIPPERS, Reviewer
from studio import stopping


@pytest.mark.parametrize("reviewer", COIN_FLIPPERS, ids=lambda one: one.name)
def test_a_coin_flipper_who_is_looked_at_after_every_verdict_makes_a_winner_in_at_most_5_of_100_sessions(
    reviewer: Reviewer,
) -> None:
    assert (simulated.stopped(reviewer) > 0).mean() <= 0.05


def test_a_share_of_70_percent_is_found_in_most_sessions_of_150_pairs() -> None:
    assert (simulated.stopped(Reviewer("", 0.7), pairs=150) > 0).mean() > 0.9


def test_the_e_value_is_the_mixture_of_likelihood_ratios() -> None:
    def ratio(p: float) -> float:
        return stats.beta.pdf(p, stopping.PRIOR, stopping.PRIOR) * (p / 0.5) ** 14 * ((1 - p) / 0.5) ** 5

    assert math.exp(stopping.log_e_value(14, 5)) == pytest.approx(integrate.quad(ratio, 0, 1)[0])


def test_the_exact_p_value_is_scipys() -> None:
    assert stopping.two_sided(17, 5) == pytest.approx(stats.binomtest(17, 22).pvalue)


def test_bounds_hold_the_share_and_what_is_outside_is_spoken_against() -> None:
    low, high = stopping.bounds(30, 10)
    assert low < 0.75 < high
    assert stopping.log_e_value(30, 10, low) == pytest.approx(math.log(20), abs=1e-6)


@pytest.mark.parametrize(("wins", "losses", "ties", "state", "winner"), [
    (25, 5, 3, "enough", "b"), (5, 25, 3, "enough", "a"), (12, 9, 0, "more", ""), (30, 28, 42, "over", ""),
    (480, 470, 0, "level", ""),
])
def test_evidence_says_where_it_stands(wins: int, losses: int, ties: int, state: str, winner: str) -> None:
    found = stopping.said(wins, losses, ties, "evidence", 100 if wins < 400 else 2_000)
    assert (found.state, found.winner) == (state, winner)


def test_the_number_that_is_missing_is_the_one_that_is_enough() -> None:
    found = stopping.said(14, 6, 0, "evidence", 500)
    assert found.more is not None
    wins = 14 + round(0.7 * found.more)
    assert stopping.said(wins, 20 + found.more - wins, 0, "evidence", 500).state == "enough"


def test_two_that_win_equally_often_have_no_end_in_sight() -> None:
    assert stopping.said(20, 20, 0, "evidence", 500).more is None


def test_a_fixed_number_says_nothing_before_it_is_reached() -> None:
    before, at = stopping.said(30, 1, 5, "fixed", 40), stopping.said(33, 1, 6, "fixed", 40)
    assert (before.state, before.winner, before.more, at.state, at.winner) == ("fixed", "", 4, "enough", "b")


def test_several_comparisons_share_the_error() -> None:
    assert [stopping.said(21, 5, 0, "evidence", 100, comparisons=n).state for n in (1, 10)] == ["enough", "more"]
