"""Worker processes of a run: spawned, gone when the run's process is gone, and never waited for longer than a stop may take."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, TypeVar

from pipeline.errors import PipelineError

LOOK_SECONDS = 0.3
T = TypeVar("T")


class Helpers:
    """Processes that help this one with jobs. Use as a context manager: at the end what they are at is given up.

    Spawned, not forked: a forked process would keep the run's lock after the death of the run's process. With `count` 0 this
    process does every job itself.
    """

    def __init__(self, count: int, begin: Callable[[], None], look: Callable[[], None]) -> None:
        self._count, self._look = count, look
        self._pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=begin) if count else None

    def __enter__(self) -> Helpers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()

    def do(self, work: Callable[..., T], jobs: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        """`work(*job)` of every job, in their order. A job is begun in each helper and in this process, as each gets free.

        `look` is called between jobs and while waiting, and may raise. Raises PipelineError when a helper was killed.
        """
        left, begun = deque(jobs), deque[Future[T]]()
        try:
            while left or begun:
                while self._pool and left and sum(not future.done() for future in begun) < 2 * self._count:
                    begun.append(self._pool.submit(work, *left.popleft()))
                self._look()
                if left:
                    own: Future[T] = Future()
                    own.set_result(work(*left.popleft()))
                    begun.append(own)
                while begun and (begun[0].done() or not left):
                    yield self._wait(begun.popleft())
        except BrokenProcessPool:
            raise PipelineError("A process of this run was killed, most likely for want of memory.",
                                "Free some memory, then resume: it goes on after the last whole part.") from None

    def _wait(self, future: Future[T]) -> T:
        while True:
            self._look()
            try:
                return future.result(timeout=LOOK_SECONDS)
            except NotYet:
                continue


def end_with_the_run() -> None:
    """Called in a worker: it ends when the run's process ends, so that a killed run leaves nobody behind."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
