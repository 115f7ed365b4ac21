"""An evaluation run: every candidate answers every item, then every answer is scored. Answers already there are kept."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

from pipeline import base_models, examples, metrics
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example
from pipeline.rundir import Child, read_lines, write_atomic
from pipeline.specs import Candidate, EvaluateSpec


def run(child: Child, spec: EvaluateSpec, workspace: Path) -> dict[str, Any]:
    """Answer, score, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    items = examples.read(workspace / spec.items_file)
    for candidate in spec.candidates:
        _answer(child, spec, candidate, items, workspace)
    child.say("scoring", sentence="Scoring the answers")
    rows, labels = _score(items, read_lines(child.folder / "outputs.jsonl"))
    write_atomic(child.folder / "scores.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return {"candidates": [candidate.candidate_id for candidate in spec.candidates], "items": len(items),
            "labels": list(labels) if labels else None,
            "metrics": {candidate.candidate_id: _means([row for row in rows if row["candidate_id"] == candidate.candidate_id])
                        for candidate in spec.candidates}}


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


def _score(items: list[Example], outputs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...] | None]:
    references = {item.id: item.answer for item in items}
    labels = metrics.labels_of(list(references.values()))
    newest = {(row["candidate_id"], row["item_id"]): row["text"] for row in outputs if row["item_id"] in references}
    rows = []
    for (candidate_id, item_id), text in newest.items():
        named = ({"expected": metrics.normal(references[item_id]), "predicted": metrics.to_label(text, labels)} if labels
                 else {"expected": None, "predicted": None})
        found = metrics.score(references[item_id], text)
        if labels:
            found["accuracy"] = float(named["predicted"] == named["expected"])
        rows.append({"candidate_id": candidate_id, "item_id": item_id, "sample": 0, "scores": found} | named)
    return rows, labels


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    found = {name: sum(row["scores"][name] for row in rows) / len(rows) for name in (*metrics.ROUGE, "exact_match")}
    if rows[0]["expected"] is not None:
        found |= metrics.classify([row["expected"] for row in rows], [row["predicted"] for row in rows])
    return found
