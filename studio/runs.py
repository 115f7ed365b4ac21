"""Runs: look, stop, resume, collect. With `starts` the only door to the pipeline.

A run is found again by its row and its folder alone.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pipeline import launch, rundir
from pipeline.dedupe.words import CROWDS, NORMALISATION, SHORT_TEXTS
from pipeline.foreign import read_foreign, sides
from pipeline.rundir import Result, State, Status
from pipeline.specs import (
    AnySpec,
    InspectSpec,
    Meaning,
    Tested,
    dumps,
)
from studio import cards, duplicates, findings, leaks, models, scores, snapshots, suggestions
from studio.errors import StudioError
from studio.snapshots import SPLITS
from studio.workspace import Row, Transaction, Workspace

__all__ = ["CROWDS", "NORMALISATION", "SHORT_TEXTS", "InspectSpec", "Meaning", "Tested", "read_foreign", "sides"]

Kind = Literal["train", "evaluate", "check", "validate", "dedupe", "inspect", "suggest"]
MOVING: tuple[State, ...] = ("starting", "running")
_COLLECTED = "select 1 from run_results where run_id = ? and attempt = ?"
RESUMABLE: tuple[State, ...] = ("lost", "failed", "stopped")
RECORDS, FINDINGS, SUGGESTIONS, DOUBTS = "records.jsonl", "findings.jsonl", "suggestions.jsonl", "doubts.jsonl"
TEXTS, COPIES, PAIRS, WORK = "texts.parquet", "copies.parquet", "pairs.parquet", "work"
LINES = tuple(f"{split}.jsonl" for split in SPLITS)
FOLLOWS = {"check": RECORDS, "dedupe": TEXTS, "inspect": LINES[0], "suggest": RECORDS}
"""What such a run reads, and cannot go on without."""


@dataclass(frozen=True)
class Run:
    """One run as it stands now. `status` is the child's last word; `result` the end of its newest attempt.

    Checks, validations and suggestions have no snapshot: their `snapshot_id` is empty.
    """

    run_id: str
    kind: Kind
    title: str
    snapshot_id: str
    spec: Row
    folder: str
    started_at: datetime
    attempt: int
    state: State
    status: Status | None
    result: Result | None

    @property
    def moving(self) -> bool:
        return self.state in MOVING

    @property
    def resumable(self) -> bool:
        return self.state in RESUMABLE


def latest_suggestions(ws: Workspace, set_id: str) -> Run | None:
    """The newest run of the light model for this label set, however it stands."""
    row = ws.row("""select * from runs where kind = 'suggest' and json_extract_string(spec, '$.set_id') = ?
                    order by started_at desc limit 1""", [set_id])
    return _run(ws, row) if row else None


def latest_check(ws: Workspace) -> Run | None:
    """The newest check that is done and collected."""
    row = ws.row("""select r.* from runs r join run_results e using (run_id)
                    where r.kind = 'check' and e.outcome = 'done' order by r.started_at desc limit 1""")
    return _run(ws, row) if row else None


def every(ws: Workspace, kind: Kind | None = None) -> list[Run]:
    """Newest first, as they stand now."""
    found = ws.rows("select * from runs where ? is null or kind = ? order by started_at desc", [kind, kind])
    return [_run(ws, row) for row in found]


def get(ws: Workspace, run_id: str) -> Run:
    """Raises StudioError when there is no such run."""
    row = ws.row("select * from runs where run_id = ?", [run_id])
    if row is None:
        raise StudioError(f"There is no run {run_id} in this workspace.", "Choose one on the Runs page.")
    return _run(ws, row)


def stop(ws: Workspace, run_id: str) -> None:
    """Ask a run to save what it has and stop; it does so within a step or a batch."""
    if get(ws, run_id).moving:
        rundir.ask_to_stop(ws.path(get(ws, run_id).folder))


def resume(ws: Workspace, run_id: str) -> None:
    """Go on in the same folder, from the last checkpoint or with the outputs already there."""
    run = get(ws, run_id)
    if not run.resumable:
        raise StudioError(f"This run is {run.state}: there is nothing to resume.")
    if run.snapshot_id:
        snapshots.verify(ws, snapshots.get(ws, run.snapshot_id))
    elif run.kind in FOLLOWS and not (ws.path(run.folder) / FOLLOWS[run.kind]).is_file():
        raise StudioError("This run cannot go on: its copy of the records is gone.", "Start a new one.")
    launch.start(ws.path(run.folder), ws.root)


def collect(ws: Workspace) -> list[Run]:
    """Bring every ended attempt that is not in the tables yet into them, one transaction each; returns those runs."""
    collected = []
    for run in every(ws):
        if run.result and not ws.rows(_COLLECTED, [run.run_id, run.attempt]):
            with ws.transaction() as transaction:
                if transaction.rows(_COLLECTED, [run.run_id, run.attempt]):  # another browser's page was quicker
                    continue
                _collect(ws, transaction, run, run.result)
            if run.kind in FOLLOWS and run.result.outcome == "done":
                clear_copies(ws, run)
            collected.append(run)
    return collected


def curve(ws: Workspace, run: Run) -> tuple[list[Row], list[Row]]:
    """Training and validation losses so far: rows of step, epoch, loss. A resumed run's steps are counted once."""
    events = rundir.read_lines(ws.path(run.folder) / "events.jsonl")
    newest: dict[tuple[str, int], Row] = {(e["event"], e["step"]): e for e in events if e["event"] in ("loss", "validation")}
    ordered = sorted(newest.values(), key=lambda e: e["step"])
    return [e for e in ordered if e["event"] == "loss"], [e for e in ordered if e["event"] == "validation"]


