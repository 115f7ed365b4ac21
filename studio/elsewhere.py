"""Where runs run: what is begun within `at(place)` runs on that cluster; its copies on the storage go as the run's own do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pipeline import launch, spec_place
from pipeline.spec_place import KINDS, PLACE, Place
from studio import named
from studio.errors import StudioError
from studio.named import CLUSTERS
from studio.permissions import needs
from studio.workspace import Workspace

__all__ = ["KINDS", "Place"]
_chosen: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def at(place: Place | None) -> Iterator[None]:
    """Begin runs there (None: on this machine), as far as their kind can run elsewhere."""
    token = _chosen.set(place)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen(kind: str) -> Place | None:
    """Where a run of this kind is to be begun now."""
    return _chosen.get() if kind in KINDS else None


def words(place: str) -> str:
    """A place as it is stored with a run, in words; of this machine none."""
    if not place:
        return ""
    said = spec_place.loads(place)
    workers = f"{said.workers} workers, " if said.workers > 1 else ""
    gpus = f", {said.gpus:g} GPU{'s' if said.gpus != 1 else ''}" if said.gpus else ""
    memory = f", {said.memory_gb:g} GB" if said.memory_gb else ""
    each = " each" if said.workers > 1 else ""
    return f"{said.cluster} ({workers}{said.cpus:g} CPU{'s' if said.cpus != 1 else ''}{gpus}{memory}{each})"


def put_down(folder: Path, place: str) -> None:
    """place.json of a run folder, before its process starts."""
    if place:
        spec_place.write(folder, spec_place.loads(place))


@needs("run", looks=True)
def follow_address(ws: Workspace, folder: Path) -> None:
    """A cluster that has another address since, and the same storage, is looked for there when a run is resumed."""
    place = spec_place.of(folder)
    known = {row["name"]: json.loads(row["cluster"]) for row in named.every(ws, CLUSTERS)} if place else {}
    entry = known.get(place.cluster) if place else None
    if place and entry and entry["storage"] == place.storage and entry["address"] != place.address:
        spec_place.write(folder, place.model_copy(update={"address": entry["address"]}))


@needs("run", looks=True)
def clear_copies(ws: Workspace, folder: Path) -> None:
    """Copies of a run that are left on a storage go where nobody will bring them home: its ferry was killed."""
    try:
        left = json.loads((folder / "remote.json").read_text(encoding="utf-8")).get("left")
    except FileNotFoundError:
        return
    if left and (folder / PLACE).exists():
        launch.sweep_run(ws.root, folder.name)


def begin_anew(root: Path) -> None:
    """A workspace that was made from a backup shares nothing on a cluster with the one it came from."""
    spec_place.begin_anew(root)


def former_homes(root: Path) -> list[str]:
    """Folders on storages in which the workspace that this one was made from may have copies of texts."""
    return spec_place.former_homes(root)


@needs("run", looks=True)
def storages(ws: Workspace) -> list[str]:
    """Storages on which copies of this workspace's texts may lie."""
    return spec_place.used_storages(ws.root)


@needs("own")
def drop_storage(ws: Workspace, storage: str) -> None:
    """No copy lies there any more."""
    spec_place.drop_storage(ws.root, storage)


@needs("run", looks=True)
def forget_copies(ws: Workspace) -> None:
    """Delete every copy of texts on every storage. Raises StudioError where one cannot be reached."""
    if storages(ws) and (failed := launch.sweep(ws.root)):
        sentence, _, hint = failed.partition("\t")
        raise StudioError(f"Copies of texts on a cluster's storage could not be deleted: {sentence}",
                          hint or "Try again when it can be reached. If it is gone for good, say so on the Cluster page.")
