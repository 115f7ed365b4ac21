"""What the files of a run folder are called; docs/architecture.md says who writes them and when."""

EVENTS, SAMPLES, PREVIEW, OUTPUTS, SCORES = "events.jsonl", "samples.jsonl", "preview.jsonl", "outputs.jsonl", "scores.jsonl"
RECORDS, FINDINGS, SUGGESTIONS, DOUBTS = "records.jsonl", "findings.jsonl", "suggestions.jsonl", "doubts.jsonl"
TEXTS, COPIES, PAIRS, WORK = "texts.parquet", "copies.parquet", "pairs.parquet", "work"
ASKS, PIECES = "asks.jsonl", "pieces.jsonl"
ANSWERS, JUDGEMENTS, OWN_ERRORS = "answers.jsonl", "judgements.jsonl", "own_errors.jsonl"
EXAMPLES, CALLS, SEEDS, EXISTING = "examples.jsonl", "calls.jsonl", "seeds.jsonl", "existing.jsonl"
DATASET = "dataset"
