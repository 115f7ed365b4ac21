"""What a job asks of its cluster: workers of one size, and what stands in their environment."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipeline.cluster import here
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.spec_place import Place

CARRIED = ("DO_NOT_TRACK", "GOMP_SPINCOUNT", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "ONEDNN_MAX_CPU_ISA",
           "TOKENIZERS_PARALLELISM", "TQDM_DISABLE", "TRANSFORMERS_OFFLINE")
"""Of the job's own environment, what its workers get too: nothing goes out, and all round alike. No keys."""
LOOK_SECONDS = 0.5


def environment() -> dict[str, str]:
    return here.environment() | {name: os.environ[name] for name in CARRIED if name in os.environ}


@contextmanager
def joined() -> Iterator[None]:
    """Connected to the cluster that the job runs on; left at the end where this connected, with all that was begun in it."""
    import ray

    if ray.is_initialized():
        yield
        return
    ray.init()
    try:
        yield
    finally:
        ray.shutdown()


def options(place: Place) -> dict[str, Any]:
    """What one worker is given, as Ray's actors take it."""
    memory = {"memory": int(place.memory_gb * 2**30)} if place.memory_gb else {}
    return {"num_cpus": place.cpus, "num_gpus": place.gpus} | memory


def resources(place: Place) -> dict[str, float]:
    """The same in Ray's names of resources."""
    memory = {"memory": place.memory_gb * 2**30} if place.memory_gb else {}
    return {"CPU": place.cpus} | ({"GPU": place.gpus} if place.gpus else {}) | memory


def beside_the_job() -> dict[str, Any]:
    """For an actor that must see the job's own files: on its node, and without a resource of its own."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def holds(place: Place) -> int:
    """How many workers of this size the living nodes hold."""
    import ray

    return sum(_times(node["Resources"], resources(place)) for node in ray.nodes() if node["Alive"])


def nodes() -> set[str]:
    """The ids of the living nodes."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def wait_for(child: Child, place: Place) -> None:
    """Until the cluster has room for all workers. Raises PipelineError where it never has, Stopped when asked to stop."""
    import ray

    if (most := holds(place)) < place.workers:
        asked = ", ".join(f"{amount:g} {name}" for name, amount in resources(place).items() if name != "memory")
        raise PipelineError(f"The cluster holds {most} workers of {asked} each, and {place.workers} were asked for.",
                            "Ask for fewer or smaller workers, or add a node to the cluster.")
    while _times(ray.available_resources(), resources(place)) < place.workers:
        child.say("waiting", sentence="Waiting until the cluster has room: others compute on it")
        if child.stop_requested():
            raise Stopped("Stopped while it was waiting for room on the cluster; nothing was begun.")
        time.sleep(LOOK_SECONDS)


def _times(there: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    """How often a worker fits into what is there."""
    return int(min(there.get(name, 0.0) // amount for name, amount in wanted.items() if amount > 0))
