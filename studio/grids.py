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
from studio.workspace import Row, Workspace

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


def stamp(ws: Workspace, run_id: str) -> str:
    """Changes when a grid, or what is said of it, may have: with every run that ends, and when somebody is forgotten."""
    row = ws.row("""select (select count(*) from run_results) as ended, (select count(*) from forgettings) as forgotten,
                    (select count(*) from leaks) as leaks, (select count(*) from duplicate_groups) as grouped""") or {}
    return "-".join(map(str, (ws.root, run_id, *row.values())))


def read(ws: Workspace, run_id: str) -> Grid:
    """The scores of an evaluation; an empty grid where it has none. 600,000 scores take about half a second."""
    items = ws.columns(f"with {_ITEMS} select item_id from items order by place", [run_id])["item_id"]
    metrics, candidates = (_distinct(ws, run_id, column) for column in ("metric", "candidate_id"))
    labels, expected, predicted = _labels(ws, run_id, candidates, len(items))
    values = np.full((len(metrics), len(candidates), len(items)), np.nan)
    found = ws.columns(
        f"""with {_ITEMS} select list_position($2::varchar[], s.metric) - 1 as m,
                list_position($3::varchar[], s.candidate_id) - 1 as c, i.place, avg(s.value) as value
            from scores s join items i using (item_id) where s.run_id = $1 and s.value is not null and s.metric <> 'probe'
            group by all""", [run_id, list(metrics), list(candidates)])
    values[found["m"].astype(int), found["c"].astype(int), found["place"]] = found["value"]
    return Grid(items, metrics, candidates, values, labels, expected, predicted, _clusters(ws, items))


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


def _clusters(ws: Workspace, items: NDArray[np.object_]) -> NDArray[np.int64]:
    """Items of one ticket of a help desk, or of one customer (by address or name), are one cluster; the others stand alone."""
    rows = ws.rows(
        f"""with items as (select unnest($1::varchar[]) as record_id, unnest(range($2)) as place),
                keys as (
                    select place, 'ticket:' || {planning.thread_families()} || ':' || r.external_id as key from items
                    join records r using (record_id) join imports i using (import_id) where r.external_id is not null
                    union all
                    select place, 'customer:' || unnest([lower(trim(name)), lower(trim(email))]) from items
                    join record_people using (record_id))
            select key, list(distinct place) as places from keys where key is not null and key <> 'customer:'
            group by key having count(distinct place) > 1""", [list(items), len(items)])
    return together(len(items), rows)


def together(items: int, keys: Sequence[Row]) -> NDArray[np.int64]:
    """The cluster of each item, where `keys` are rows whose `places` belong together; numbered from 0 by their first item."""
    parent = list(range(items))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for row in keys:
        first = root(row["places"][0])
        for place in row["places"][1:]:
            parent[root(place)] = first
    numbers: defaultdict[int, int] = defaultdict(lambda: len(numbers))
    return np.array([numbers[root(place)] for place in range(items)], np.int64)
