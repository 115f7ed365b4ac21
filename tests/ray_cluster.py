"""A real Ray cluster of two nodes (raylets) on this machine, for tests: begun once a session, gone at its end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

STORE_BYTES = "100000000"
PATIENCE_SECONDS, TRIES = 120.0, 3
OURS, NODE = "TUNEWRIGHT_TEST_CLUSTER", "TUNEWRIGHT_TEST_NODE"
"""In the environment of every process: its cluster, and the number of its node."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0", "RAY_health_check_period_ms": "1000",
         "RAY_health_check_timeout_ms": "3000", "RAY_health_check_failure_threshold": "4"}
"""Ray's memory monitor looks at the whole machine, on which other tests run too. A dead node is known after 5 s, not 20."""


class RayCluster:
    """`address` is that of the job API, `nodes` are the pids of the raylets (the head's first), `storage` a folder both see."""

    def __init__(self, home: Path, cpus: tuple[float, float] = (1, 2)) -> None:
        self.home, self.storage = home, home / "storage"
        self.storage.mkdir(parents=True)
        self.temp = Path(tempfile.mkdtemp(prefix="tr", dir="/tmp"))  # short: the path of a socket has an end
        self.nodes: list[int] = []
        self._started = 0
        self.gcs_port, self.web_port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.web_port}"
        try:
            self.start_head(cpus[0])
            self.add_worker_node(cpus[1])
        except BaseException:
            self.stop()
            raise

    def start_head(self, cpus: float = 1) -> None:
        self._start(["--head", f"--port={self.gcs_port}", f"--temp-dir={self.temp}", f"--ray-client-server-port={free_port()}",
                     "--dashboard-host=127.0.0.1", f"--dashboard-port={self.web_port}", "--include-dashboard=true"], cpus)
        self._wait(self._answers)

    def add_worker_node(self, cpus: float = 2, environment: Mapping[str, str] | None = None) -> int:
        """One more node; returns its raylet's pid."""
        return self._start([f"--address=127.0.0.1:{self.gcs_port}"], cpus, environment)

    def kill_worker_node(self, pid: int | None = None) -> None:
        """kill -9 of a raylet (the newest worker node's) and of what runs on the node."""
        pid = pid or self.nodes[-1]
        assert pid != self.nodes[0], "that is the head"
        self._kill(pid)

    def kill_head(self) -> None:
        """kill -9 of everything on the head: its raylet, the GCS, the dashboard and with it the job API."""
        self._kill(self.nodes[0])

    def stop(self) -> None:
        for process in list(self.processes()):
            with suppress(psutil.Error):
                process.kill()
        self._wait(lambda: not list(self.processes()))
        shutil.rmtree(self.temp, ignore_errors=True)

    def nodes_alive(self) -> int:
        from ray.util.state import list_nodes

        return sum(node.state == "ALIVE" for node in list_nodes(address=self.address))

    def _start(self, options: list[str], cpus: float, environment: Mapping[str, str] | None = None) -> int:
        """Begin a node; on a machine that is very busy the first try may be given up by Ray itself."""
        here = Path(sys.executable).parent
        env = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "PYTEST_", "TUNEWRIGHT_"))}
        for _ in range(TRIES):
            self._started += 1
            env |= QUIET | {OURS: str(self.temp), NODE: str(self._started)}
            env |= {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}"} | dict(environment or {})
            done = subprocess.run(
                [here / "ray", "start", *options, f"--num-cpus={cpus:g}", "--num-gpus=0",
                 f"--object-store-memory={STORE_BYTES}", "--node-ip-address=127.0.0.1",
                 "--disable-usage-stats", "--min-worker-port=0", "--max-worker-port=0",
                 *(f"--{name}-port={free_port()}" for name in ("dashboard-agent-listen", "dashboard-agent-grpc",
                                                               "runtime-env-agent", "metrics-export"))],
                env=env, cwd="/", capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
            if done.returncode == 0:
                break
            self._kill_all_of(str(self._started))
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        new = [one.pid for one in self.processes() if one.name() == "raylet" and one.pid not in self.nodes]
        self.nodes += new
        return new[0]

    def _kill_all_of(self, node: str) -> None:
        for process in list(self.processes()):
            with suppress(psutil.Error):
                if process.environ().get(NODE) == node:  # Ray's workers are nobody's children
                    process.kill()

    def _kill(self, pid: int) -> None:
        node = psutil.Process(pid).environ()[NODE]
        os.kill(pid, signal.SIGKILL)
        self._kill_all_of(node)
        self.nodes.remove(pid)
        self._wait(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)

    def processes(self) -> Iterator[psutil.Process]:
        """Everything that belongs to this cluster: its folder stands in the command line or the environment."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and (f"{self.temp}/" in " ".join([*process.cmdline(), ""])
                                                   or process.environ().get(OURS) == str(self.temp)):
                    yield from (process, *process.children(recursive=True))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/api/version", timeout=2) as said:
                return bool(said.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            assert time.monotonic() < deadline, "the cluster did not come to it in time"
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A head with one CPU and a worker node with two. A test that kills a node adds another."""
    pytest.importorskip("ray")
    cluster = RayCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster
    finally:
        cluster.stop()
