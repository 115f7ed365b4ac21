"""How far losses of two workers on two nodes of a Ray cluster lie from those of one process: the starter, float32, same steps.

    python -m benchmarks.cluster_training

`benchmarks.cluster` calls it for the figure `cluster.loss_gap`. The cluster is two raylets on this machine.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import TrainSpec
from tests import children, on_ray, tuned
from tests.ray_cluster import RayCluster

FLOAT32 = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
"""Without it some processors compute in bfloat16, whose rounding would hide everything else."""


def loss_gap() -> float:
    """The largest relative gap of any loss, of training or validation, between the two."""
    with tempfile.TemporaryDirectory(prefix="tw", dir="/tmp") as made, patch.dict(os.environ, FLOAT32):
        home = Path(made)
        (home / "ws").mkdir()
        tuned.write_tickets(home / "ws")
        alone = _alone(home / "ws")
        together = _together(home)
    assert alone.keys() == together.keys(), "the two took different steps"
    return max(abs(alone[key] - together[key]) / alone[key] for key in alone)


def _spec(run_id: str) -> TrainSpec:
    """12 steps of four examples, each a row: two workers sum them in another order than one."""
    return tuned.spec(run_id).model_copy(update={"row_tokens": 64, "method": "lora"})


def _alone(workspace: Path) -> dict[tuple[str, float], float]:
    folder = children.prepared(workspace, _spec("alone"))
    ended = children.finished(folder, workspace)
    assert ended.outcome == "done", rundir.log_tail(folder)
    return _losses(folder, 1)


def _together(home: Path) -> dict[tuple[str, float], float]:
    from pipeline.training import trainer

    workspace, spec = home / "ws", _spec("together")
    folder = children.prepared(workspace, spec)
    cluster = RayCluster(home)
    try:
        with on_ray.job(cluster, workspace), Child(folder) as child:
            trainer.run(child, spec, workspace)
    finally:
        cluster.stop()
    return _losses(folder, 2)


def _losses(folder: Path, processes: int) -> dict[tuple[str, float], float]:
    recipes = [(row["compute"], row["processes"]) for row in children.events(folder, "recipe")]
    assert recipes == [("float32", processes)], recipes
    return {(kind, row["step"]): row["loss"] for kind in ("loss", "validation") for row in children.events(folder, kind)}


if __name__ == "__main__":
    print(json.dumps({"cluster.loss_gap": loss_gap()}))
