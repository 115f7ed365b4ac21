"""The ledger: every call that was made to a model for money or for time, by run and by day. No text is in it.

Calls of a synthesis are rows; what evaluations, judges and tunings at a service took is read from their outputs and ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from studio.permissions import needs
from studio.workspace import Row, Transaction, Workspace


@dataclass(frozen=True)
class Spent:
    """What one run took: calls by outcome, tokens in and out, money (None where no price is known), median seconds a call."""

    run_id: str
    title: str
    kind: str
    model: str
    at: datetime
    calls: int
    failed: int
    prompt_tokens: int
    new_tokens: int
    cost: float | None
    money: str
    seconds: float | None


@dataclass(frozen=True)
class Day:
    """What one day (UTC) took in one currency."""

    day: date
    calls: int
    failed: int
    prompt_tokens: int
    new_tokens: int
    cost: float
    money: str


def add(transaction: Transaction, run_id: str, model: str, money: str, calls: Sequence[Row]) -> None:
    """Store the calls of a run that are not stored yet; each has a number within its run."""
    known = {row["call"] for row in transaction.rows("select call from calls where run_id = ?", [run_id])}
    transaction.insert("calls", [
        {"run_id": run_id, "call": one["call"], "purpose": one["purpose"], "model": model, "called_at": _time(one["at"]),
         "seconds": one["seconds"], "prompt_tokens": one["prompt_tokens"], "new_tokens": one["new_tokens"], "cost": one["cost"],
         "money": money, "outcome": one["outcome"]} for one in calls if one["call"] not in known])


@needs("read")
def by_run(ws: Workspace) -> list[Spent]:
    """Newest first: syntheses, evaluations with endpoints, judges."""
    rows = ws.rows(f"""
        select c.run_id, r.title, r.kind, any_value(c.model) as model, max(c.called_at) as "at", count(*) as calls,
               count(*) filter (c.outcome <> 'ok') as failed, sum(coalesce(c.prompt_tokens, 0)) as prompt_tokens,
               sum(coalesce(c.new_tokens, 0)) as new_tokens, sum(c.cost) as cost, any_value(c.money) as money,
               median(c.seconds) as seconds
        from ({_CALLS}) c join runs r using (run_id) group by c.run_id, r.title, r.kind order by "at" desc""")
    return [Spent(**row) for row in rows]


@needs("read")
def by_day(ws: Workspace) -> list[Day]:
    """Newest first, each currency by itself."""
    rows = ws.rows(f"""
        select c.called_at::date as day, count(*) as calls, count(*) filter (c.outcome <> 'ok') as failed,
               sum(coalesce(c.prompt_tokens, 0)) as prompt_tokens, sum(coalesce(c.new_tokens, 0)) as new_tokens,
               sum(coalesce(c.cost, 0)) as cost, c.money
        from ({_CALLS}) c group by day, c.money order by day desc, c.money""")
    return [Day(**row) for row in rows]


@needs("read")
def outcomes(ws: Workspace, run_id: str) -> dict[str, int]:
    """How often each outcome came, of one run's calls."""
    return {row["outcome"]: row["n"] for row in ws.rows(
        "select outcome, count(*) as n from calls where run_id = ? group by outcome order by n desc, outcome", [run_id])}


_CALLS = """
    select run_id, model, called_at, seconds, prompt_tokens, new_tokens, cost, money, outcome from calls
    union all
    select o.run_id, m.name as model, r.started_at as called_at, o.seconds, o.prompt_tokens, o.new_tokens, o.cost,
           coalesce(json_extract_string(m.base, '$.money'), 'USD') as money, 'ok' as outcome
    from outputs o join runs r using (run_id) join models m on starts_with(o.candidate_id, m.model_id)
    where m.kind = 'endpoint' and not o.reused
    union all
    select j.judge_run_id as run_id, json_extract_string(r.spec, '$.judge.name') as model, r.started_at as called_at, null,
           null, null, j.cost, coalesce(json_extract_string(r.spec, '$.judge.endpoint.money'), 'USD') as money, 'ok' as outcome
    from judgements j join runs r on r.run_id = j.judge_run_id
    where json_extract_string(r.spec, '$.judge.endpoint.model') is not null
    union all
    select e.run_id, json_extract_string(r.spec, '$.model') as model, e.ended_at as called_at,
           try_cast(json_extract_string(e.data, '$.seconds') as double),
           try_cast(json_extract_string(e.data, '$.trained_tokens') as bigint), null,
           try_cast(json_extract_string(e.data, '$.cost') as double), json_extract_string(r.spec, '$.money'), 'ok' as outcome
    from run_results e join runs r using (run_id) where r.kind = 'managed' and e.outcome = 'done'"""


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
