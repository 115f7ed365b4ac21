"""Live: what production says of the model, in figures with intervals: over all, by time, by model, by slice.

Everything a page shows comes from one pass over the log's narrow columns, remembered until the logs are others. Shares have
Wilson's interval; a quantile has the interval of its share (the figures at Wilson's bounds of it); a mean cost Student's t, as
the verdicts have it.
"""

from __future__ import annotations

import math
import threading
import weakref
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from studio import intervals
from studio.intervals import Z
from studio.permissions import needs
from studio.verdicts import wilson
from studio.workspace import Row, Workspace

Measure = Literal["latency_p50", "latency_p95", "thumbs", "success", "cost"]
OTHERS = "others"
MOST_MODELS, MOST_SLICES = 5, 12


@dataclass(frozen=True)
class Kind:
    """A measure: what it is called, its unit, which way is better, digits to show, and what one of its rows is called."""

    title: str
    unit: str
    better: Literal["lower", "higher"]
    digits: int
    counts: str


MEASURES: dict[Measure, Kind] = {
    "latency_p50": Kind("Latency p50", "s", "lower", 2, "answers with a latency"),
    "latency_p95": Kind("Latency p95", "s", "lower", 2, "answers with a latency"),
    "thumbs": Kind("Thumbs up", "share", "higher", 2, "answers with a thumb"),
    "success": Kind("Task success", "share", "higher", 2, "answers of which it is known"),
    "cost": Kind("Cost per 1,000", "money", "lower", 3, "answers with a cost"),
}
_QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95}


@dataclass(frozen=True)
class Figure:
    """A measure over `n` rows that count."""

    value: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        return self.n > 0 and not math.isnan(self.value)


@dataclass(frozen=True)
class Group:
    """Rows that share a time, a model or a slice (or all of them): how many, and every measure of them."""

    name: str
    at: datetime | None
    rows: int
    figures: dict[Measure, Figure]


@dataclass(frozen=True)
class Picture:
    """Production from `since` to `until` (the newest row): everything, by time (and by time of each model), by model, by slice.
    `hours` is the width of a step in time. `untimed` rows have no time and are in no picture."""

    since: datetime
    until: datetime
    hours: int
    everything: Group
    by_time: tuple[Group, ...]
    by_model: tuple[Group, ...]
    by_slice: tuple[Group, ...]
    by_model_and_time: dict[str, tuple[Group, ...]]
    untimed: int
    stamp: tuple[Any, ...]


_pictures: weakref.WeakKeyDictionary[Workspace, dict[object, Picture]] = weakref.WeakKeyDictionary()
_making = threading.Lock()


@needs("read")
def stamp(ws: Workspace) -> tuple[Any, ...]:
    """Another value whenever the logs are others."""
    row = (
        ws.row("""select count(*) as n, max(read_at) as at, (select count(*) from log_rows) as r,
                    (select count(*) from forgettings) as f from log_sources""")
        or {}
    )
    return tuple(row.values())


@needs("read")
def newest(ws: Workspace) -> datetime | None:
    """When the newest row was."""
    return ws.value("select max(happened_at) from log_rows")  # type: ignore[no-any-return]


@needs("read")
def models(ws: Workspace) -> list[str]:
    """Names of the models in the logs, the most seen first."""
    return [
        row["model"]
        for row in ws.rows("""select model, count(*) as n from log_rows where model <> ''
                                               group by model order by n desc, model limit 100""")
    ]


@needs("read")
def slices(ws: Workspace) -> list[str]:
    return [
        row["slice"]
        for row in ws.rows("""select slice, count(*) as n from log_rows where slice <> ''
                                               group by slice order by n desc, slice limit 100""")
    ]


@needs("read")
def picture(ws: Workspace, days: float | None) -> Picture | None:
    """The newest `days` of the logs (none: all); None where no row has a time."""
    until = newest(ws)
    if until is None:
        return None
    now = stamp(ws)
    with _making:
        known = _pictures.setdefault(ws, {})
        found = known.get(days)
        if found is None or found.stamp != now:
            found = known[days] = _made(ws, until, days, now)
        return found


@needs("read")
def figure(ws: Workspace, measure: Measure, since: datetime, model: str = "", slice_name: str = "", z: float = Z) -> Figure:
    """One measure of the rows from `since` on, of one model or slice where one is named."""
    rows = ws.rows(
        f"select {_sums(z)} from log_rows where happened_at > ? and (? = '' or model = ?) and (? = '' or slice = ?)",
        [since, model, model, slice_name, slice_name],
    )
    return _figures(rows[0], z)[measure]


