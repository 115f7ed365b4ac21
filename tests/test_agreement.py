"""Agreement: equal to scikit-learn's figures and to a published worked example; the numbers are here."""

from __future__ import annotations

import math

import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from studio import agreement
from studio.agreement import Level

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units, data missing.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
UNITS = [[row[unit] for row in OBSERVERS if row[unit] is not None] for unit in range(12)]
# The same paper, section A: two observers, ten units, binary; alpha = 0.095.
BINARY = [list(pair) for pair in zip((0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0), strict=True)]
# Section B: two observers, twelve units, five nominal values; alpha = 0.692.
FIRST = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
SECOND = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
VOTES = {f"r{n}": {"ann": a, "bob": b} for n, (a, b) in enumerate(zip(FIRST, SECOND, strict=True))}


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_the_published_example_with_missing_data(level: Level, alpha: float) -> None:
    assert round(agreement.krippendorff_alpha(UNITS, level), 3) == alpha  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("units", "alpha"), [(BINARY, 0.095), ([list(pair) for pair in zip(FIRST, SECOND, strict=True)], 0.692)]
)
def test_alpha_is_that_of_the_published_examples_of_two_observers(units: list[list[str]], alpha: float) -> None:
    assert round(agreement.krippendorff_alpha(units, "nominal"), 3) == alpha


def test_kappa_is_that_of_scikit_learn() -> None:
    assert (agreement.cohen_kappa(FIRST, SECOND), round(agreement.cohen_kappa(FIRST, SECOND), 4)) == (
        pytest.approx(cohen_kappa_score(FIRST, SECOND)),
        0.6842,
    )


@pytest.mark.parametrize("shift", range(1, 6))
def test_kappa_is_that_of_scikit_learn_however_they_differ(shift: int) -> None:
    a = [n * n % 7 for n in range(60)]
    b = [(n * n + (n % (shift + 1) == 0) * shift) % 7 for n in range(60)]
    assert agreement.cohen_kappa(a, b) == pytest.approx(cohen_kappa_score(a, b))


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    values, counted = agreement.confusion(FIRST, SECOND)
    assert (values, [list(row) for row in counted]) == (
        ("a", "b", "c", "d", "e"),
        confusion_matrix(FIRST, SECOND).tolist(),
    )


def test_raw_agreement_is_the_share_of_records_in_which_two_say_the_same() -> None:
    assert agreement.raw(FIRST, SECOND) == 0.75


def test_nothing_is_said_where_nothing_varies_or_nobody_met() -> None:
    silent = (agreement.cohen_kappa(["a"], ["a"]), agreement.krippendorff_alpha([["a", "a"]], "nominal"),
              agreement.krippendorff_alpha([["a"]], "nominal"), agreement.raw([], []))  # fmt: skip
    assert all(math.isnan(figure) for figure in silent)


def test_a_field_is_told_whole_with_intervals_over_records() -> None:
    told = agreement.of_field("mood", VOTES, "nominal")
    assert (told.records, told.answers, told.raw.value, round(told.alpha.value, 3)) == (12, 24, 0.75, 0.692)
    assert 0.3 < told.alpha.low < 0.692 < told.alpha.high <= 1.0 and 0.4 < told.raw.low < 0.75 < told.raw.high <= 1.0


def test_a_pair_is_told_with_its_kappa_and_interval() -> None:
    (pair,) = agreement.of_field("mood", VOTES, "nominal").pairs
    assert (pair.first, pair.second, pair.records, pair.kappa.value) == (
        "ann",
        "bob",
        12,
        pytest.approx(cohen_kappa_score(FIRST, SECOND)),
    )
    assert 0.2 < pair.kappa.low < pair.kappa.value < pair.kappa.high <= 1.0


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert agreement.of_field("mood", VOTES, "nominal", seed=3) == agreement.of_field("mood", VOTES, "nominal", seed=3)


def test_too_few_records_have_no_interval() -> None:
    told = agreement.of_field("mood", dict(list(VOTES.items())[:9]), "nominal")
    assert (math.isnan(told.alpha.low), math.isnan(told.raw.high), told.records) == (True, True, 9)


def test_the_confusion_of_a_field_counts_every_pair_of_answers_once() -> None:
    told = agreement.of_field("mood", {"r1": {"a": "x", "b": "x", "c": "y"}, "r2": {"a": "y", "b": "x"}}, "nominal")
    assert (told.values, told.confusion) == (("x", "y"), ((1, 3), (0, 0)))


def test_agreement_by_value_is_how_often_another_says_it_too() -> None:
    told = agreement.of_field("mood", {"r1": {"a": "x", "b": "x"}, "r2": {"a": "y", "b": "x"}}, "nominal")
    assert [(one.value, one.uses, round(one.agreement, 3)) for one in told.by_value] == [("x", 3, 0.667), ("y", 1, 0.0)]


def test_records_with_one_answer_do_not_count() -> None:
    told = agreement.of_field("mood", VOTES | {"alone": {"ann": "a"}}, "nominal")
    assert (told.records, told.alpha.value) == (12, pytest.approx(0.692, abs=0.0005))


def test_numbers_are_told_apart_by_how_far_they_lie() -> None:
    near = {f"r{n}": {"a": 1 + n % 5, "b": 1 + min(4, n % 5 + 1)} for n in range(20)}
    far = {f"r{n}": {"a": 1 + n % 5, "b": 5 - n % 5} for n in range(20)}
    levels = [agreement.of_field("stars", votes, "ordinal").alpha.value for votes in (near, far)]
    assert (levels[0] > 0.7, levels[1] < 0) == (True, True)


def test_the_overlap_of_marks_counts_characters_that_two_mark_alike() -> None:
    told = agreement.of_marks("parts", {
        "r1": {"a": [(0, 0, 10, "thing")], "b": [(0, 5, 10, "thing")]},  # 5 of 10 and 5
        "r2": {"a": [(0, 0, 5, "thing")], "b": [(0, 0, 5, "place")]},  # another word for the same place
        "r3": {"a": [], "b": []}, "r4": {"a": [(0, 0, 5, "thing")]}})
    assert (told.records, told.f1.value) == (2, pytest.approx(2 * 5 / (15 + 10)))
