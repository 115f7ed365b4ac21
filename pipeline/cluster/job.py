"""`python -m pipeline.cluster.job HOME RUN_ID`: a run's job on the cluster, from its spec to its result.

HOME is the run's small workspace on the storage. A folder is worked in where it lies; of a URL this node has a copy of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from pipeline.cluster import here

NOT_BEGUN, REPLACED = 3, 4
LOOK_SECONDS = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.cluster.job")
    parser.add_argument("home")
    parser.add_argument("run_id")
    parser.add_argument("--job", type=int, default=0, help="which job of the run this is")
    parser.add_argument("--python", default="")
    parser.add_argument("--ray", default="")
    given = parser.parse_args()
    if differs := _differs(given.python, given.ray):
        from pipeline.cluster.jobs import CANNOT

        print(f"{CANNOT}{differs}", flush=True)
        return NOT_BEGUN
    os.environ[here.HOME] = given.home
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return _run(given.home, given.run_id, given.job)


def _differs(python: str, ray: str) -> str:
    """What is another version here than where the run was started: a sentence, a tab, what to do; empty where nothing is."""
    place = here.current()
    where = f"The node {os.uname().nodename} of {place.cluster if place else 'the cluster'}"
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if python and python != own:
        return f"{where} has Python {own}, the studio {python}.\tStart Ray there from an environment with Python {python}."
    from importlib.metadata import PackageNotFoundError, version

    try:
        theirs = version("ray")
    except PackageNotFoundError:
        return f"{where} has no Ray where `python` is.\tStart Ray there from the environment that it is installed in."
    if ray and theirs.split(".")[:2] != ray.split(".")[:2]:
        return f"{where} has Ray {theirs}, the studio Ray {ray}.\tInstall ray=={ray} there."
    return ""


def _run(home: str, run_id: str, number: int) -> int:
    from pipeline import rundir
    from pipeline.__main__ import compute, ended
    from pipeline.rundir import Child

    root = here.root()
    folder = root / "runs" / run_id
    with ExitStack() as stack:
        if "://" in home:
            from pipeline.cluster.copied import Copied

            stack.enter_context(Copied(home, root, run_id))
        _end_when_replaced(home, run_id, number)
        _log_into(folder / rundir.JOB_LOG)
        _point_outside(folder / "spec.json", root)
        child = stack.enter_context(Child(folder))
        signal.signal(signal.SIGTERM, lambda *_: rundir.ask_to_stop(folder))
        os.chdir(root)
        return ended(child, lambda: compute(child, root, takes_turns=False))


def _log_into(path: Path) -> None:
    """What this process and its children print is the run's log."""
    sys.stdout.flush()
    with path.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _end_when_replaced(home: str, run_id: str, number: int) -> None:
    """A node that lost sight of its cluster is given up, and another one does the run: two must not write."""
    from pipeline.cluster.storage import Storage
    from pipeline.errors import PipelineError

    storage = Storage(home)

    def look() -> None:
        with suppress(PipelineError):  # where the storage is away for a moment, the next look sees
            said = storage.read(f"runs/{run_id}/launch.json")
            if said and json.loads(said).get("job", number) > number:
                os._exit(REPLACED)

    def look_again() -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            look()

    look()
    threading.Thread(target=look_again, daemon=True).start()


def _point_outside(path: Path, root: Path) -> None:
    """Files that lay outside the workspace were brought along; only here is it known where they are."""
    from pipeline.cluster.needs import OUTSIDE
    from pipeline.rundir import write_atomic

    said = path.read_text(encoding="utf-8")
    if f'"{OUTSIDE}/' in said:
        write_atomic(path, said.replace(f'"{OUTSIDE}/', f'"{root}/{OUTSIDE}/'))


if __name__ == "__main__":
    sys.exit(main())
