"""Real child processes of the pipeline for tests: begin one, wait for what it writes, kill it, let it go on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import launch, rundir
from pipeline.rundir import Result
from pipeline.specs import AnySpec, dumps
from studio import runs
from studio.runs import Run
from studio.workspace import Workspace
from tests.conftest import ROOT

PATIENCE_SECONDS = 420.0


def write_examples(path: Path, examples: list[tuple[str, str, str]]) -> None:
    """A snapshot file of (id, question, answer)."""
    lines = [
        {"id": name, "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        for name, asked, answer in examples
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def prepared(workspace: Path, spec: AnySpec) -> Path:
    folder = workspace / "runs" / spec.run_id
    rundir.prepare(folder, dumps(spec))
    return folder


def begin_to_kill(folder: Path, workspace: Path) -> subprocess.Popen[bytes]:
    """The child as `launch.start` begins it, with its process in hand."""
    rundir.note_launch(folder, time.time())
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", str(folder), "--workspace", str(workspace)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
        )


def wait_until(true: Callable[[], bool], folder: Path) -> None:
    """Wait for something the child does; fails with the end of its log when it ends or takes too long."""
    deadline = time.time() + PATIENCE_SECONDS
    while not true():
        over = rundir.result(folder) is not None and not rundir.is_alive(folder)
        assert (not over or true()) and time.time() < deadline, f"{rundir.result(folder)}\n{rundir.log_tail(folder)}"
        time.sleep(0.05)


def finished(folder: Path, workspace: Path) -> Result:
    """Start, or go on, as the app does, and wait for the end."""
    launch.start(folder, workspace)
    deadline = time.time() + PATIENCE_SECONDS
    while (ended := rundir.result(folder)) is None or rundir.is_alive(folder):
        assert time.time() < deadline, f"not finished in time\n{rundir.log_tail(folder)}"
        time.sleep(0.1)
    return ended


def events(folder: Path, kind: str) -> list[dict[str, float]]:
    return [row for row in rundir.read_lines(folder / "events.jsonl") if row["event"] == kind]


def collected(ws: Workspace, run_id: str, seconds: float = 120) -> Run:
    """A run that the app started, once it has ended and is in the tables."""
    deadline = time.time() + seconds
    while (run := runs.get(ws, run_id)).moving:
        assert time.time() < deadline, runs.log_tail(ws, run)
        time.sleep(0.05)
    runs.collect(ws)
    return runs.get(ws, run_id)
