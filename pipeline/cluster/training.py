"""Training on several nodes: Ray Train starts a worker for each part and starts all anew when one dies; what they compute, and
how they exchange it, is the engine's own (`trainer.learn`), as with several processes of one machine."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ray
from ray import train as ray_train
from ray.train.torch import TorchConfig, TorchTrainer

from pipeline import base_models, specs
from pipeline.cluster import here, room
from pipeline.cluster.deaths import Deaths
from pipeline.cluster.hand import Hand, Quiet
from pipeline.cluster.scribe import Scribe, Verdict
from pipeline.errors import PipelineError, Stopped, is_out_of_memory
from pipeline.rundir import Child
from pipeline.spec_place import Place
from pipeline.specs import TrainSpec
from pipeline.training import checkpoints, trainer
from pipeline.training.together import PATIENCE, World

train: Any = ray_train
"""Its types are those of an older Ray Train."""
LOOK_SECONDS, STOP_SECONDS, PARTING_SECONDS = 0.3, 4.0, 3.0
"""How often the job looks, how long workers may take to stop by themselves, and to leave once it is known how it ended."""
GROWN_SECONDS = 60.0
"""How often Ray looks whether a node came (back), so that all workers have room again."""


def run(child: Child, spec: TrainSpec, workspace: Path, place: Place) -> dict[str, Any]:
    """Train with the place's workers to the end and return the result's data. Raises as `trainer.run`."""
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "180")  # a busy node needs more than Ray's own minute
    base_models.prepare(spec.base, workspace, lambda sentence: child.say("preparing", sentence=sentence))
    with room.joined(), tempfile.TemporaryDirectory(prefix="tunewright-train") as kept:
        room.wait_for(child, place)
        child.say("preparing", sentence=f"Starting {place.workers} workers on the cluster")
        scribe: Any = ray.remote(Scribe).options(max_restarts=-1, max_task_retries=-1, **room.beside_the_job()).remote(
            child.folder, place.attempts)
        fitting = _Fitting(_trainer(spec, place, scribe, child.folder, Path(kept)))
        try:
            return _watched(child, scribe, fitting)
        finally:
            ray.kill(scribe)  # who is still there can write nothing more


class _Fitting(threading.Thread):
    """Ray Train's `fit`, beside the job's own eyes."""

    def __init__(self, made: Any) -> None:
        super().__init__(name="ray-train", daemon=True)
        self.made = made
        self.found: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.found = self.made.fit().return_value
        except Exception as error:
            self.error = error


def _trainer(spec: TrainSpec, place: Place, scribe: Any, folder: Path, kept: Path) -> Any:
    """As many workers as were asked for; after a death as many as there is room for, but one that shares the base."""
    least = place.workers if spec.sharding == "on" else 1
    shared = "://" not in os.environ[here.HOME]
    asked = {"spec": specs.dumps(spec), "place": place, "scribe": scribe, "folder": str(folder) if shared else ""}
    made: Any = TorchTrainer
    return made(
        _work, train_loop_config=asked, torch_config=TorchConfig(timeout_s=int(PATIENCE.total_seconds())),
        scaling_config=train.ScalingConfig(
            num_workers=(least, place.workers), use_gpu=place.gpus > 0, resources_per_worker=room.resources(place),
            placement_strategy="SPREAD", elastic_resize_monitor_interval_s=GROWN_SECONDS),
        run_config=train.RunConfig(
            name=spec.run_id, storage_path=str(kept), failure_config=train.FailureConfig(max_failures=-1),
            callbacks=[Deaths(scribe)], worker_runtime_env={"env_vars": room.environment()}))


def _watched(child: Child, scribe: Any, fitting: _Fitting) -> dict[str, Any]:
    """Wait for the end, and see to it that it comes: also where workers wait for one that left, or cannot be started."""
    asked_at, known_at = None, None
    while fitting.is_alive():
        fitting.join(LOOK_SECONDS)
        now = time.monotonic()
        if known_at is None and ray.get(scribe.verdict.remote()) is not None:
            known_at = now
        if asked_at is None and child.stop_requested():
            asked_at = now
        if known_at is not None and now - known_at > PARTING_SECONDS:
            break
        if known_at is None and asked_at is not None and now - asked_at > STOP_SECONDS:
            raise Stopped("Stopped, as asked; everything up to the last checkpoint is saved.")
    _raise(ray.get(scribe.verdict.remote()), fitting.error)
    return fitting.found  # type: ignore[no-any-return]


def _raise(verdict: Verdict | None, error: Exception | None) -> None:
    if verdict is not None and verdict.outcome == "stopped":
        raise Stopped(verdict.message)
    if verdict is not None:
        raise PipelineError(verdict.message, verdict.hint)
    if error is not None:
        print(error)
        raise PipelineError(f"Ray Train broke off ({type(error).__name__}).",
                            "The end of the log says where. Resume goes on from the last checkpoint.")


def _work(asked: dict[str, Any]) -> dict[str, Any] | None:
    """What a worker does, from its start to the run's end: the first one returns the result's data."""
    scribe, spec = asked["scribe"], specs.loads(asked["spec"])
    assert isinstance(spec, TrainSpec)
    if ray.get(scribe.verdict.remote()) is not None:
        return None
    context = train.get_context()
    world = World(context.get_world_size(), context.get_world_rank(), context.get_local_world_size(),
                  0 if asked["place"].gpus else max(1, int(asked["place"].cpus)))
    with tempfile.TemporaryDirectory(prefix="tunewright-worker") as own:
        folder = Path(asked["folder"] or own)
        child = Hand(folder, scribe, bool(asked["folder"])) if world.first else Quiet(folder, scribe)
        try:
            if not asked["folder"]:
                _fetch(spec, folder, scribe)
            _see_that_all_are_here(folder, world, asked["place"])
            return trainer.learn(child, spec, here.root(), nullcontext(world))
        except Exception as error:
            verdict = _verdict(error)
            if verdict is not None:
                ray.get(scribe.conclude.remote(verdict))
            if verdict is not None and verdict.outcome == "stopped":
                return None
            raise


def _verdict(error: Exception) -> Verdict | None:
    """How the run ends with this error; none where it may only say that another worker is gone."""
    if isinstance(error, Stopped):
        return Verdict("stopped", str(error))
    if isinstance(error, PipelineError):
        return Verdict("failed", error.message, error.hint)
    if is_out_of_memory(error):
        return Verdict("failed", "It ran out of memory.", "Use fewer examples a step, or a smaller base model.")
    if isinstance(error, RuntimeError):  # so torch says it
        return None
    if isinstance(error, ModuleNotFoundError):
        return Verdict("failed", f"The package {error.name} is not installed on the node {os.uname().nodename}.",
                       "Install there what the README says, the same versions as on the machine of the studio.")
    traceback.print_exc()
    return Verdict("failed", f"It broke unexpectedly ({type(error).__name__}).", "The end of the log says where.")


def _fetch(spec: TrainSpec, folder: Path, scribe: Any) -> None:
    """What lies at the storage's URL, and the run's checkpoints, onto this node."""
    for relative in (spec.train_file, spec.validation_file, f"models/{base_models.slug(spec.base)}"):
        here.fetched(relative)
    for name, files in ray.get(scribe.checkpoints.remote()).items():
        target = folder / "checkpoints" / name
        target.mkdir(parents=True)
        for file, content in files.items():
            (target / file).write_bytes(content)


def _see_that_all_are_here(folder: Path, world: World, place: Place) -> None:
    found = checkpoints.newest(folder)
    if found and found[1].way.sharded and world.size < place.workers:
        raise PipelineError(f"The base is held in {place.workers} parts, and the cluster has room for {world.size} of them.",
                            "Add a node to the cluster, then resume: it goes on from the last checkpoint.")
