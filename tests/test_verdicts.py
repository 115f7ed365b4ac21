"""Statistics against the libraries that are trusted for them, and by simulation where an interval makes a promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from studio import verdicts
from studio.verdicts import Interval


@pytest.mark.parametrize(("won", "of"), [(0, 5), (3, 10), (9, 10), (10, 10), (57, 100), (500, 1000)])
def test_wilsons_interval_is_scipys(won: int, of: int) -> None:
    theirs = binomtest(won, of).proportion_ci(method="wilson")
    assert verdicts.wilson(won, of).parts[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_with_no_trials_the_interval_is_everything() -> None:
    assert verdicts.wilson(0, 0).parts[1:] == (0.0, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_is_scikit_learns(seed: int) -> None:
    dice = np.random.default_rng(seed)
    expected, a, b = ([f"label {n}" for n in dice.integers(0, 4, 30)] for _ in range(3))
    found = verdicts.compare_macro_f1(expected, a, b)
    theirs = [f1_score(expected, said, average="macro", zero_division=0) for said in (a, b)]
    assert (found.a.value, found.b.value) == pytest.approx(theirs, abs=1e-12)


def test_the_difference_is_that_of_the_means_and_lies_in_its_interval() -> None:
    found = verdicts.compare_means("rougeL", [0.1, 0.2, 0.3] * 5, [0.2, 0.4, 0.3] * 5)
    assert (found.difference.value, found.difference.low < found.difference.value < found.difference.high) == (
        pytest.approx(0.1),
        True,
    )


@pytest.mark.parametrize(
    ("low", "high", "items", "word"),
    [
        (0.10, 0.20, 40, "better"),
        (-0.20, -0.10, 40, "worse"),
        (-0.05, 0.10, 40, "inconclusive"),
        (-0.01, 0.01, 40, "no difference worth having"),
        (0.10, 0.20, 9, "inconclusive"),
    ],
)
def test_the_word_follows_from_the_interval_and_the_number_of_items(low: float, high: float, items: int, word: str) -> None:
    assert verdicts.word_for(Interval((low + high) / 2, low, high), items) == word


def test_unpaired_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        verdicts.compare_means("m", [0.1], [0.1, 0.2])
