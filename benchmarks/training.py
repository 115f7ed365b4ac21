"""Training speed on one NVIDIA GPU, ours beside what people run today: same model shape, tickets and adapters, one run.

    python -m benchmarks.training measure OUT.json [--site FOLDER]   (on the GPU; --site holds Unsloth, its trl and datasets)
    python -m benchmarks.training record OUT.json                      (write RESULTS.md and results.json from it)
    python -m benchmarks.training cpu                                (the starter on this computer's processor)

Every recipe runs in a process of its own. What needs which packages is said in `training_peers`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import record

SAVED = Path(tempfile.gettempdir()) / "training-checkpoint"
LOSS_GAP, NOISE_TIMES = 1e-4, 2.0
VERSIONS = ("torch", "triton", "transformers", "peft", "bitsandbytes", "trl")

Run = tuple[str, list[str], float]
OURS: list[Run] = [
    ("check", ["training_ours", "check"], 90),
    ("default", ["training_ours", "default", "--seconds", "9"], 70),
    ("best", ["training_ours", "best", "--seconds", "9"], 70),
    ("small", ["training_ours", "small", "--seconds", "9"], 80),
    ("small 4k", ["training_ours", "small", "--rows", "4608", "--seconds", "6"], 70),
]
PEERS: list[Run] = [
    ("tutorial", ["training_peers", "tutorial", "--seconds", "24"], 70),
    ("trl", ["training_peers", "trl", "--seconds", "12"], 70),
    ("saving", ["training_peers", "checkpoint", str(SAVED)], 60),
    (
        "unsloth with the keyword",
        ["training_peers", "unsloth", str(SAVED), "plain,checkpointed", "--shim", "--seconds", "8"],
        170,
    ),
    ("unsloth as it comes", ["training_peers", "unsloth", str(SAVED), "checkpointed", "--seconds", "8"], 110),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["measure", "record", "cpu"])
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--site", default="")
    given = parser.parse_args()
    if given.act == "measure":
        measure(given.file, given.site)
    elif given.act == "record":
        keep(json.loads(given.file.read_text()))
    else:
        from benchmarks import training_cpu

        training_cpu.main()


def measure(out: Path, site: str) -> None:
    import torch

    found: dict[str, Any] = {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "device": torch.cuda.get_device_name(),
        "versions": {name: version(name) for name in VERSIONS},
        "runs": {},
    }
    for name, command, seconds in [*OURS, *PEERS]:
        results, log = run(command, seconds, site if "unsloth" in name else "")
        found["runs"][name] = results
        out.write_text(json.dumps(found, indent=1))
        print(
            f"{name}: {json.dumps(results)}" if results or name == "saving" else f"{name}: no result\n{log[-1500:]}", flush=True
        )


def run(command: list[str], seconds: float, site: str) -> tuple[list[dict[str, Any]], str]:
    """The result lines of one script, and its whole output."""
    environment = os.environ | {"PYTORCH_ALLOC_CONF": "expandable_segments:True", "HF_HUB_OFFLINE": "1"}
    if site:
        environment["PYTHONPATH"] = os.pathsep.join([site, *filter(None, [os.environ.get("PYTHONPATH")])])
    made = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{command[0]}", *command[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    try:
        log, _ = made.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        made.kill()
        log, _ = made.communicate()
    return [json.loads(line.removeprefix("RESULT ")) for line in log.splitlines() if line.startswith("RESULT ")], log


def keep(found: dict[str, Any]) -> None:
    """Figures and table. Unsloth's best is the faster of its two; least memory is held against it as it comes; the same with
    the keyword is printed beside. `notes` of the file are printed below the table."""
    runs = {name: rows[0] for name, rows in found["runs"].items() if rows}
    plain, held_back = found["runs"]["unsloth with the keyword"]
    as_it_comes = runs["unsloth as it comes"]
    rows = [
        ("tutorial: Trainer 4 × 4, padding, checkpointing", runs["tutorial"]),
        ("TRL's defaults", runs["trl"]),
        ("Unsloth, packing, its checkpointing, as it comes", as_it_comes),
        ("Unsloth, the same, torch's kernel made visible", held_back),
        ("Unsloth, packing, no checkpointing, torch's kernel made visible", plain),
        ("**ours, default**: NF4, packed rows of 8,192", runs["default"]),
        ("**ours, most memory**: NF4 values held in 16 bits", runs["best"]),
        ("**ours, least memory**: NF4, checkpointing", runs["small"]),
        ("ours, least memory, rows of 4,608", runs["small 4k"]),
    ]
    ours, floor, leak = (runs["check"][part] for part in ("ours", "floor", "leak"))
    figures = {
        f"training.tokens_s_{name}": round(runs[name]["tokens_s"], 1)
        for name in ("tutorial", "trl", "default", "best", "small")
    }
    figures |= {
        "training.tokens_s_unsloth": round(plain["tokens_s"], 1),
        "training.mfu_best": round(runs["best"]["mfu"], 4),
        "training.gpu_busy": round(runs["default"]["gpu_busy"], 4),
        "training.vs_unsloth": round(runs["best"]["tokens_s"] / plain["tokens_s"], 3),
        "training.vs_unsloth_small": round(runs["small"]["tokens_s"] / as_it_comes["tokens_s"], 3),
        "training.packed_loss_gap": ours["loss_gap"],
        "training.peak_gib_default": round(runs["default"]["peak_gib"], 2),
        "training.peak_gib_small": round(runs["small"]["peak_gib"], 2),
    }
    record.keep(figures)
    lines = [
        "The shape of Llama 3.1 8B, random weights, NF4, r = 16 on all linear layers, 4,000 tickets (median 170 tokens, p95",
        f"450), every token learned. {found['device']}; " + ", ".join(f"{k} {v}" for k, v in found["versions"].items()) + ".",
        "",
        "| recipe | real tokens/s | against the tutorial | of 790 TFLOP/s | peak GiB | GPU busy |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['tokens_s']:,.0f} | {row['tokens_s'] / runs['tutorial']['tokens_s']:.1f} × | "
        f"{_share(row.get('mfu'))} | {row['peak_gib']:.1f} | {_share(row.get('gpu_busy'))} |"
        for name, row in rows
    ]
    lines += [
        "",
        *found.get("notes", []),
        f"Best against Unsloth's best: **{figures['training.vs_unsloth']:.2f} ×**. Least memory against Unsloth's "
        f"checkpointing as it comes: **{figures['training.vs_unsloth_small']:.2f} ×** (with torch's kernel made visible: "
        f"{runs['small']['tokens_s'] / held_back['tokens_s']:.2f} ×).",
        "",
        "Packed against each ticket alone in transformers and peft (8,116 learned tokens):",
        "",
        "| | loss, relative difference | mean absolute difference of log-probabilities | slopes, cosine |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['loss_gap']:.1e} | {row['mean_abs_dlogp']:.3f} | {row['slope_cosine']:.4f} |"
        for name, row in (
            ("noise floor: the same tickets padded by six", floor),
            ("ours, packed", ours),
            ("negative control: attention across tickets", leak),
        )
    ]
    record.table("training", "Training speed", lines)
    print("\n".join(lines))
    assert ours["loss_gap"] <= LOSS_GAP and ours["mean_abs_dlogp"] <= NOISE_TIMES * floor["mean_abs_dlogp"]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


if __name__ == "__main__":
    main()
