"""What the steps of a sharded search hand to each other: arrays in folders that every worker sees, each whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Told = dict[str, Any]
TOLD = "told.json"


@dataclass(frozen=True)
class Shelf:
    """One folder a job: `part-000007/{told.json, hashes.npy, …}`, written beside and renamed in. `file` is texts.parquet.

    Arrays are mapped, not read: of a file larger than memory only the pages that are asked for come in, and they can be given
    back at any time.
    """

    folder: Path
    file: Path

    def texts(self) -> Path:
        """The texts as this machine sees them."""
        return self.file

    def keep(self, name: str, told: Told, arrays: Mapping[str, np.ndarray | pa.Table]) -> Told:
        beside = self.folder / f".{name}.{uuid.uuid4().hex}.tmp"
        beside.mkdir(parents=True)
        for key, array in arrays.items():
            if isinstance(array, pa.Table):
                pq.write_table(array, beside / f"{key}.parquet", compression="snappy")
            else:
                np.save(beside / f"{key}.npy", array, allow_pickle=False)
        (beside / TOLD).write_text(json.dumps(told))
        self.give(beside, name)
        return told

    def give(self, beside: Path, name: str) -> None:
        """Put a written folder in its place. Who comes second (a job was begun twice) throws its own away: it is the same."""
        try:
            os.rename(beside, self.folder / name)
        except OSError:
            if not (self.folder / name).is_dir():
                raise
            shutil.rmtree(beside)

    def at(self, name: str) -> Path:
        return self.folder / name

    def names(self) -> set[str]:
        """What is there. Listed, not asked for one by one: network file systems remember for long that a name was missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return {entry.name for entry in os.scandir(self.folder) if not entry.name.startswith(".")}

    def told(self, name: str) -> Told:
        found: Told = json.loads((self.at(name) / TOLD).read_text())
        return found

    def load(self, name: str, key: str) -> np.ndarray:
        found: np.ndarray = np.load(self.at(name) / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        return found.view(np.ndarray)

    def table(self, name: str, key: str) -> pa.Table:
        return pq.read_table(self.at(name) / f"{key}.parquet")

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
