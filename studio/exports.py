"""Rows as a CSV file that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """RFC 4180 text with a header, from rows that share their keys; empty for no rows.

    Text that a spreadsheet would take for a formula gets a quote in front (OWASP, CSV injection); numbers stay numbers.
    """
    if not rows:
        return ""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([neutral(name) for name in rows[0]])
    writer.writerows([neutral(cell) for cell in row.values()] for row in rows)
    return file.getvalue()


def neutral(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(_STARTS_A_FORMULA):
        return "'" + cell
    return cell
