"""Runs on a Ray cluster beside the same runs here: what going elsewhere costs, what a second worker gives, what differs.

    python -m benchmarks.cluster [--rows 10000,100000,1000000] [--only twins,overhead,training]

The cluster is two raylets of this machine with a processor each, so two workers have what the local search has with its two
processes, and Ray's own processes come on top. Each search is everything from the start of the run's process to its result: for
Ray the texts put on the storage, a job submitted, the tables brought home. Both search the same generated tickets (`twins`), a
tenth of them planted twins. Writes `cluster.*` into results.json when everything was asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import record, twins
from pipeline import rundir, spec_place
from pipeline.rundir import Result
from pipeline.spec_place import Place
from pipeline.specs import DedupeSpec, dumps
from tests.ray_cluster import RayCluster

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("twins", "overhead", "training")
ROWS = (10_000, 100_000, 1_000_000)
TINY, ROUNDS = 10, 3
GROUP = 16_384


@dataclass
class Search:
    """One run: seconds from the start of its process to its result, and the most memory that was held, in MiB."""

    where: str
    rows: int
    folder: Path
    seconds: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
    leader: float = 0.0
    worker: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    given = parser.parse_args()
    wanted, sizes = given.only.split(","), tuple(map(int, given.rows.split(",")))
    figures: dict[str, float] = {}
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        if {"twins", "overhead"} & set(wanted):
            cluster = RayCluster(Path(home) / "cluster", (1, 1))
            try:
                if "twins" in wanted:
                    many(Path(home), cluster, sizes, figures, lines)
                if "overhead" in wanted:
                    overhead(Path(home), cluster, figures, lines)
            finally:
                cluster.stop()
    if "training" in wanted:
        training(figures, lines)
    print("\n".join(lines))
    print(json.dumps(figures, indent=1))
    if set(wanted) == set(PARTS) and sizes == ROWS:
        record.keep(figures)
        record.table("cluster", "On a Ray cluster", lines)


def many(home: Path, cluster: RayCluster, sizes: tuple[int, ...], figures: dict[str, float], lines: list[str]) -> None:
    """The same tickets searched here, and elsewhere by one and by two workers."""
    found = [search for rows in sizes for search in each_way(home, cluster, rows)]
    differ = sum(difference(local, other) for at in range(0, len(found), 3) for local in [found[at]]
                 for other in found[at + 1 : at + 3])
    one, two = found[-2:]
    figures |= {"cluster.pairs_differ": differ, "cluster.speedup_2": round(one.seconds / two.seconds, 2)}
    lines += [
        "Searches for duplicates among generated tickets of about 60 words. Memory is what a process held of its own (not "
        "pages of files, which can be given back); the driver is the job's first process, or here the run's.", "",
        "| tickets | where | seconds, all | search alone | against here | copies + pairs | driver MiB | largest worker MiB |",
        "|---:|---|---:|---:|---:|---:|---:|---:|"]
    for place, search in enumerate(found):
        local = found[place - place % 3]
        lines.append(f"| {search.rows:,} | {search.where} | {search.seconds:.1f} | {search.told['seconds']:.1f} | "
                     f"{search.seconds / local.seconds:.2f} × | {search.told['copies']:,} + {search.told['near_pairs']:,} | "
                     f"{search.leader:.0f} | {search.worker:.0f} |")
    lines += ["", f"Rows of the two tables that differ from the local search's: {differ}. At {sizes[-1]:,} tickets two "
              f"workers take {two.seconds:.1f} s, one {one.seconds:.1f} s: {one.seconds / two.seconds:.2f} times as fast."]


def overhead(home: Path, cluster: RayCluster, figures: dict[str, float], lines: list[str]) -> None:
    """A search of ten tickets here and elsewhere, in turns; the round whose difference is the middle one."""
    rounds = [each_way(home, cluster, TINY, f"-{number}") for number in range(ROUNDS)]
    here, _, there = sorted(rounds, key=lambda one: one[2].seconds - one[0].seconds)[ROUNDS // 2]
    figures["cluster.overhead_s"] = round(there.seconds - here.seconds, 1)
    lines += ["", f"A search of {TINY} tickets: {here.seconds:.1f} s here, {there.seconds:.1f} s elsewhere: going there and "
              f"back costs {there.seconds - here.seconds:.1f} s."]


def training(figures: dict[str, float], lines: list[str]) -> None:
    from benchmarks.cluster_training import loss_gap

    gap = loss_gap()
    figures["cluster.loss_gap"] = float(f"{gap:.2g}")
    lines += ["", f"Training by two workers through Ray Train against one process, the same steps: of any loss, the two differ "
              f"by at most {gap:.2g} of it."]


def each_way(home: Path, cluster: RayCluster, rows: int, name: str = "") -> list[Search]:
    """Here; elsewhere by one worker; by two."""
    texts = texts_of(home, rows)
    made = []
    for where, workers in (("this machine, two processes", 0), ("Ray, one worker", 1), ("Ray, two workers", 2)):
        run_id = f"n{rows}-{workers}{name}"
        spec = DedupeSpec(run_id=run_id, records=rows, side="question")
        folder = home / "runs" / run_id
        rundir.prepare(folder, dumps(spec))
        os.link(texts, folder / "texts.parquet")
        if workers:
            storage = str(home / "storage")
            spec_place.write(folder, Place(cluster="bench", address=cluster.address, storage=storage, workers=workers))
        made.append(timed(Search(where, rows, folder), home))
        print(f"{rows:,} {where}: {made[-1].seconds:.2f} s, {made[-1].told}", file=sys.stderr)
    return made


def texts_of(home: Path, rows: int) -> Path:
    path = home / f"{rows}.parquet"
    if not path.exists():
        schema = pa.schema({"record_id": pa.string(), "text": pa.string(), "other": pa.string()})
        said = enumerate(twins.tickets(rows))
        with pq.ParquetWriter(path, schema) as file:
            while group := list(islice(said, GROUP)):
                file.write_table(pa.table({
                    "record_id": [f"{number:012x}" for number, _ in group], "text": [text for _, text in group],
                    "other": [twins.ANSWERS[number % len(twins.ANSWERS)] for number, _ in group]}, schema))
    return path


def timed(search: Search, home: Path) -> Search:
    """Run it in its process, as the app does."""
    began = time.perf_counter()
    rundir.note_launch(search.folder, time.time())
    with (search.folder / "log.txt").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "pipeline", str(search.folder), "--workspace", str(home)],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
                                   env=os.environ | {"PYTHONPATH": str(ROOT)})
    with Watched(process.pid) as watched:
        process.wait()
    search.seconds = time.perf_counter() - began
    ended: Result | None = rundir.result(search.folder)
    if ended is None or ended.outcome != "done":
        raise SystemExit(f"{search.where}: {ended}\n{rundir.log_tail(search.folder)}")
    search.told, search.leader, search.worker = ended.data, watched.leader, watched.worker
    return search


def difference(local: Search, other: Search) -> int:
    """Rows of the two tables that are in one of them only."""
    count = 0
    for name in ("copies.parquet", "pairs.parquet"):
        one, two = ({tuple(row.values()) for row in pq.read_table(search.folder / name).to_pylist()}
                    for search in (local, other))
        count += len(one ^ two)
    return count


class Watched:
    """The most memory of their own that the process that leads a search and the largest of its workers held, in MiB."""

    def __init__(self, pid: int) -> None:
        self.pid, self.leader, self.worker = pid, 0.0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            jobs = [one for one in psutil.process_iter(["name", "cmdline"]) if one.pid != self.pid]
            drivers = [one.pid for one in jobs if "pipeline.cluster.job" in (one.info["cmdline"] or [])]
            workers = [one.pid for one in jobs if (one.info["name"] or "").startswith("ray::")]
            if not drivers:
                drivers, workers = [self.pid], [one.pid for one in _children(self.pid)]
            self.leader = max([self.leader, *map(_own_mib, drivers)])
            self.worker = max([self.worker, *map(_own_mib, workers)])


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _own_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    kept = ("Pss_Anon:", "Pss_Shmem:")
    return sum(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(kept))


if __name__ == "__main__":
    main()
