"""Collecting: what a run that ended brings into the tables, by its kind, in the transaction that notes its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import rundir
from studio import (
    cards,
    check_items,
    duplicates,
    hosted,
    judges,
    leaks,
    made,
    models,
    plays,
    rescored,
    run_files,
    scores,
    snapshots,
    suggestions,
)
from studio.permissions import needs
from studio.workspace import Transaction, Workspace

if TYPE_CHECKING:
    from pipeline.rundir import Result
    from studio.runs import Run

Collector = Callable[[Workspace, Transaction, "Run", Path, dict[str, Any]], None]
ADAPTER_FACTS = ("best_validation_loss", "first_validation_loss", "last_train_loss", "steps", "seconds", "tokens_s", "left_out",
                 "best_step", "method")


@needs("run")
def collect(ws: Workspace, transaction: Transaction, run: Run, ended: Result) -> None:
    """All that belongs to the end of this attempt; doing it again changes nothing."""
    found = HOWEVER_IT_ENDED.get(run.kind) or (DONE.get(run.kind) if ended.outcome == "done" else None)
    if found is not None:
        found(ws, transaction, run, ws.path(run.folder), ended.data)


def _adapter(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    models.add_adapter(ws, transaction, run.run_id, f"{run.title} (tuned)", run.spec["base"], f"{run.folder}/{data['adapter']}",
                       data["adapter_sha256"], {key: data.get(key) for key in ADAPTER_FACTS})


def _hosted(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    hosted.collect(ws, transaction, run.run_id, run.title, run.spec, data)


def _answers(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    scores.add(transaction, run.run_id, *(rundir.read_lines(folder / name) for name in (run_files.OUTPUTS, run_files.SCORES)))


def _scores(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    rescored.collect(transaction, run.spec["evaluation_id"], run.spec["metrics"], rundir.read_lines(folder / run_files.SCORES))


def _judgements(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    judges.collect(transaction, run.run_id, run.spec["evaluation_id"], run.spec["mode"],
                   rundir.read_lines(folder / run_files.JUDGEMENTS))


def _made(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    made.collect(ws, transaction, run.run_id, run.spec, *(rundir.read_lines(folder / name)
                                                               for name in (run_files.EXAMPLES, run_files.CALLS)))


def _findings(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    check_items.collect(transaction, run.run_id, folder / run_files.FINDINGS)


def _leaks(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    if run.snapshot_id and run.spec["measure"]:
        leaks.collect(ws, transaction, run.snapshot_id, run.run_id, run.folder)
        cards.measured_later(ws, transaction, run.snapshot_id, snapshots.get(ws, run.snapshot_id).manifest, data)


def _duplicates(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    duplicates.collect(transaction, run.run_id, run.spec["side"], folder / run_files.COPIES, folder / run_files.PAIRS,
                       data["meaning_threshold"])


def _plays(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    plays.collect(ws, transaction, rundir.read_lines(folder / run_files.PIECES), over=True)


def _suggestions(ws: Workspace, transaction: Transaction, run: Run, folder: Path, data: dict[str, Any]) -> None:
    suggestions.collect(transaction, run.run_id, run.spec["set_id"], folder / run_files.SUGGESTIONS, folder / run_files.DOUBTS)


DONE: dict[str, Collector] = {
    "check": _findings, "dedupe": _duplicates, "evaluate": _answers, "inspect": _leaks, "judge": _judgements,
    "managed": _hosted, "score": _scores, "suggest": _suggestions, "train": _adapter,
}
HOWEVER_IT_ENDED: dict[str, Collector] = {"play": _plays, "synthesize": _made}
"""What was made, and paid for, before it ended counts."""
