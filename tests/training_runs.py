"""Training runs, previews and groups as their children would have left them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import BaseSource, PreviewSpec, TrainSpec, dumps
from studio import groups, models, runs, starts
from studio.dials import Dials
from studio.snapshots import Snapshot
from studio.workspace import Workspace
from tests.tickets import BASE

ANSWERS = (
    ("A jacket is an outer garment for the upper body.", "Hello! We are sorry.", "Hello! We are sorry that it is late."),
    ("Boots are footwear.", "Hello! Your boots.", "Hello! We are sorry that your boots are torn."),
    ("<b>A lamp</b> gives light.", "Hello! Sorry.", "Hello! We are sorry that your lamp is torn."),
)
PART = {
    "examples": 20,
    "tokens": 1_240,
    "learned_tokens": 520,
    "lengths": [41, 60, 78, 82],
    "too_long": [],
    "no_target": [],
    "template_failures": [],
    "template_said": "",
}
PARTS = {"weights": 0.25, "adapter": 0.02, "optimizer": 0.04, "activations": 0.9, "logits": 0.3, "other": 0.2}
FOUND: dict[str, Any] = {
    "model": {
        "parameters": 134_515_008,
        "layers": 30,
        "hidden": 576,
        "vocabulary": 49_152,
        "context": 8_192,
        "dtype": "bfloat16",
    },
    "machine": {"device": "cpu", "name": "2 processor cores", "memory_gib": 8.0, "free_gib": 5.5, "cores": 2},
    "train": PART,
    "validation": PART | {"examples": 6, "tokens": 372, "learned_tokens": 156},
    "steps": 15,
    "steps_per_epoch": 5,
    "step_tokens": 248,
    "plans": [
        {
            "method": "lora",
            "fits": True,
            "row_tokens": 2_048,
            "checkpointing": False,
            "parts": PARTS,
            "peak_gib": 1.71,
            "tokens_s": 240.0,
            "seconds": 90.0,
            "basis": "The speed comes from a short trial on this machine.",
        },
        {
            "method": "qlora",
            "fits": True,
            "row_tokens": 2_048,
            "checkpointing": True,
            "parts": PARTS | {"weights": 0.08},
            "peak_gib": 1.54,
            "tokens_s": 190.0,
            "seconds": 114.0,
            "basis": "The speed comes from a short trial on this machine.",
        },
    ],
    "recommended": "lora",
    "why": "16 bits fit, and they are quicker than 4.",
    "truncated": 0,
}
RENDERED = [
    {
        "id": "r1",
        "pieces": [
            ["<|im_start|>user\nMy <b>jacket</b> is late.<|im_end|>\n<|im_start|>assistant\n", False],
            ["Hello! We are sorry.<|im_end|>", True],
            ["\n", False],
        ],
        "tokens": 24,
        "learned": 7,
    },
    {
        "id": "r2",
        "pieces": [["<|im_start|>user\nA torn tent.<|im_end|>\n<|im_start|>assistant\n", False], ["Send it.<|im_end|>", True]],
        "tokens": 20,
        "learned": 4,
    },
]


def begun(ws: Workspace, spec: TrainSpec | PreviewSpec, snapshot: Snapshot, title: str, group_id: str = "") -> Child:
    """A run's row and folder, launched but without a process."""
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, title, snapshot.snapshot_id, group_id)
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, ws.now().timestamp())
    return Child(folder)


def train_spec(snapshot: Snapshot, run_id: str, dials: Dials = Dials()) -> TrainSpec:
    return TrainSpec(
        run_id=run_id,
        base=BaseSource(**BASE),  # type: ignore[arg-type]
        train_file=snapshot.file("train"),
        validation_file=snapshot.file("validation"),
        epochs=dials.epochs,
        learning_rate=dials.learning_rate,
        rank=dials.rank,
    )


