"""Work that falls into parts, done by a pool of workers: a Ray Data pipeline over actors, results in the order of the parts.

Each worker makes ready what it needs (a model, say) once. One that dies is started again and only its part is done again. Where
a whole node is gone and the cluster has no room for all workers any more, what is left is done by as many as it holds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import ray

from pipeline.cluster import room
from pipeline.errors import PipelineError
from pipeline.spec_place import Place

LOOK_SECONDS, NODES_SECONDS = 0.3, 2.0
TRIES = 3
"""How often a part is begun again whose worker died."""

Look = Callable[[], None]
Work = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Job:
    """What each worker does: the module's `make(*given)` gives what turns a part into its result. A name, so that nobody but
    the workers loads what they need."""

    module: str
    make: str
    given: tuple[Any, ...]

    def begin(self) -> Work:
        made: Work = getattr(import_module(self.module), self.make)(*self.given)
        return made


def over(job: Job, parts: Sequence[bytes], place: Place, look: Look, note: Callable[[str], None]) -> Iterator[bytes]:
    """The result of each part, in their order, as soon as those before it are there. `look` is called while it waits and may
    raise; `note` hears of deaths. Raises PipelineError in words."""
    done, seen = 0, set[str]()
    while done < len(parts):
        size = min(place.workers, len(parts) - done, _holds(place, look))
        for worker, said in _results(job, parts[done:], place, size, look):
            if worker not in seen and len(seen) >= size:
                note("A worker died; another took its place, and what it had begun was done again.")
            seen.add(worker)
            done += 1
            yield said
        if done < len(parts):
            note("A node of the cluster died; the others do what it had begun.")
            seen.clear()


def _results(job: Job, parts: Sequence[bytes], place: Place, size: int, look: Look) -> Iterator[tuple[str, bytes]]:
    """(worker, result) of each part, from a pool of so many; ends early where a node is gone that it cannot do without."""
    nodes, looked_at = room.nodes(), time.monotonic()
    conductor: Any = ray.remote(Conductor).options(**room.beside_the_job()).remote()
    coming = conductor.results.options(num_returns="streaming").remote(
        job, list(parts), size, room.options(place), room.environment())
    try:
        while True:
            look()
            if not ray.wait([coming], timeout=LOOK_SECONDS)[0]:
                if time.monotonic() - looked_at > NODES_SECONDS:
                    if room.holds(place) < size:
                        return
                    looked_at = time.monotonic()
                continue
            worker, said, failed = ray.get(next(coming))
            if failed:
                raise PipelineError(*failed)
            yield worker, said
    except StopIteration:
        return
    except ray.exceptions.RayError as error:
        if nodes <= room.nodes():
            raise _in_words(error) from None
    finally:
        ray.kill(conductor)


def _in_words(error: Exception) -> PipelineError:
    print(error)
    if any(word in f"{type(error).__name__} {error}" for word in ("ActorDied", "ActorUnavailable", "OutOfMemory")):
        return PipelineError("Workers died again and again at the same part, most likely for want of memory.",
                             "Ask for workers with more memory, then resume: what is done is kept.")
    return PipelineError("A worker broke unexpectedly.", "The end of the log says where.")


def _holds(place: Place, look: Look) -> int:
    """How many workers the cluster has room for, once it has some. Raises PipelineError where it never had."""
    while not (most := room.holds(place)):
        look()
        time.sleep(LOOK_SECONDS)
    return most


class Conductor:
    """The pipeline, in a process of its own: to end it with all its workers is to end that."""

    def results(self, job: Job, parts: list[bytes], size: int, options: dict[str, Any],
                environment: dict[str, str]) -> Iterator[tuple[str, bytes, tuple[str, str] | None]]:
        """(worker, result, what went wrong in words) of each part."""
        import ray.data

        settings = ray.data.DataContext.get_current()
        settings.execution_options.preserve_order = True
        settings.enable_progress_bars = settings.print_on_execution_start = False
        asked = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
        made = asked.map_batches(
            Worker, fn_constructor_args=(job,), batch_size=1, batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
            runtime_env={"env_vars": environment}, ray_remote_args_fn=lambda: {"max_task_retries": TRIES}, **options)
        batches: Iterator[Any] = iter(made.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"))
        for batch in batches:
            for row in batch.to_pylist():
                yield row["worker"], row["said"], (row["message"], row["hint"]) if row["message"] else None


class Worker:
    """One of a pool. What it needs is made ready at its first part: a death while that loads is one of the part's."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.work: Work | None = None
        self.name = f"{ray.get_runtime_context().get_node_id()}/{os.getpid()}"

    def __call__(self, batch: Any) -> dict[str, list[Any]]:
        rows = [self._row(part) for part in batch["part"].to_pylist()]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def _row(self, part: bytes) -> dict[str, Any]:
        try:
            self.work = self.work or self.job.begin()
            return {"worker": self.name, "said": self.work(part), "message": "", "hint": ""}
        except PipelineError as error:
            return {"worker": self.name, "said": b"", "message": error.message, "hint": error.hint}