def overfitting(train: list[Row], validation: list[Row]) -> str:
    """A sentence when validation loss has turned while training loss still falls, else nothing.

    Two signs: the last validation loss is well above the best (by 5 % and 0.02 nats), or 1.5 times the training loss of the
    last ten steps (and 0.1 nats above it).
    """
    if len(validation) < 3 or not train:
        return ""
    best, last = min(row["loss"] for row in validation), validation[-1]["loss"]
    recent = [row["loss"] for row in train[-10:]]
    training = sum(recent) / len(recent)
    if last > max(1.05 * best, best + 0.02) or last > max(1.5 * training, training + 0.1):
        return ("The model begins to memorise: validation loss is rising, or far above training loss. The adapter of the "
                "best validation loss is kept. Fewer epochs, more data or a lower rank would help.")
    return ""


def notes(ws: Workspace, run: Run) -> list[str]:
    """What the child had to say in words."""
    events = rundir.read_lines(ws.path(run.folder) / "events.jsonl")
    return list(dict.fromkeys(str(e["sentence"]) for e in events if e["event"] == "note"))


def log_tail(ws: Workspace, run: Run, lines: int = 40) -> str:
    return rundir.log_tail(ws.path(run.folder), lines)


def proven(ws: Workspace) -> list[Run]:
    """Evaluations that are done and collected, newest first."""
    found = ws.rows("""select distinct r.* from runs r join run_results e using (run_id)
                       where r.kind = 'evaluate' and e.outcome = 'done' order by r.started_at desc""")
    return [_run(ws, row) for row in found]


def forget_copies(ws: Workspace) -> None:
    """Delete every copy of texts that runs made. Raises StudioError while any run moves."""
    found = every(ws)
    if moving := [run for run in found if run.moving]:
        raise StudioError(f"{moving[0].title} is still running and may hold what is to go.",
                          "Wait for its end, or stop it first.")
    for run in found:
        if run.kind in FOLLOWS:
            clear_copies(ws, run)


def begin(ws: Workspace, spec: AnySpec, title: str, snapshot_id: str = "",
          write: Callable[[Path], None] = lambda folder: None) -> str:
    """Start a run: its row, its spec, the files that `write` puts into its folder, its process. Returns its id."""
    with ws.transaction() as transaction:
        add_row(ws, transaction, spec, title, snapshot_id)
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    write(folder)
    launch.start(folder, ws.root)
    return spec.run_id


