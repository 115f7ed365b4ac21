"""Groups: training runs that were started together to find the best dials, compared by validation loss."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from studio import runs
from studio.dials import Dials, read, scientific
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Row, Transaction, Workspace


@dataclass(frozen=True)
class Group:
    group_id: str
    name: str
    snapshot_id: str
    started_at: datetime


@dataclass(frozen=True)
class Member:
    """One run of a group. `place` counts from 0 in the order they were started; `best` is its lowest validation loss in nats a
    token so far (infinite before the first), at `best_step`; `seconds` of computing so far, 0 where it waits."""

    run: Run
    place: int
    dials: Dials
    validation: list[Row]
    best: float
    best_step: int
    seconds: float


@needs("read")
def every(ws: Workspace) -> list[Group]:
    """Newest first."""
    return [Group(**row) for row in ws.rows("select * from run_groups order by started_at desc")]


@needs("read")
def get(ws: Workspace, group_id: str) -> Group:
    """Raises StudioError when there is no such group."""
    row = ws.row("select * from run_groups where group_id = ?", [group_id])
    if row is None:
        raise StudioError(f"There is no group of runs {group_id} in this workspace.", "Choose one on the Runs page.")
    return Group(**row)


@needs("read")
def members(ws: Workspace, group_id: str) -> list[Member]:
    """Its runs, the best first; those without a validation loss last, in the order they were started."""
    found = [_member(ws, run, place) for place, run in enumerate(runs.of_group(ws, group_id))]
    return sorted(found, key=lambda member: (member.best, member.place))


def varied(members: Sequence[Member]) -> list[str]:
    """Which of the three dials that are searched differ between these runs."""
    return [name for name in ("learning_rate", "rank", "epochs") if len({getattr(one.dials, name) for one in members}) > 1]


def words(member: Member, members: Sequence[Member]) -> str:
    """What tells a run from the others: `1e-4 · rank 8`."""
    said = {"learning_rate": scientific(member.dials.learning_rate), "rank": f"rank {member.dials.rank}",
            "epochs": f"{member.dials.epochs} epochs"}
    return " · ".join(said[name] for name in varied(members)) or member.dials.words


@needs("run")
def stop(ws: Workspace, group_id: str) -> int:
    """Ask all its runs that still move to stop, the waiting ones first; returns how many were asked."""
    moving = [run for run in runs.of_group(ws, group_id) if run.moving]
    for run in reversed(moving):
        runs.stop(ws, run.run_id)
    return len(moving)


@needs("run")
def add_row(ws: Workspace, transaction: Transaction, group_id: str, name: str, snapshot_id: str) -> None:
    transaction.insert("run_groups", [{"group_id": group_id, "name": name, "snapshot_id": snapshot_id, "started_at": ws.now()}])


def _member(ws: Workspace, run: Run, place: int) -> Member:
    heard = runs.events(ws, run)
    measured = [row for row in heard.validation if math.isfinite(row["loss"])]
    best = min(measured, key=lambda row: row["loss"], default=None)
    told = [row["at"] for row in (*heard.losses[:1], *heard.losses[-1:], *heard.validation[:1], *heard.validation[-1:])]
    seconds = float(run.result.data.get("seconds", 0.0)) if run.result else max(told) - min(told) if told else 0.0
    loss, step = (best["loss"], best["step"]) if best else (math.inf, 0)
    return Member(run, place, read(json.dumps(run.spec)), measured, loss, step, seconds)

