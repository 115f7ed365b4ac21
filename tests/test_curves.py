"""What curves say in words, and how few points show them."""

from __future__ import annotations

import math

import pytest

from studio import curves
from studio.workspace import Row


def rows(losses: list[float], first: int = 1, apart: int = 1) -> list[Row]:
    return [{"step": first + apart * place, "loss": loss} for place, loss in enumerate(losses)]


def names(train: list[Row], validation: list[Row], steps: int = 0) -> list[str]:
    return [trouble.name for trouble in curves.troubles(train, validation, steps)]


FALLING = rows([2.0 - 0.05 * step for step in range(20)])


def test_a_run_that_learns_has_no_trouble() -> None:
    assert names(FALLING, rows([2.1, 1.6, 1.2], 0, 10), 20) == []


def test_validation_far_above_training_is_memorising() -> None:
    assert names(FALLING, rows([2.6, 2.3, 2.2], 0, 10), 20) == ["The model begins to memorise"]


def test_validation_that_rises_while_training_falls_is_memorising() -> None:
    assert names(FALLING, rows([2.1, 1.1, 1.3], 0, 10), 20) == ["The model begins to memorise"]


def test_a_loss_that_is_no_number_ran_away() -> None:
    assert names([*FALLING, {"step": 21, "loss": math.nan}], rows([2.1, 1.2, 1.0], 0, 10), 30) == ["Training ran away"]


def test_a_validation_loss_that_is_no_number_ran_away() -> None:
    assert names(FALLING, [{"step": 0, "loss": 2.1}, {"step": 10, "loss": math.inf}], 30) == ["Training ran away"]


def test_a_loss_of_twice_its_beginning_runs_away() -> None:
    assert names(rows([2.0] * 8 + [4.1] * 5), [], 30) == ["Training runs away"]


def test_one_spike_is_no_running_away() -> None:
    assert names(rows([2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 9.0, 1.4, 1.3, 1.2, 1.1]), [], 30) == []


def test_no_gain_in_the_first_third_is_said() -> None:
    assert names(rows([2.0, 1.99] * 5), rows([2.0, 1.995], 0, 10), 30) == ["It does not learn"]


def test_before_the_first_third_is_over_nothing_is_said_of_it() -> None:
    assert names(rows([2.0, 1.99] * 5), rows([2.0, 1.995], 0, 10), 31) == []


def test_a_gain_in_validation_alone_is_learning() -> None:
    assert names(rows([2.0, 1.99] * 5), rows([2.0, 1.9], 0, 10), 30) == []


def test_every_trouble_says_what_to_do() -> None:
    found = curves.troubles(rows([2.0] * 8 + [4.1] * 5), [], 30)[0]
    assert (found.sign, "lower learning rate" in found.advice) == ("the loss grew from 2.00 to 4.10", True)


def test_few_points_stay_as_they_are() -> None:
    assert curves.thinned(rows([3.0, 2.0]), "loss") == [(1, 3.0), (2, 2.0)]


@pytest.mark.parametrize("many", [1_001, 5_000, 123_457])
def test_many_points_become_at_most_a_thousand(many: int) -> None:
    assert 500 <= len(curves.thinned(rows([math.sin(step) for step in range(many)]), "loss")) <= 1_000


def test_the_lowest_and_the_highest_point_stay_visible() -> None:
    losses = [2.0] * 50_000
    losses[33_333], losses[44_444] = 9.0, 0.1
    assert {(33_334, 9.0), (44_445, 0.1)} <= set(curves.thinned(rows(losses), "loss"))


def test_thinned_points_stay_in_their_order() -> None:
    steps = [step for step, _ in curves.thinned(rows([math.sin(step) for step in range(9_999)]), "loss")]
    assert steps == sorted(steps)


def test_rows_without_the_number_are_left_out() -> None:
    found = [{"step": 1}, {"step": 2, "lr": None}, {"step": 3, "lr": 0.1}, {"step": 4, "lr": math.nan}]
    assert curves.thinned(found, "lr") == [(3, 0.1)]
