"""Outputs that are known: what earlier evaluations have of the answers that a new one wants."""

from __future__ import annotations

from collections.abc import Collection

from studio import runs
from studio.permissions import needs
from studio.runs import OUTPUTS
from studio.workspace import Row, Workspace

LIKELIHOODS = ("reference_nats", "reference_tokens", "label_scores")


@needs("raw")
def known(ws: Workspace, snapshot_id: str, keys: Collection[str]) -> list[Row]:
    """One line for each of these keys that an evaluation has answered, the newest one: those that are in the tables, and what
    runs that did not get to their end have in their folders.

    How likely the reference was stays only where the item's line, reference included, is the same in this snapshot.
    """
    found = {row["answer_key"]: row for row in _unfinished(ws, snapshot_id, keys)}
    for row in _finished(ws, snapshot_id, keys):
        found[row["answer_key"]] = row
    return list(found.values())


@needs("read")
def there(ws: Workspace, keys: Collection[str]) -> set[str]:
    """Which of these keys an evaluation has answered, finished or not."""
    rows = ws.rows("select distinct answer_key from outputs where answer_key in (select unnest(?::varchar[]))", [list(keys)])
    return {row["answer_key"] for row in rows} | {row["answer_key"] for row in _unfinished(ws, "", keys)}


def _finished(ws: Workspace, snapshot_id: str, keys: Collection[str]) -> list[Row]:
    rows = ws.rows(
        """select o.* exclude (run_id), (o.item_id like 'probe:%' or was.line_sha256 = now.line_sha256) as same
           from outputs o join runs r using (run_id)
           left join snapshot_items was on was.snapshot_id = r.snapshot_id and was.record_id = o.item_id
           left join snapshot_items now on now.snapshot_id = ? and now.record_id = o.item_id
           where o.answer_key in (select unnest(?::varchar[]))
           qualify row_number() over (partition by o.answer_key order by r.started_at desc) = 1""",
        [snapshot_id, list(keys)])
    return [_line(row, bool(row.pop("same"))) for row in rows]


def _unfinished(ws: Workspace, snapshot_id: str, keys: Collection[str]) -> list[Row]:
    """The oldest run first, so that newer answers count."""
    open_ones = [run for run in reversed(runs.every(ws, "evaluate")) if run.state != "done"]
    return [_line(row, run.snapshot_id == snapshot_id) for run in open_ones for row in runs.lines(ws, run, OUTPUTS)
            if row.get("answer_key") in keys]


def _line(row: Row, same: bool) -> Row:
    return row if same else row | dict.fromkeys(LIKELIHOODS)
