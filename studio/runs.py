"""Runs: look, stop, resume, collect. With `starts` the only door to the pipeline.

A run is found again by its row and its folder alone.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pipeline import answers, drift_words, launch, rundir
from pipeline.dedupe.words import CROWDS, NORMALISATION, SHORT_TEXTS
from pipeline.foreign import read_foreign, sides
from pipeline.rundir import Result, State, Status
from pipeline.scoring.labels import labels_of, normal
from pipeline.specs import AnySpec, Candidate, Decoding, InspectSpec, Meaning, Shots, Tested, dumps
from studio import collecting, elsewhere, hearing, snapshots
from studio.elsewhere import at
from studio.errors import StudioError
from studio.hearing import Events
from studio.permissions import Given, needs, of_one
from studio.pieces import without
from studio.run_files import (
    ANSWERS,
    ASKS,
    CALLS,
    COPIES,
    DATASET,
    DOUBTS,
    EVENTS,
    EXAMPLES,
    EXISTING,
    FINDINGS,
    JUDGEMENTS,
    OUTPUTS,
    OWN_ERRORS,
    PAIRS,
    PIECES,
    PREVIEW,
    RECORDS,
    SAMPLES,
    SEEDS,
    SUGGESTIONS,
    TEXTS,
    WORK,
)
from studio.snapshots import SPLITS
from studio.workspace import Row, Transaction, Workspace

__all__ = ["CALLS", "COPIES", "CROWDS", "EXAMPLES", "JUDGEMENTS", "NORMALISATION", "OUTPUTS", "OWN_ERRORS", "PAIRS", "SAMPLES",
           "SHORT_TEXTS", "Candidate", "Decoding", "Events", "InspectSpec", "Meaning", "Shots", "Tested", "at", "labels_of",
           "normal", "read_foreign", "sides"]

Kind = Literal["train", "evaluate", "check", "validate", "dedupe", "inspect", "suggest", "preview", "connect",
               "score", "judge", "synthesize", "play", "managed", "quote", "service_files", "receive", "drift", "export",
               "push", "serve", "parity", "look"]
MOVING: tuple[State, ...] = ("starting", "running")
_COLLECTED = "select 1 from run_results where run_id = ? and attempt = ?"
RESUMABLE: tuple[State, ...] = ("lost", "failed", "stopped")
KNOWN = answers.KNOWN
LINES = tuple(f"{split}.jsonl" for split in SPLITS)
FOLLOWS = {"check": RECORDS, "dedupe": TEXTS, "drift": TEXTS, "inspect": LINES[0], "suggest": RECORDS, "score": ANSWERS,
           "judge": ANSWERS, "synthesize": SEEDS}
"""What such a run reads, and cannot go on without."""
_LEAVES_COPIES = (*FOLLOWS, "evaluate", "push")


@dataclass(frozen=True)
class Run:
    """One run as it stands now. `status` is the child's last word; `result` the end of its newest attempt.

    Checks, validations and suggestions have no snapshot: their `snapshot_id` is empty. `launched_at` is when the newest attempt
    was begun, in unix seconds; `group_id` is empty for a run that was started alone, `place` for one on this machine.
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
    group_id: str = ""
    launched_at: float = 0.0
    place: str = ""

    @property
    def where(self) -> str:
        """The cluster it runs on, and what it gets of it; empty: this machine."""
        return elsewhere.words(self.place)

    @property
    def waiting(self) -> bool:
        """Whether it waits for runs that were started before."""
        return self.state == "running" and self.status is not None and self.status.phase == "queued"

    @property
    def ends_at(self) -> datetime | None:
        """When the phase it is in will be over (UTC), as far as one can tell."""
        if not self.moving or self.status is None or not self.status.eta_s:
            return None
        return datetime.fromtimestamp(self.status.at + self.status.eta_s, UTC).replace(tzinfo=None)

    @property
    def moving(self) -> bool:
        return self.state in MOVING

    @property
    def resumable(self) -> bool:
        return self.state in RESUMABLE


def _veiled(ws: Workspace, found: list[Run], given: Given) -> list[Run]:
    return [_wordless(run, run.result) if run.kind == "drift" and run.result else run for run in found]


def _wordless(run: Run, ended: Result) -> Run:
    """A check for drift without the words of its topics, which customers wrote."""
    if "comparisons" not in ended.data:
        return run
    data = ended.data | {"comparisons": [one | {"topics": []} for one in ended.data["comparisons"]]}
    said = drift_words.sentence(data)
    return replace(run, result=replace(ended, message=said, data=data | {"sentence": said}))


@needs("read")
def latest_suggestions(ws: Workspace, set_id: str) -> Run | None:
    """The newest run of the light model for this label set, however it stands."""
    return _latest(ws, "suggest", "set_id", set_id)


@needs("read")
def latest_connection(ws: Workspace, model_id: str) -> Run | None:
    """The newest test of an endpoint's connection, however it stands."""
    return _latest(ws, "connect", "model_id", model_id)


