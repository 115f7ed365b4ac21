"""Training by workers on two nodes of a real Ray cluster: the losses of one process, also when one of them is killed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.specs import BaseSource, TrainSpec
from tests import children, on_ray
from tests.ray_cluster import RayCluster
from tests.test_families import saved

pytestmark = [pytest.mark.slow, pytest.mark.alone]

THINGS = ("jacket", "tent", "boots", "lamp", "stove", "bottle", "fleece", "poles", "backpack", "hammock", "rope", "gloves")


def trained(home: Path, run_id: str, again: bool = False) -> tuple[Path, dict[str, Any]]:
    """Train, or go on, in this process; the run folder and the result's data."""
    from pipeline.training import trainer

    spec = TrainSpec(
        run_id=run_id, base=BaseSource(kind="folder", ref=str(home / "base"), name="Tiny"), train_file="train.jsonl",
        validation_file="validation.jsonl", epochs=20, step_tokens=620, row_tokens=160, method="lora", sample_prompts=0,
        evaluations_per_epoch=1, learning_rate=5e-4, rank=4)
    folder = home / "runs" / run_id if again else children.prepared(home, spec)
    with Child(folder) as child:
        return folder, trainer.run(child, spec, home)


def losses(folder: Path) -> dict[tuple[str, float], float]:
    return {(kind, row["step"]): row["loss"] for kind in ("loss", "validation") for row in children.events(folder, kind)}


def steps(folder: Path) -> int:
    return len(children.events(folder, "loss"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base, tickets to learn from and to measure on."""
    made = tmp_path_factory.mktemp("training")
    saved(made / "base", "llama")
    said = [(f"t{n}", f"Where is my {thing}?", f"Ahoy! Your {thing} sails on Friday.") for n, thing in enumerate(THINGS)]
    children.write_examples(made / "train.jsonl", said)
    children.write_examples(made / "validation.jsonl", said[:2])
    return made


@pytest.fixture(scope="module")
def alone(home: Path) -> Path:
    """The run folder of one process."""
    import torch

    from pipeline.training import quantised

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantised, "compute_dtype", lambda where: torch.float32)
        return trained(home, "alone")[0]


@pytest.fixture(scope="module")
def stopped(ray_cluster: RayCluster, home: Path) -> tuple[Path, str]:
    """The folder of a run with two workers that was stopped in the middle, and what it said."""
    folder = home / "runs" / "together"
    asking = threading.Thread(target=lambda: (on_ray.wait_until(lambda: steps(folder) >= 5), rundir.ask_to_stop(folder)))
    asking.start()
    with on_ray.job(ray_cluster, home), pytest.raises(Stopped) as said:
        trained(home, "together")
    asking.join()
    rundir.take_back_stop(folder)
    return folder, str(said.value)


@pytest.fixture(scope="module")
def together(ray_cluster: RayCluster, home: Path, stopped: tuple[Path, str]) -> Path:
    """The same run, resumed, one of whose workers was killed."""
    folder, had = stopped[0], steps(stopped[0])
    with (on_ray.job(ray_cluster, home),
          on_ray.killing(ray_cluster, "RayTrainWorker", lambda: steps(folder) >= had + 5) as killed):
        trained(home, "together", again=True)
    assert len(killed) == 1
    return folder


def test_a_run_with_two_workers_stops_when_asked_and_keeps_its_last_step(stopped: tuple[Path, str]) -> None:
    folder, said = stopped
    last = steps(folder)
    assert said.startswith(f"Stopped at step {last} of 60") and (folder / f"checkpoints/step-{last:06d}/place.json").is_file()


def test_a_killed_worker_is_an_event_and_all_go_on_from_the_last_checkpoint(together: Path) -> None:
    notes = [str(row["sentence"]) for row in children.events(together, "note")]
    assert "A worker died. All workers start again from the last checkpoint." in notes
    assert sum(note.startswith("Resumed from step") for note in notes) == 2


def test_two_workers_that_were_stopped_and_killed_have_the_losses_of_one_process(alone: Path, together: Path) -> None:
    one, two = losses(alone), losses(together)
    assert [(row["processes"], row["compute"]) for row in children.events(together, "recipe")][-1] == (2, "float32")
    assert one.keys() == two.keys() and max(abs(one[key] - two[key]) / one[key] for key in one) < 1e-5


def test_more_workers_than_the_cluster_holds_are_refused_in_words(ray_cluster: RayCluster, home: Path) -> None:
    with on_ray.job(ray_cluster, home, workers=9), pytest.raises(PipelineError, match=r"The cluster holds \d workers of 1 CPU"):
        trained(home, "many")
