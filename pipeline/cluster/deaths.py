"""What Ray Train's controller tells the scribe: workers of a training that are gone. Light: it loads no torch."""

from __future__ import annotations

from typing import Any

import ray
from ray import train


class Deaths(train.UserCallback):
    """Lives with the controller, beside the job."""

    def __init__(self, scribe: Any) -> None:
        self.scribe = scribe

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        ray.get(self.scribe.died.remote(sentence(worker_exceptions)))


def sentence(errors: dict[int, Exception]) -> str:
    """How workers are gone, in words, without what Ray says of it."""
    said = " ".join(f"{type(error).__name__} {error}" for error in errors.values())
    if "OutOfMemoryError" in said or "memory monitor" in said:
        how = "A worker was ended because its node ran out of memory"
    elif "Node" in said and "died" in said:
        how = "A node of the cluster died"
    else:
        how = "A worker died" if "died" in said or "health check" in said else "A worker broke; the log says why"
    return f"{how}. All workers start again from the last checkpoint."
