"""An evaluation run: every candidate answers every item, then every answer is scored. Answers already there are kept."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

from pipeline import base_models, examples
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example
from pipeline.rundir import Child, read_lines, write_atomic
from pipeline.scoring import engine
from pipeline.specs import Candidate, EvaluateSpec


def run(child: Child, spec: EvaluateSpec, workspace: Path) -> dict[str, Any]:
    """Answer, score, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    items = examples.read(workspace / spec.items_file)
    for candidate in spec.candidates:
        _answer(child, spec, candidate, items, workspace)
    child.say("scoring", sentence="Scoring the answers")
    rows, facts = engine.score(items, read_lines(child.folder / "outputs.jsonl"), spec,
                               lambda done, total: child.say("scoring", done, total, "answers", "Scoring the answers"))
    write_atomic(child.folder / "scores.jsonl", engine.lines(rows))
    return {"candidates": [candidate.candidate_id for candidate in spec.candidates], "items": len(items)} | facts


def _answer(child: Child, spec: EvaluateSpec, candidate: Candidate, items: list[Example], workspace: Path) -> None:
    """Let one candidate answer what it has not answered yet."""
    from pipeline.generation.local import LocalModel

    mine = candidate.candidate_id
    have = {row["item_id"] for row in read_lines(child.folder / "outputs.jsonl") if row["candidate_id"] == mine}
    todo = [item for item in items if item.id not in have]
    if not todo:
        return
    if candidate.base is None:
        raise PipelineError("Endpoints cannot answer an evaluation yet.", "Choose local models.")
    loading, answering = f"loading {candidate.candidate_id}", f"answering {candidate.candidate_id}"
    child.say(loading, sentence=f"Loading {candidate.name}")
    folder = base_models.prepare(candidate.base, workspace, lambda sentence: child.say(loading, sentence=sentence))
    model = LocalModel(folder, workspace / candidate.adapter if candidate.adapter else None, candidate.method)
    done = len(have)
    child.say(answering, done, len(items), "answers", f"{candidate.name} answers")
    batch = spec.decoding.batch_size or 16
    ordered = sorted(todo, key=lambda item: len(json.dumps(item.messages[:-1])))
    for start in range(0, len(ordered), batch):
        if child.stop_requested():
            raise Stopped(f"Stopped after {done} of {len(items)} answers of {candidate.name}, as asked; they are kept.")
        for answer in model.answers(ordered[start : start + batch], spec.decoding):
            child.output({"candidate_id": candidate.candidate_id, "sample": 0, "answer_key": "", "reused": False}
                         | answer.__dict__)
            done += 1
        child.say(answering, done, len(items), "answers", f"{candidate.name} answers")
    del model
    gc.collect()
