"""What a preview says of each method: does it fit, how fast is it, how long will it take, and which one to take. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pipeline.machine import Machine
from pipeline.training import fit, speed
from pipeline.training.fit import GIB, Plan, Shape

METHODS: tuple[fit.Method, ...] = ("qlora", "lora")
NAMES = {"qlora": "QLoRA", "lora": "LoRA"}


@dataclass(frozen=True)
class Asked:
    """What is to be trained. `step_tokens` are those of one process; `tokens` and `validation_tokens` of the whole run;
    `mean_length` is ΣL² / ΣL, `learned` the share of tokens that are learned; `known` tokens/s an earlier run measured, which
    held the base by `known_method`."""

    rank: int
    longest: int
    step_tokens: int
    tokens: int
    validation_tokens: int
    mean_length: float
    learned: float
    method: str
    processes: int
    known: float | None
    known_method: fit.Method = "lora"


def said(shape: Shape, asked: Asked, here: Machine, flops: float | None, busy: bool) -> dict[str, Any]:
    """`plans`, `recommended` and `why` of a preview's result. `flops` none: the device could not be measured."""
    found = {name: _plan(shape, asked, here, name) for name in METHODS}
    best = _best(shape, asked, here)
    speeds = {name: _speed(shape, asked, here, flops, plan) for name, plan in found.items()}
    measured = speeds[asked.known_method]
    if asked.known:  # a measured run replaces the estimate; the other method keeps its distance from it
        speeds = {name: asked.known * (made / measured if made and measured else 1.0) for name, made in speeds.items()}
    return {"plans": [_row(plan, asked, here, speeds[name], _basis(asked, here, flops, busy)) for name, plan in found.items()],
            "recommended": best.method if best else None, "why": _why(shape, asked, here, best)}


def _task(shape: Shape, asked: Asked, here: Machine, method: str) -> fit.Task:
    return fit.Task(shape, asked.rank, asked.longest, asked.step_tokens, here.device, method, here.compute_bytes,
                    min(1.0, fit.ROOM_IN_ROWS * asked.learned), asked.processes)


def _plan(shape: Shape, asked: Asked, here: Machine, method: fit.Method) -> Plan:
    """The quickest plan of a method that fits, else the one that needs least."""
    task = _task(shape, asked, here, method)
    return fit.fitting(task, here.free_for(asked.processes)) or fit.smallest(task)


def _best(shape: Shape, asked: Asked, here: Machine) -> Plan | None:
    return fit.fitting(_task(shape, asked, here, asked.method), here.free_for(asked.processes))


def _speed(shape: Shape, asked: Asked, here: Machine, flops: float | None, plan: Plan) -> float | None:
    """Tokens/s of all processes; those of one CPU share its cores."""
    if flops is None:
        return None
    alone = speed.tokens_per_second(shape, asked.rank, asked.mean_length, asked.learned, plan, here.device, flops, here.compute)
    return alone * (asked.processes if here.device == "cuda" else 1)


def _row(plan: Plan, asked: Asked, here: Machine, tokens_s: float | None, basis: str) -> dict[str, Any]:
    memory = plan.memory
    parts = {part.name: getattr(memory, part.name) / GIB for part in fields(memory)}
    parts["other"] = parts.pop("dequantised") + parts.pop("overhead")
    seconds = (asked.tokens + speed.FORWARD_SHARE * asked.validation_tokens) / tokens_s if tokens_s else None
    fits = memory.total <= fit.USABLE * here.free_for(asked.processes)
    return {"method": plan.method, "fits": fits, "row_tokens": plan.row_tokens, "checkpointing": plan.checkpointing,
            "resident16": plan.resident16, "sharded": plan.sharded, "parts": parts, "peak_gib": memory.total / GIB,
            "tokens_s": tokens_s, "seconds": seconds, "basis": basis}


def _basis(asked: Asked, here: Machine, flops: float | None, busy: bool) -> str:
    if asked.known:
        return f"The newest run of this base model here made {asked.known:,.0f} tokens/s."
    if flops is None:
        return "The device is in use by another run, so its speed could not be measured."
    words = f"An estimate: matrix products in {here.compute} run at {flops / 1e12:,.2f} TFLOP/s here"
    return words + (", while another run computes." if busy else "; the first real run replaces it.")


def _why(shape: Shape, asked: Asked, here: Machine, best: Plan | None) -> str:
    if best is None:
        error = fit.too_large(_task(shape, asked, here, asked.method), here.free_for(asked.processes))
        return f"{error.message} {error.hint}"
    room = f"{here.free_for(asked.processes) / GIB:.1f} GiB are free"
    if best.sharded:
        return (f"The base does not fit whole ({room}): each of the {asked.processes} processes holds a part of its 4 bits, "
                f"with rows of {best.row_tokens:,} tokens. That costs time, and no sample answers are written.")
    how = f"rows of {best.row_tokens:,} tokens{' with checkpointing' if best.checkpointing else ''}"
    if asked.method != "auto":
        return f"{NAMES[best.method]} was asked for and fits with {how}; {room}."
    if best.method == "lora":
        return f"LoRA on the weights as they are fits with {how} ({room}), and nothing is spent on taking 4 bits apart."
    return f"QLoRA fits with {how} ({room}); LoRA on the weights as they are would need more or be slower."
