"""What goes to the storage before a job, what comes home while it works and at its end, and what is deleted there then."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline import base_models, rundir, spec_place, specs
from pipeline.cluster import needs
from pipeline.cluster.remote import Remote
from pipeline.cluster.storage import Stamp, Storage
from pipeline.cluster.units import WHOLE, units
from pipeline.spec_place import PLACE, Place

PUT = ".put.json"
OWN = {"spec.json", PLACE, "launch.json", "stop", "alive.lock", "log.txt", "status.json", "result.json", "remote.json"}
"""Files that are written on each side by itself, or by the ferry alone."""
GROWING = {"events.jsonl", "outputs.jsonl", "samples.jsonl", "judgements.jsonl", "pieces.jsonl", "examples.jsonl",
           "calls.jsonl", rundir.JOB_LOG}
"""Files to which the job only adds lines."""
LINES_ARE_NO_PROGRESS = {"status.json", "events.jsonl", "samples.jsonl", "launch.json", "alive.lock", "stop", rundir.JOB_LOG}
CLEAN_SECONDS = 1.0


class Cargo:
    """The copies of one run on the storage, in the workspace's folder there: runs/<id>/, models/…, snapshots/…."""

    def __init__(self, folder: Path, workspace: Path, place: Place, remote: Remote) -> None:
        self.folder, self.workspace, self.remote = folder, workspace, remote
        self.run = f"runs/{folder.name}"
        self.home = spec_place.workspace_id(workspace)
        self.url = f"{place.storage}/{self.home}"
        self.storage = Storage(self.url)
        self.place = place
        self._seen: dict[str, Stamp] = {}
        self._lock = FileLock(workspace / "runs" / "storage.lock")

    def put(self, attempt: int, job: int, say: Callable[[str], None]) -> None:
        """Bring there what the run reads and has; what a job of it has written there already is newer, and stays."""
        spec_place.note_storage(self.workspace, self.place.storage)
        spec = specs.read(self.folder)
        self._make_bases_ready(spec, say)
        with self._lock:
            self.remote.begin()
            there = self.storage.files(self.run)
            self._put_run_folder(there)
            self._put_needs(needs.of(spec, self.workspace), say)
            self.storage.write(f"{self.run}/spec.json", needs.told(spec, self.workspace).encode())
            self.storage.remove(f"{self.run}/stop")
            self.storage.write(f"{self.run}/launch.json", json.dumps(
                {"attempt": attempt, "at": time.time(), "job": job}).encode())

    def ask_to_stop(self) -> None:
        self.storage.write(f"{self.run}/stop", b"")

    def is_asked_to_stop(self) -> bool:
        return self.storage.stamp(f"{self.run}/stop") is not None

    def result(self, attempt: int) -> rundir.Result | None:
        """How the job of this attempt ended, by its own word."""
        said = self.storage.read(f"{self.run}/result.json")
        ended = rundir.Result(**json.loads(said)) if said else None
        return ended if ended and ended.attempt >= attempt else None

    def note(self, row: dict[str, Any]) -> None:
        """Add a line to the run's events while no job writes them: it comes home with the others."""
        name = f"{self.run}/events.jsonl"
        before = self.storage.read(name) or b""
        self.storage.write(name, before[: before.rfind(b"\n") + 1] + json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def mirror(self, all_files: bool = False) -> None:
        """Bring home what is new: the status and whole lines of files that grow; at the end all others, as they are."""
        for name, stamp in self.storage.files_in(self.run).items():
            if self._seen.get(name) == stamp or name.startswith(".") or name in self.remote.inputs:
                continue
            if name in GROWING:
                self._follow(name, stamp.size)
            elif name == "status.json" or (all_files and name not in OWN):
                self.storage.get(f"{self.run}/{name}", self.folder / name)
            else:
                continue
            self._seen[name] = stamp

    def fetch_folders(self, until: float) -> bool:
        """Bring checkpoints, the adapter and other folders home, and what the run exported; whether all are here by then."""
        pairs = [(f"{self.run}/{name}", self.folder / name) for name in self.storage.folders_in(self.run)]
        pairs.append((f"exports/{self.folder.name}", self.workspace / "exports" / self.folder.name))
        for relative, local in pairs:
            inner = self.storage.folders_in(relative)
            units = [(f"{relative}/{name}", local / name) for name in inner]
            if self.storage.files_in(relative) or not inner:
                units = [(relative, local)]
            for source, target in units:
                if time.monotonic() > until:
                    return False
                self._fetch_folder(source, target)
            kept = {target.name for _, target in units}
            if units != [(relative, local)] and local.is_dir():
                for gone in [one for one in local.iterdir() if one.is_dir() and one.name not in kept]:
                    shutil.rmtree(gone)
        return True

    def progress(self) -> dict[str, int]:
        """What tells that a job got further: its lines of answers, its checkpoints, its parts."""
        return {name: stamp.size for name, stamp in self.storage.files(self.run).items()
                if name not in LINES_ARE_NO_PROGRESS and not name.startswith(".")}

    def clean(self) -> bool:
        """Delete the run's copies there, and, where no other run of this workspace is under way, everything but base models;
        whether it could be done at once."""
        try:
            with self._lock.acquire(timeout=CLEAN_SECONDS):
                self.storage.remove(self.run)
                others = [name for name in self.storage.names("runs") if _under_way(self.workspace / "runs" / name)]
                if not others:
                    for name in self.storage.names(""):
                        if name not in ("models", PUT):
                            self.storage.remove(name)
                self.remote.clean()
                return True
        except Timeout:
            return False

    def _make_bases_ready(self, spec: specs.AnySpec, say: Callable[[str], None]) -> None:
        """Base models that are made from files of this machine are made here; one of a hub is fetched by the cluster."""
        for base in needs.bases(spec):
            if base.kind in ("starter", "gguf"):
                base_models.prepare(base, self.workspace, say)

    def _put_run_folder(self, there: dict[str, Stamp]) -> None:
        """What the app wrote goes there as it is now; what jobs wrote and brought home only where it is gone from there."""
        inputs, first = self.remote.inputs, self.remote.submitted == 0
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if not path.is_file() or name in OWN or name.startswith(".") or "/." in name:
                continue
            if (ours := first or name in inputs) and inputs.get(name) == _said(path) and name in there:
                continue
            if ours or name not in there:
                self.storage.put(path, f"{self.run}/{name}")
            if ours:
                inputs[name] = _said(path)
        if not self.storage.is_folder:
            for unit in units(self.folder):
                self.storage.write(f"{self.run}/{unit.relative_to(self.folder).as_posix()}/{WHOLE}", b"")
        self.remote.put(inputs)

    def _put_needs(self, wanted: list[needs.Need], say: Callable[[str], None]) -> None:
        known = json.loads(self.storage.read(PUT) or b"{}")
        pairs = [(path, f"{need.relative}/{path.relative_to(need.path).as_posix()}" if need.path.is_dir() else need.relative)
                 for need in wanted for path in ([p for p in sorted(need.path.rglob("*")) if p.is_file()]
                                                 if need.path.is_dir() else [need.path])]
        missing = [(path, name) for path, name in pairs
                   if known.get(name) != _said(path) or self.storage.stamp(name) is None]
        for done, (path, name) in enumerate(missing):
            say(f"Putting {path.name} on the storage ({done + 1} of {len(missing)})")
            self.storage.put(path, name)
            known[name] = _said(path)
            self.storage.write(PUT, json.dumps(known).encode())

    def _follow(self, name: str, size: int) -> None:
        """Add what a growing file got; one that is shorter than ours was written anew."""
        path = self.folder / name
        have = path.stat().st_size if path.exists() else 0
        if size < have:
            path.unlink()
            have = 0
        new = self.storage.read(f"{self.run}/{name}", have) or b""
        if whole := new[: new.rfind(b"\n") + 1]:
            with path.open("ab") as file:
                file.write(whole)

    def _fetch_folder(self, relative: str, local: Path) -> None:
        files = self.storage.files(relative)
        if not self.storage.is_folder and WHOLE not in files:
            return
        names = {name: stamp for name, stamp in files.items() if name != WHOLE and not any(
            part.startswith(".") for part in name.split("/")[:-1])}
        if local.is_dir() and {p.relative_to(local).as_posix(): p.stat().st_size for p in local.rglob("*") if p.is_file()} == {
                name: stamp.size for name, stamp in names.items()}:
            return
        beside = local.with_name(f".{local.name}.coming")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name in names:
            self.storage.get(f"{relative}/{name}", beside / name)
        shutil.rmtree(local, ignore_errors=True)
        os.rename(beside, local)


def _under_way(folder: Path) -> bool:
    """Whether a run has not ended: it moves, or its ferry was killed and may go on. One that is not known here may be that of
    a restored copy of this workspace, which has the same name on storages."""
    return not folder.is_dir() or rundir.is_alive(folder) or (rundir.launched(folder)[0] > 0 and rundir.result(folder) is None)


def _said(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size}:{found.st_mtime_ns}"
