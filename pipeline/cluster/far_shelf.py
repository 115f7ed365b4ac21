"""The shelf of a sharded search where the storage is a URL: put there as it is made, fetched to a node's disk on first use."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.cluster import here
from pipeline.cluster.storage import Storage
from pipeline.cluster.units import WHOLE
from pipeline.dedupe.sharded.shelf import TOLD, Shelf
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class FarShelf(Shelf):
    """`folder` is each node's own copy, hidden, so that it is not put there again with the run folder; every node has it
    at the same path. So a node's disk, not its memory, must hold what its workers ask for."""

    def texts(self) -> Path:
        return here.fetched(str(self.file.relative_to(here.root())))

    def give(self, beside: Path, name: str) -> None:
        storage = self._storage()
        for file in sorted(beside.iterdir(), key=lambda one: one.name == TOLD):  # the last one makes it whole
            storage.put(file, f"{name}/{file.name}")
        storage.write(f"{name}/{WHOLE}", b"")
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
        super().clear()
        for last in (False, False, True):  # the run folder may just be put there, with what an earlier attempt left
            try:
                return self._storage().remove("")
            except PipelineError:
                if last:
                    raise
                time.sleep(1)

    def _storage(self) -> Storage:
        run = self.folder.parent.relative_to(here.root())
        return Storage(f"{os.environ[here.HOME]}/{run}/{self.folder.name.lstrip('.')}")
