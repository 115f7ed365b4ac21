"""Traffic: what production was asked and answered, row by row, and the way back: rows that become records.

`studio/logs.py` brings rows in; nothing here looks at more than it is asked for.
"""

from __future__ import annotations

from datetime import datetime

from studio.workspace import Row, Workspace


def texts(ws: Workspace, since: datetime, until: datetime, model: str | None = None) -> list[Row]:
    """Rows of row_id, at, question, answer, model from `since` on and before `until`, the oldest first."""
    return ws.rows("""select row_id, happened_at as "at", question, answer, model from log_rows
                      where happened_at >= ? and happened_at < ? and (?::varchar is null or model = ?) order by happened_at, row_id""",
                   [since, until, model, model])
