"""What this machine has for training: its device, the memory that is free, and how fast matrix products are on it."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

MEASURE_SECONDS = 1.0
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """`memory` and `free` in bytes: the graphics card's, else the computer's. `compute` is the type it computes in."""

    device: Literal["cuda", "cpu"]
    name: str
    memory: int
    free: int
    cores: int
    compute: str

    @property
    def compute_bytes(self) -> int:
        return 2 if self.compute == "bfloat16" else 4

    def free_for(self, processes: int) -> int:
        """Bytes for one of so many processes: each has a card of its own, but all share the main memory."""
        return self.free if self.device == "cuda" else self.free // processes

    def after_others(self) -> Machine:
        """As it will be when the run that computes now has ended: all but a tenth is free."""
        return replace(self, free=max(self.free, self.memory * 9 // 10))


def look() -> Machine:
    """The device that a run would train on, as it is now."""
    import torch

    from pipeline.training import quantised

    where = quantised.device()
    compute = str(quantised.compute_dtype(where)).removeprefix("torch.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if where.type == "cuda":
        free, memory = torch.cuda.mem_get_info()
        return Machine("cuda", torch.cuda.get_device_name(), memory, free, cores, compute)
    memory, free = ram()
    return Machine("cpu", processor(), memory, free, cores, compute)


def ram(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> tuple[int, int]:
    """(all, free) bytes of main memory; in a container no more than it may use. Where the system does not say what is free,
    four fifths are taken to be."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        memory, free = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        free = memory * 4 // 5
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    return (limit, min(free, max(0, limit - (used or 0)))) if limit and limit < memory else (memory, free)


def processor() -> str:
    """What the processor calls itself."""
    try:
        names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def matrix_speed(hidden: int, intermediate: int, rows: int, machine: Machine) -> float:
    """FLOP/s of products (rows × hidden) · (hidden × intermediate) in the computing type: the best of one second of them."""
    import torch

    dtype = getattr(torch, machine.compute)
    torch.set_num_threads(machine.cores)
    # Of random numbers: a graphics card multiplies ones a seventh faster, because they take less power.
    left = torch.randn(rows, hidden, dtype=dtype, device=machine.device)
    right = torch.randn(hidden, intermediate, dtype=dtype, device=machine.device)
    made = torch.empty(rows, intermediate, dtype=dtype, device=machine.device)
    best, end = float("inf"), time.perf_counter() + MEASURE_SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(left, right, out=made)
        if machine.device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2.0 * rows * hidden * intermediate / best


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
