"""Every call of a synthesis, in calls.jsonl: written before anything is done with its reply, and read again after a kill.

The reply stands in its line until the run is over, so that what was paid for is never asked for again.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.rundir import Child, read_lines, write_atomic

CALLS = "calls.jsonl"
ANSWERED = ("ok", "empty", "cut", "filter")
"""Outcomes that end a try, whatever is in them: the model has answered, and was paid."""
Row = dict[str, Any]


class Ledger:
    """`calls` made so far, those `in_vain`, and what they cost; of a run that is resumed, those of all its attempts."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.calls = self.in_vain = 0
        self.spent = 0.0
        self._answers: dict[tuple[str, int, bool], Row] = {}
        for row in read_lines(child.folder / CALLS):
            self._count(row)
            if row["outcome"] in ANSWERED:
                self._answers[row["slot"], row["try"], row["purpose"] == "judge"] = row

    def write(self, row: Row) -> None:
        self.child.call(row)
        self._count(row)

    def answer(self, slot: str, attempt: int, judged: bool) -> Row | None:
        """The newest answer that an earlier attempt got to this try of a slot, once: from the model that writes, or from the
        judge."""
        return self._answers.pop((slot, attempt, judged), None)

    def forget_replies(self) -> None:
        """The run is over: its texts are in examples.jsonl, and calls are kept without any."""
        rows = read_lines(self.child.folder / CALLS)
        write_atomic(self.child.folder / CALLS, "".join(f"{json.dumps(row | {'reply': None})}\n" for row in rows))

    def _count(self, row: Row) -> None:
        self.calls += 1
        self.in_vain += row["outcome"] != "ok"
        self.spent += row["cost"] or 0.0
