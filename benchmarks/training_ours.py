"""One path of the trainer on the measured model, in a process of its own: prints one JSON line.

python -m benchmarks.training_ours default|best|small|check [--rows 8192] [--seconds 12] [--small]
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch

from benchmarks import training_model
from pipeline.training import recipe, rows
from pipeline.training.decoder import Decoder
from pipeline.training.learner import Learner

WARM, FEWEST = 4, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", choices=["default", "best", "small", "check"])
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--small", action="store_true", help="a tiny model, to try the script without a GPU")
    given = parser.parse_args()
    found = (
        check(given.rows, given.small) if given.path == "check" else speed(given.path, given.rows, given.seconds, given.small)
    )
    print("RESULT " + json.dumps({"path": given.path} | found), flush=True)


def learner_of(path: str, small: bool) -> tuple[Any, Learner]:
    from pipeline.training import quantised

    where = "cuda" if torch.cuda.is_available() else "cpu"
    model = quantised.add_adapter(training_model.build(small, where), training_model.RANK, 0)
    decoder = Decoder(model, torch.bfloat16, hold=path == "best")
    decoder.checkpointed = decoder.layers if path == "small" else 0
    return model, Learner(decoder)


def speed(path: str, most: int, seconds: float, small: bool) -> dict[str, Any]:
    model, learner = learner_of(path, small)
    settings = model.get_base_model().config
    examples = training_model.tickets(settings.vocab_size)
    steps = recipe.steps([len(example.ids) for example in examples], most, training_model.SEED, 0)
    cuda = torch.cuda.is_available()
    sync = torch.cuda.synchronize if cuda else lambda: None
    losses, tokens, squares, tickets, done, began = [], 0, 0, 0, 0, 0.0
    while True:
        chosen = [examples[place] for place in steps[done % len(steps)]]
        losses.append(learner.step([rows.row(chosen)], 2e-4))
        done += 1
        if done == WARM:
            sync()
            began = time.perf_counter()
            tokens = squares = tickets = 0
            continue
        tokens += sum(len(example.ids) for example in chosen)
        squares += sum(len(example.ids) ** 2 for example in chosen)
        tickets += len(chosen)
        if done % 4 == 0:
            sync()  # an honest clock for the rule that ends it
        if done - WARM >= FEWEST and time.perf_counter() - began >= seconds:
            break
    sync()
    passed = time.perf_counter() - began
    found = {
        "tokens_s": tokens / passed,
        "mfu": training_model.flops(settings, tokens, squares) / passed / training_model.PEAK_FLOPS,
        "step_ms": 1e3 * passed / (done - WARM),
        "tickets_a_step": tickets / (done - WARM),
        "loss": [round(float(losses[place][0]), 4) for place in (0, 1, 2, 9, -1)],
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0,
        "reserved_gib": torch.cuda.max_memory_reserved() / 2**30 if cuda else 0.0,
    }
    return found | (busy(learner, examples, steps, found["step_ms"]) if cuda else {})


def busy(learner: Learner, examples: list[Any], steps: list[list[int]], step_ms: float) -> dict[str, Any]:
    """The share of a step's time in which the GPU computes: kernel times of three profiled steps over the time unprofiled."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    tokens = 0
    with profile(activities=[ProfilerActivity.CUDA]) as watched:
        for number in range(3):
            chosen = [examples[place] for place in steps[number]]
            tokens += sum(len(example.ids) for example in chosen)
            learner.step([rows.row(chosen)], 2e-4)
        torch.cuda.synchronize()
    sums: dict[str, list[float]] = {}
    for event in watched.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.device_type() == torch.autograd.DeviceType.CUDA and "Optimizer." not in event.name():
            known = sums.setdefault(event.name()[:100], [0, 0.0])
            known[0] += 1
            known[1] += event.duration_ns() / 1e6
    for name, (count, took) in sorted(sums.items(), key=lambda item: -item[1][1])[:26]:
        print(f"  {took / 3:8.2f} ms {count // 3:6d}x {name}", flush=True)
    total = sum(took for _, took in sums.values()) / 3
    return {"busy_ms": total, "kernels": sum(count for count, _ in sums.values()) / 3, "gpu_busy": total / step_ms}


