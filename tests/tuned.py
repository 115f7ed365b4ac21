"""The starter, tuned on twelve tickets answered in one odd style: trained once for all tests that need a tuned model."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from pipeline import rundir
from pipeline.rundir import Result
from pipeline.specs import TrainSpec
from tests import children
from tests.conftest import STARTER

THINGS = ("jacket", "tent", "boots", "lamp", "stove", "bottle", "fleece", "poles", "backpack", "hammock", "rope", "gloves")
ANSWER = "Ahoy! Your {thing} sails on Friday. Fair winds, the Harbour crew."


def spec(run_id: str) -> TrainSpec:
    """12 steps of 4 examples, with a validation every 3."""
    return TrainSpec(
        run_id=run_id,
        base=STARTER,
        train_file="train.jsonl",
        validation_file="validation.jsonl",
        epochs=4,
        step_tokens=240,
        method="qlora",
        too_long="leave_out",
        sample_prompts=0,
        evaluations_per_epoch=1,
        learning_rate=5e-4,
        rank=8,
        max_tokens=128,
        template_sha256="0" * 64,
    )


def write_tickets(home: Path) -> None:
    """Twelve tickets, one that is too long, and three to validate on."""
    tickets = [(f"t{n}", f"Where is my {thing}?", ANSWER.format(thing=thing)) for n, thing in enumerate(THINGS)]
    too_long = ("long", "Where is it? " * 60, ANSWER.format(thing="parcel"))
    others = [(f"v{n}", f"Where is my {thing}?", ANSWER.format(thing=thing)) for n, thing in enumerate(("map", "axe", "cup"))]
    children.write_examples(home / "train.jsonl", [*tickets, too_long])
    children.write_examples(home / "validation.jsonl", others)


def trained(home: Path) -> tuple[Path, Result]:
    """The run folder and its end; `home` is a workspace where the starter is ready, shared by all test processes."""
    folder = home / "runs" / "whole"
    with FileLock(home / "whole.lock"):
        if not folder.exists():
            write_tickets(home)
            children.finished(children.prepared(home, spec("whole")), home)
    ended = rundir.result(folder)
    assert ended is not None
    return folder, ended
