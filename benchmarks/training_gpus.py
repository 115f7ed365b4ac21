"""Several GPUs of one machine: the trainer on one, on two, and on two that hold the base together; and what was foretold.

    python -m benchmarks.training_gpus make FOLDER TOKENIZER            (random weights in the shape of Llama 3.1 8B, 16 GB)
    python -m benchmarks.training_gpus run WORKSPACE CSV --base FOLDER [--question COL --answer COL]
    python -m benchmarks.training_gpus record LINES                     (a file of its lines, into RESULTS.md)

Each run prints one JSON line. Losses of all must agree: the steps are the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import record, training_truth
from pipeline import rundir
from pipeline.specs import AnySpec, BaseSource, PreviewSpec, TrainSpec, dumps

TRAIN, VALIDATION, STEP_TOKENS = 1_600, 60, 32_768
WAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("one GPU", {"processes": 1, "method": "lora"}),
    ("two GPUs", {"processes": 2, "method": "lora"}),
    ("one GPU, NF4", {"processes": 1, "method": "qlora"}),
    ("two GPUs that share the base, NF4", {"processes": 2, "method": "qlora", "sharding": "on"}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["make", "run", "record"])
    parser.add_argument("where", type=Path)
    parser.add_argument("what", type=Path, nargs="?")
    parser.add_argument("--base", default="")
    parser.add_argument("--small", action="store_true", help="a tiny model, to try this out on a CPU")
    parser.add_argument("--only", type=int, nargs="*", default=list(range(len(WAYS))))
    parser.add_argument("--train", type=int, default=TRAIN)
    parser.add_argument("--question", default="instruction")
    parser.add_argument("--answer", default="response")
    given = parser.parse_args()
    if given.act == "make":
        make(given.where, given.what, given.small)
    elif given.act == "record":
        keep([json.loads(line.split(" ", 1)[1]) for line in given.where.read_text().splitlines() if line.startswith("RESULT ")])
    else:
        training_truth.prepare(given.where, given.what, given.question, given.answer, given.train, VALIDATION, 1)
        base = BaseSource(kind="folder", ref=str(Path(given.base).resolve()), name="Llama 3.1 8B shape")
        for number in given.only:
            name, dials = WAYS[number]
            print("RESULT " + json.dumps({"name": name} | one(given.where.resolve(), base, f"gpus{number}", dials)), flush=True)


def make(folder: Path, tokenizer: Path, small: bool) -> None:
    """Random weights, saved as a model's folder with somebody else's tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks import training_model

    settings = training_model.config(small)
    if small:
        settings.vocab_size = 49_152
    where = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    with torch.device(where):
        model = AutoModelForCausalLM.from_config(settings, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    for path in tokenizer.iterdir():
        if path.name.startswith(("tokenizer", "special", "chat_template", "added", "vocab", "merges")):
            shutil.copy(path, folder)


def one(workspace: Path, base: BaseSource, name: str, dials: dict[str, Any]) -> dict[str, Any]:
    """What was foretold of a run, and what it did."""
    files = {"train_file": "train.jsonl", "validation_file": "validation.jsonl", "epochs": 1, "step_tokens": STEP_TOKENS}
    shown = {key: dials[key] for key in ("processes", "method")}
    said = ended(workspace, PreviewSpec(run_id=f"{name}-preview", base=base, **files, **shown))  # type: ignore[arg-type]
    plan = next(plan for plan in said["plans"] if plan["method"] == dials["method"])
    began = time.perf_counter()
    data = ended(workspace, TrainSpec(run_id=name, base=base, **files, **dials, evaluations_per_epoch=1, sample_prompts=0))  # type: ignore[arg-type]
    events = rundir.read_lines(workspace / "runs" / name / "events.jsonl")
    steps = [row for row in events if row["event"] == "loss"]
    half = steps[len(steps) // 2 :]
    return {
        "foretold_gib": round(plan["peak_gib"], 2),
        "foretold_tokens_s": plan["tokens_s"] and round(plan["tokens_s"]),
        "foretold_sharded": plan["sharded"],
        "tokens_s": round(statistics.median(row["tokens_s"] for row in half)),
        "losses": [round(row["loss"], 4) for row in steps],
        "validation": [round(row["loss"], 4) for row in events if row["event"] == "validation"],
        "whole_s": round(time.perf_counter() - began, 1),
        **{key: data[key] for key in ("peak_gib", "row_tokens", "resident16", "checkpointed", "sharded", "steps")},
    }


def ended(workspace: Path, spec: AnySpec) -> dict[str, Any]:
    folder = workspace / "runs" / spec.run_id
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, time.time())
    subprocess.run([sys.executable, "-m", "pipeline", str(folder), "--workspace", str(workspace)], check=False)
    found = rundir.result(folder)
    assert found is not None and found.outcome == "done", found
    return found.data


def keep(found: list[dict[str, Any]]) -> None:
    lines = [
        f"Real support answers, steps of {STEP_TOKENS:,} tokens for all processes together, r = 16, random weights in the "
        "shape of Llama 3.1 8B, two NVIDIA H100 80GB HBM3 of one host (torch 2.11.0). Losses are those of the same steps.",
        "What is foretold is the quickest plan that fits, so not of a base that was shared on request.",
        "",
        "| run | tokens/s | foretold | peak GiB each | foretold | validation before → after | last loss | whole run, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['tokens_s']:,} | {row['foretold_tokens_s']:,} | {row['peak_gib']:.1f} | "
        f"{row['foretold_gib']:.1f} | {row['validation'][0]:.4f} → {row['validation'][-1]:.4f} | {row['losses'][-1]:.4f} | "
        f"{row['whole_s']:.0f} |"
        for row in found
    ]
    record.table("training-gpus", "Two GPUs", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
