"""Targets: what people want of production, and whether it is so, said only where the numbers allow it.

The rule: a target is missed when the whole 99 % interval of its figure lies on the wrong side of it, over the newest hours that
the target names, counted back from the newest row, and at least so many rows count. So a model that is exactly as good as
wanted is called worse in about one of 200 looks, a better one next to never. A latency's target is decided by the share of
answers that were slower (Wilson), which is the same as the interval of the quantile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from studio import live
from studio.errors import StudioError
from studio.live import MEASURES, Figure, Measure
from studio.permissions import needs
from studio.workspace import Row, Workspace

Z99 = 2.5758293035489004
LEAST = 100
State = Literal["met", "missed", "unsure", "too_few"]
WORDS: dict[State, str] = {"met": "met", "missed": "missed", "unsure": "not sure yet", "too_few": "too few rows"}
STARTING: dict[Measure, float] = {"latency_p50": 1.0, "latency_p95": 2.0, "thumbs": 0.8, "success": 0.8, "cost": 1.0}


@dataclass(frozen=True)
class Target:
    """A bound of a measure; `model` and `slice` empty: of all. `least` rows must count, within the newest `hours`."""

    target_id: str
    measure: Measure
    bound: float
    model: str
    slice: str
    least: int
    hours: float
    who: str
    said_at: datetime

    @property
    def subject(self) -> str:
        """What the target is about: a newer bound for the same is the same subject."""
        return f"{self.measure}/{self.model}/{self.slice}"

    @property
    def of(self) -> str:
        return " of ".join(filter(None, (f"slice {self.slice}" if self.slice else "", self.model)))

    @property
    def words(self) -> str:
        """`Latency p95: at most 2 s, support-v2`."""
        most = "at most" if MEASURES[self.measure].better == "lower" else "at least"
        return f"{MEASURES[self.measure].title}: {most} {written(self.measure, self.bound)}" + (
            f", {self.of}" if self.of else ""
        )


@dataclass(frozen=True)
class Judged:
    """A target with its figure (99 % interval) and what that allows to say."""

    target: Target
    figure: Figure
    state: State
    since: datetime

    @property
    def sentence(self) -> str:
        kind, figure = MEASURES[self.target.measure], self.figure
        said = (
            f"{figure.value:.{kind.digits}f} [{figure.low:.{kind.digits}f}, {figure.high:.{kind.digits}f}]"
            if figure.known
            else "nothing"
        )
        return f"{self.target.words}. It is {said} over {figure.n:,} {kind.counts}: {WORDS[self.state]}."


@needs("run")
def say(
    ws: Workspace,
    measure: Measure,
    bound: float | None,
    who: str,
    model: str = "",
    slice_name: str = "",
    least: int = LEAST,
    hours: float = 24.0,
) -> None:
    """Set a target, or with no bound take it back. Raises StudioError for one that makes no sense."""
    share = MEASURES[measure].unit == "share"
    if bound is not None and not (math.isfinite(bound) and 0 < bound < (1 if share else 1e9)):
        raise StudioError("This target can never be met or missed.", "A share lies between 0 and 1; all others are above 0.")
    if not 20 <= least <= 1_000_000 or not 1 <= hours <= 24 * 366:
        raise StudioError("A target looks at 20 rows at least, and at an hour to a year.", "Fewer rows would say nothing.")
    with ws.transaction() as transaction:
        transaction.decided(
            "log_targets",
            [
                {
                    "target_id": ws.new_id(),
                    "seq": 0,
                    "measure": measure,
                    "bound": bound,
                    "model": model,
                    "slice": slice_name,
                    "least": least,
                    "hours": hours,
                    "who": who,
                    "said_at": ws.now(),
                }
            ],
        )


@needs("read")
def every(ws: Workspace) -> list[Target]:
    """What stands, in the order of the measures."""
    rows = ws.rows("""select * exclude (seq) from log_targets qualify row_number() over
                      (partition by measure, model, slice order by seq desc) = 1""")
    order = list(MEASURES)
    found = [_target(row) for row in rows if row["bound"] is not None and row["measure"] in MEASURES]
    return sorted(found, key=lambda one: (order.index(one.measure), one.model, one.slice))


@needs("read")
def judged(ws: Workspace) -> list[Judged]:
    """Every target that stands, as the newest rows have it."""
    until = live.newest(ws)
    return [judge(ws, target, until) for target in every(ws)] if until else []


@needs("read")
def judge(ws: Workspace, target: Target, until: datetime) -> Judged:
    since = until - timedelta(hours=target.hours)
    figure = live.figure(ws, target.measure, since, target.model, target.slice, Z99)
    return Judged(target, figure, decide(target, figure), since)


def decide(target: Target, figure: Figure) -> State:
    """What a figure with its 99 % interval allows to say of a target."""
    if figure.n < target.least:
        return "too_few"
    if MEASURES[target.measure].better == "lower":
        return "missed" if figure.low > target.bound else "met" if figure.high <= target.bound else "unsure"
    return "missed" if figure.high < target.bound else "met" if figure.low >= target.bound else "unsure"


@needs("raw")
def examples(ws: Workspace, one: Judged, limit: int = 20) -> list[str]:
    """Rows that show why a target is missed: the slowest, the dearest, those rated down or failed."""
    order = {
        "latency_p50": "latency_s",
        "latency_p95": "latency_s",
        "cost": "cost",
        "thumbs": "happened_at",
        "success": "happened_at",
    }[one.target.measure]
    which = {"thumbs": "rating = -1", "success": "success = false"}.get(one.target.measure, f"{order} is not null")
    return [
        row["row_id"]
        for row in ws.rows(
            f"""select row_id from log_rows where {which} and happened_at > ?
            and (? = '' or model = ?) and (? = '' or slice = ?) order by {order} desc, row_id limit ?""",
            [one.since, one.target.model, one.target.model, one.target.slice, one.target.slice, limit],
        )
    ]


def written(measure: Measure, value: float) -> str:
    """A value with its unit: `2 s`, `0.8`, `1.2`."""
    unit = MEASURES[measure].unit
    return f"{value:g} s" if unit == "s" else f"{value:g}"


def _target(row: Row) -> Target:
    return Target(**row)