def learned(child: Child, steps: int = 60, losses: Sequence[float] = (2.4, 1.6, 1.25, 1.2)) -> None:
    """Events and sample answers of a run that learns; validation losses at even distances."""
    every = steps // (len(losses) - 1)
    child.event(
        "recipe",
        device="cpu",
        method="lora",
        compute="float32",
        attention="sdpa",
        kernels="none",
        row_tokens=2048,
        step_tokens=248,
        checkpointing="off",
        steps=steps,
        steps_per_epoch=steps // 3,
        trained_parameters=4_884_480,
        alpha=32,
        warm_steps=3,
        processes=1,
    )
    for step in range(steps + 1):
        if step:
            child.event(
                "loss",
                step=step,
                epoch=3 * step / steps,
                loss=0.9 + 1.4 / (1 + step / 8) + 0.05 * (step % 3),
                lr=2e-4 * min(1.0, step / 3),
                grad_norm=1.2 - step / 100,
                tokens_s=240.0 + step % 7,
                tokens=248,
                examples=4,
                memory_gib=1.6,
            )
        if step % every == 0:
            at = step // every
            child.event("validation", step=step, epoch=3 * step / steps, loss=losses[at])
            for number, said in enumerate(ANSWERS):
                sample(child, number, step, said[min(at, 2)])


def sample(child: Child, number: int, step: int, answer: str, record_id: str = "") -> None:
    row = {
        "id": record_id or f"r{number}",
        "step": step,
        "number": number,
        "question": f"My {('jacket', 'boots', 'lamp')[number]} is torn.",
        "answer": answer,
        "expected": "Hello! We are sorry. Please send it back.",
    }
    with (child.folder / "samples.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def trained(ws: Workspace, snapshot: Snapshot, run_id: str = "trained00009") -> Child:
    """A training run that is done, with everything an engine can tell."""
    child = begun(ws, train_spec(snapshot, run_id), snapshot, "Forty in style")
    learned(child)
    child.event(
        "out_of_memory",
        step=12,
        row_tokens_before=4096,
        row_tokens=2048,
        checkpointing="off",
        sentence="Memory ran out at step 12: it goes on with 2,048 tokens at once, the same tokens a step.",
    )
    child.say("training", 60, 60, "steps", "Training, loss 1.065")
    done(child, 1.2, 60)
    return child


def done(child: Child, best: float, steps: int) -> None:
    child.finish(
        "done",
        f"Trained: validation loss 2.400 → {best:.3f}.",
        data={
            "adapter": "adapter",
            "adapter_sha256": "0" * 64,
            "best_step": steps,
            "best_validation_loss": best,
            "first_validation_loss": 2.4,
            "last_train_loss": 1.065,
            "steps": steps,
            "epochs": 3,
            "tokens": 14_880,
            "tokens_s": 240.0,
            "seconds": 62.0,
            "left_out": 0,
            "learned_tokens": 6_200,
        },
    )


def looked(
    ws: Workspace,
    snapshot: Snapshot,
    dials: Dials = Dials(),
    found: dict[str, Any] | None = None,
    run_id: str = "looked000001",
    rendered: Sequence[dict[str, Any]] = RENDERED,
) -> str:
    """A preview that is done and collected; returns its run's id."""
    asked = starts.question(snapshot, models.get(ws, models.STARTER_ID), dials)
    child = begun(ws, PreviewSpec(**(asked | {"run_id": run_id})), snapshot, "Look at Forty")
    (child.folder / "preview.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rendered), encoding="utf-8")
    child.finish("done", "It fits.", data=found or FOUND)
    runs.collect(ws)
    return run_id


def searched(ws: Workspace, snapshot: Snapshot, group_id: str = "group0000001") -> list[str]:
    """A group of four runs: two done, one stopped early, one that never began; their ids in the order of their start."""
    variants = [Dials(learning_rate=rate, rank=rank) for rate in (1e-4, 4e-4) for rank in (8, 16)]
    with ws.transaction() as transaction:
        groups.add_row(ws, transaction, group_id, "Forty in style", snapshot.snapshot_id)
    ids = [f"{group_id[:10]}r{place}" for place in range(4)]
    curves = ((2.4, 1.9, 1.7, 1.62), (2.4, 1.6, 1.3, 1.21), (2.4, 1.4, 1.25, 1.32), ())
    for run_id, variant, losses in zip(ids, variants, curves, strict=True):
        child = begun(ws, train_spec(snapshot, run_id, variant), snapshot, f"Forty: {variant.words}", group_id)
        if losses:
            learned(child, losses=losses)
        if losses[-1:] == (1.32,):
            child.finish("stopped", "Stopped at step 60 of 60, as asked.", "Resume goes on from there.")
        elif losses:
            done(child, min(losses), 60)
        else:
            child.finish("failed", "It ran out of memory.", "Choose a smaller base model.")
    runs.collect(ws)
    return ids
