"""Jobs given to the workers of a cluster: so many at once, answers in order, given up within half a second of a stop.

Ray finds a place for each, and begins it again where its worker or its node died. Only jobs on a cluster import this.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import ray
from ray import exceptions

from pipeline.cluster import here
from pipeline.dedupe.reading import one_thread
from pipeline.errors import PipelineError
from pipeline.spec_place import Place

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the process that a submitted job begins with."""

LOOK_SECONDS = 0.3
AHEAD = 4
"""Answers that may wait for an earlier one, for each worker."""

T = TypeVar("T")
Slot = Callable[..., Any]


def connected() -> None:
    """This process as a driver. Ray takes SIGTERM for itself; it goes back to who had it. A job's environment is its workers'
    already, and Ray refuses to be told it twice."""
    if not ray.is_initialized():
        before = signal.getsignal(signal.SIGTERM)
        own = None if IN_A_JOB in os.environ else {"env_vars": here.environment()}
        ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING, runtime_env=own)
        signal.signal(signal.SIGTERM, before)


class Workers:
    """As many workers as the place has, each with the CPUs and the memory of one. Use as a context manager: at the end what
    they are at is given up. `look` is called while waiting, and may raise."""

    def __init__(self, place: Place, look: Callable[[], None]) -> None:
        self.place, self._look = place, look
        self._running: dict[Any, Slot] = {}
        self._actors: list[Any] = []

    def __enter__(self) -> Workers:
        connected()
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors:
            ray.kill(actor)
        for ref in self._running:
            ray.cancel(ref, force=True)

    def do(self, work: Callable[..., T], jobs: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        """`work(*job)` of every job, in their order. Raises PipelineError in words."""
        task = ray.remote(_alone).options(**self._share(), max_retries=self.place.attempts)
        return self._each([lambda *job: task.remote(work, *job)] * self.place.workers, jobs)

    def with_state(self, made: Callable[..., Callable[..., T]], given: tuple[Any, ...], jobs: Sequence[tuple[Any, ...]]
                   ) -> Iterator[T]:
        """The same for work that needs something costly in its process: `made(*given)`, once a worker, does every job."""
        actor = ray.remote(_Keeping).options(**self._share(), num_gpus=self.place.gpus, max_restarts=self.place.attempts,
                                             max_task_retries=self.place.attempts)
        shared = [ray.put(one) for one in given]
        fresh: list[Any] = [actor.remote() for _ in range(min(self.place.workers, len(jobs)))]
        self._actors += fresh
        yield from self._each([partial(one.do.remote, made, shared) for one in fresh], jobs, cancel=False)
        for one in fresh:
            self._actors.remove(one)
            ray.kill(one)

    def _share(self) -> dict[str, Any]:
        memory = self.place.memory_gb
        return {"num_cpus": self.place.cpus} | ({"memory": int(memory * 2**30)} if memory else {})

    def _each(self, slots: Sequence[Slot], jobs: Sequence[tuple[Any, ...]], cancel: bool = True) -> Iterator[Any]:
        left, order, free, running = deque(jobs), deque[Any](), list(slots), dict[Any, Slot]()
        if cancel:
            self._running = running
        while left or order:
            while left and free and len(order) < AHEAD * len(slots):
                slot = free.pop()
                ref = slot(*left.popleft())
                running[ref] = slot
                order.append(ref)
            self._look()
            for ref in ray.wait(list(running), timeout=LOOK_SECONDS)[0] if running else ():
                free.append(running.pop(ref))
            while order and order[0] not in running:
                yield _answer(order.popleft())


class _Keeping:
    """An actor that makes what does its jobs once, with the first of them; one that is begun again makes it again."""

    def __init__(self) -> None:
        one_thread()
        self._does: Callable[..., Any] | None = None

    def do(self, made: Callable[..., Callable[..., Any]], given: Sequence[Any], *job: Any) -> Any:
        self._does = self._does or made(*ray.get(list(given)))
        return self._does(*job)


def _alone(work: Callable[..., T], *job: Any) -> T:
    one_thread()
    return work(*job)


def _answer(ref: Any) -> Any:
    try:
        return ray.get(ref)
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, PipelineError):
            raise PipelineError(error.cause.message, error.cause.hint) from None
        if isinstance(error.cause, ModuleNotFoundError):
            raise PipelineError(f"The package {error.cause.name} is not installed on the cluster's node {error.ip}.",
                                "Install there what the README says, in the versions of the studio's machine.") from None
        raise
    except (exceptions.OutOfMemoryError, exceptions.WorkerCrashedError, exceptions.RayActorError) as error:
        print(f"a worker died too often: {error}")
        raise PipelineError("A worker of this run died again and again, most likely for want of memory.",
                            "Give each worker more memory, then resume: it goes on after the last whole part.") from None
