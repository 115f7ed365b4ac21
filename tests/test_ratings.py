"""Ratings in whatever way a help desk writes them become numbers on one scale."""

from __future__ import annotations

import pytest

from studio.ratings import parse_number, read_scale


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("4", 4.0),
        ("4,5", 4.5),
        ("4.25", 4.25),
        ("5 stars", 5.0),
        ("4/5", 4.0),
        ("80 %", 80.0),
        ("3 out of 5", 3.0),
        ("4 - good", 4.0),
        ("-1", -1.0),
        ("★★★☆☆", 3.0),
        ("", None),
        ("good", None),
        ("2025-09-25 11:37:24", None),
        ("12/31/2025", None),
        ("555 123 4567", None),
    ],
)
def test_a_rating_is_a_number_with_at_most_its_unit(cell: str, value: float | None) -> None:
    assert parse_number(cell) == value


def test_numbers_run_from_the_lowest_to_the_highest_and_suggest_four_fifths() -> None:
    scale = read_scale({"1": 5, "3": 9, "10": 2, "": 4})
    assert scale is not None and (scale.kind, scale.low, scale.high, scale.suggested) == ("numbers", 1.0, 10.0, 8.0)


def test_words_of_satisfaction_run_from_one_to_five() -> None:
    scale = read_scale({"Very satisfied": 3, "neutral": 2, "Very dissatisfied": 1})
    assert scale is not None
    assert (scale.kind, scale.numbers) == ("words", {"Very satisfied": 5.0, "neutral": 3.0, "Very dissatisfied": 1.0})


@pytest.mark.parametrize(
    "pair", [("good", "bad"), ("👍", "👎"), ("Yes", "No"), ("true", "false"), ("thumbs_up", "thumbs_down")]
)
def test_two_opposite_words_are_thumbs(pair: tuple[str, str]) -> None:
    scale = read_scale({pair[0]: 4, pair[1]: 6, "offered": 9})
    assert scale is not None and (scale.kind, scale.numbers) == ("thumbs", {pair[0]: 1.0, pair[1]: 0.0})


def test_what_cannot_be_read_is_counted_and_not_guessed() -> None:
    scale = read_scale({"4": 90, "5": 20, "call me back": 3})
    assert scale is not None and (scale.unread, scale.share_read) == ({"call me back": 3}, 2 / 3)


def test_a_column_without_ratings_has_no_scale() -> None:
    assert read_scale({"open": 3, "pending": 4}) is None
