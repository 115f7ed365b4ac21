"""A run of kind "score": stored answers get further scores. Nothing is generated; the same run again gives the same rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline import examples
from pipeline.errors import Stopped
from pipeline.examples import Example
from pipeline.rundir import Child, read_lines, write_atomic
from pipeline.scoring import engine, names, own, probes
from pipeline.scoring.engine import Row
from pipeline.specs import ScoreSpec

ANSWERS, ERRORS = "answers.jsonl", "own_errors.jsonl"
MOST_ERRORS = 200
"""Lines of what went wrong that are kept."""


def run(child: Child, spec: ScoreSpec, workspace: Path) -> dict[str, Any]:
    """Score, write scores.jsonl and own_errors.jsonl, return the facts. Raises PipelineError in words, Stopped when asked."""
    items = examples.read(workspace / spec.items_file)
    outputs = read_lines(child.folder / ANSWERS)
    child.say("scoring", 0, len(outputs), "answers", "Scoring the answers")

    def say(done: int, total: int) -> None:
        child.say("scoring", done, total, "answers", "Scoring the answers")
        _stop_where_asked(child)

    rows, facts = engine.score(items, outputs, spec, say)
    failed = _own(child, spec, items, outputs, rows)
    for candidate_id, means in facts["metrics"].items():
        means |= _own_means([row for row in rows if row["candidate_id"] == candidate_id])
    kept = [row for row in rows if row["scores"]]
    write_atomic(child.folder / "scores.jsonl", engine.lines(kept))
    return facts | {"answered": len(outputs), "rows": len(kept), "failed": failed}


def done_words(data: dict[str, Any]) -> str:
    """How it ended, in words."""
    words = f"{data['answered']:,} answers are scored by {', '.join(map(names.title, data['scored']))}."
    if failed := sum(data["failed"].values()):
        words += f" {failed:,} calls of own functions failed; the list says why."
    return words


def _own(child: Child, spec: ScoreSpec, items: list[Example], outputs: list[Row], rows: list[Row]) -> dict[str, int]:
    """Add the scores of own functions and of the pattern to the rows; how many calls of each failed, by key."""
    functions = {key: {"code": code} for name, code in spec.own.items() if (key := f"{names.OWN}{name}") in spec.metrics}
    if "regex" in spec.metrics:
        functions["regex"] = {"pattern": spec.pattern}
    known = {item.id: item for item in items}
    said = {(row["candidate_id"], row["item_id"], row["sample"]): row["text"] for row in outputs}
    mine = [row for row in rows if not row["item_id"].startswith(probes.PREFIX)]
    asked = [(said[(row["candidate_id"], row["item_id"], row["sample"])], known[row["item_id"]]) for row in mine]
    deadline = time.monotonic() + own.WHOLE_SECONDS
    failed, errors = {}, []
    for key, source in functions.items():
        with own.OwnFunction(names.title(key), source) as function:
            wrong = 0
            for done, (row, found) in enumerate(zip(mine, own.scores(function, asked, deadline), strict=True)):
                if done % 50 == 0:
                    child.say(f"running {key}", done, len(mine), "answers", f"Running {names.title(key)}")
                    _stop_where_asked(child)
                if found.value is not None:
                    row["scores"][key] = found.value
                    continue
                wrong += 1
                errors.append({"metric": key, "candidate_id": row["candidate_id"], "item_id": row["item_id"],
                               "line": found.line, "words": found.words})
        failed[key] = wrong
    write_atomic(child.folder / ERRORS, engine.lines(errors[:MOST_ERRORS]))
    return failed


def _own_means(rows: list[Row]) -> dict[str, float]:
    keys = {key for row in rows for key in row["scores"] if key.startswith(names.OWN) or key == "regex"}
    return {key: sum(values) / len(values) for key in sorted(keys)
            if (values := [row["scores"][key] for row in rows if key in row["scores"]])}


def _stop_where_asked(child: Child) -> None:
    if child.stop_requested():
        raise Stopped("Stopped, as asked: the earlier scores stay as they are.")
