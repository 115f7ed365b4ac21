"""Start a run's child process: detached, niced, with its output in log.txt."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from pipeline import rundir

ROOT = Path(__file__).resolve().parent.parent
SWEEP_SECONDS = 120.0
RANK = "TUNEWRIGHT_RANK"
"""In the environment of the further processes of a run: which one it is, from 1."""


def start(folder: Path, workspace: Path) -> int:
    """Start `python -m pipeline FOLDER` for a prepared run folder and return the attempt's number.

    The child leads a session of its own, so it outlives the app; it is niced, so that pages stay quick beside it.
    """
    rundir.take_back_stop(folder)
    attempt = rundir.note_launch(folder, time.time())
    environment = _environment()
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", str(folder.resolve()), "--workspace", str(workspace.resolve())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            cwd=folder, env=environment, start_new_session=True, close_fds=True,
        )
    # The app may live for days: reap the child when it ends, so that it does not stay as a zombie.
    threading.Thread(target=child.wait, name=f"reap-{folder.name}", daemon=True).start()
    return attempt


def sweep(workspace: Path) -> str:
    """Delete all copies that the workspace has on storages of clusters, and wait for it; why it failed (a sentence, a tab, what
    to do), or nothing."""
    try:
        done = subprocess.run(_sweeping(workspace), env=_environment(), capture_output=True, text=True, timeout=SWEEP_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired:
        return "The storage of a cluster does not answer.\tTry again when it does."
    return done.stdout.strip() or f"Copies on storages could not be deleted ({done.returncode}).\t" if done.returncode else ""


def sweep_run(workspace: Path, run_id: str) -> None:
    """Begin to delete the copies of one run."""
    child = subprocess.Popen([*_sweeping(workspace), "--run", run_id], env=_environment(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=child.wait, name=f"reap-sweep-{run_id}", daemon=True).start()


def _sweeping(workspace: Path) -> list[str]:
    return [sys.executable, "-m", "pipeline.cluster.sweep", str(workspace.resolve())]


def _environment() -> dict[str, str]:
    places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": places, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
