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
RANK = "TUNEWRIGHT_RANK"
"""In the environment of the further processes of a run: which one it is, from 1."""


def start(folder: Path, workspace: Path) -> int:
    """Start `python -m pipeline FOLDER` for a prepared run folder and return the attempt's number.

    The child leads a session of its own, so it outlives the app; it is niced, so that pages stay quick beside it.
    """
    rundir.take_back_stop(folder)
    attempt = rundir.note_launch(folder, time.time())
    places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": places, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", str(folder.resolve()), "--workspace", str(workspace.resolve())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            cwd=folder, env=environment, start_new_session=True, close_fds=True,
        )
    # The app may live for days: reap the child when it ends, so that it does not stay as a zombie.
    threading.Thread(target=child.wait, name=f"reap-{folder.name}", daemon=True).start()
    return attempt
