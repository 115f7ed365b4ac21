"""Runs: start, look, stop, resume, collect. The only door to the pipeline.

Order of a start: the row, then the spec, then the process. A run is found again by its row and its folder alone.
"""

from __future__ import annotations

import json
import shutil
import threading
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
    BaseSource,
    Candidate,
    CheckSpec,
    Decoding,
    DedupeSpec,
    EvaluateSpec,
    InspectSpec,
    Meaning,
    SuggestField,
    SuggestSpec,
    Tested,
    TrainSpec,
    ValidateSpec,
    dumps,
)
from studio import cards, duplicates, findings, label_sets, leaks, models, scores, snapshots, suggestions
from studio.errors import StudioError
from studio.models import Model
from studio.snapshots import SPLITS, Snapshot
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

_one_check_starts, _one_search_starts, _one_suggestion_starts = threading.Lock(), threading.Lock(), threading.Lock()
CONTEXT_TOKENS = 8_192
"""What the starter model, and most small models, read at once (`max_position_embeddings` of SmolLM2-135M-Instruct)."""


@dataclass(frozen=True)
class Dials:
    """The few things a person sets for a training run; everything else follows from the model and the data."""

    epochs: int = 3
    learning_rate: float = 2e-4
    rank: int = 16
    batch_size: int = 4
    max_tokens: int | None = None
    seed: int = 1234


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


def start_training(ws: Workspace, snapshot: Snapshot, base: Model, dials: Dials, name: str = "") -> str:
    """Start a QLoRA run on the snapshot's train and validation files; returns the run's id."""
    snapshots.verify(ws, snapshot)
    run_id = ws.new_id()
    spec = TrainSpec(
        run_id=run_id, base=BaseSource(**base.base), train_file=snapshot.file("train"),  # type: ignore[arg-type]
        validation_file=snapshot.file("validation"), epochs=dials.epochs, learning_rate=dials.learning_rate,
        rank=dials.rank, batch_size=dials.batch_size, max_tokens=dials.max_tokens, seed=dials.seed,
        template_sha256=(snapshot.manifest.get("base") or {}).get("chat_template_sha256") or "")
    title = name.strip() or f"{base.name} on {snapshot.name}"
    return begin(ws, spec, title, snapshot.snapshot_id)


def start_evaluation(ws: Workspace, snapshot: Snapshot, candidates: list[Model], max_new_tokens: int = 150) -> str:
    """Let every candidate answer the snapshot's test items with the same decoding; returns the run's id."""
    if len(candidates) < 2:
        raise StudioError("An evaluation compares a base model with a tuned one.", "Choose a tuned model.")
    snapshots.verify(ws, snapshot)
    spec = EvaluateSpec(
        run_id=ws.new_id(), items_file=snapshot.file("test"), decoding=Decoding(max_new_tokens=max_new_tokens),
        candidates=tuple(Candidate(model_id=model.model_id, name=model.name, base=BaseSource(**model.base),  # type: ignore[arg-type]
                                   adapter=model.adapter) for model in candidates))
    return begin(ws, spec, f"{candidates[-1].name} against its base", snapshot.snapshot_id)


def start_check(ws: Workspace, only_new: bool = True, context_tokens: int = CONTEXT_TOKENS, names_model: str = "") -> str:
    """Look for findings in the records that nobody dropped: in the new and changed ones, or in all; returns the run's id.

    `names_model` is an installed spaCy model, or its folder, that finds more names and places.
    """
    with _one_check_starts:
        return _start_check(ws, only_new, context_tokens, names_model.strip())


