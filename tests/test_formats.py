"""How numbers and times are written."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from studio.ui import formats


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert formats.duration(seconds) == words


@pytest.mark.parametrize(
    ("passed", "words"),
    [(5, "just now"), (240, "4 min ago"), (10_800, "3 h ago"), (90_000, "1 day ago"), (200_000, "2 days ago")],
)
def test_times_ago(passed: int, words: str) -> None:
    now = datetime(2026, 1, 1)
    assert formats.ago(now - timedelta(seconds=passed), now) == words


def test_an_interval_stands_beside_its_value() -> None:
    assert (formats.interval(0.351, 0.294, 0.412), formats.signed(0.229, 0.176, 0.283)) == (
        "0.35 [0.29, 0.41]",
        "+0.23 [+0.18, +0.28]",
    )


def test_a_value_that_does_not_exist_is_unknown() -> None:
    assert formats.interval(float("nan"), 0.0, 1.0) == "unknown [0.00, 1.00]"


@pytest.mark.parametrize(("number", "words"), [(0, "0 records"), (1, "1 record"), (1204, "1,204 records")])
def test_counts(number: int, words: str) -> None:
    assert formats.count(number, "record") == words


def test_slow_rates_are_told_by_the_minute() -> None:
    assert (formats.rate(2.44, "steps"), formats.rate(0.25, "steps")) == ("2.4 steps/s", "15.0 steps/min")


def test_an_excerpt_is_one_line() -> None:
    assert formats.excerpt("a\n\nb  c " + "d" * 100, 10) == "a b c ddd…"
