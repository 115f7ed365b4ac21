"""Adapter = merged = served? The starter, tuned in 4 bits and in 16, exported in several ways, on the same 50 prompts.

    python -m benchmarks.parity

In float32 every prompt, log-probability and answer must be equal (`parity.mismatches`, 0). What rounding to bfloat16 does, and
what a merge of an NF4-trained adapter into the 16-bit base does, is printed beside. Everything runs in child processes, as in
the studio. Data: real questions and answers of ../shared/data, the tested ones not among the learned ones.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.generation import DATA, STARTER, SYSTEM
from pipeline import launch, rundir
from pipeline.rundir import Result
from pipeline.spec_deploy import ExportSpec, ParitySpec, ServeSpec
from pipeline.specs import AnySpec, Candidate, Endpoint, TrainSpec, dumps

LEARNED, PROMPTS, TOKENS, PORT = 48, 50, 24, 8911
WAYS = (("qlora", "float32", "trained", True), ("qlora", "bfloat16", "trained", False), ("qlora", "bfloat16", "base", False),
        ("lora", "float32", "base", False), ("lora", "bfloat16", "base", False), ("lora", "float16", "base", False))
"""How it was tuned, merged in which precision and into which values, and whether it is also served."""

NAMES = {"qlora": "NF4", "lora": "16 bits"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_items(home)
        found = [row for method in NAMES for row in of_method(home, method)]
    exact = [leg for row in found if row["precision"] == "float32" for leg in row["legs"]]
    record.keep({"parity.mismatches": sum(leg["mismatches"] for leg in exact)})
    record.table("parity", "Is the served model the one that was evaluated?", lines(found))
    print("\n".join(lines(found)))


def write_items(home: Path) -> None:
    """Learned, validated and tested on: every so many rows of the file, so that all its intents are among them."""
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    step = len(rows) // (LEARNED + 6 + PROMPTS)
    chosen = rows[::step][: LEARNED + 6 + PROMPTS]
    parts = {"train": chosen[: LEARNED * 2 : 2], "test": chosen[1 : PROMPTS * 2 : 2], "validation": chosen[-6:]}
    for name, part in parts.items():
        written = [{"id": f"{name}{place}", "messages": [
            {"role": "system", "content": SYSTEM}, {"role": "user", "content": row["instruction"]},
            {"role": "assistant", "content": row["response"]}]} for place, row in enumerate(part)]
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written))


def of_method(home: Path, method: str) -> list[dict[str, Any]]:
    """Tune once, export and compare in every way."""
    trained = finished(home, TrainSpec(
        run_id=f"train-{method}", base=STARTER, train_file="train.jsonl", validation_file="validation.jsonl", epochs=1,
        learning_rate=5e-4, rank=8, method=method, step_tokens=700, too_long="leave_out", sample_prompts=0,  # type: ignore[arg-type]
        evaluations_per_epoch=1, max_tokens=1024))
    tuned = Candidate(model_id=method, name="tuned", base=STARTER, adapter=f"runs/train-{method}/adapter", method=method,  # type: ignore[arg-type]
                      sha256=trained.data["adapter_sha256"])
    return [compared(home, tuned, *way[1:]) for way in WAYS if way[0] == method]


def compared(home: Path, tuned: Candidate, precision: str, onto: str, served: bool) -> dict[str, Any]:
    name = f"{tuned.method}-{precision}-{onto}"
    made = finished(home, ExportSpec(run_id=name, tuned=tuned, forms=("merged",), precision=precision, onto=onto))  # type: ignore[arg-type]
    merged = f"exports/{name}/merged"
    server = serving(home, tuned, merged) if served else None
    endpoint = Endpoint(base_url=f"http://127.0.0.1:{PORT}/v1", model="tuned") if served else None
    found = finished(home, ParitySpec(run_id=f"parity-{name}", tuned=tuned, merged=merged, served=endpoint, prompts=PROMPTS,
                                      items_file="test.jsonl", max_new_tokens=TOKENS, served_precision=precision))  # type: ignore[arg-type]
    if server is not None:
        rundir.ask_to_stop(server)
        while rundir.is_alive(server):
            time.sleep(0.1)
    told = {"method": tuned.method, "precision": precision, "onto": onto, "distance": made.data["distance"]} | found.data
    print(json.dumps(told))
    return told


def serving(home: Path, tuned: Candidate, merged: str) -> Path:
    """A server in its own process, once it answers."""
    folder = prepared(home, ServeSpec(run_id="serve", name="tuned", tuned=tuned, merged=merged, port=PORT, patience=600))
    launch.start(folder, home)
    while (said := rundir.status(folder)) is None or said.phase != "serving":
        assert rundir.result(folder) is None, rundir.log_tail(folder)
        time.sleep(0.1)
    return folder


def prepared(home: Path, spec: AnySpec) -> Path:
    folder = home / "runs" / spec.run_id
    rundir.prepare(folder, dumps(spec))
    return folder


def finished(home: Path, spec: AnySpec) -> Result:
    """A run as the studio does it, to its end."""
    folder = prepared(home, spec)
    launch.start(folder, home)
    while (ended := rundir.result(folder)) is None or rundir.is_alive(folder):
        time.sleep(0.2)
    print(f"{spec.run_id}: {ended.outcome}: {ended.message}")
    assert ended.outcome == "done", rundir.log_tail(folder)
    return ended


def lines(found: list[dict[str, Any]]) -> list[str]:
    into = {"trained": "the values it learned on", "base": "the 16-bit base"}
    rows = [f"| {NAMES[row['method']]} | {row['precision']}, {into[row['onto']]} | {leg['name']} | {leg['read']} | "
            f"{leg['first_apart']:.4f} | {leg['equal']} | {leg['rounded']} | {leg['mismatches']} | "
            f"{leg['values'][0]:.3f} → {leg['values'][1]:.3f} | {leg['cause'] or 'the same'} |"
            for row in found for leg in row["legs"]]
    apart = next(row["distance"] for row in found if row["distance"])
    return [f"The starter, tuned on {LEARNED} real tickets; {PROMPTS} others, at most {TOKENS} new tokens, greedy; computed in "
            f"{found[0]['compute']}. The values of 4 bits lie {100 * apart:.1f} % from the base's own. `parity.mismatches` "
            "counts the rows in float32.", "",
            "| tuned in | merged in, into | against the adapter | same prompts | first token, nats apart at most | equal "
            "answers | near ties turned | mismatches | ROUGE-L | verdict |",
            "|---|---|---|---:|---:|---:|---:|---:|---|---|", *rows]


if __name__ == "__main__":
    main()
