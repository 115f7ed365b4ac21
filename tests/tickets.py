"""Literal tickets and workspaces filled with them, as people and runs would have left them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import BaseSource, Candidate, EvaluateSpec, TrainSpec, dumps
from studio import intake, models, records, review_texts, reviews, runs, snapshots
from studio.columns import Choices, Columns
from studio.intake import Report
from studio.models import STARTER_NAME
from studio.opinions import Opinion
from studio.records import Filter
from studio.reviews import Settings
from studio.snapshots import Recipe, Snapshot
from studio.workspace import Workspace

THINGS = ("jacket", "tent", "boots", "backpack", "bottle", "lamp", "stove", "poles", "fleece", "hammock")
TROUBLES = ("is late", "is torn", "does not fit", "has the wrong colour")
COLUMNS = Columns("message", "answer", "rating", "ticket", "topic")
BASE = {"kind": "starter", "ref": "", "name": STARTER_NAME}


def write_csv(
    path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("ticket", "message", "answer", "rating", "topic")
) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def forty(path: Path) -> Path:
    """Forty tickets: ten things, four troubles, an answer in one style, ratings 1 to 5."""
    rows = [
        (
            f"T{n}",
            f"My {thing} {trouble}.",
            f"Hello! We are sorry that your {thing} {trouble}. Please send it back.",
            str(1 + n % 5),
            trouble.split()[-1],
        )
        for n, (thing, trouble) in enumerate((thing, trouble) for thing in THINGS for trouble in TROUBLES)
    ]
    return write_csv(path, rows)


def import_forty(ws: Workspace) -> Report:
    path = forty(ws.root / "forty.csv")
    return intake.import_file(ws, path, path.name, Choices(COLUMNS))


def freeze_forty(ws: Workspace) -> Snapshot:
    import_forty(ws)
    return snapshots.freeze(ws, "Forty", Recipe(sizes=(20, 6, 12)))


def recorded_training(
    ws: Workspace, snapshot: Snapshot, run_id: str = "trained00001", base: BaseSource | None = None
) -> str:
    """A training run as its child would have left it: folder, events, adapter, result; collected."""
    spec = TrainSpec(
        run_id=run_id,
        base=base or BaseSource(**BASE),
        train_file=snapshot.file("train"),
        validation_file=snapshot.file("validation"),
        epochs=2,
    )
    child = _launched(ws, spec, snapshot, "Forty in style")
    child.event("validation", step=0, epoch=0.0, loss=2.1)
    for step in range(1, 11):
        child.event("loss", step=step, epoch=step / 5, loss=2.0 - step / 10, lr=2e-4, grad_norm=1.0, tokens_s=240.0, tokens=400)
    child.event("validation", step=10, epoch=2.0, loss=1.2)
    (child.folder / "adapter").mkdir()
    child.say("training", 10, 10, "steps", "Training, loss 1.000")
    child.finish(
        "done",
        "Trained: validation loss 2.100 → 1.200.",
        data={
            "adapter": "adapter",
            "adapter_sha256": "0" * 64,
            "base_fingerprint": "1" * 64,
            "best_step": 10,
            "best_validation_loss": 1.2,
            "first_validation_loss": 2.1,
            "last_train_loss": 1.0,
            "steps": 10,
            "epochs": 2,
            "tokens": 4000,
            "tokens_s": 240.0,
            "seconds": 17.0,
            "left_out": 0,
            "learned_tokens": 3000,
        },
    )
    runs.collect(ws)
    return run_id


def recorded_evaluation(ws: Workspace, snapshot: Snapshot, tuned: str, run_id: str = "evaluated001") -> str:
    """An evaluation as its child would have left it: the tuned model wins 9 of 12 items, ties 2, loses 1; collected."""
    base, model = models.get(ws, models.STARTER_ID), models.get(ws, tuned)
    spec = EvaluateSpec(
        run_id=run_id,
        items_file=snapshot.file("test"),
        candidates=(
            Candidate(model_id=base.model_id, name=base.name, base=BaseSource(**BASE)),
            Candidate(model_id=tuned, name=model.name, base=BaseSource(**BASE), adapter=model.adapter),
        ),
    )
    child = _launched(ws, spec, snapshot, "Forty in style against its base")
    items = snapshots.items(ws, snapshot, "test")
    scored = []
    for place, item in enumerate(items):
        for model_id, value in ((base.model_id, 0.2), (tuned, 0.1 if place == 0 else 0.2 if place < 3 else 0.6)):
            child.output(
                {
                    "candidate_id": model_id,
                    "item_id": item.record_id,
                    "sample": 0,
                    "answer_key": "",
                    "reused": False,
                    "text": f"{'ALPHA' if model_id == tuned else 'OMEGA'} answer {place}",
                    "new_tokens": 12,
                    "seconds": 0.5,
                    "finish": "length" if place == 1 and model_id == "starter" else "stop",
                }
            )
            scored.append(
                {
                    "candidate_id": model_id,
                    "item_id": item.record_id,
                    "sample": 0,
                    "scores": {"rouge1": value, "rouge2": value / 2, "rougeL": value, "exact_match": 0.0},
                    "expected": None,
                    "predicted": None,
                }
            )
    rundir.write_atomic(child.folder / "scores.jsonl", "".join(f"{line}\n" for line in map(_json, scored)))
    child.finish("done", "2 models answered 12 test items; the answers are scored.", data={"items": len(items)})
    runs.collect(ws)
    return run_id


def opened(ws: Workspace, run_id: str, pairs: int, who: str, **settings: Any) -> str:
    """A session over the first items of the recorded evaluation, the starter against the tuned model, joined by one person."""
    candidates = ("starter", "trained00001")
    items = review_texts.items(ws, run_id, candidates)
    session_id = reviews.start(ws, run_id, candidates, items, Settings(**({"per_person": 0, "aim": pairs} | settings)), who)
    reviews.join(ws, session_id, who)
    return session_id


def filled(ws: Workspace) -> Workspace:
    """Every stage of the loop once: decisions, a snapshot, a training run, an evaluation, a review half way."""
    snapshot = freeze_forty(ws)
    ids = [record.record_id for record in records.page(ws, Filter(), 5)]
    records.decide(ws, ids[:3], "keep", "ann")
    records.decide(ws, ids[3:4], "drop", "ann")
    run_id = recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    session = opened(ws, run_id, 6, "ann")
    for place, card in enumerate(reviews.window(ws, session, "ann")[:3]):
        said = Opinion(("left", "right", "tie")[place], note="a note")
        reviews.judge(ws, session, card.card_id, said, "ann", f"press-{place}")
    return ws


def _launched(ws: Workspace, spec: TrainSpec | EvaluateSpec, snapshot: Snapshot, title: str) -> Child:
    folder = f"runs/{spec.run_id}"
    with ws.transaction() as transaction:
        transaction.insert(
            "runs",
            [
                {
                    "run_id": spec.run_id,
                    "kind": spec.kind,
                    "title": title,
                    "snapshot_id": snapshot.snapshot_id,
                    "spec": dumps(spec),
                    "folder": folder,
                    "started_at": ws.now(),
                }
            ],
        )
    rundir.prepare(ws.path(folder), dumps(spec))
    rundir.note_launch(ws.path(folder), ws.now().timestamp())
    return Child(ws.path(folder))


def _json(row: dict[str, object]) -> str:
    import json

    return json.dumps(row)
