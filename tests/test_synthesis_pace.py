"""How many calls may be on their way: chance costs nothing, trouble is met one call at a time, and a limit by asking less."""

from __future__ import annotations

import time
from email.utils import formatdate
from types import SimpleNamespace

from pipeline.synthesis import pace
from pipeline.synthesis.asking import asked_to_wait
from pipeline.synthesis.pace import Pace


def sound(most: int = 32) -> Pace:
    found = Pace(most)
    found.well()
    return found


def test_the_first_call_goes_alone() -> None:
    found = Pace(32)
    before = found.room(0.0)
    found.well()
    assert (before, found.room(0.0)) == (1, 32)


def test_two_failures_in_a_row_are_chance() -> None:
    found = sound()
    for _ in range(50):
        assert not found.failed(1.0, 2.0) and not found.failed(1.0, 2.0)
        found.well()
    assert found.room(2.0) == 32


def test_in_trouble_one_call_goes_at_a_time_after_longer_and_longer_rests_until_one_comes_back() -> None:
    found, now, rests = sound(), 10.0, []
    for _ in range(32):  # all that were on their way when the server fell
        assert not found.failed(9.0, now)
    for _ in range(3):
        assert found.room(now) == 0
        rests.append(found.rest_until - now)
        now = found.rest_until
        assert found.room(now) == 1 and not found.failed(now, now)
    assert rests == [2.0, 2.0, 4.0]
    found.well()
    assert found.room(now) == 32


def test_a_server_that_stays_away_is_given_up_after_five_calls_and_half_a_minute() -> None:
    found, now = sound(), 10.0
    for _ in range(3):
        found.failed(9.0, now)
    ends = []
    while not any(ends):
        now = found.rest_until
        ends.append(found.failed(now, now))
    assert len(ends) == 5 and 15 < now - 10 < 40


def test_one_refusal_in_ten_slows_nobody() -> None:
    found = sound()
    for number in range(1_000):
        found.refused(0.0, 1.0, 1.0) if number % 10 == 0 else found.well()
    assert found.room(1.0) == 32


def test_where_all_are_refused_all_rest_as_long_as_the_server_asks_and_fewer_go_then() -> None:
    found = sound()
    assert not any(found.refused(9.0, 10.0, 20.0) for _ in range(31))
    assert (found.room(29.9), found.room(30.0)) == (0, 1)
    for _ in range(7):
        found.well()
    assert found.room(31.0) == 8


def test_a_server_that_refuses_for_ever_is_given_up_in_the_end() -> None:
    found, now, calls = Pace(32), 0.0, 0
    while not found.refused(now, now, 5.0):
        now, calls = max(now, found.refused_until), calls + 1
    assert calls + 1 == pace.REFUSED - 1 + pace.MOST_REFUSED and now == (pace.MOST_REFUSED - 1) * 5.0


def test_a_server_that_wants_an_hour_is_not_waited_for() -> None:
    found = sound()
    assert [found.refused(9.0, 10.0, 3_600.0) for _ in range(pace.REFUSED)] == [False] * (pace.REFUSED - 1) + [True]


def waits(**headers: str) -> float | None:
    return asked_to_wait(SimpleNamespace(response=SimpleNamespace(headers={name.replace("_", "-"): said
                                                                           for name, said in headers.items()})))  # fmt: skip


def test_how_long_a_server_asks_to_wait_is_read_in_seconds_and_as_a_date() -> None:
    later = waits(retry_after=formatdate(time.time() + 60, usegmt=True))
    assert (waits(retry_after="7"), waits(retry_after="0.5"), waits(retry_after=formatdate(0, usegmt=True))) == (7, 0.5, 0)
    assert later is not None and 55 < later <= 60


def test_a_server_that_names_no_time_is_not_guessed_at() -> None:
    assert (waits(), waits(retry_after="soon")) == (None, None)
