"""Dates and times in the way a column writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y",
          "%b %d %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%Y%m%d")
_TIMES = ("", " %H:%M:%S", "T%H:%M:%S", "T%H:%M:%SZ", " %H:%M", "T%H:%M", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f",
          "T%H:%M:%S.%f", "T%H:%M:%S.%fZ", " %H:%M:%S%z", "T%H:%M:%S%z", "T%H:%M:%S.%f%z", " %H:%M:%S UTC")
_WHOLE = ("%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z")
FORMATS = tuple(date + time for time in _TIMES for date in _DATES) + _WHOLE


def formats_of(cells: Sequence[str]) -> tuple[str, ...]:
    """The formats (as in strptime) that read these cells, best first: at most three, none where under half can be read.

    Where 03-04-2026 could be both, days first wins, because the column would otherwise show a number above 12 somewhere.
    """
    asked = [cell.strip() for cell in cells if cell.strip()][:500]
    if not asked:
        return ()
    fits = {form: sum(_reads(cell, form) for cell in asked[:40]) for form in FORMATS}
    likely = [form for form in FORMATS if fits[form]]
    counted = {form: sum(_reads(cell, form) for cell in asked) for form in likely}
    best = sorted(likely, key=lambda form: -counted[form])[:3]
    best = [form for form in best if counted[form] > 0.02 * len(asked)]
    read = sum(any(_reads(cell, form) for form in best) for cell in asked)
    return tuple(best) if read >= 0.5 * len(asked) else ()


def _reads(cell: str, form: str) -> bool:
    try:
        return 1970 <= datetime.strptime(cell, form).year <= 2100
    except ValueError:
        return False
