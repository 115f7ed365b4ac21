"""The shelf of a sharded search where the storage is a URL: put there as it is made, fetched to a node's disk on first use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.cluster import here
from pipeline.cluster.storage import Storage
from pipeline.dedupe.sharded.shelf import TOLD, Shelf


@dataclass(frozen=True)
class FarShelf(Shelf):
    """`folder` is each node's own copy; every node has it at the same path. So a node's disk, not its memory, must hold what
    its workers ask for."""

    def texts(self) -> Path:
        return here.fetched(str(self.file.relative_to(here.root())))

    def give(self, beside: Path, name: str) -> None:
        storage = self._storage()
        for file in sorted(beside.iterdir(), key=lambda one: one.name == TOLD):  # the last one makes it whole
            storage.put(file, f"{name}/{file.name}")
        super().give(beside, name)

    def at(self, name: str) -> Path:
        path = super().at(name)
        if not path.is_dir():
            self._storage().fetch_once(name, path)
        return path

    def names(self) -> set[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return {path.split("/")[0] for path in self._storage().files() if path.endswith(f"/{TOLD}")}

    def clear(self) -> None:
        self._storage().remove("")
        super().clear()

    def _storage(self) -> Storage:
        return Storage(f"{os.environ[here.HOME]}/{self.folder.relative_to(here.root())}")