@needs("read")
def latest_check(ws: Workspace) -> Run | None:
    """The newest check that is done and collected."""
    row = ws.row("""select r.* from runs r join run_results e using (run_id)
                    where r.kind = 'check' and e.outcome = 'done' order by r.started_at desc limit 1""")
    return _run(ws, row) if row else None


@needs("read", veil=_veiled)
def every(ws: Workspace, kind: Kind | None = None) -> list[Run]:
    """Newest first, as they stand now."""
    found = ws.rows("select * from runs where ? is null or kind = ? order by started_at desc", [kind, kind])
    return [_run(ws, row) for row in found]


@needs("read")
def of_group(ws: Workspace, group_id: str) -> list[Run]:
    """The runs of a group, in the order they were started."""
    found = ws.rows("select * from runs where group_id = ? order by started_at, run_id", [group_id])
    return [_run(ws, row) for row in found]


@needs("read", veil=of_one(_veiled))
def get(ws: Workspace, run_id: str) -> Run:
    """Raises StudioError when there is no such run."""
    row = ws.row("select * from runs where run_id = ?", [run_id])
    if row is None:
        raise StudioError(f"There is no run {run_id} in this workspace.", "Choose one on the Runs page.")
    return _run(ws, row)


@needs("run")
def stop(ws: Workspace, run_id: str) -> None:
    """Ask a run to save what it has and stop; it does so within a step or a batch."""
    if (run := get(ws, run_id)).moving:
        rundir.ask_to_stop(ws.path(run.folder))


@needs("read")
def wait(ws: Workspace, run_id: str, seconds: float) -> bool:
    """Wait for the end of a run that was asked to stop, so long at the most; whether it came."""
    deadline = time.monotonic() + seconds
    while (moves := get(ws, run_id).moving) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not moves