def _start_check(ws: Workspace, only_new: bool, context_tokens: int, names_model: str) -> str:
    collect(ws)
    earlier = every(ws, "check")
    if any(run.moving for run in earlier):
        raise StudioError("A check is running already.", "Wait for its end, or stop it first.")
    newest = latest_check(ws)
    language = newest.result.data["language"] if only_new and newest and newest.result else None
    run_id = ws.new_id()
    with ws.transaction() as transaction:
        transaction.execute("delete from check_items")
        total, look = findings.choose(transaction, run_id, only_new)
        if not look:
            raise StudioError("There is nothing to check: every record was checked as it is.",
                              "Import tickets, or check all again.")
        spec = CheckSpec(run_id=run_id, records=total, to_check=look, context_tokens=context_tokens, language=language,
                         names_model=names_model, tokenizer=tokenizer(ws))
        _add_row(ws, transaction, spec, f"Check of {look:,} records", "")
    for run in earlier:
        clear_copies(ws, run)
    folder = ws.path(f"runs/{run_id}")
    rundir.prepare(folder, dumps(spec))
    findings.write_out(ws, run_id, folder / RECORDS)
    launch.start(folder, ws.root)
    return run_id


def start_dedupe(ws: Workspace, side: str, meaning: Meaning | None = None) -> str:
    """Look for twins among all records, by one side of them ('question', 'answer', 'both'); returns the run's id.

    Raises StudioError while another search runs, and where there is nothing to compare.
    """
    with _one_search_starts:
        duplicates.known_side(side)
        collect(ws)
        earlier = every(ws, "dedupe")
        if any(run.moving for run in earlier):
            raise StudioError("A search for duplicates is running already.", "Wait for its end, or stop it first.")
        run_id = ws.new_id()
        with ws.transaction() as transaction:
            total = duplicates.choose(transaction, run_id)
            spec = DedupeSpec(run_id=run_id, records=total, side=side, meaning=meaning)  # type: ignore[arg-type]
            _add_row(ws, transaction, spec, f"Duplicates by {side}, {total:,} records", "")
        for run in earlier:
            clear_copies(ws, run)
        rundir.prepare(folder := ws.path(f"runs/{run_id}"), dumps(spec))
        duplicates.write_out(ws, run_id, side, folder / TEXTS, spec.chunk_texts)
        launch.start(folder, ws.root)
        return run_id


def start_validation(ws: Workspace, file: str, name: str, max_tokens: int = CONTEXT_TOKENS) -> str:
    """Check the form of a JSONL file, in the workspace or by absolute path; returns the run's id."""
    spec = ValidateSpec(run_id=ws.new_id(), file=file, max_tokens=max_tokens)
    return begin(ws, spec, f"Validation of {name}", "")


def start_suggestions(ws: Workspace, set_id: str) -> str:
    """Let the light model learn from a set's labels and suggest labels for the other records; returns the run's id."""
    label_set = label_sets.get(ws, set_id)
    with _one_suggestion_starts:
        collect(ws)
        earlier = every(ws, "suggest")
        if any(run.moving and run.spec["set_id"] == set_id for run in earlier):
            raise StudioError("The light model is learning already.", "Wait for its end, or stop it first.")
        reason = suggestions.too_few(ws, label_set)
        if reason:
            raise StudioError(reason, "Label some more records first.")
        total, labelled = suggestions.counts(ws, set_id)
        fields = tuple(SuggestField(key=field.key, title=field.title, kind=field.kind,  # type: ignore[arg-type]
                                    values=tuple(option.value for option in field.options))
                       for field in suggestions.learnable(label_set))
        spec = SuggestSpec(run_id=ws.new_id(), set_id=set_id, fields=fields, records=total, labelled=labelled)
        with ws.transaction() as transaction:
            _add_row(ws, transaction, spec, f"Suggestions for {label_set.name}", "")
    for run in earlier:
        if not run.moving:
            clear_copies(ws, run)
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    suggestions.write_out(ws, set_id, folder / RECORDS)
    launch.start(folder, ws.root)
    return spec.run_id


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
        _add_row(ws, transaction, spec, title, snapshot_id)
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


def _add_row(ws: Workspace, transaction: Transaction, spec: AnySpec, title: str, snapshot_id: str) -> None:
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
