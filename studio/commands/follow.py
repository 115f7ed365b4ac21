"""Runs as commands see them: started, watched to their end, told as one row."""

from __future__ import annotations

from collections.abc import Sequence

from studio import runs
from studio.commands.calls import current, pause, say
from studio.commands.frame import Told
from studio.errors import StudioError
from studio.runs import Run
from studio.ui.formats import duration
from studio.workspace import Row, Workspace

FIRST_LOOK, LONGEST_LOOK, ON_A_TERMINAL = 0.1, 5.0, 2.0


def row(run: Run) -> Row:
    """A run in the fields that every document has for one."""
    status, ended = run.status, run.result
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "title": run.title,
        "state": run.state,
        "attempt": run.attempt,
        "snapshot_id": run.snapshot_id,
        "group_id": run.group_id,
        "started_at": run.started_at,
        "phase": status.phase if status else None,
        "done": status.done if status else None,
        "total": status.total if status else None,
        "unit": status.unit if status else None,
        "rate": status.rate if status else None,
        "eta_s": status.eta_s if status else None,
        "message": ended.message if ended else None,
        "hint": ended.hint if ended else None,
        "data": ended.data if ended else {},
    }


def follow(ws: Workspace, run_id: str) -> Run:
    """Watch a run to its end and collect it. Raises StudioError where it did not get done."""
    said, wait = "", FIRST_LOOK
    while (run := runs.get(ws, run_id)).moving:
        if (sentence := progress(run)) != said:
            say(sentence)
            said = sentence
        pause(wait)
        wait = min(ON_A_TERMINAL if current().typed.terminal else LONGEST_LOOK, 1.5 * wait)
    runs.collect(ws)
    run = runs.get(ws, run_id)
    if run.state != "done":
        words = run.result.message if run.result else "its process ended without a word."
        raise StudioError(
            f"The run {run.title!r} is {run.state}: {words}",
            (run.result.hint if run.result else "") or f"Its log is {ws.path(run.folder) / 'log.txt'}.",
        )
    say(f"  {run.result.message}" if run.result else "")
    return run


def progress(run: Run) -> str:
    """How far a run is, on one line."""
    status = run.status
    if status is None:
        return f"  {run.kind}: starting"
    rate = f", {status.rate:.2f} {status.unit}/s" if status.rate else ""
    end = f", {duration(status.eta_s)} left" if status.eta_s else ""
    return f"  {run.kind}: {status.sentence or status.phase}{rate}{end}"


def started(ws: Workspace, run_id: str, wait: bool, more: Row | None = None, words: Sequence[str] = ()) -> Told:
    """What a command that began a run says: at its end, or at once."""
    run = follow(ws, run_id) if wait else runs.get(ws, run_id)
    first = f"Run {run_id}" + ("" if wait else ": `tunewright runs follow` watches it") + "."
    return Told({"run": row(run), **(more or {})}, [first, *words])