def _made(ws: Workspace, until: datetime, days: float | None, now: tuple[Any, ...]) -> Picture:
    first = ws.value("select min(happened_at) from log_rows")
    since = max(first, until - timedelta(days=days)) if days else first
    hours = 1 if until - since <= timedelta(days=3) else 24
    parts = [since, since]
    top_models = _top(ws, "model", MOST_MODELS, since)
    top_slices = _top(ws, "slice", MOST_SLICES, since)
    rows = ws.rows(
        f"""
        with part as (select date_trunc('{"hour" if hours == 1 else "day"}', happened_at) as step,
                             case when model in (select unnest(?::varchar[])) then model else '{OTHERS}' end as model,
                             case when slice in (select unnest(?::varchar[])) then slice else '{OTHERS}' end as slice,
                             rating, success, latency_s, cost, prompt_tokens, new_tokens
                      from log_rows where happened_at >= ?)
        select grouping(step) as no_step, grouping(model) as no_model, grouping(slice) as no_slice, step, model, slice,
               {_sums(Z)} from part group by grouping sets ((), (step), (model), (slice), (step, model))""",
        [top_models, top_slices, parts[0]],
    )
    groups: dict[tuple[int, int, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["no_step"], row["no_model"], row["no_slice"]), []).append(row)

    def made(key: tuple[int, int, int], name: str) -> tuple[Group, ...]:
        found = [
            Group(str(row[name] or "") if name else "", row["step"], row["n"], _figures(row, Z)) for row in groups.get(key, [])
        ]
        if key[0] == 0:
            return tuple(sorted(found, key=lambda one: one.at or since))
        return tuple(sorted(found, key=lambda one: (one.name == OTHERS, -one.rows, one.name)))

    each: dict[str, list[Group]] = {}
    for one in made((0, 0, 1), "model"):
        each.setdefault(one.name, []).append(one)
    untimed = ws.value("select count(*) from log_rows where happened_at is null")
    return Picture(
        since,
        until,
        hours,
        made((1, 1, 1), "")[0],
        made((0, 1, 1), ""),
        made((1, 0, 1), "model"),
        made((1, 1, 0), "slice"),
        {name: tuple(found) for name, found in each.items()},
        untimed,
        now,
    )


def _top(ws: Workspace, column: str, most: int, since: datetime) -> list[str]:
    return [
        row["name"]
        for row in ws.rows(
            f"""select {column} as name, count(*) as n from log_rows where happened_at >= ?
        group by {column} order by n desc, name limit {most}""",
            [since],
        )
    ]


def _sums(z: float) -> str:
    """What the figures of a group are made of."""
    quantiles = ", ".join(
        f"l[greatest(1, least(len(l), ceil({_level(p, sign, z)} * len(l))))::bigint] as {name}{end}"
        for name, p in _QUANTILES.items()
        for end, sign in (("", 0), ("_low", -1), ("_high", 1))
    )
    inside = quantiles.replace("len(l)", "nullif(count(latency_s), 0)").replace(
        "l[", "list_sort(list(latency_s) filter (latency_s is not null))["
    )
    return f"""count(*) as n, count(*) filter (rating = 1) as up, count(*) filter (rating = -1) as down,
        count(*) filter (success) as won, count(success) as judged, count(latency_s) as timed, count(cost) as priced,
        sum(cost * 1000) as c1, sum((cost * 1000) ** 2) as c2, sum((cost * 1000) ** 3) as c3,
        sum(prompt_tokens) as prompt_tokens, sum(new_tokens) as new_tokens, {inside}"""


def _level(p: float, sign: int, z: float) -> str:
    """Wilson's bound of the share p of len(l) rows, as SQL; a bound of a share is a level whose quantile bounds p's."""
    if not sign:
        return str(p)
    n = "len(l)"
    half = f"{z} * sqrt({p * (1 - p)} / {n} + {z * z / 4} / ({n} * {n}::double))"
    return f"(({p} + {z * z} / (2.0 * {n}) {'+' if sign > 0 else '-'} {half}) / (1 + {z * z} / {n}))"


def _figures(row: Row, z: float) -> dict[Measure, Figure]:
    share = {
        name: (wilson(won, of, z), of)
        for name, won, of in (("thumbs", row["up"], row["up"] + row["down"]), ("success", row["won"], row["judged"]))
    }
    found: dict[Any, Figure] = {name: Figure(one.value, one.low, one.high, of) for name, (one, of) in share.items()}
    for name in _QUANTILES:
        value, low, high = (math.nan if row[f"{name}{end}"] is None else row[f"{name}{end}"] for end in ("", "_low", "_high"))
        found[name] = Figure(value, low, high, row["timed"])
    found["cost"] = _cost(row, z)
    return {name: found[name] for name in MEASURES}


def _cost(row: Row, z: float) -> Figure:
    """Of one answer a thousandfold; one row alone has no interval."""
    n = row["priced"]
    if not n:
        return Figure(math.nan, math.nan, math.nan, 0)
    estimate = intervals.mean_of_sums(n, row["c1"], row["c2"], row["c3"])
    low, high = estimate.bounds(0.5 * (1 + math.erf(z / math.sqrt(2))))
    return Figure(float(estimate.value), max(0.0, float(low)) if n > 1 else 0.0, float(high) if n > 1 else math.inf, n)
