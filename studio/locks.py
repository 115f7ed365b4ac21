"""One process to a folder: the lock that says so, in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from studio.errors import StudioError


def take(root: Path) -> FileLock:
    """Hold the folder for this process, or say in one sentence who holds it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "workspace.lock", timeout=0)
        lock.acquire()
    except Timeout:
        owner = root / "workspace.owner.json"
        holder = f" (process {json.loads(owner.read_text())['pid']})" if owner.exists() else ""
        raise StudioError(f"Another Tunewright{holder} already has the workspace {root} open.",
                          "Close it, or choose another folder with STUDIO_WORKSPACE or --workspace.") from None
    except OSError as error:
        raise StudioError(f"The workspace folder {root} cannot be used: {error.strerror}.",
                          "Choose a folder you may write to, with STUDIO_WORKSPACE or --workspace.") from None
    (root / "workspace.owner.json").write_text(json.dumps({"pid": os.getpid()}))
    return lock
