"""Costs: what each candidate of an evaluation took to answer: time, tokens, money; and what a tuned model forgot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio import metrics, rivals, runs
from studio.grids import PROBES
from studio.models import Model
from studio.permissions import needs
from studio.prices import Price
from studio.runs import Run
from studio.verdicts import Comparison
from studio.workspace import Row, Workspace


@dataclass(frozen=True)
class Cost:
    """What one candidate took. Seconds are for one answer (median, and the slowest 5 % take longer than `p95`); `prompt_tokens`
    and `new_tokens` are for all answers (None where they were not counted); `money` is what its answers cost in all, None
    where nothing has a price. `reused` answers were there already and are counted with what they took then."""

    candidate_id: str
    answers: int
    reused: int
    cut: int
    median: float
    p95: float
    seconds: float
    prompt_tokens: int | None
    new_tokens: int
    money: float | None


@dataclass(frozen=True)
class Kept:
    """How two candidates did on one kind of the general suite: passed of `items`, and the paired comparison."""

    title: str
    items: int
    before: int
    after: int
    found: Comparison


@needs("read")
def of(ws: Workspace, run: Run) -> list[Cost]:
    """In the order of the candidates; the general suite's questions are not counted."""
    found = {row["candidate_id"]: row for row in ws.rows(
        f"""select candidate_id, count(*) as answers, count(*) filter (reused) as reused,
                   count(*) filter (finish = 'length') as cut, median(seconds) as median,
                   quantile_cont(seconds, 0.95) as p95, sum(seconds) as seconds, sum(prompt_tokens) as prompt_tokens,
                   sum(new_tokens) as new_tokens, sum(cost) as money
            from outputs where run_id = ? and not starts_with(item_id, '{PROBES}') group by candidate_id""", [run.run_id])}
    return [_cost(found[one.candidate_id]) for one in runs.candidates(run) if one.candidate_id in found]


def money(cost: Cost, price: Price, unit: str) -> str:
    """What 1,000 answers cost, in words: by what was paid, else by the hours of this machine where somebody priced them."""
    if not cost.answers:
        return "not known"
    if cost.money is not None:
        return f"{1_000 * cost.money / cost.answers:,.2f} {unit}"
    if price.per_hour:
        return f"{price.words(1_000 * cost.seconds / cost.answers)} (this machine's time)"
    return "not known"


def unit(run: Run) -> str:
    """The currency that endpoints are paid in; the first one's."""
    return next((one.endpoint.money for one in runs.candidates(run) if one.endpoint), "USD")


@needs("read")
def kept(ws: Workspace, run: Run, before: str, after: str) -> list[Kept]:
    """The general suite by kind, all kinds together last; nothing where it was not asked of both."""
    rows = ws.rows(
        """select a.item_id, avg(a.value) as a, avg(b.value) as b from scores a join scores b using (run_id, item_id, metric)
           where run_id = ? and metric = 'probe' and a.candidate_id = ? and b.candidate_id = ?
           group by a.item_id order by a.item_id""", [run.run_id, before, after])
    if not rows:
        return []
    kinds = {kind: [row for row in rows if _kind(row["item_id"]) == kind] for kind in metrics.KINDS}
    return [*(_kept(metrics.KINDS[kind], part) for kind, part in kinds.items() if part), _kept("All together", rows)]


@needs("read")
def training(ws: Workspace, run: Run, model: Model) -> Run | None:
    """The run that a tuned model comes from; None for other models, and where it is gone."""
    if not model.run_id:
        return None
    return next((one for one in runs.every(ws, "train") if one.run_id == model.run_id), None)


def _kind(item_id: str) -> str:
    """The kind of a question of the suite; none for one that an older suite had."""
    try:
        return metrics.kind_of(item_id)
    except KeyError:
        return ""


def _kept(title: str, rows: list[Row]) -> Kept:
    before, after = (np.array([row[side] for row in rows]) for side in ("a", "b"))
    return Kept(title, len(rows), int((before >= 0.5).sum()), int((after >= 0.5).sum()),
                rivals.compare_values("probe", before.tolist(), after.tolist()))


def _cost(row: Row) -> Cost:
    prompt = row["prompt_tokens"]
    return Cost(**(row | {"prompt_tokens": int(prompt) if prompt is not None else None, "new_tokens": int(row["new_tokens"])}))
