"""Several processes that train one adapter: each computes some rows of every step, and their slopes are summed.

The base is whole in each of them. Only the flat slopes travel, once a step, so the result is that of one process but for the
order of a sum. The run's own process is the first; it starts the others, and alone writes into the run folder.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from pipeline.errors import PipelineError
from pipeline.launch import RANK
from pipeline.rundir import Child, Outcome

Part = TypeVar("Part")
PATIENCE = timedelta(minutes=30)
PARTING_SECONDS = 20.0
PORT = "TUNEWRIGHT_PORT"
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


@dataclass(frozen=True)
class World:
    """How many processes there are, and which this one is (0 writes). `beside` are those on this machine, itself among them (0:
    all); `cores` is how many processor cores this one may use (0: its part of the machine's)."""

    size: int = 1
    rank: int = 0
    beside: int = 0
    cores: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def threads(self) -> int:
        return self.cores or max(1, (os.cpu_count() or 1) // self.here)

    @property
    def here(self) -> int:
        """How many of them share this machine."""
        return self.beside or self.size

    def mine(self, parts: Sequence[Part]) -> list[Part]:
        """Every `size`-th part, the next processes having the next ones."""
        return list(parts[self.rank :: self.size])

    def alike(self, parts: Sequence[Part]) -> list[Part | None]:
        """`mine`, filled up with None, so that each process has equally many."""
        mine: list[Part | None] = [*self.mine(parts)]
        return mine + [None] * (-(-len(parts) // self.size) - len(mine))

    def exchange(self, slopes: Tensor, loss: Tensor) -> None:
        """Sum both over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(slopes)
            dist.all_reduce(loss)

    def any(self, here: bool) -> bool:
        """Whether it is so in any process: what one sees (a stop, too little memory) all must act on in the same step."""
        return bool(self.sum([float(here)])[0])

    def sum(self, numbers: Sequence[float]) -> list[float]:
        if self.size == 1:
            return list(numbers)
        where = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
        total = torch.tensor(numbers, dtype=torch.float64, device=where)
        dist.all_reduce(total)
        return [float(number) for number in total]


@contextmanager
def world(processes: int, child: Child, workspace: Path) -> Iterator[World]:
    """All processes of a run, for as long as it lasts. Raises PipelineError when there are not as many GPUs."""
    if processes == 1:
        yield World()
        return
    rank = int(os.environ.get(RANK, "0"))
    others: list[subprocess.Popen[bytes]] = []
    over = threading.Event()
    if rank == 0:
        if torch.cuda.is_available() and torch.cuda.device_count() < processes:
            raise PipelineError(f"{processes} GPUs were asked for, and this machine has {torch.cuda.device_count()}.",
                                "Start again with fewer processes.")
        os.environ[PORT] = str(_free_port())
        others = [_start(number, child.folder, workspace) for number in range(1, processes)]
        for other in others:
            threading.Thread(target=_watch, args=(other, child, over), daemon=True).start()
    card = None
    if torch.cuda.is_available():
        card = torch.device("cuda", rank)
        torch.cuda.set_device(card)
    dist.init_process_group("nccl" if card else "gloo", rank=rank, world_size=processes, timeout=PATIENCE, device_id=card,
                            init_method=f"tcp://127.0.0.1:{os.environ[PORT]}")
    try:
        yield World(processes, rank)
        dist.destroy_process_group()  # all of them together: NCCL waits for everybody here, so before anybody waits for another
    finally:
        over.set()
        for other in others:
            _leave(other)


def _leave(other: subprocess.Popen[bytes]) -> None:
    """Wait for its end; one that waits for a process that broke would never come to it."""
    try:
        other.wait(PARTING_SECONDS)
    except subprocess.TimeoutExpired:
        other.kill()
        other.wait()


class Silent(Child):
    """What the other processes have of the run folder: they read it, and the first one writes."""

    def __enter__(self) -> Silent:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)  # (Linux) not one of them outlives the run
        return self

    def say(self, phase: str, done: int = 0, total: int = 0, unit: str = "", sentence: str = "") -> None:
        pass

    def finish(self, outcome: Outcome, message: str, hint: str = "", data: dict[str, Any] | None = None) -> None:
        pass

    def _append(self, name: str, row: dict[str, Any]) -> None:
        pass


def _watch(other: subprocess.Popen[bytes], child: Child, over: threading.Event) -> None:
    """End the run when one of its processes dies before it: the others would wait for its part for ever."""
    if other.wait() and not over.is_set():
        child.finish("failed", "One of the processes that trained together broke.",
                     "The end of the log says where. Resume goes on from the last checkpoint.")
        os._exit(1)


def _start(rank: int, run_dir: Path, workspace: Path) -> subprocess.Popen[bytes]:
    """Another process on the same spec; it dies with the one that started it."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", str(run_dir), "--workspace", str(workspace)], stdin=subprocess.DEVNULL,
        env=os.environ | {RANK: str(rank)})


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