@needs("run")
def resume(ws: Workspace, run_id: str) -> None:
    """Go on in the same folder, from the last checkpoint or with the outputs already there."""
    run = get(ws, run_id)
    if not run.resumable:
        raise StudioError(f"This run is {run.state}: there is nothing to resume.")
    if run.snapshot_id:
        snapshots.verify(ws, snapshots.get(ws, run.snapshot_id))
    copied = not run.snapshot_id or run.kind in ("score", "judge", "drift")  # a frozen snapshot is looked through where it lies
    if copied and run.kind in FOLLOWS and not (ws.path(run.folder) / FOLLOWS[run.kind]).is_file():
        raise StudioError("This run cannot go on: its copy of the records is gone.", "Start a new one.")
    if not ws.path(run.folder).is_dir():  # the studio died between its row and its folder
        rundir.prepare(ws.path(run.folder), json.dumps(run.spec, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        elsewhere.put_down(ws.path(run.folder), run.place)
    elsewhere.follow_address(ws, ws.path(run.folder))
    launch.start(ws.path(run.folder), ws.root)


@needs("read", veil=_veiled)
def collect(ws: Workspace) -> list[Run]:
    """Bring every ended attempt that is not in the tables yet into them, one transaction each; returns those runs."""
    collected = []
    for run in every(ws):
        if run.result and not ws.rows(_COLLECTED, [run.run_id, run.attempt]):
            with ws.transaction() as transaction:
                if transaction.rows(_COLLECTED, [run.run_id, run.attempt]):  # another browser's page was quicker
                    continue
                collecting.collect(ws, transaction, run, run.result)
                transaction.insert("run_results", [{
                    "run_id": run.run_id, "attempt": run.attempt, "outcome": run.result.outcome, "message": run.result.message,
                    "hint": run.result.hint, "data": json.dumps(run.result.data), "collected_at": ws.now(),
                    "ended_at": datetime.fromtimestamp(run.result.at, UTC).replace(tzinfo=None)}])
            if run.kind in _LEAVES_COPIES and run.result.outcome == "done":
                clear_copies(ws, run)
            collected.append(run)
    return collected


@needs("read")
def events(ws: Workspace, run: Run) -> Events:
    """What it told so far; only what is new is read from its file."""
    return hearing.events(ws, run.run_id, ws.path(run.folder) / EVENTS)


@needs("raw")
def lines(ws: Workspace, run: Run, name: str) -> list[Row]:
    """All whole lines of one of its files; only what is new is read."""
    return hearing.lines(ws, run.run_id, ws.path(run.folder) / name)


@needs("read")
def curve(ws: Workspace, run: Run) -> tuple[list[Row], list[Row]]:
    """Training and validation losses so far: rows of step, epoch, loss."""
    heard = events(ws, run)
    return heard.losses, heard.validation


@needs("read")
def queue(ws: Workspace) -> list[Run]:
    """Runs that wait for the device, the next one first."""
    found = [run for run in every(ws) if run.waiting]
    return sorted(found, key=lambda run: (run.launched_at, run.run_id))


@needs("raw")
def log_tail(ws: Workspace, run: Run, lines: int = 40) -> str:
    return rundir.log_tail(ws.path(run.folder), lines)


def candidates(run: Run) -> tuple[Candidate, ...]:
    """Who answered in an evaluation, in order; the others are held against the first."""
    return tuple(Candidate.model_validate(one) for one in run.spec["candidates"])


@needs("read")
def proven(ws: Workspace) -> list[Run]:
    """Evaluations that are done and collected, newest first."""
    found = ws.rows("""select distinct r.* from runs r join run_results e using (run_id)
                       where r.kind = 'evaluate' and e.outcome = 'done' order by r.started_at desc""")
    return [_run(ws, row) for row in found]


@needs("read")
def over(ws: Workspace, evaluation_id: str, kind: Kind) -> list[Run]:
    """Runs that score or judge the answers of an evaluation, newest first."""
    found = ws.rows("""select * from runs where kind = ? and json_extract_string(spec, '$.evaluation_id') = ?
                       order by started_at desc""", [kind, evaluation_id])
    return [_run(ws, row) for row in found]


@needs("run", looks=True)
def forget_copies(ws: Workspace) -> None:
    """Delete every copy of texts that runs made. Raises StudioError while any run moves."""
    found = [run for run in every(ws) if run.kind != "receive"]  # whose files `studio/receiving.py` sees to
    if moving := [run for run in found if run.moving and run.kind != "serve"]:  # a server holds no copy of anything
        raise StudioError(f"{moving[0].title} is still running and may hold what is to go.",
                          "Wait for its end, or stop it first.")
    elsewhere.forget_copies(ws)
    for run in found:
        if run.kind in (*FOLLOWS, "play", "managed", "quote", "push"):
            clear_copies(ws, run)
    hearing.forget(ws)


def forget(transaction: Transaction, ids: Sequence[str], words: Sequence[str]) -> None:
    """Take records and rows of production out of the lists that ends of runs hold, and words out of their sentences."""
    for row in transaction.rows("select run_id, attempt, message, data from run_results"):
        before = [row["message"], json.loads(row["data"])]
        if (kept := without(before, set(ids), words)) != before:
            transaction.execute("update run_results set message = ?, data = ? where run_id = ? and attempt = ?",
                                [kept[0], json.dumps(kept[1]), row["run_id"], row["attempt"]])


@needs("run")
def begin(ws: Workspace, spec: AnySpec, title: str, snapshot_id: str = "",
          write: Callable[[Path], None] = lambda folder: None) -> str:
    """Start a run: its row, its spec, the files that `write` puts into its folder, its process. Returns its id."""
    with ws.transaction() as transaction:
        add_row(ws, transaction, spec, title, snapshot_id)
    return set_off(ws, spec, write)


@needs("run")
def set_off(ws: Workspace, spec: AnySpec, write: Callable[[Path], None] = lambda folder: None) -> str:
    """The folder and the process of a run whose row is there; returns its id."""
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    write(folder)
    elsewhere.put_down(folder, str(ws.value("select place from runs where run_id = ?", [spec.run_id])))
    launch.start(folder, ws.root)
    return spec.run_id


@needs("read")
def tokenizer(ws: Workspace) -> str:
    """The tokenizer of a base model that is ready in the workspace, for real lengths; empty before the first training."""
    found = sorted(ws.path("models").glob("*/tokenizer.json"))
    return str(found[0].relative_to(ws.root)) if found else ""


@needs("run", looks=True)
def clear_copies(ws: Workspace, run: Run) -> None:
    """Copies of texts, and what was made of them, hold personal data: they stay only while the run can go on."""
    for name in (RECORDS, FINDINGS, SUGGESTIONS, DOUBTS, TEXTS, COPIES, PAIRS, PREVIEW, KNOWN, ANSWERS, ASKS, PIECES, SEEDS,
                 EXISTING, *LINES):
        (ws.path(run.folder) / name).unlink(missing_ok=True)
    for name in (WORK, DATASET):
        shutil.rmtree(ws.path(run.folder) / name, ignore_errors=True)


@needs("run")
def add_row(ws: Workspace, transaction: Transaction, spec: AnySpec, title: str, snapshot_id: str,
            group_id: str = "") -> None:
    place = elsewhere.chosen(spec.kind)
    transaction.insert("runs", [{"run_id": spec.run_id, "kind": spec.kind, "title": title, "snapshot_id": snapshot_id,
                                 "spec": dumps(spec), "folder": f"runs/{spec.run_id}", "started_at": ws.now(),
                                 "group_id": group_id, "place": place.model_dump_json() if place else ""}])


def _latest(ws: Workspace, kind: Kind, key: str, value: str) -> Run | None:
    """The newest run of a kind whose spec has this value."""
    row = ws.row("select * from runs where kind = ? and json_extract_string(spec, ?) = ? order by started_at desc limit 1",
                 [kind, f"$.{key}", value])
    return _run(ws, row) if row else None


def _run(ws: Workspace, row: Row) -> Run:
    folder = ws.path(row["folder"])
    state = rundir.state(folder, time.time())
    attempt, at = rundir.launched(folder)
    return Run(**(row | {"spec": json.loads(row["spec"])}), attempt=attempt, launched_at=at, state=state,
               status=rundir.status(folder), result=None if state in MOVING else rundir.result(folder))
