"""Worker processes of a run: spawned, gone when the run's process is gone, and never waited for longer than a stop may take."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any, TypeVar

from pipeline.errors import PipelineError

LOOK_SECONDS = 0.3
T = TypeVar("T")


@contextmanager
def pool(count: int, begin: Callable[..., None], *given: Any) -> Iterator[ProcessPoolExecutor]:
    """Processes that each call `begin(*given)` first. At the end, or on an error, what they are at is given up.

    Spawned, not forked: a forked worker would keep the run's lock after the death of the run's process.
    """
    made = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=begin, initargs=given)
    try:
        yield made
    finally:
        made.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def in_order(made: ProcessPoolExecutor, work: Callable[..., T], jobs: Iterable[tuple[Any, ...]], ahead: int,
             look: Callable[[], None]) -> Iterator[T]:
    """`work(*job)` of every job, in their order, at most `ahead` of them begun; `look` is called while waiting and may raise.

    Raises PipelineError when a worker was killed.
    """
    waiting: deque[Future[T]] = deque()
    for job in jobs:
        waiting.append(made.submit(work, *job))
        if len(waiting) >= ahead:
            yield _result(waiting.popleft(), look)
    while waiting:
        yield _result(waiting.popleft(), look)


def _result(future: Future[T], look: Callable[[], None]) -> T:
    while True:
        look()
        try:
            return future.result(timeout=LOOK_SECONDS)
        except NotYet:
            continue
        except BrokenProcessPool:
            raise PipelineError("A process of this run was killed, most likely for want of memory.",
                                "Free some memory, then resume: it goes on after the last whole part.") from None


def end_with_the_run() -> None:
    """Called in a worker: it ends when the run's process ends, so that a killed run leaves nobody behind."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
