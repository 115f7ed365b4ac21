"""How numbers, times and shares are written: one way, everywhere. Pure: strings in, strings out."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


def count(number: int, one: str, many: str = "") -> str:
    """`1 record`, `1,204 records`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """`12 of 40 (30 %)`; of nothing, just the counts."""
    return f"{part:,} of {whole:,} ({part / whole:.0%})".replace("%", " %") if whole else f"{part:,} of 0"


def interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """`0.35 [0.29, 0.41]`; a value that does not exist is said to be unknown, with what the interval still allows."""
    written = "unknown" if math.isnan(value) else f"{value:.{digits}f}"
    return f"{written} [{low:.{digits}f}, {high:.{digits}f}]"


def signed(value: float, low: float, high: float, digits: int = 2) -> str:
    """A difference: `+0.23 [+0.18, +0.28]`."""
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ago(then: datetime, now: datetime) -> str:
    """`just now`, `4 min ago`, `3 h ago`, `2 days ago`; both in UTC."""
    passed = (now - then).total_seconds()
    if passed < MINUTE:
        return "just now"
    if passed < HOUR:
        return f"{passed // MINUTE:.0f} min ago"
    if passed < DAY:
        return f"{passed // HOUR:.0f} h ago"
    return f"{count(int(passed // DAY), 'day')} ago"


def clock(then: datetime, now: datetime, zone: tzinfo | None) -> str:
    """`14:32`, or `25 Nov, 02:10` on another day; both times are UTC, the words are of the reader's zone (none: UTC, said)."""
    there, today = (moment.replace(tzinfo=UTC).astimezone(zone or UTC) for moment in (then, now))
    day = "" if there.date() == today.date() else f"{there.day} {there:%b}, "
    return f"{day}{there:%H:%M}" + ("" if zone else " UTC")


def size(amount: int) -> str:
    """`812 kB`, `1.24 GB`: of bytes, in thousands."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= one:
            return f"{amount / one:.3g} {unit}"
    return f"{amount} bytes"


def rate(per_second: float, unit: str) -> str:
    """`2.4 steps/s`, or `9.5 steps/min` when it is slower than one a second."""
    return f"{per_second:.1f} {unit}/s" if per_second >= 1 else f"{per_second * 60:.1f} {unit}/min"


def excerpt(text: str, characters: int = 90) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"
