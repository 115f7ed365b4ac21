"""What code inside a job on a cluster may ask: where it is, and where the run's files are on this node."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from pipeline.spec_place import Place, loads

PLACE = "TUNEWRIGHT_PLACE"
HOME = "TUNEWRIGHT_HOME"
"""In the environment of a job: the place as JSON; the path or URL of its small workspace on the storage."""

LEAST_WORKERS = {"train": 2, "evaluate": 1, "score": 1, "dedupe": 1}
"""Kinds whose work is given to workers, from so many on. The job's own process directs them then, and takes nothing of the
cluster for itself; any other job has one worker's CPUs, GPUs and memory in its own process."""


def current() -> Place | None:
    """Where this process runs; none: not in a job on a cluster."""
    said = os.environ.get(PLACE)
    return loads(said) if said else None


def spread(kind: str, place: Place | None = None) -> Place | None:
    """The place, where a run of this kind gives its work to workers; none: it does the work itself."""
    place = place or current()
    return place if place and place.workers >= LEAST_WORKERS.get(kind, place.workers + 1) else None


def environment() -> dict[str, str]:
    """What workers of the job need in their environment (`runtime_env={"env_vars": …}`)."""
    return {name: os.environ[name] for name in (PLACE, HOME) if name in os.environ}


def root() -> Path:
    """The run's small workspace as this node sees it: on the storage where that is a folder, else this node's own copy."""
    home = os.environ[HOME]
    return own_copy(home) if "://" in home else Path(home)


def own_copy(url: str) -> Path:
    """Where a node keeps its copy of what lies at a URL: the same path on every node."""
    return Path(tempfile.gettempdir()) / f"tunewright-{os.getuid()}" / hashlib.sha256(url.encode()).hexdigest()[:16]


def fetched(relative: str) -> Path:
    """A file or folder of the small workspace on this node, fetched if the storage is a URL and it is not here yet."""
    path = root() / relative
    if "://" in os.environ[HOME]:
        from pipeline.cluster.storage import Storage

        Storage(os.environ[HOME]).fetch_once(str(path.relative_to(root())), path)
    return path


def clear(home: str, run_id: str, others: bool) -> None:
    """Delete this node's copies of what a run read: base models stay; while `others` are under way only its own folder goes."""
    copy = own_copy(home)
    left = [copy / "runs" / run_id] if others else [path for path in copy.glob("*") if path.name != "models"]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
