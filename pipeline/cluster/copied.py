"""A job whose storage is a URL: it works in this node's own copy of the small workspace, which goes to the URL as it grows."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from pipeline import rundir, specs
from pipeline.cluster import here, needs, room
from pipeline.cluster.storage import Storage
from pipeline.cluster.units import WHOLE, units

LOOK_SECONDS, CLEAR_SECONDS = 1.0, 20.0
REST = 4
"""A pass that took long is followed by a rest so many times as long: a file that grows is put whole each time."""
NOT_FETCHED = ("status.json", "alive.lock", "result.json", "stop")
NOT_PUT = ("spec.json", "launch.json", "alive.lock", "stop")


class Copied:
    """Use as a context manager around the work: fetched before, mirrored meanwhile, whole at the URL after it.

    Files are put one by one; a folder counts once its `_whole` is there. The result is put last.
    """

    def __init__(self, url: str, root: Path, run_id: str) -> None:
        self.storage, self.root, self.run = Storage(url), root, f"runs/{run_id}"
        self.folder = root / self.run
        self.exports = f"exports/{run_id}"
        self._seen: dict[str, tuple[int, int]] = {}
        self._on_nodes = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, daemon=True)

    def __enter__(self) -> Copied:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in self.storage.files(self.run):
            top, _, _ = name.rpartition("/")
            if name in NOT_FETCHED or name.rsplit("/", 1)[-1] == WHOLE or (top and not self._is_whole(f"{self.run}/{top}")):
                continue
            self.storage.get(f"{self.run}/{name}", self.folder / name)
            self._note(f"{self.run}/{name}")
        spec = specs.read(self.folder)
        self._on_nodes = here.spread(spec.kind) is not None
        for need in needs.named(spec, self.root):
            self.storage.fetch_once(need.relative, self.root / need.relative)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._put_new()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.root / self.exports, ignore_errors=True)
        if not any((self.root / "runs").iterdir()):
            for name in ("snapshots", "runs", needs.OUTSIDE):
                shutil.rmtree(self.root / name, ignore_errors=True)
        if self._on_nodes:
            self._clear_nodes()

    def _clear_nodes(self) -> None:
        """What workers fetched holds texts: it goes from every node. Where one cannot be reached, with the next run's end."""
        try:
            clear_nodes(self.storage, self.run.rpartition("/")[2])
        except Exception as error:  # whatever Ray says: the run itself is done, and its result is there
            print(f"Copies on nodes could not all be deleted ({type(error).__name__}).", flush=True)

    def _is_whole(self, relative: str) -> bool:
        """A folder's own `_whole`, or that of the one it lies in."""
        while relative != self.run:
            if self.storage.stamp(f"{relative}/{WHOLE}"):
                return True
            relative = relative.rpartition("/")[0]
        return False

    def _keep_up(self) -> None:
        rest = LOOK_SECONDS
        while not self._over.wait(rest):
            began = time.monotonic()
            try:
                if self.storage.stamp(f"{self.run}/stop"):
                    rundir.ask_to_stop(self.folder)
                self._put_new()
            except Exception as error:  # the storage is away for a while: the next look tries again
                print(f"The storage cannot be written to now ({type(error).__name__}).", flush=True)
            rest = max(LOOK_SECONDS, REST * (time.monotonic() - began))

    def _put_new(self) -> None:
        over = (self.folder / "result.json").exists()  # looked at first: what is put after it belongs to it
        for relative in (self.run, self.exports):
            for unit in units(self.root / relative):
                self._put_unit(unit)
        files = [path for path in sorted(self.folder.iterdir()) if path.is_file() and not path.name.startswith(".")
                 and path.name not in NOT_PUT]
        for path in sorted(files, key=lambda path: path.name == "result.json"):
            name = path.relative_to(self.root).as_posix()
            before = self._seen.get(name)
            if (path.name != "result.json" or over) and self._note(name) != before:
                self.storage.put(path, name)
        for name in [name for name in self._seen if not (self.root / name).exists()]:
            self.storage.remove(name)
            del self._seen[name]

    def _put_unit(self, unit: Path) -> None:
        name = unit.relative_to(self.root).as_posix()
        inside = [path for path in sorted(unit.rglob("*")) if path.is_file()]
        changed = [path for path in inside if self._seen.get(path.relative_to(self.root).as_posix()) != _stamp(path)]
        if not changed and name in self._seen:
            return
        self.storage.remove(f"{name}/{WHOLE}")
        for path in changed:
            self.storage.put(path, path.relative_to(self.root).as_posix())
            self._note(path.relative_to(self.root).as_posix())
        self.storage.write(f"{name}/{WHOLE}", b"")
        self._seen[name] = (0, 0)

    def _note(self, name: str) -> tuple[int, int]:
        self._seen[name] = _stamp(self.root / name)
        return self._seen[name]


def clear_nodes(storage: Storage, run_id: str) -> None:
    """Delete what every node has of the small workspace but base models; of this run alone, where others are under way."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    others = bool(set(storage.names("runs")) - {run_id})
    with room.joined():
        task = ray.remote(num_cpus=0, max_retries=0)(here.clear)
        cleared = [task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            storage.url, run_id, others) for node in room.nodes()]
        ray.wait(cleared, num_returns=len(cleared), timeout=CLEAR_SECONDS)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
