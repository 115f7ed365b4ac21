"""Grids: all scores of an evaluation as numbers in memory, read once; every view of the verdict works on them.

A metric is a layer, a candidate a row, a test item a column. Items of the general suite are left out. What is read stays the
same until another run is collected or somebody is forgotten (`stamp`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio import planning
from studio.permissions import needs
from studio.workspace import Workspace

PROBES = "probe:"
"""What the id of an item of the general suite begins with."""
NO_LABEL = "(none)"
_ITEMS = f"""items as (select item_id, row_number() over (order by item_id) - 1 as place from (
    select distinct item_id from scores where run_id = $1 and not starts_with(item_id, '{PROBES}')))"""


@dataclass(frozen=True)
class Grid:
    """Scores of every candidate on every item.

    `values` has shape (metrics, candidates, items); the samples of an item are averaged, and what nobody scored is NaN.
    `expected` (items) and `predicted` (candidates, items; of an item's first sample) are places in `labels`, -1 where there is
    none. Items of one `cluster` belong to one ticket or customer; `clusters` has shape (items).
    """

    items: NDArray[np.object_]
    metrics: tuple[str, ...]
    candidates: tuple[str, ...]
    values: NDArray[np.float64]
    labels: tuple[str, ...]
    expected: NDArray[np.int64]
    predicted: NDArray[np.int64]
    clusters: NDArray[np.int64]

    def of(self, metric: str, candidate: str) -> NDArray[np.float64]:
        """One candidate's scores on every item. Raises KeyError for a metric or candidate that is not here."""
        if metric not in self.metrics or candidate not in self.candidates:
            raise KeyError(f"{metric} of {candidate}")
        return self.values[self.metrics.index(metric), self.candidates.index(candidate)]

    def both(self, metric: str, a: str, b: str) -> NDArray[np.bool_]:
        """Which items both candidates have a score on."""
        return np.isfinite(self.of(metric, a)) & np.isfinite(self.of(metric, b))

    def among(self, item_ids: Iterable[str]) -> NDArray[np.bool_]:
        """Which items are among these."""
        wanted = set(item_ids)
        return np.fromiter((item in wanted for item in self.items), bool, len(self.items))

    def label(self, place: int) -> str | None:
        return self.labels[place] if place >= 0 else None


@needs("read")
def stamp(ws: Workspace, run_id: str) -> str:
    """Changes when a grid, or what is said of it, may have: with every run that ends, and when somebody is forgotten."""
    row = ws.row("""select (select count(*) from run_results) as ended, (select count(*) from forgettings) as forgotten,
                    (select count(*) from leaks) as leaks, (select count(*) from duplicate_groups) as grouped""") or {}
    return "-".join(map(str, (ws.root, run_id, *row.values())))


@needs("read")
def read(ws: Workspace, run_id: str) -> Grid:
    """The scores of an evaluation; an empty grid where it has none. 500,000 scores take about 0.2 s."""
    items = ws.columns(f"with {_ITEMS} select item_id from items order by place", [run_id])["item_id"]
    metrics, candidates = (_distinct(ws, run_id, column) for column in ("metric", "candidate_id"))
    labels, expected, predicted = _labels(ws, run_id, candidates, len(items))
    values = np.full((len(metrics), len(candidates), len(items)), np.nan)
    several = ws.value("select max(sample) from scores where run_id = ?", [run_id])
    value, together = ("avg(s.value)", "group by all") if several else ("s.value", "")
    found = ws.columns(
        f"""with {_ITEMS} select list_position($2::varchar[], s.metric) - 1 as m,
                list_position($3::varchar[], s.candidate_id) - 1 as c, i.place, {value} as value
            from scores s join items i using (item_id) where s.run_id = $1 and s.value is not null and s.metric <> 'probe'
            {together}""", [run_id, list(metrics), list(candidates)])
    values[found["m"].astype(int), found["c"].astype(int), found["place"]] = found["value"]
    return Grid(items, metrics, candidates, values, labels, expected, predicted, _clusters(ws, run_id, len(items)))


def _distinct(ws: Workspace, run_id: str, column: str) -> tuple[str, ...]:
    rows = ws.rows(f"""select distinct {column} as name from scores where run_id = ? and metric not in ('expected', 'probe')
                       and not starts_with(item_id, '{PROBES}') order by 1""", [run_id])
    return tuple(row["name"] for row in rows)


def _labels(ws: Workspace, run_id: str, candidates: Sequence[str],
            items: int) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    rows = ws.rows("""select distinct coalesce(label, ?) as label from scores
                      where run_id = ? and metric in ('expected', 'accuracy') and sample = 0 order by 1""", [NO_LABEL, run_id])
    labels = [row["label"] for row in rows]
    expected, predicted = np.full(items, -1, np.int64), np.full((len(candidates), items), -1, np.int64)
    if len(labels) < 2:
        return (), expected, predicted
    found = ws.columns(
        f"""with {_ITEMS} select s.metric = 'expected' as truth, list_position($2::varchar[], s.candidate_id) - 1 as c, i.place,
                list_position($3::varchar[], coalesce(s.label, $4)) - 1 as label
            from scores s join items i using (item_id)
            where s.run_id = $1 and s.sample = 0 and s.metric in ('expected', 'accuracy')""",
        [run_id, list(candidates), labels, NO_LABEL])
    truth = found["truth"].astype(bool)
    expected[found["place"][truth]] = found["label"][truth]
    predicted[found["c"][~truth].astype(int), found["place"][~truth]] = found["label"][~truth]
    return tuple(labels), expected, predicted


def _clusters(ws: Workspace, run_id: str, items: int) -> NDArray[np.int64]:
    """Items of one ticket of a help desk, or of one customer (by address or name), are one cluster; the others stand alone."""
    people = ", ".join(f"hash('customer', nullif(lower(trim({part})), ''))" for part in ("name", "email"))
    found = ws.columns(
        f"""with {_ITEMS},
                families as (select import_id, {planning.thread_families()} as family from imports i),
                keys as (
                    select place, hash('ticket', f.family, r.external_id) as key, r.external_id as said
                    from items join records r on r.record_id = item_id join families f using (import_id)
                    union all
                    select place, unnest([{people}]), unnest([nullif(trim(name), ''), nullif(trim(email), '')])
                    from items join record_people on record_id = item_id)
            select key, place from keys where said is not null order by key, place""", [run_id])
    same = np.flatnonzero(found["key"][1:] == found["key"][:-1])
    return joined(items, zip(found["place"][same].tolist(), found["place"][same + 1].tolist(), strict=True))


def joined(items: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """The cluster of each item, where the places of a pair belong together; numbered from 0 by their first item."""
    parent = list(range(items))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for first, second in pairs:
        parent[root(second)] = root(first)
    numbers: defaultdict[int, int] = defaultdict(lambda: len(numbers))
    return np.array([numbers[root(place)] for place in range(items)], np.int64)
