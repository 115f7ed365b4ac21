"""Inspections: runs that hold validation and test, or a file made elsewhere, against what a model would be trained on."""

from __future__ import annotations

import threading
from pathlib import Path

from studio import runs, snapshots
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import InspectSpec, Meaning, Tested
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.splits import HELD_OUT
from studio.workspace import Workspace

NEAR_FLOOR = 0.8
"""Lines of test that are this alike to one of train are leaks, unless a person says otherwise."""

_one_starts = threading.Lock()


@needs("run")
def of_plan(ws: Workspace, recipe: Recipe, near_floor: float = NEAR_FLOOR, meaning: Meaning | None = None) -> str:
    """Look whether validation and test of what this recipe plans resemble its train; returns the run's id.

    The planned files lie in the run's folder until the run is collected: they hold personal data. One such run moves at a time.
    """
    with _one_starts:
        runs.collect(ws)
        earlier = runs.every(ws, "inspect")
        if any(run.moving and run.spec["plan"] for run in earlier):
            raise StudioError("A check for leaks is running already.", "Wait for its end, or stop it first.")
        planned = snapshots.plan(ws, recipe)
        for run in earlier:
            runs.clear_copies(ws, run)
        run_id = ws.new_id()
        spec = InspectSpec(
            run_id=run_id, plan=planned.sha256, train_file=f"runs/{run_id}/train.jsonl", near_floor=near_floor, meaning=meaning,
            tested=tuple(Tested(split=split, file=f"runs/{run_id}/{split}.jsonl") for split in HELD_OUT),  # type: ignore[arg-type]
            tokenizer=runs.tokenizer(ws))

        def write(folder: Path) -> None:
            for split in reversed(SPLITS):  # train last: where it is there, all are, and a run that was cut off can go on
                snapshots.write_lines(ws, planned.splits[split], folder / f"{split}.jsonl")

        return runs.begin(ws, spec, f"Check for leaks, seed {recipe.seed}", write=write)


@needs("run")
def of_snapshot(ws: Workspace, snapshot: Snapshot, near_floor: float = NEAR_FLOOR, meaning: Meaning | None = None) -> str:
    """The same for a snapshot that is frozen already; what is found is noted on its card. Returns the run's id."""
    snapshots.verify(ws, snapshot)
    spec = InspectSpec(
        run_id=ws.new_id(), train_file=snapshot.file("train"), near_floor=near_floor, meaning=meaning,
        tested=tuple(Tested(split=split, file=snapshot.file(split)) for split in HELD_OUT),  # type: ignore[arg-type]
        tokenizer=runs.tokenizer(ws))
    return runs.begin(ws, spec, f"Check of {snapshot.name} for leaks", snapshot.snapshot_id)


@needs("run")
def of_foreign(ws: Workspace, snapshot: Snapshot, file: str, near_floor: float = NEAR_FLOOR,
               meaning: Meaning | None = None) -> str:
    """Look whether lines of a file made elsewhere, in the workspace or by absolute path, resemble a snapshot's train."""
    snapshots.verify(ws, snapshot)
    spec = InspectSpec(run_id=ws.new_id(), train_file=snapshot.file("train"), tested=(Tested(split="foreign", file=file),),
                       near_floor=near_floor, meaning=meaning, measure=False)
    return runs.begin(ws, spec, f"{Path(file).name} against {snapshot.name}", snapshot.snapshot_id)
