"""Statistics against the libraries that are trusted for them, and by simulation where an interval makes a promise."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from benchmarks import verdicts as simulated
from studio import distributions, intervals, verdicts
from studio.verdicts import Comparison, Interval

SETS = 1_000
SIZES = [size if size in (20, 100) else pytest.param(size, marks=pytest.mark.slow) for size in simulated.SIZES]


@pytest.mark.parametrize(("won", "of"), [(0, 5), (3, 10), (9, 10), (10, 10), (57, 100), (500, 1000)])
def test_wilsons_interval_is_scipys(won: int, of: int) -> None:
    theirs = stats.binomtest(won, of).proportion_ci(method="wilson")
    assert verdicts.wilson(won, of).parts[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_with_no_trials_the_interval_is_everything() -> None:
    assert verdicts.wilson(0, 0).parts[1:] == (0.0, 1.0)


@pytest.mark.parametrize("df", [1, 2.5, 9, 39, 399, 49_999])
def test_students_t_is_scipys(df: float) -> None:
    tails = [distributions.t_tail(t, df) for t in (0.0, 0.1, 1.0, -1.96, 3.0, 10.0)]
    assert tails == pytest.approx([2 * stats.t.sf(abs(t), df) for t in (0.0, 0.1, 1.0, -1.96, 3.0, 10.0)], rel=1e-9)
    quantiles = [distributions.t_quantile(p, df) for p in (0.8, 0.975, 0.995)]
    assert quantiles == pytest.approx([stats.t.ppf(p, df) for p in (0.8, 0.975, 0.995)], rel=1e-9)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 12), (8, 8), (40, 61), (0, 6)])
def test_mcnemar_is_scipys_binomial_test_and_its_mid_p(only_a: int, only_b: int) -> None:
    n = only_a + only_b
    exact = stats.binomtest(only_a, n).pvalue if n else 1.0
    mid = exact if only_a == only_b else exact - stats.binom.pmf(min(only_a, only_b), n, 0.5)
    assert (verdicts.mcnemar(only_a, only_b), verdicts.mcnemar(only_a, only_b, "mid-p")) == pytest.approx((exact, mid))


def test_mcnemar_with_continuity_correction_is_the_chi_square_test() -> None:
    assert verdicts.mcnemar(40, 61, "corrected") == pytest.approx(stats.chi2.sf((21 - 1) ** 2 / 101, 1))


def test_tangos_interval_is_the_published_one() -> None:
    # Tango 1998, table V: 43 of 44 alike but for one; 0 against 1 of 44.
    assert intervals.tango(0, 1, 44) == pytest.approx((-0.0600, 0.1184), abs=1.5e-3)


def test_the_t_interval_of_what_is_not_skewed_is_scipys() -> None:
    apart = np.array([-0.3, -0.1, -0.1, 0.0, 0.1, 0.1, 0.3, 0.2, -0.2, 0.0])
    found, theirs = intervals.mean(apart), stats.ttest_1samp(apart + 0.05, 0)
    assert [float(end) for end in found.bounds()] == pytest.approx(list(stats.ttest_1samp(apart, 0).confidence_interval()))
    assert intervals.mean(apart + 0.05).p_value() == pytest.approx(theirs.pvalue)


def test_the_p_value_is_five_percent_where_the_interval_ends_at_zero() -> None:
    apart = np.random.default_rng(2).gamma(0.4, 1, 25)
    ends = [float(end) for end in intervals.mean(apart).bounds()]
    assert [intervals.mean(apart - end).p_value() for end in ends] == pytest.approx([0.05, 0.05])


def test_items_that_each_are_their_own_cluster_are_as_without_clusters() -> None:
    apart = np.random.default_rng(3).normal(0.1, 1, 30)
    one, other = intervals.mean(apart), intervals.clustered_mean(apart, np.arange(30))
    assert (float(other.error), float(other.freedom), float(other.shift)) == pytest.approx(
        (float(one.error), float(one.freedom), float(one.shift))
    )


def test_the_degrees_of_freedom_of_clusters_are_bell_and_mccaffreys() -> None:
    sizes = np.array([1.0, 2, 3, 9, 1])
    place = np.repeat(np.arange(5), sizes.astype(int))
    centred = np.eye(16) - 1 / 16
    each = np.stack([(place == g) / (16 * np.sqrt(1 - sizes[g] / 16)) for g in range(5)])
    alike = (place[:, None] == place[None]).astype(float)
    found = [each @ centred @ like @ centred @ each.T for like in (np.eye(16), alike)]
    theirs = min(np.trace(b) ** 2 / (b**2).sum() for b in found)
    assert intervals._freedom(sizes) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_is_scikit_learns(seed: int) -> None:
    dice = np.random.default_rng(seed)
    expected, a, b = ([f"label {n}" for n in dice.integers(0, 4, 30)] for _ in range(3))
    found = verdicts.compare_macro_f1(expected, a, b)
    theirs = [f1_score(expected, said, average="macro", zero_division=0) for said in (a, b)]
    assert (found.a.value, found.b.value) == pytest.approx(theirs, abs=1e-12)


def test_each_items_part_of_macro_f1_is_what_leaving_it_out_changes() -> None:
    dice = np.random.default_rng(8)
    expected, said = ([f"label {n}" for n in dice.integers(0, 7, 20)] for _ in range(2))
    value, parts = intervals.macro_f1_parts(expected, said)
    without = np.array(
        [
            f1_score(expected[:n] + expected[n + 1 :], said[:n] + said[n + 1 :], average="macro", zero_division=0)
            for n in range(20)
        ]
    )
    assert parts == pytest.approx(value + 19 * (without.mean() - without))


def test_the_difference_is_that_of_the_means_and_lies_in_its_interval() -> None:
    found = verdicts.compare_means("rougeL", [0.1, 0.2, 0.3] * 5, [0.2, 0.4, 0.3] * 5)
    assert (found.difference.value, found.difference.low < found.difference.value < found.difference.high) == (
        pytest.approx(0.1),
        True,
    )


@pytest.mark.parametrize("items", SIZES)
@pytest.mark.parametrize("shape", simulated.SHAPES, ids=lambda shape: shape.name)
def test_the_interval_covers_the_true_difference_as_often_as_it_promises(shape: simulated.Shape, items: int) -> None:
    assert 0.93 <= simulated.coverage(shape, items, SETS) <= 0.97


@pytest.mark.parametrize("tickets", [20, pytest.param(40, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.slow)])
def test_so_it_does_where_items_share_a_ticket(tickets: int) -> None:
    assert 0.93 <= simulated.covered(simulated.clustered(tickets, 0.05, SETS), 0.05) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "items"), [(5, 40), (10, 100), (20, 200)])
def test_so_does_that_of_macro_f1(labels: int, items: int) -> None:
    assert 0.93 <= simulated.covered(*simulated.labelled(labels, items, SETS)) <= 0.97


def test_without_heeding_the_tickets_it_would_be_far_too_narrow() -> None:
    dice = np.random.default_rng(6)
    names = [f"ticket {n}" for n in np.repeat(np.arange(30), 4)]
    apart = np.repeat(dice.normal(0, 0.2, 30), 4)
    alone, together = (verdicts.compare_means("m", np.zeros(120), apart, clusters) for clusters in (None, names))
    assert (together.clusters, alone.clusters) == (30, 0)
    assert together.difference.high - together.difference.low > 1.8 * (alone.difference.high - alone.difference.low)


@pytest.mark.parametrize("items", SIZES)
@pytest.mark.parametrize("shape", simulated.EQUAL, ids=lambda shape: shape.name)
def test_of_two_equals_one_is_called_better_or_worse_in_at_most_one_of_twenty(shape: simulated.Shape, items: int) -> None:
    assert simulated.false_verdicts(shape, items, SETS) <= 0.05


@pytest.mark.parametrize("tickets", [20, pytest.param(40, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.slow)])
def test_nor_more_often_where_items_share_a_ticket(tickets: int) -> None:
    found = simulated.clustered(tickets, 0.0, SETS, seed=6)
    assert np.mean([one.word in ("better", "worse") for one in found]) <= 0.05


def test_a_family_of_ten_equals_is_wrong_about_any_of_them_in_at_most_one_of_twenty() -> None:
    dice, wrong = np.random.default_rng(9), 0
    for _ in range(400):
        found = [verdicts.compare_means(f"m{n}", dice.normal(0, 1, 40), dice.normal(0, 1, 40)) for n in range(10)]
        wrong += any(one.word in ("better", "worse") for one in verdicts.settle(found))
    assert wrong / 400 <= 0.05


def test_holms_p_values_are_those_of_his_paper() -> None:
    found = [one(f"m{n}", p) for n, p in enumerate((0.01, 0.02, 0.03, 0.005))]
    assert [each.adjusted for each in verdicts.settle(found)] == pytest.approx([0.03, 0.04, 0.04, 0.02])


def test_a_correction_takes_a_word_back_and_leaves_the_interval() -> None:
    before = [one("m", 0.03), one("n", 0.5)]
    after = verdicts.settle(before)
    assert ([each.word for each in after], after[0].difference) == (["inconclusive", "inconclusive"], before[0].difference)


def one(metric: str, p_value: float) -> Comparison:
    interval = Interval(0.1, 0.01, 0.2)
    return Comparison(metric, 40, interval, interval, interval, "better", p_value)


def test_the_smallest_difference_is_found_in_four_of_five_cases() -> None:
    dice = np.random.default_rng(4)
    known = verdicts.compare_means("m", np.zeros(100), dice.normal(0, 0.2, 100)).smallest_detectable
    drawn = dice.normal(known, 0.2, (1_000, 100))
    found = [verdicts.compare_means("m", np.zeros(100), row).word == "better" for row in drawn]
    assert 0.7 <= np.mean(found) <= 0.9


def test_so_many_more_items_settle_what_was_left_open() -> None:
    dice = np.random.default_rng(5)
    seen = dice.normal(0.04, 0.2, 40)
    first = verdicts.compare_means("m", np.zeros(40), seen)
    assert first.word == "inconclusive" and first.more_items is not None
    more = dice.choice(seen, (300, 40 + first.more_items))
    settled = [verdicts.compare_means("m", np.zeros(len(row)), row).word != "inconclusive" for row in more]
    assert 0.7 <= np.mean(settled) <= 0.9


def test_a_verdict_that_is_settled_asks_for_no_more_items() -> None:
    assert verdicts.compare_means("m", [0.1, 0.2] * 20, [0.5, 0.7] * 20).more_items is None


def test_answers_that_are_all_alike_do_not_prove_that_nothing_differs() -> None:
    few, many = (verdicts.compare_means("m", [0.4] * n, [0.4] * n) for n in (40, 400))
    assert (few.word, many.word) == ("inconclusive", "no difference worth having")


def test_twenty_items_cannot_show_a_small_difference_of_right_and_wrong() -> None:
    found = verdicts.compare_means("accuracy", [1.0] * 20, [1.0] * 19 + [0.0])
    assert (found.word, round(found.smallest_detectable, 2), found.p_value) == ("inconclusive", 0.37, 1.0)


def test_of_a_score_that_is_better_when_lower_the_word_turns_round() -> None:
    a, b = [3.0, 4.0, 5.0] * 10, [2.0, 2.5, 3.0] * 10
    found = verdicts.compare_ratios("perplexity", a, b)
    assert (found.word, found.a.value) == ("better", pytest.approx(60 ** (1 / 3)))
    assert found.difference.value == pytest.approx(found.b.value - found.a.value)


def test_a_score_that_only_describes_is_never_called_better() -> None:
    found = verdicts.compare_means("length_ratio", [1.0, 1.1] * 20, [2.0, 2.2] * 20, better="neither")
    assert (found.word, verdicts.settle([found])[0].family) == ("inconclusive", 1)


@pytest.mark.parametrize(
    ("low", "high", "items", "word"),
    [
        (0.10, 0.20, 40, "better"),
        (-0.20, -0.10, 40, "worse"),
        (-0.05, 0.10, 40, "inconclusive"),
        (-0.01, 0.01, 40, "no difference worth having"),
        (0.10, 0.20, 9, "inconclusive"),
        (math.nan, math.nan, 40, "inconclusive"),
    ],
)
def test_the_word_follows_from_the_interval_and_the_number_of_items(low: float, high: float, items: int, word: str) -> None:
    assert verdicts.word_for(Interval((low + high) / 2, low, high), items) == word


def test_unpaired_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        verdicts.compare_means("m", [0.1], [0.1, 0.2])


def test_fifty_thousand_items_are_compared_in_less_than_a_second() -> None:
    dice = np.random.default_rng(0)
    a, b = dice.random(50_000), dice.random(50_000)
    said = [f"label {n}" for n in dice.integers(0, 77, 50_000)]
    clusters = [f"c{n}" for n in dice.integers(0, 20_000, 50_000)]
    began = time.perf_counter()
    verdicts.compare_means("m", a, b, clusters)
    verdicts.compare_macro_f1(said, said[::-1], said, clusters)
    assert time.perf_counter() - began < 2
