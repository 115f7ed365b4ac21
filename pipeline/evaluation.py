"""An evaluation run: every candidate answers every item, then every answer is scored. Answers already there are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline import answers, examples, metrics, shots
from pipeline.answering import Sitting
from pipeline.examples import Example
from pipeline.rundir import Child, read_lines, write_atomic
from pipeline.specs import EvaluateSpec

NEAREST = "nearest.jsonl"


def run(child: Child, spec: EvaluateSpec, workspace: Path) -> dict[str, Any]:
    """Answer, score, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    items = examples.read(workspace / spec.items_file)
    known = {row["answer_key"]: row for row in read_lines(child.folder / answers.KNOWN)}
    if spec.train_file:
        _find_nearest(child, items, examples.read(workspace / spec.train_file))
    asked = {candidate.candidate_id: Sitting(child, spec, candidate, items, workspace, known).run()
             for candidate in spec.candidates}
    child.say("scoring", sentence="Scoring the answers")
    rows, labels = _score(items, read_lines(child.folder / "outputs.jsonl"))
    write_atomic(child.folder / "scores.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return {"candidates": [candidate.candidate_id for candidate in spec.candidates], "items": len(items), "asked": asked,
            "reused": sum(row["reused"] for row in read_lines(child.folder / "outputs.jsonl")),
            "labels": list(labels) if labels else None,
            "metrics": {candidate.candidate_id: _means([row for row in rows if row["candidate_id"] == candidate.candidate_id])
                        for candidate in spec.candidates}}


def done_words(spec: EvaluateSpec, data: dict[str, Any]) -> str:
    reused = f" ({data['reused']:,} answers were known)" if data["reused"] else ""
    return f"{len(spec.candidates)} candidates answered {data['items']:,} test items{reused}; the answers are scored."


def _find_nearest(child: Child, items: list[Example], train: list[Example]) -> None:
    """Write nearest.jsonl: of each item the three training examples with the most similar question."""
    if (child.folder / NEAREST).exists():
        return
    child.say("comparing", sentence="Looking for the nearest training examples")
    found = zip(items, shots.nearest(train, items, 3), strict=True)
    lines = ({"item_id": item.id, "train_ids": [train[place].id for place in places]} for item, places in found)
    write_atomic(child.folder / NEAREST, "".join(json.dumps(line) + "\n" for line in lines))


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
