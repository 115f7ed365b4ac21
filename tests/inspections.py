"""Checks for leaks as their child would have left them, without its process."""

from __future__ import annotations

import json
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import InspectSpec, Tested, dumps
from studio import runs, snapshots
from studio.snapshots import Recipe
from studio.workspace import Workspace

PAGE_RECIPE = Recipe(stratify="tag")
"""What the Freeze page begins with where records have tags."""

MEASURES = {
    "lines": 40,
    "looked_at": 40,
    "languages": {"en": 38, "de": 2},
    "tokens": {
        "by": "tokenizer",
        "total": 2000,
        "median": 48,
        "p90": 60,
        "longest": 75,
        "steps": [0, 50, 100],
        "counts": [30, 10, 0],
    },
    "answer_words": 14,
    "distinct_answers": 40,
    "short_answers": 0,
    "long_answers": 0,
    "multi_turn": 0,
    "variety": {"questions": 0.8, "answers": 0.6},
    "changes_daily": {"changes_daily": 2, "prices": 1, "dates": 1, "stock": 0},
}


def recorded_inspection(ws: Workspace, recipe: Recipe = PAGE_RECIPE, leaking: int = 0) -> list[str]:
    """A check of this plan, done and collected: the first `leaking` lines of test resemble train. Returns their ids."""
    planned = snapshots.plan(ws, recipe)
    run_id = ws.new_id()
    tested = tuple(Tested(split=split, file=f"runs/{run_id}/{split}.jsonl") for split in ("validation", "test"))
    spec = InspectSpec(run_id=run_id, plan=planned.sha256, train_file=f"runs/{run_id}/train.jsonl", tested=tested)
    row = {"run_id": run_id, "kind": "inspect", "title": "Check for leaks", "snapshot_id": "", "spec": dumps(spec)}
    with ws.transaction() as transaction:
        transaction.insert("runs", [row | {"folder": f"runs/{run_id}", "started_at": ws.now()}])
    folder = ws.path(f"runs/{run_id}")
    rundir.prepare(folder, dumps(spec))
    learned = [piece.record_id for piece in planned.splits["train"]]
    found = [piece.record_id for piece in planned.splits["test"]][:leaking]
    lines = [_match(name, train) for name, train in zip(found, learned, strict=False)]
    (folder / "matches.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    rundir.note_launch(folder, ws.now().timestamp())
    counts = {split: len(part) for split, part in planned.splits.items()}
    data = {"lines": counts, "leaking": leaking, "kinds": {"near": leaking}, "near_floor": 0.8, "meaning": None, "seconds": 1.0}
    Child(folder).finish("done", f"{leaking} lines resemble train.", data=data | {"measures": MEASURES})
    runs.collect(ws)
    return found


def _match(item_id: str, train_id: str) -> dict[str, Any]:
    alike = {"kind": "near", "similarity": 0.9, "other_similarity": 0.25}
    return {"split": "test", "item_id": item_id, "train_id": train_id} | alike
