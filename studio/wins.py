"""Wins: the test items one by one, by who did better on a metric. Numbers come from a grid, texts only for what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studio import masking, metrics, runs, snapshots
from studio.grids import Grid
from studio.permissions import Given, needs
from studio.records import Turns
from studio.runs import Run
from studio.workspace import Workspace

Won = Literal["all", "judged", "rival", "tie"]
Order = Literal["losses", "wins", "largest"]
NEAREST = "nearest.jsonl"
SAME = 1e-9
"""Scores that differ by less are equal."""


@dataclass(frozen=True)
class Answer:
    """What a candidate answered to an item, its first sample; `finish` is "length" where it stopped at the token limit."""

    text: str
    score: float
    finish: str
    samples: int


@dataclass(frozen=True)
class Win:
    """One test item: the conversation before the answer, the reference, and the answers of rival and judged candidate."""

    item_id: str
    question: Turns
    reference: str
    rival: Answer
    judged: Answer
    winner: Won
    gain: float


@dataclass(frozen=True)
class Near:
    """A training example that resembles a test item."""

    record_id: str
    question: str
    answer: str


def gains(grid: Grid, metric: str, rival: str, judged: str) -> NDArray[np.float64]:
    """By how much the judged candidate is better on each item: above 0 is a win whichever way the metric runs; NaN where one
    has no score."""
    sign = -1.0 if metrics.of(metric).better == "lower" else 1.0
    return sign * (grid.of(metric, judged) - grid.of(metric, rival))


def winner(gain: float) -> Won:
    if abs(gain) < SAME:
        return "tie"
    return "judged" if gain > 0 else "rival"


def counted(gain: NDArray[np.float64]) -> dict[Won, int]:
    """How many items each one won."""
    return {"all": int(np.isfinite(gain).sum()), "judged": int((gain >= SAME).sum()), "rival": int((gain <= -SAME).sum()),
            "tie": int((np.abs(gain) < SAME).sum())}


def places(gain: NDArray[np.float64], won: Won = "all", order: Order = "losses",
           among: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """The items to show, as places in the grid: the judged one's heaviest losses first, its largest wins, or what differs
    most."""
    shown = {"all": np.isfinite(gain), "judged": gain >= SAME, "rival": gain <= -SAME, "tie": np.abs(gain) < SAME}[won]
    found = np.flatnonzero(shown if among is None else shown & among)
    by = {"losses": gain, "wins": -gain, "largest": -np.abs(gain)}[order]
    return found[np.argsort(by[found], kind="stable")]


def _veiled(ws: Workspace, found: list[Win], given: Given) -> list[Win]:
    masks = masking.of_lines(ws, given["run"].snapshot_id, [one.item_id for one in found])
    return [replace(one, question=mask.turns(one.question), reference=mask.text(one.reference),
                    rival=replace(one.rival, text=mask.text(one.rival.text)),
                    judged=replace(one.judged, text=mask.text(one.judged.text)))
            for one in found for mask in (masks[one.item_id],)]


def _veiled_near(ws: Workspace, found: dict[str, list[Near]], given: Given) -> dict[str, list[Near]]:
    masks = masking.of_lines(ws, given["run"].snapshot_id, [one.record_id for near in found.values() for one in near])
    return {item_id: [replace(one, question=mask.text(one.question), answer=mask.text(one.answer))
                      for one in near for mask in (masks[one.record_id],)] for item_id, near in found.items()}


@needs("read", veil=_veiled)
def page(ws: Workspace, run: Run, grid: Grid, metric: str, rival: str, judged: str, shown: Sequence[int]) -> list[Win]:
    """These items with their texts, in this order; items whose record is gone are left out."""
    ids = [str(grid.items[place]) for place in shown]
    lines = snapshots.lines_of(ws, snapshots.get(ws, run.snapshot_id), ids)
    said = {(row["candidate_id"], row["item_id"]): row for row in ws.rows(
        """select candidate_id, item_id, arg_min(text, sample) as text, arg_min(finish, sample) as finish, count(*) as samples
           from outputs where run_id = ? and candidate_id in (?, ?) and item_id in (select unnest(?::varchar[]))
           group by candidate_id, item_id""", [run.run_id, rival, judged, ids])}
    gain = gains(grid, metric, rival, judged)

    def answer(who: str, place: int) -> Answer:
        row = said[who, str(grid.items[place])]
        return Answer(row["text"], float(grid.of(metric, who)[place]), row["finish"], row["samples"])

    return [Win(item_id, lines[item_id].messages[:-1], lines[item_id].messages[-1]["content"], answer(rival, place),
                answer(judged, place), winner(gain[place]), float(gain[place]))
            for place, item_id in zip(shown, ids, strict=True)
            if item_id in lines and {(rival, item_id), (judged, item_id)} <= said.keys()]


@needs("read", veil=_veiled_near)
def nearest(ws: Workspace, run: Run, item_ids: Sequence[str]) -> dict[str, list[Near]]:
    """The training examples nearest to some test items, as the evaluation found them; nothing where it did not look."""
    wanted = set(item_ids)
    rows = runs.lines(ws, run, NEAREST) if wanted else []
    found = {row["item_id"]: row["train_ids"] for row in rows if row["item_id"] in wanted}
    if not found:
        return {}
    lines = snapshots.lines_of(ws, snapshots.get(ws, run.snapshot_id), sorted({one for ids in found.values() for one in ids}))
    return {item_id: [Near(one, next((turn["content"] for turn in reversed(lines[one].messages) if turn["role"] == "user"), ""),
                           lines[one].messages[-1]["content"]) for one in ids if one in lines]
            for item_id, ids in found.items()}
