"""Does a GPU learn what a CPU learns? The same run of the trainer on the starter model and real tickets, on either.

    python -m benchmarks.training_truth prepare WORKSPACE CSV [--question COL --answer COL]
    python -m benchmarks.training_truth run WORKSPACE NAME [--method qlora|lora] [--processes 2] [--base FOLDER]

    python -m benchmarks.training_truth record WORKSPACE LINES       (a file of such lines, into RESULTS.md)

The second on each machine; it prints one JSON line.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import record
from pipeline import rundir
from pipeline.specs import BaseSource, TrainSpec, dumps

TRAIN, VALIDATION, STRIDE = 400, 80, 9
EPOCHS, RATE = 2, 3e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["prepare", "run", "record"])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("what")
    parser.add_argument("--question", default="instruction")
    parser.add_argument("--answer", default="response")
    parser.add_argument("--method", default="qlora")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--base", default="", help="the folder of another model than the starter")
    given = parser.parse_args()
    if given.act == "prepare":
        prepare(given.workspace, Path(given.what), given.question, given.answer)
    elif given.act == "record":
        keep([json.loads(line.removeprefix("RESULT ")) for line in Path(given.what).read_text().splitlines()])
    else:
        print("RESULT " + json.dumps(run(given)), flush=True)


def prepare(
    workspace: Path,
    table: Path,
    question: str,
    answer: str,
    train: int = TRAIN,
    validation: int = VALIDATION,
    stride: int = STRIDE,
) -> None:
    """Every 9th row, the first 400 to learn from and the next 80 to measure on; or as many as are asked for."""
    workspace.mkdir(parents=True, exist_ok=True)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::stride][: train + validation]
    lines = [
        json.dumps(
            {
                "id": f"t{number}",
                "messages": [{"role": "user", "content": row[question]}, {"role": "assistant", "content": row[answer]}],
            }
        )
        + "\n"
        for number, row in enumerate(rows)
    ]
    (workspace / "train.jsonl").write_text("".join(lines[:train]), encoding="utf-8")
    (workspace / "validation.jsonl").write_text("".join(lines[train:]), encoding="utf-8")


def run(given: argparse.Namespace) -> dict[str, object]:
    workspace, name = given.workspace.resolve(), given.what
    starter = BaseSource(kind="starter", name="SmolLM2-135M-Instruct (starter)")
    base = BaseSource(kind="folder", ref=given.base, name=given.base) if given.base else starter
    spec = TrainSpec(
        run_id=name,
        base=base,
        train_file="train.jsonl",
        validation_file="validation.jsonl",
        epochs=EPOCHS,
        learning_rate=RATE,
        method=given.method,
        evaluations_per_epoch=2,
        sample_prompts=0,
        processes=given.processes,
    )
    folder = workspace / "runs" / name
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, time.time())
    subprocess.run([sys.executable, "-m", "pipeline", str(folder), "--workspace", str(workspace)], check=True)
    ended = rundir.result(folder)
    assert ended is not None and ended.outcome == "done", ended
    events = rundir.read_lines(folder / "events.jsonl")
    return {
        "name": name,
        "validation": [(row["step"], round(row["loss"], 4)) for row in events if row["event"] == "validation"],
        **{
            key: ended.data[key]
            for key in (
                "tokens_s",
                "steps",
                "step_tokens",
                "peak_gib",
                "method",
                "compute",
                "row_tokens",
                "checkpointed",
                "resident16",
                "seconds",
            )
        },
    }


def keep(found: list[dict[str, object]]) -> None:
    lines = [
        f"The starter on {TRAIN} real support answers, {EPOCHS} epochs, rate {RATE:g}, r = 16; validation loss (nats a "
        f"token) on {VALIDATION} others.",
        "",
        "| where | base | tokens at once | before | best | tokens/s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['method']} | {row['row_tokens']} | {row['validation'][0][1]} | "  # type: ignore[index]
        f"{min(loss for _, loss in row['validation'])} | {row['tokens_s']:,.0f} |"
        for row in found
    ]  # type: ignore[attr-defined]
    record.table("training-truth", "What a GPU learns, and what a CPU learns", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