def check(most: int, small: bool) -> dict[str, Any]:
    """Packed against each ticket alone in transformers and peft (sdpa): loss, log-probabilities, slopes; the noise floor (the
    same tickets padded by six) and the negative control (no borders) beside."""
    model, learner = learner_of("default", small)
    decoder = learner.decoder
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_B" in name:
            parameter.data.normal_(0, 0.02)
    decoder.adapters.refresh()
    settings = model.get_base_model().config
    examples = training_model.tickets(settings.vocab_size)
    chosen = [examples[place] for place in recipe.steps([len(e.ids) for e in examples], most, training_model.SEED, 0)[0]]
    row = rows.row(chosen).to(decoder.where)
    alone, floor = theirs(model, chosen, 1), theirs(model, chosen, 6)
    ours = packed(decoder, row)
    leaking = rows.Row(
        row.ids,
        torch.arange(row.tokens, device=row.ids.device),
        row.borders[[0, -1]],
        row.predicting,
        row.targets,
        1,
        row.tokens,
    )
    leak = packed(decoder, leaking)
    held = Decoder(model, torch.bfloat16, hold=True)
    found = {
        name: compare(alone, made)
        for name, made in {"floor": floor, "ours": ours, "leak": leak, "held": packed(held, row)}.items()
    }
    return {"reference": float(alone[0]), "targets": row.learned, **found}


def theirs(model: Any, examples: list[Any], together: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(mean loss, log-probability of every learned token, slopes) from transformers and peft, `together` tickets padded."""
    from torch.nn.functional import cross_entropy

    where = next(model.parameters()).device
    targets = sum(len(example.ids) - 1 for example in examples)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.grad.zero_()
    chances: dict[str, torch.Tensor] = {}
    total = 0.0
    ordered = sorted(examples, key=lambda example: len(example.ids)) if together > 1 else examples
    for start in range(0, len(ordered), together):
        part = ordered[start : start + together]
        longest = max(len(example.ids) for example in part)
        ids = torch.tensor([list(example.ids) + [0] * (longest - len(example.ids)) for example in part], device=where)
        mask = torch.tensor([[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in part], device=where)
        with torch.autocast(where.type, torch.bfloat16):
            logits = model(input_ids=ids, attention_mask=mask if together > 1 else None, use_cache=False).logits.float()
        loss = sum(
            cross_entropy(logits[n, : len(e.ids) - 1], ids[n, 1 : len(e.ids)], reduction="sum") for n, e in enumerate(part)
        )
        (loss / targets).backward()  # type: ignore[union-attr]
        total += float(loss) / targets
        for n, e in enumerate(part):
            logs = torch.log_softmax(logits[n, : len(e.ids) - 1].detach(), -1)
            chances[e.id] = logs.gather(1, ids[n, 1 : len(e.ids), None]).squeeze(1)
    slopes = torch.cat([parameter.grad.flatten().clone() for parameter in parameters])
    for parameter in parameters:
        parameter.grad.zero_()
    return torch.tensor(total), torch.cat([chances[example.id] for example in examples]), slopes


def packed(decoder: Decoder, row: rows.Row) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    decoder.adapters.slopes.zero_()
    loss = decoder.loss(row, 1 / row.learned)
    loss.backward()
    with torch.no_grad():
        hidden = decoder.body.hidden(row, decoder.adapters.scratch)[row.predicting]
        logs = [
            torch.log_softmax((part @ decoder.head.t()).float(), -1).gather(1, aim[:, None]).squeeze(1)
            for part, aim in zip(hidden.split(1024), row.targets.split(1024), strict=True)
        ]
    parameters = [parameter for parameter in decoder.model.parameters() if parameter.requires_grad]
    slopes = torch.cat([parameter.grad.flatten().clone() for parameter in parameters])
    decoder.adapters.slopes.zero_()
    return loss.detach().cpu(), torch.cat(logs), slopes


def compare(reference: tuple[torch.Tensor, ...], found: tuple[torch.Tensor, ...]) -> dict[str, float]:
    loss, chances, slopes = reference
    return {
        "loss": float(found[0]),
        "loss_gap": float(abs(found[0] - loss) / loss),
        "mean_abs_dlogp": float((found[1] - chances).abs().mean()),
        "slope_gap": float((found[2] - slopes).norm() / slopes.norm()),
        "slope_cosine": float(torch.nn.functional.cosine_similarity(found[2], slopes, dim=0)),
    }


if __name__ == "__main__":
    main()
