"""Scores that come after an evaluation: what a run reads that scores or judges its answers, and what becomes of its rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio import scores, verdicts
from studio.permissions import needs
from studio.verdicts import Interval
from studio.workspace import Row, Transaction, Workspace

MOST_LABELS = 40
"""Labels that a confusion matrix can show; the rarest beyond them are put together."""


@dataclass(frozen=True)
class Label:
    """How well one label is found: shares with Wilson's intervals, F1 as it is, NaN where it was neither expected nor said."""

    label: str
    expected: int
    said: int
    precision: Interval
    recall: Interval
    f1: float


@dataclass(frozen=True)
class Labels:
    """One candidate's labels: each alone, and how often an expected one (row) was answered by another (column), both in the
    order of `labels`."""

    labels: tuple[str, ...]
    each: tuple[Label, ...]
    confusion: tuple[tuple[int, ...], ...]


@needs("read")
def answered(ws: Workspace, evaluation_id: str) -> int:
    """How many answers of an evaluation are in the tables."""
    return int(ws.value("select count(*) from outputs where run_id = ?", [evaluation_id]))


@needs("run", looks=True)
def write_out(ws: Workspace, evaluation_id: str, path: Path, candidate_ids: Collection[str] = ()) -> None:
    """An evaluation's answers as the child reads them, one JSON line each, written beside and renamed in. Holds personal data.

    `candidate_ids` none: those of every candidate.
    """
    beside = path.with_name(f".{path.name}.tmp")
    name = str(beside).replace("'", "''")
    ws.rows(f"""copy (select candidate_id, item_id, sample, text, reference_nats, reference_tokens, label_scores from outputs
                where run_id = ? and (len(?::varchar[]) = 0 or candidate_id in (select unnest(?::varchar[])))
                order by item_id, candidate_id, sample) to '{name}' (format json)""",
            [evaluation_id, list(candidate_ids), list(candidate_ids)])
    beside.rename(path)


def collect(transaction: Transaction, evaluation_id: str, metrics: Collection[str], scored: Sequence[Row]) -> None:
    """Put a run's scores in place of what stood for the same metrics of the same evaluation. May be repeated."""
    replaced = {"accuracy" if metric == "macro_f1" else metric for metric in metrics}
    if "accuracy" in replaced:
        replaced.add("expected")
    transaction.execute("delete from scores where run_id = ? and metric in (select unnest(?::varchar[]))",
                        [evaluation_id, sorted(replaced)])
    transaction.insert("scores", [row for row in scores.rows(evaluation_id, scored) if row["metric"] in replaced])


@needs("read")
def labels(ws: Workspace, evaluation_id: str, candidate_id: str) -> Labels | None:
    """How well one candidate tells the labels apart; None where answers are no labels. Rare labels beyond `MOST_LABELS` are
    one, "(others)"."""
    found = ws.rows(
        """select e.label as expected, s.label as said, count(*) as times from scores e
           join scores s using (run_id, candidate_id, item_id, sample)
           where run_id = ? and candidate_id = ? and e.metric = 'expected' and s.metric = 'accuracy' and e.label is not null
           group by all""", [evaluation_id, candidate_id])
    return _told_apart([(row["expected"], row["said"] or "(none)", int(row["times"])) for row in found]) if found else None


def _told_apart(counted: Sequence[tuple[str, str, int]]) -> Labels:
    often: dict[str, int] = {}
    for expected, said, times in counted:
        often[expected] = often.get(expected, 0) + times
        often[said] = often.get(said, 0) + times
    ranked = sorted(often, key=lambda label: (-often[label], label))
    shown = ranked if len(ranked) <= MOST_LABELS else ranked[: MOST_LABELS - 1]
    names = sorted(shown) + (["(others)"] if len(shown) < len(ranked) else [])
    place = {label: names.index(label if label in shown else "(others)") for label in often}
    matrix = [[0] * len(names) for _ in names]
    for expected, said, times in counted:
        matrix[place[expected]][place[said]] += times
    each = tuple(_one(label, [row for row in counted if label in row[:2]]) for label in sorted(often))
    return Labels(tuple(names), each, tuple(map(tuple, matrix)))


def _one(label: str, rows: Sequence[tuple[str, str, int]]) -> Label:
    expected = sum(times for wanted, _, times in rows if wanted == label)
    said = sum(times for _, told, times in rows if told == label)
    right = sum(times for wanted, told, times in rows if wanted == told == label)
    f1 = 2 * right / (expected + said) if expected + said else math.nan
    return Label(label, expected, said, verdicts.wilson(right, said), verdicts.wilson(right, expected), f1)