def tokenizer(ws: Workspace) -> str:
    """The tokenizer of a base model that is ready in the workspace, for real lengths; empty before the first training."""
    found = sorted(ws.path("models").glob("*/tokenizer.json"))
    return str(found[0].relative_to(ws.root)) if found else ""


def clear_copies(ws: Workspace, run: Run) -> None:
    """Copies of texts, and what was made of them, hold personal data: they stay only while the run can go on."""
    for name in (RECORDS, FINDINGS, SUGGESTIONS, DOUBTS, TEXTS, COPIES, PAIRS, *LINES):
        (ws.path(run.folder) / name).unlink(missing_ok=True)
    shutil.rmtree(ws.path(run.folder) / WORK, ignore_errors=True)


def add_row(ws: Workspace, transaction: Transaction, spec: AnySpec, title: str, snapshot_id: str) -> None:
    transaction.insert("runs", [{"run_id": spec.run_id, "kind": spec.kind, "title": title, "snapshot_id": snapshot_id,
                                 "spec": dumps(spec), "folder": f"runs/{spec.run_id}", "started_at": ws.now()}])


def _run(ws: Workspace, row: Row) -> Run:
    folder = ws.path(row["folder"])
    state = rundir.state(folder, time.time())
    return Run(**(row | {"spec": json.loads(row["spec"])}), attempt=rundir.launched(folder)[0], state=state,
               status=rundir.status(folder), result=None if state in MOVING else rundir.result(folder))


def _collect(ws: Workspace, transaction: Transaction, run: Run, ended: Result) -> None:
    if ended.outcome == "done" and run.kind == "train":
        _collect_adapter(ws, transaction, run, ended.data)
    if ended.outcome == "done" and run.kind == "evaluate":
        folder = ws.path(run.folder)
        scores.add(transaction, run.run_id, rundir.read_lines(folder / "outputs.jsonl"),
                   rundir.read_lines(folder / "scores.jsonl"))
    if ended.outcome == "done" and run.kind == "check":
        findings.collect(transaction, run.run_id, ws.path(run.folder) / FINDINGS)
    if ended.outcome == "done" and run.kind == "inspect" and run.snapshot_id and run.spec["measure"]:
        leaks.collect(ws, transaction, run.snapshot_id, run.run_id, run.folder)
        cards.measured_later(ws, transaction, run.snapshot_id, snapshots.get(ws, run.snapshot_id).manifest, ended.data)
    if ended.outcome == "done" and run.kind == "dedupe":
        folder = ws.path(run.folder)
        duplicates.collect(transaction, run.run_id, run.spec["side"], folder / COPIES, folder / PAIRS,
                           ended.data["meaning_threshold"])
    if ended.outcome == "done" and run.kind == "suggest":
        folder = ws.path(run.folder)
        suggestions.collect(transaction, run.run_id, run.spec["set_id"], folder / SUGGESTIONS, folder / DOUBTS)
    transaction.insert("run_results", [{
        "run_id": run.run_id, "attempt": ended.attempt, "outcome": ended.outcome, "message": ended.message,
        "hint": ended.hint, "data": json.dumps(ended.data),
        "ended_at": datetime.fromtimestamp(ended.at, UTC).replace(tzinfo=None), "collected_at": ws.now()}])


def _collect_adapter(ws: Workspace, transaction: Transaction, run: Run, data: dict[str, Any]) -> None:
    facts = {key: data.get(key) for key in ("best_validation_loss", "first_validation_loss", "last_train_loss", "steps",
                                            "seconds", "tokens_s", "left_out", "best_step")}
    models.add_adapter(ws, transaction, run.run_id, f"{run.title} (tuned)", run.spec["base"],
                       f"{run.folder}/{data['adapter']}", data["adapter_sha256"], facts)
