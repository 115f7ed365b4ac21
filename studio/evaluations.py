"""Evaluations over time: the same candidate or others, on the same test items, side by side.

Scores of different test items are not compared: a harder set makes every model look worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from studio import distributions, metrics, rivals, runs, snapshots
from studio.errors import StudioError
from studio.grids import PROBES
from studio.permissions import needs
from studio.verdicts import Comparison, Interval
from studio.workspace import Workspace


@dataclass(frozen=True)
class Entry:
    """One candidate of one evaluation on one metric. Entries with the same `test` answered the same items; `decoding` says how.

    The interval is Student's, of the items' scores: it stands beside the value, it is not the paired one of a difference.
    """

    run_id: str
    started_at: datetime
    test: str
    snapshot: str
    candidate_id: str
    name: str
    role: str
    decoding: str
    items: int
    value: Interval

    @property
    def key(self) -> str:
        return f"{self.run_id}/{self.candidate_id}"


@needs("read")
def measured(ws: Workspace) -> list[str]:
    """The metrics that some evaluation has, in the order of reading."""
    found = {row["metric"] for row in ws.rows("select distinct metric from scores where metric not in ('expected', 'probe')")}
    return metrics.in_order(found)


@needs("read")
def entries(ws: Workspace, metric: str) -> list[Entry]:
    """Every candidate of every evaluation that is done and has this metric, oldest first."""
    logs = metrics.of(metric).logs
    scored = {(row["run_id"], row["candidate_id"]): row for row in ws.rows(
        f"""select run_id, candidate_id, count(*) as items, avg(value) as mean, stddev_samp(value) as spread
            from (select run_id, candidate_id, item_id, {"ln(avg(value))" if logs else "avg(value)"} as value from scores
                  where metric = ? and value is not null and not starts_with(item_id, '{PROBES}') group by all)
            group by run_id, candidate_id""", [metric])}
    tests = {one.snapshot_id: (one.name, one.manifest["files"]["test.jsonl"]["sha256"]) for one in snapshots.every(ws)}
    found = []
    for run in reversed(runs.proven(ws)):
        roles = rivals.roles(run)
        name, test = tests.get(run.snapshot_id, ("a snapshot that is gone", run.snapshot_id))
        for candidate_id, said in rivals.names(run).items():
            row = scored.get((run.run_id, candidate_id))
            if row is not None:
                found.append(Entry(run.run_id, run.started_at, test, name, candidate_id, said, roles[candidate_id],
                                   decoding(run), row["items"], _interval(row["mean"], row["spread"], row["items"], logs)))
    return found


def decoding(run: runs.Run) -> str:
    """How answers were made, in a few words: `greedy, at most 150 tokens`."""
    how = run.spec.get("decoding", {})
    drawn = float(how.get("temperature") or 0)
    said = f"temperature {drawn:g}, {how.get('samples', 1)} samples" if drawn else "greedy"
    return f"{said}, at most {how.get('max_new_tokens', 150):,} tokens"


def why_not(a: Entry, b: Entry) -> str:
    """Why two entries cannot be compared, in words; empty where they can."""
    if a.test != b.test:
        return (f"{a.snapshot} and {b.snapshot} have other test items: a difference would be one of the items too. Evaluate "
                "both on the same snapshot.")
    if a.key == b.key:
        return "These are the same answers."
    return ""


def warning(a: Entry, b: Entry) -> str:
    """What else differs between two entries that can be compared; empty where nothing does."""
    return "" if a.decoding == b.decoding else f"Their answers were made differently: {a.decoding}; {b.decoding}."


@needs("read")
def paired(ws: Workspace, a: Entry, b: Entry, metric: str) -> Comparison:
    """Entry b against entry a, item by item. Raises StudioError where they cannot be compared."""
    if reason := why_not(a, b):
        raise StudioError("These two are not compared.", reason)
    of_one = "select item_id, avg(value) as value from scores where run_id = ? and candidate_id = ? and metric = ? group by 1"
    rows = ws.columns(f"""select x.value as a, y.value as b from ({of_one}) x join ({of_one}) y using (item_id)
                          where x.value is not null and y.value is not null order by item_id""",
                      [a.run_id, a.candidate_id, metric, b.run_id, b.candidate_id, metric])
    if not len(rows["a"]):
        raise StudioError("These two answered no item both.", "Choose two others.")
    return rivals.compare_values(metric, rows["a"].tolist(), rows["b"].tolist())


def sets(found: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries by the test items they answered, the set used last first."""
    by_test: dict[str, list[Entry]] = {}
    for entry in reversed(found):
        by_test.setdefault(entry.test, []).insert(0, entry)
    return by_test


def _interval(mean: float, spread: float | None, items: int, logs: bool) -> Interval:
    half = math.inf
    if items > 1 and spread is not None:
        half = distributions.t_quantile(0.975, items - 1) * spread / math.sqrt(items)
    ends = (mean, mean - half, mean + half)
    return Interval(*(math.exp(end) for end in ends)) if logs else Interval(*ends)
