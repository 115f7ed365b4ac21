"""Receiving: the endpoint that log rows are POSTed to, as a run, and what it wrote, brought in like files of a watched
folder."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from pipeline import receiving as endpoint
from pipeline import rundir
from pipeline.spec_live import ReceiveSpec
from studio import logs, runs
from studio.errors import StudioError
from studio.logs import Report
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Workspace

TOKEN = "TUNEWRIGHT_LOG_TOKEN"
PORT = ReceiveSpec.model_fields["port"].default
HOSTS = {"127.0.0.1": "this machine alone", "0.0.0.0": "every machine that reaches this one, over plain http"}
WHO = "the endpoint"
UNREAD = "unread-"
_one_starts, _one_collects = threading.Lock(), threading.Lock()


@needs("own")
def start(ws: Workspace, port: int = PORT, host: str = "127.0.0.1", token_env: str = TOKEN) -> str:
    """Begin to receive; returns the run's id. Raises StudioError where there is no token, or one receives already."""
    with _one_starts:
        if len(os.environ.get(token_env, "")) < endpoint.SHORTEST_TOKEN:
            raise StudioError(
                f"The environment variable {token_env} holds no token of at least {endpoint.SHORTEST_TOKEN} characters.",
                "Set it where the studio is started, for instance with: export "
                f"{token_env}=$(openssl rand -hex 24), and start the studio again.",
            )
        if (running := newest(ws)) is not None and running.moving:
            raise StudioError("An endpoint is receiving already.", "Stop it first.")
        return runs.begin(ws, ReceiveSpec(run_id=ws.new_id(), host=host, port=port, token_env=token_env), "Receiving logs")


@needs("read")
def newest(ws: Workspace) -> Run | None:
    found = runs.every(ws, "receive")
    return found[0] if found else None


def address(run: Run) -> str:
    """Where it receives, as it says itself; empty before it does."""
    words = (run.status.sentence if run.status and run.moving else "").partition("http://")[2].partition(",")[0]
    return f"http://{words}" if words else ""


@needs("read")
def collect(ws: Workspace) -> list[Report]:
    """Bring in every closed file of every endpoint, and what a killed one left open. A file goes when its rows are in; one that
    holds no log stays, set aside, because it was acknowledged."""
    with _one_collects:
        return [
            report
            for run in runs.every(ws, "receive")
            for path in _waiting(ws, run)
            if (report := _bring(ws, path)) is not None
        ]


@needs("read")
def settle(ws: Workspace, seconds: float = 10.0) -> None:
    """Bring in everything that was acknowledged until now. Raises StudioError where that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        collect(ws)
        left = [path for run in runs.every(ws, "receive") for path in ws.path(run.folder).glob("received-*")]
        if not left:
            return
        if time.monotonic() > deadline:
            raise StudioError("Log rows are still coming in.", "Stop the endpoint on the Monitor page, then try again.")
        time.sleep(0.2)


@needs("read")
def unread(ws: Workspace) -> list[Path]:
    """Files that were received and hold no log."""
    return [path for run in runs.every(ws, "receive") for path in sorted(ws.path(run.folder).glob(f"{UNREAD}*.jsonl"))]


def _waiting(ws: Workspace, run: Run) -> list[Path]:
    folder = ws.path(run.folder)
    if not run.moving and folder.is_dir() and not rundir.is_alive(folder):
        for left in folder.glob(f"received-*.jsonl{endpoint.PART}"):
            rundir.mend_last_line(left)
            endpoint.close(left)
    return sorted(folder.glob("received-*.jsonl"))


def _bring(ws: Workspace, path: Path) -> Report | None:
    try:
        report = logs.add(ws, logs.look(ws, path, "received by POST"), "endpoint", WHO)
    except StudioError:
        os.replace(path, path.with_name(UNREAD + path.name.removeprefix("received-")))
        return None
    path.unlink()
    return report
