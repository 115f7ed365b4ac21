"""An evaluation run: every candidate answers every item, then every answer is scored. Answers already there are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline import answers, examples, shots
from pipeline.answering import Sitting
from pipeline.examples import Example
from pipeline.rundir import Child, read_lines, write_atomic
from pipeline.scoring import engine
from pipeline.specs import EvaluateSpec

NEAREST = "nearest.jsonl"


def run(child: Child, spec: EvaluateSpec, workspace: Path) -> dict[str, Any]:
    """Answer, score, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    items = examples.read(workspace / spec.items_file)
    have = [*read_lines(child.folder / answers.KNOWN), *read_lines(child.folder / "outputs.jsonl")]
    known = {row["answer_key"]: row for row in have if row["answer_key"]}
    if spec.train_file:
        _find_nearest(child, items, examples.read(workspace / spec.train_file))
    asked = {candidate.candidate_id: Sitting(child, spec, candidate, items, workspace, known).run()
             for candidate in spec.candidates}
    child.say("scoring", sentence="Scoring the answers")
    outputs = read_lines(child.folder / "outputs.jsonl")
    rows, facts = engine.score(items, outputs, spec,
                               lambda done, total: child.say("scoring", done, total, "answers", "Scoring the answers"))
    write_atomic(child.folder / "scores.jsonl", engine.lines(rows))
    return {"candidates": [candidate.candidate_id for candidate in spec.candidates], "items": len(items), "asked": asked,
            "reused": sum(row["reused"] for row in outputs)} | facts


def done_words(data: dict[str, Any]) -> str:
    reused = f" ({data['reused']:,} answers were known)" if data["reused"] else ""
    return f"{len(data['candidates'])} candidates answered {data['items']:,} test items{reused}; the answers are scored."


def _find_nearest(child: Child, items: list[Example], train: list[Example]) -> None:
    """Write nearest.jsonl: of each item the three training examples with the most similar question."""
    if (child.folder / NEAREST).exists():
        return
    child.say("comparing", sentence="Looking for the nearest training examples")
    found = zip(items, shots.nearest(train, items, 3), strict=True)
    lines = ({"item_id": item.id, "train_ids": [train[place].id for place in places]} for item, places in found)
    write_atomic(child.folder / NEAREST, "".join(json.dumps(line) + "\n" for line in lines))
