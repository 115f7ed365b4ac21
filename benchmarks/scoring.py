"""How long it takes to score answers with ROUGE, beside rouge-score itself in the same run: 1,000 and 10,000 answers.

    python -m benchmarks.scoring

Real answers of a help desk (Bitext, beside the project; without them made-up ones), 110 words each, held against another answer
to the same kind of question. Values are compared first: they must be equal. Each is the best of three. Records
`scoring.rouge_10k_s` (the whole engine with ROUGE-1/2/L, as a run does it) and `scoring.speedup_vs_rouge_score`; writes the
table `scoring` into RESULTS.md.
"""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable
from pathlib import Path

from rouge_score import rouge_scorer

from benchmarks import record
from pipeline.examples import Example
from pipeline.scoring import engine, names, rouge
from pipeline.specs import ScoreSpec

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "bitext_llm" / "bitext_support_responses_v2_2023-08-18.csv"
SIZES = (1_000, 10_000)
KINDS = {"ROUGE-1/2/L": rouge.KEYS, "what free text gets": names.suited("text"),
         "the same and BLEU": (*names.suited("text"), "bleu")}


def pairs(count: int) -> list[tuple[str, str]]:
    """(reference, answer): answers to questions of one intent."""
    dice = random.Random(0)
    by_intent: dict[str, list[str]] = {}
    if DATA.exists():
        with DATA.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                by_intent.setdefault(row["intent"], []).append(row["response"])
    else:
        words = [f"word{n}" for n in range(3_000)]
        by_intent["made up"] = [" ".join(dice.choices(words, k=110)) for _ in range(4_000)]
    intents = sorted(by_intent)
    return [tuple(dice.choices(by_intent[dice.choice(intents)], k=2)) for _ in range(count)]  # type: ignore[misc]


def best(work: Callable[[], object], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        rouge._reference.cache_clear()
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def engine_run(said: list[tuple[str, str]], metrics: tuple[str, ...]) -> Callable[[], object]:
    items = [Example(f"i{n}", ({"role": "user", "content": "?"}, {"role": "assistant", "content": reference}))
             for n, (reference, _) in enumerate(said)]
    outputs = [{"candidate_id": "m", "item_id": f"i{n}", "sample": 0, "text": answer} for n, (_, answer) in enumerate(said)]
    spec = ScoreSpec(run_id="r", evaluation_id="e", items_file="f", metrics=metrics, answers="text")
    return lambda: engine.score(items, outputs, spec, lambda done, total: None)


def main() -> None:
    lines = ["| answers | scores | seconds | rouge-score itself | times as fast |", "|---:|---|---:|---:|---:|"]
    figures = {}
    theirs = rouge_scorer.RougeScorer(list(rouge.KEYS), use_stemmer=False)
    for size in SIZES:
        said = pairs(size)
        plain = best(lambda said=said: [theirs.score(*pair) for pair in said], 1)  # type: ignore[misc]
        unlike = sum(rouge.score(*pair) != {key: one.fmeasure for key, one in theirs.score(*pair).items()}
                     for pair in said[:1_000])
        if unlike:
            raise SystemExit(f"{unlike} of 1,000 values are not rouge-score's")
        for name, metrics in KINDS.items():
            seconds = best(engine_run(said, metrics))
            beside = f"{plain:.2f} | {plain / seconds:.1f}" if metrics == rouge.KEYS else "– | –"
            lines.append(f"| {size:,} | {name} | {seconds:.2f} | {beside} |")
            print(lines[-1], flush=True)
            if metrics == rouge.KEYS:
                figures = {"scoring.rouge_10k_s": round(seconds, 2),
                           "scoring.speedup_vs_rouge_score": round(plain / seconds, 1)}
    record.keep(figures)
    record.table("scoring", "Scoring: answers of 110 words, one core, best of three", lines)


if __name__ == "__main__":
    main()
