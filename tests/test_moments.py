"""Dates and times are read in the way their column writes them."""

from __future__ import annotations

import pytest

from studio.moments import formats_of


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2026-01-31 14:05:00", "2026-02-01 08:00:00"], "%Y-%m-%d %H:%M:%S"),
        (["31-01-2026", "02-03-2026"], "%d-%m-%Y"),
        (["01/31/2026", "03/02/2026"], "%m/%d/%Y"),
        (["2026-01-31T14:05:00Z"], "%Y-%m-%dT%H:%M:%SZ"),
        (["Tue Oct 31 22:10:47 +0000 2017"], "%a %b %d %H:%M:%S %z %Y"),
        (["Jan 31, 2026"], "%b %d, %Y"),
    ],
)
def test_the_format_of_a_column_is_found(cells: list[str], form: str) -> None:
    assert formats_of(cells)[0] == form


def test_days_come_first_where_both_could_be_meant() -> None:
    assert formats_of(["03-04-2026", "05-06-2026"])[0] == "%d-%m-%Y"


def test_words_are_no_times() -> None:
    assert formats_of(["open", "closed", "31"]) == ()
