"""Gaps: where the data is thin, so that synthetic examples go where they help: rare tags and labels, slices the tuned model
loses.

A gap names a scenario, says why it is one, how many examples would bring it level, and records of it to write them after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio import label_sets, labels, rivals, runs, slices
from studio.grids import Grid
from studio.permissions import needs
from studio.recipes import Recipe
from studio.runs import Run
from studio.workspace import Workspace

RARE = 0.5
"""A value is rare that has fewer records than this share of the median of its kind."""
SEEDS = 12
MOST = 12


@dataclass(frozen=True)
class Gap:
    """`have` records speak of it; `fill` more would bring it to the median. `seeds` are ids of some of its records."""

    scenario: str
    why: str
    kind: Literal["tag", "label", "slice"]
    have: int
    fill: int
    seeds: tuple[str, ...]


@needs("raw")
def find(ws: Workspace, run: Run | None = None, grid: Grid | None = None) -> list[Gap]:
    """Gaps of every kind, those of a failing evaluation first, then the rarest; at most a dozen.

    `run` and its `grid` are the newest evaluation, None where there is none.
    """
    failing = _failing(ws, run, grid) if run is not None and grid is not None else []
    rare = sorted([*_tags(ws), *_labels(ws)], key=lambda gap: (gap.have, gap.scenario))
    named = {gap.scenario.lower() for gap in failing}
    return [*failing, *(gap for gap in rare if gap.scenario.lower() not in named)][:MOST]


def recipe(picked: Sequence[Gap]) -> Recipe:
    """What fills these gaps up, each towards the middle one of its kind, about."""
    each = max(5, round(sum(one.fill for one in picked) / len(picked)))
    ids = tuple(dict.fromkeys(one for gap in picked for one in gap.seeds))
    return Recipe(scenarios=tuple(one.scenario for one in picked), each=each, seed_ids=ids)


def _tags(ws: Workspace) -> list[Gap]:
    rows = ws.rows("""select trim(tags) as name, count(*) as n, list(record_id order by record_id)[:?] as some from record_now
                      where decision <> 'drop' and nullif(trim(tags), '') is not null group by 1""", [SEEDS])
    return _rare([(row["name"], row["n"], row["some"]) for row in rows], "tag")


def _labels(ws: Workspace) -> list[Gap]:
    found: list[Gap] = []
    for label_set in label_sets.every(ws):
        final = labels.final(ws, label_set.set_id)
        for field in label_set.fields:
            if field.kind != "choice":
                continue
            by_value: dict[str, list[str]] = {option.value: [] for option in field.options}
            for record_id, answer in sorted(final.items()):
                if (value := answer.get(field.key)) in by_value:
                    by_value[str(value)].append(record_id)
            rows = [(field.title_of(value), len(ids), ids[:SEEDS]) for value, ids in by_value.items()]
            if sum(n for _, n, _ in rows) >= 2 * len(rows):  # else hardly anything is labelled yet
                found += _rare(rows, "label", f"{label_set.name}: {field.title}")
    return found


def _rare(rows: Sequence[tuple[str, int, Sequence[str]]], kind: Literal["tag", "label"], where: str = "") -> list[Gap]:
    """Values with less than half of the median of their kind."""
    if len(rows) < 3:
        return []
    middle = sorted(n for _, n, _ in rows)[len(rows) // 2]
    said = f"{where} has" if where else "the tag has"
    return [Gap(name, f"Rare: {said} {n:,} where the middle one of its kind has {middle:,}.", kind, n, middle - n, tuple(some))
            for name, n, some in rows if n < RARE * middle]


def _failing(ws: Workspace, run: Run, grid: Grid) -> list[Gap]:
    """Slices by tag on which the judged model is surely worse than the first rival."""
    judged = rivals.judged(run)
    rival = next((one for one in rivals.names(run) if one != judged), None)
    if rival is None or rival not in grid.candidates or judged not in grid.candidates:
        return []
    metric = rivals.primary(run, grid)
    found = slices.cut(grid, slices.part(ws, run, grid, "tag"), metric, rival, judged)
    lost = [one for one in found if one.found is not None and one.found.word == "worse" and one.name != "no tag"]
    rows = {row["name"]: row for row in ws.rows(
        """select trim(tags) as name, count(*) as n, list(record_id order by record_id)[:?] as some from record_now
           where decision <> 'drop' group by 1""", [SEEDS])}
    return [Gap(one.name, f"Failing: the tuned model is surely worse here than {rivals.roles(run)[rival]}, on "
                f"{one.items:,} test items.", "slice", rows[one.name]["n"], max(20, rows[one.name]["n"] // 2),
                tuple(_outside(ws, run, rows[one.name]["some"]))) for one in lost if one.name in rows]


def _outside(ws: Workspace, run: Run, record_ids: Sequence[str]) -> list[str]:
    """Those that are no test items: what is generated after them must not know the test."""
    tested = {row["record_id"] for row in ws.rows(
        "select record_id from snapshot_items where snapshot_id = ? and split = 'test'", [run.snapshot_id])}
    return [one for one in record_ids if one not in tested]


@needs("read")
def newest(ws: Workspace) -> Run | None:
    """The newest evaluation that is done."""
    return next(iter(runs.proven(ws)), None)
