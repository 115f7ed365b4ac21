"""Training on a processor: our steps beside a bare loop (transformers and peft, padded batches of four), in turns.

    python -m benchmarks.training cpu

The starter model on conversations of the lengths of tickets; the same examples and the same type for both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from benchmarks import record
from pipeline import base_models
from pipeline.specs import BaseSource
from pipeline.template import Encoded
from pipeline.training import guard, quantised, recipe, rows
from pipeline.training.decoder import Decoder
from pipeline.training.learner import Learner

STARTER = BaseSource(kind="starter", name="SmolLM2-135M-Instruct (starter)")
ROUNDS, EXAMPLES, BATCH, ROW_TOKENS = 7, 16, 4, 1_024
RATE = 2e-4


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = base_models.prepare(STARTER, Path(folder), print)
        found = {method: measure(base, method) for method in ("lora", "qlora")}
    lines = [
        "The starter model, r = 16, batches of real lengths (40 to 330 tokens), both loops in turns in one process.",
        "",
        "| base | bare loop, real tokens/s | ours | ratio |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {'16 bits or float32' if method == 'lora' else 'NF4'} | {bare:.0f} | {ours:.0f} | {ours / bare:.2f} |"
        for method, (bare, ours) in found.items()
    ]
    record.keep(
        {
            "training.cpu_share": round(found["lora"][1] / found["lora"][0], 3),
            "training.cpu_share_nf4": round(found["qlora"][1] / found["qlora"][0], 3),
        }
    )
    record.table("training-cpu", "Training on a processor", lines)
    print("\n".join(lines))


def measure(folder: Path, method: str) -> tuple[float, float]:
    """(bare loop, ours) in real tokens a second: medians over rounds in turns, after one round that does not count."""
    where = torch.device("cpu")
    dtype = quantised.compute_dtype(where)
    ours = Learner(Decoder(_adapted(folder, dtype, method), dtype, hold=method == "lora"))
    examples = tickets()
    guard.check(ours.decoder, examples)
    acts: list[Callable[[], None]] = [_bare(_adapted(folder, dtype, method), dtype, examples), lambda: _ours(ours, examples)]
    tokens = sum(len(example.ids) for example in examples)
    speeds: list[list[float]] = [[], []]
    for turn in range(ROUNDS + 1):
        for number, act in enumerate(acts):
            began = time.perf_counter()
            act()
            if turn:
                speeds[number].append(tokens / (time.perf_counter() - began))
    return statistics.median(speeds[0]), statistics.median(speeds[1])


def tickets() -> list[Encoded]:
    """Sixteen conversations of 40 to 330 tokens, the second half learned; ids that the starter knows."""
    lengths = [40 + 290 * place // (EXAMPLES - 1) for place in range(EXAMPLES)]
    return [
        Encoded(
            str(number),
            tuple(100 + (number * 977 + place * 31) % 40_000 for place in range(length)),
            tuple(place >= length // 2 for place in range(length)),
        )
        for number, length in enumerate(lengths)
    ]


def _adapted(folder: Path, dtype: torch.dtype, method: str) -> Any:
    return quantised.add_adapter(quantised.load_base(folder, dtype, torch.device("cpu"), method == "qlora"), 16, 0)


def _ours(learner: Learner, examples: list[Encoded]) -> None:
    """Four optimizer steps on packed rows."""
    for start in range(0, EXAMPLES, BATCH):
        part = examples[start : start + BATCH]
        packed = recipe.pack(range(BATCH), [len(example.ids) for example in part], ROW_TOKENS)
        float(learner.step([rows.row([part[place] for place in places]) for places in packed], RATE)[0])


def _bare(model: Any, dtype: torch.dtype, examples: list[Encoded]) -> Callable[[], None]:
    """Four optimizer steps on padded batches, as a tutorial writes them."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE)

    def act() -> None:
        for start in range(0, EXAMPLES, BATCH):
            part = examples[start : start + BATCH]
            longest = max(len(example.ids) for example in part)
            ids = torch.tensor([[*example.ids, *[0] * (longest - len(example.ids))] for example in part])
            mask = torch.tensor([[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in part])
            wanted = torch.tensor([[*example.learned, *[False] * (longest - len(example.ids))] for example in part])
            with torch.autocast("cpu", torch.bfloat16, dtype == torch.bfloat16):
                logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
            loss = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].masked_fill(~wanted[:, 1:], -100).flatten())
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            float(loss)

    return act


if __name__ == "__main__":
    main()
