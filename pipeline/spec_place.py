"""Where a run runs: place.json in the run folder, beside spec.json. None there: this machine. And what the workspace is called
on storages, and which ones may hold copies of its texts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import Field, ValidationError, field_validator

from pipeline.rundir import write_atomic
from pipeline.spec_parts import Frozen, SpecError

PLACE = "place.json"
STORAGES = "storages.json"
"""In the workspace: its id on storages, and those on which copies of its texts may lie."""
KINDS = ("train", "evaluate", "score", "judge", "synthesize", "dedupe", "check", "inspect", "suggest", "export", "drift")
"""Kinds of runs that can run elsewhere."""
NOT_STORAGE = ("memory", "http", "https", "data", "ray")
"""Protocols of fsspec that two machines do not share, or that cannot be written to."""


class Place(Frozen):
    """A Ray cluster, and what the run gets of it.

    `cluster` is its name here, `address` that of its job API (`http://host:8265`). `storage` is a folder that both sides see at
    the same path, or an fsspec URL. CPUs, GPUs and memory are those of one worker. A job that dies is submitted again, at most
    `attempts` times without getting any further.
    """

    where: Literal["ray"] = "ray"
    cluster: str
    address: str
    storage: str
    workers: int = Field(default=1, ge=1, le=1_024)
    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    memory_gb: float | None = Field(default=None, gt=0)
    attempts: int = Field(default=3, ge=1, le=100)

    @field_validator("address")
    @classmethod
    def _speaks_http(cls, given: str) -> str:
        if not given.startswith(("http://", "https://")):
            raise ValueError("the address of a cluster's job API begins with http:// or https://")
        return given.rstrip("/")

    @field_validator("storage")
    @classmethod
    def _both_sides_see_it(cls, given: str) -> str:
        protocol = given.split("://", 1)[0] if "://" in given else ""
        if protocol.split("::")[-1] in NOT_STORAGE or not (protocol or Path(given).is_absolute()):
            raise ValueError("the storage is an absolute path, or a URL such as s3://bucket/folder, that both sides write to")
        return given.rstrip("/")


def of(run_dir: Path) -> Place | None:
    """Where this run runs; none: this machine. Raises SpecError for a place.json that nobody here wrote."""
    try:
        return loads((run_dir / PLACE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def loads(text: str) -> Place:
    try:
        return Place.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"{PLACE}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def write(run_dir: Path, place: Place) -> None:
    write_atomic(run_dir / PLACE, json.dumps(place.model_dump(), indent=1, sort_keys=True) + "\n")


def workspace_id(workspace: Path) -> str:
    """The workspace's name on storages: made up once, kept in its folder."""
    return str(_storages(workspace)["workspace"])


def note_storage(workspace: Path, storage: str) -> None:
    """Copies of texts may lie there from now on."""
    _storages(workspace, lambda used: [*(one for one in used if one != storage), storage])


def used_storages(workspace: Path) -> list[str]:
    return list(_storages(workspace)["used"]) if (workspace / STORAGES).exists() else []


def drop_storage(workspace: Path, storage: str) -> None:
    """No copy lies there any more."""
    _storages(workspace, lambda used: [one for one in used if one != storage])


def former_homes(workspace: Path) -> list[str]:
    """Folders on storages that belong to the workspace which this one was restored from."""
    return list(_storages(workspace).get("former", ())) if (workspace / STORAGES).exists() else []


def begin_anew(workspace: Path) -> None:
    """A copy of a workspace gets a name of its own on storages: what lies there under the old one is the other workspace's, and
    so are the jobs that write there."""
    from pipeline.cluster.remote import REMOTE, Remote

    for path in (workspace / "runs").glob(f"*/{REMOTE}"):
        if (path.parent / PLACE).exists():
            Remote(path.parent).clean()
    if (workspace / STORAGES).exists():
        homes = [f"{storage}/{workspace_id(workspace)}" for storage in used_storages(workspace)]
        former = [*former_homes(workspace), *homes]
        fresh = {"workspace": uuid.uuid4().hex[:12], "used": [], "former": former}
        write_atomic(workspace / STORAGES, json.dumps(fresh, indent=1))


def _storages(workspace: Path, change: Callable[[list[str]], list[str]] | None = None) -> dict[str, Any]:
    path = workspace / STORAGES
    (workspace / "runs").mkdir(parents=True, exist_ok=True)
    with FileLock(workspace / "runs" / "storages.lock"):
        now: dict[str, Any] = (json.loads(path.read_text(encoding="utf-8")) if path.exists()
                               else {"workspace": uuid.uuid4().hex[:12], "used": []})
        after = now | {"used": change(now["used"])} if change else now
        if after != now or not path.exists():
            write_atomic(path, json.dumps(after, indent=1))
        return after
