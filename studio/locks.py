"""One process to a folder: the lock that says so, in a sentence."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout

from studio.errors import StudioError


class Held(StudioError):
    """Another process has the folder. `version` is what its owner wrote down, empty where it is older than that."""

    def __init__(self, message: str, hint: str, version: str) -> None:
        super().__init__(message, hint)
        self.version = version


def version() -> str:
    """The version of this Tunewright."""
    try:
        return metadata.version("tunewright")
    except metadata.PackageNotFoundError:  # run from its folder, never installed
        return "unknown"


def take(root: Path) -> FileLock:
    """Hold the folder for this process, or say in one sentence who holds it (raises Held)."""
    owner = root / "workspace.owner.json"
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "workspace.lock", timeout=0)
        lock.acquire()
    except Timeout:
        said = _said(owner)
        holder = f" (process {said['pid']})" if "pid" in said else ""
        raise Held(f"Another Tunewright{holder} already has the workspace {root} open.",
                   "Close it, or choose another folder with STUDIO_WORKSPACE or --workspace.",
                   str(said.get("version", ""))) from None
    except OSError as error:
        raise StudioError(f"The workspace folder {root} cannot be used: {error.strerror}.",
                          "Choose a folder you may write to, with STUDIO_WORKSPACE or --workspace.") from None
    with suppress(OSError):  # on a full disk nobody is told who holds it; whether it can be used, the database says
        owner.write_text(json.dumps({"pid": os.getpid(), "version": version()}))
    return lock


def _said(owner: Path) -> dict[str, object]:
    """What the holder wrote down about itself; nothing where it has not yet."""
    try:
        return dict(json.loads(owner.read_text()))
    except (OSError, ValueError):
        return {}
