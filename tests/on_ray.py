"""An engine as the driver of a Ray cluster's job, in this process: where its run is, and how its workers die."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from pipeline.cluster import here
from pipeline.spec_place import Place
from tests.ray_cluster import RayCluster

PATIENCE_SECONDS = 300.0


@contextmanager
def job(cluster: RayCluster, home: Path, storage: str = "", workers: int = 2) -> Iterator[None]:
    """Inside, this process is a job on the cluster, with `home` as its small workspace. All round alike: in float32."""
    import ray

    place = Place(cluster="The farm", address=cluster.address, storage=storage or str(home), workers=workers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(here.PLACE, place.model_dump_json())
        patch.setenv(here.HOME, storage or str(home))
        patch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")  # without it some processors find bfloat16 the quicker one
        ray.init(f"127.0.0.1:{cluster.gcs_port}", log_to_driver=False)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def killing(cluster: RayCluster, named: str, when: Callable[[], bool]) -> Iterator[list[int]]:
    """Inside, as soon as it is so, one worker of the cluster gets a kill -9; yields the pids of those killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not when():
            if over.wait(0.02):
                return
        killed.append(workers(cluster, named)[0])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def workers(cluster: RayCluster, named: str) -> list[int]:
    """The processes of Ray's workers of that name."""
    found = []
    for process in cluster.processes():
        with suppress(psutil.Error):
            found += [process.pid] if named in " ".join(process.cmdline()) else []
    return found


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
