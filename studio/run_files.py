"""What the files of a run folder are called; docs/architecture.md says who writes them and when."""

from __future__ import annotations

from pathlib import Path

EVENTS, SAMPLES, PREVIEW, OUTPUTS, SCORES = "events.jsonl", "samples.jsonl", "preview.jsonl", "outputs.jsonl", "scores.jsonl"
RECORDS, FINDINGS, SUGGESTIONS, DOUBTS = "records.jsonl", "findings.jsonl", "suggestions.jsonl", "doubts.jsonl"
TEXTS, COPIES, PAIRS, WORK = "texts.parquet", "copies.parquet", "pairs.parquet", "work"
ASKS, PIECES = "asks.jsonl", "pieces.jsonl"
ANSWERS, JUDGEMENTS, OWN_ERRORS = "answers.jsonl", "judgements.jsonl", "own_errors.jsonl"
EXAMPLES, CALLS, SEEDS, EXISTING = "examples.jsonl", "calls.jsonl", "seeds.jsonl", "existing.jsonl"
DATASET = "dataset"
LIVES = "alive.lock"


def whole_lines(path: Path, upto: int) -> int:
    """The bytes of a file's first `upto` that end with the last whole line among them."""
    with path.open("rb") as file:
        at = upto
        while at > 0:
            begin = max(0, at - (1 << 16))
            file.seek(begin)
            found = file.read(at - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            at = begin
    return 0
