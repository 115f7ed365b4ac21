"""`python -m pipeline.cluster.probe STORAGE TOKEN ASKED`: a job that asks every node what a run would find there.

Prints one line for each node. A node's own fault is part of its answer, in words.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from typing import Any

FOUND = "tunewright found: "
NODE_SECONDS = 60.0


def main() -> int:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    storage, token, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    ray.init(logging_level=logging.ERROR, log_to_driver=False)
    look, on = ray.remote(num_cpus=0)(facts), NodeAffinitySchedulingStrategy
    nodes = [node for node in ray.nodes() if node["Alive"]]
    free = ray._private.state.available_resources_per_node()
    begun = {node["NodeID"]: look.options(scheduling_strategy=on(node["NodeID"], soft=False)).remote(storage, token, asked)
             for node in nodes}
    ray.wait(list(begun.values()), num_returns=len(begun), timeout=NODE_SECONDS)
    for node in nodes:
        try:
            said = ray.get(begun[node["NodeID"]], timeout=0.1)
        except Exception as error:  # its text may hold anything
            said = {"fault": f"It does not answer ({type(error).__name__})."}
        print(FOUND + json.dumps({"id": node["NodeID"], "free": free.get(node["NodeID"], {})} | said), flush=True)
    return 0


def facts(storage: str, token: str, asked: dict[str, list[str]]) -> dict[str, Any]:
    """What this node has: versions, the storage, variables."""
    return {"host": platform.node(), "python": platform.python_version(), "packages": versions(asked["packages"]),
            "keys": {name: bool(os.environ.get(name)) for name in asked["keys"]}, **_storage(storage, token)}


def versions(packages: list[str]) -> dict[str, str]:
    """Of each package its version, empty where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def _storage(url: str, token: str) -> dict[str, str]:
    """What is wrong with reading the studio's file and with writing one; empty where nothing is."""
    from pipeline.cluster.storage import Storage
    from pipeline.errors import PipelineError

    faults = {"reads": "", "writes": ""}
    try:
        storage = Storage(url)
        if storage.read(f"{token}/studio") != token.encode():
            faults["reads"] = "It does not see what the studio wrote there."
        storage.write(f"{token}/{platform.node()}-{os.getpid()}", b"")
    except PipelineError as error:
        faults["writes"] = error.message
    return faults


if __name__ == "__main__":
    sys.exit(main())
