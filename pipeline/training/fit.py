"""Will it fit? The peak memory of LoRA training, by part, and the quickest plan for the memory there is.

Pure arithmetic: no torch, no files. The constants at the top are the whole of what was measured; the H100 figures they are
held against are in `tests/test_fit.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from pipeline.errors import PipelineError
from pipeline.training.shape import Shape, flops_per_token, recompute, text_config

__all__ = ["Shape", "flops_per_token", "recompute", "text_config"]

Method = Literal["qlora", "lora"]
Device = Literal["cuda", "cpu"]
GIB = 1 << 30

NF4_CODES, NF4_SCALES = 4 / 8, (8 / 64 + 32 / (64 * 256)) / 8
"""Bytes a parameter in NF4 with double quantisation takes: 4 bits, and of scales 8 bits for 64 of them and 32 for 256 scales
(arXiv:2305.14314, 4.127 bits)."""

MASTER_BYTES, GRADIENT_BYTES, MOMENT_BYTES = 4, 4, 8
"""A trained parameter's float32 weight, float32 gradient and AdamW's two float32 moments."""

HEAD_BYTES, HEAD_ROWS = {"cuda": 1 << 29, "cpu": 1 << 26}, 64
"""Logits that are in memory at once, at most, unless that were fewer rows than these (`ops.HeadLoss`)."""

LOGIT_EXTRA = {"cuda": 0, "cpu": 14}
"""Bytes a logit takes beside its own value: kernels work in place; plain torch makes float32 copies (measured)."""

WORKING_MLP, WORKING_HIDDEN = 2, 3
"""Values a token that the backward pass of one layer needs beside what was kept, in widths of the MLP and of the model:
act(gate) × up, which is computed again, and its gradient; the gradients of the layer's output, a norm and the residual."""

CUDA_BYTES = round(0.8 * GIB)
"""The CUDA context with the kernels of torch, cuBLAS and triton."""

CPU_BYTES = round(0.95 * GIB)
"""The process itself (0.6 GiB with torch, transformers and peft loaded, before any weight), and what the C library's allocator
and oneDNN hold on to once training has begun (measured)."""

CPU_GROWN = round(0.75 * GIB)
"""What they hold on to beyond that after some thirty rows of different lengths (runs of 29 and 42 steps: 0.79 and 0.76)."""

FRAGMENTED = {"cuda": 0.03, "cpu": 0.0}
"""What the allocator holds and cannot use, of everything else."""

ROOM_IN_ROWS = 1.15
"""A row may have so much more to learn than the mean of all."""

USABLE = 0.92
"""The share of free memory a plan may take: the rest is for the estimate's error and for other programs."""

GPU_ROWS, CPU_ROWS = 8_192, 1_024
"""Rows above these gain less than 3 % (one H100: 12k against 8k rows +2 %)."""

SMALLER_ROWS = (4_096, 2_048, 1_024, 512)
FEWEST_UNCHECKPOINTED = 2_048
"""Rows below this many tokens are so slow on a GPU that checkpointing with longer rows is quicker."""


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a step, by what takes them. `dequantised`: the largest 4-bit weight in 16 bits while it is used;
    `overhead`: the process, or the CUDA context, and fragments."""

    weights: int
    adapter: int
    optimizer: int
    activations: int
    logits: int
    dequantised: int
    overhead: int

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))

    @property
    def allocated(self) -> int:
        """What torch itself counts as its peak."""
        return self.total - self.overhead


@dataclass(frozen=True)
class Plan:
    """How to train. `row_tokens`: tokens computed at once. `resident16`: NF4 values kept in the compute type, dequantised once.
    `recompute`: what checkpointing computes a second time, as a share of the useful work. `sharded`: each process holds a part
    of the base."""

    method: Method
    resident16: bool
    row_tokens: int
    checkpointing: bool
    memory: Memory
    recompute: float
    sharded: bool = False


@dataclass(frozen=True)
class Task:
    """What has to fit. `longest` example and `step_tokens` (of one process) in tokens; `learned` is the share of tokens that
    are learned (1: to be safe); `compute_bytes` 2 where it computes in bfloat16, 4 in float32 (some CPUs). Several processes
    may hold a part of the base each ("auto": where no plan fits with the whole base in each)."""

    shape: Shape
    rank: int
    longest: int
    step_tokens: int
    device: Device
    method: str = "auto"
    compute_bytes: int = 2
    learned: float = 1.0
    processes: int = 1
    sharding: Literal["auto", "on", "off"] = "auto"


def kept_per_token(shape: Shape, rank: int, device: Device) -> int:
    """Values one layer keeps of one token for the backward pass.

    Each norm's input, and its output where a linear layer reads it; q, k and v, before their norms too where they have some;
    attention's output twice (its own, and the wide one that the next layer reads); gate and up; LoRA's products of rank values.
    On a CPU k and v are kept once more, repeated for every head.
    """
    normed = 2 * shape.hidden + shape.norms * shape.hidden
    attention = 3 * shape.queries + 2 * shape.keys + (shape.queries + shape.keys if shape.qk_norm else 0)
    repeated = 2 * shape.queries if device == "cpu" and shape.kv_heads < shape.heads else 0
    return normed + attention + repeated + 2 * shape.intermediate + rank * len(shape.linears)


def memory(shape: Shape, method: Method, rank: int, row_tokens: int, checkpointing: bool, device: Device,
           resident16: bool = False, compute_bytes: int = 2, learned: float = 1.0, parts: int = 1) -> Memory:
    """The peak of a training step on rows of `row_tokens` tokens, in bytes by part.

    With checkpointing every layer keeps its input only, and one layer at a time everything. The head's logits are gone before
    a layer's slopes are made, so only the larger of the two counts. `parts`: so many processes hold the 4-bit codes together.
    """
    packed = method == "qlora" and not resident16
    trained = shape.lora_parameters(rank)
    codes = NF4_CODES / parts + NF4_SCALES
    weights = (shape.block_parameters * (codes if packed else compute_bytes)
               + (shape.parameters - shape.block_parameters) * compute_bytes)
    layer = kept_per_token(shape, rank, device)
    kept = shape.hidden * shape.layers + layer if checkpointing else layer * shape.layers
    targets = row_tokens * learned
    rows = min(targets, max(HEAD_ROWS, HEAD_BYTES[device] // (shape.vocabulary * compute_bytes)))
    logits = rows * shape.vocabulary * (compute_bytes + LOGIT_EXTRA[device]) + 2 * targets * shape.hidden * compute_bytes
    working = row_tokens * (WORKING_MLP * shape.intermediate + WORKING_HIDDEN * shape.hidden) * compute_bytes
    buffers = shape.largest_group * compute_bytes + (2 * shape.largest_linear * NF4_CODES if parts > 1 else 0)
    sizes = {
        "weights": weights,
        "adapter": trained * (MASTER_BYTES + GRADIENT_BYTES) + (trained + shape.spread_parameters(rank)) * compute_bytes,
        "optimizer": trained * MOMENT_BYTES, "activations": row_tokens * kept * compute_bytes + max(0, working - logits),
        "logits": logits, "dequantised": buffers if packed else 0}
    overhead = (CUDA_BYTES if device == "cuda" else CPU_BYTES + CPU_GROWN) + FRAGMENTED[device] * sum(sizes.values())
    return Memory(**{name: round(size) for name, size in sizes.items()}, overhead=round(overhead))


def choose(task: Task, free_bytes: int) -> Plan:
    """The quickest plan that fits into 92 % of the free memory of one process.

    No row is shorter than the longest example, and none needs to be longer than a step. Raises PipelineError, saying which
    size of model would fit, when nothing does.
    """
    found = fitting(task, free_bytes)
    if found is None:
        raise too_large(task, free_bytes)
    return found


def fitting(task: Task, free_bytes: int) -> Plan | None:
    """The first of the plans, quickest first, that fits; None where none does."""
    return next((plan for plan in _plans(task) if plan.memory.total <= USABLE * free_bytes), None)


def smallest(task: Task) -> Plan:
    """The plan that needs least."""
    return min(_plans(task), key=lambda plan: plan.memory.total)


def _plans(task: Task) -> Iterator[Plan]:
    """Every plan, quickest first: without checkpointing on long rows, then on shorter ones, then with it.

    At each length 16 bits go first: no weight is dequantised. (Tokens/s on an H100: 8k rows 15,700 in 16 bits and 15,400
    in NF4, 4k rows 14,800 and 14,150; checkpointing 9,400.) Plans that share the base come last: they gather it for each row.
    """
    for parts in _shares(task):
        yield from _plans_with(task, parts)


def _shares(task: Task) -> list[int]:
    """How many processes hold the base together, 1 for each having it whole."""
    together = [task.processes] if task.processes > 1 and task.method != "lora" and task.sharding != "off" else []
    return together if together and task.sharding == "on" else [1, *together]


def _plans_with(task: Task, parts: int) -> Iterator[Plan]:
    on_gpu = task.device == "cuda"
    most = max(task.longest, min(GPU_ROWS if on_gpu else CPU_ROWS, task.step_tokens))
    least = min(most, max(task.longest, FEWEST_UNCHECKPOINTED if on_gpu else task.longest))
    for checkpointing, shortest in ((False, least), (True, task.longest)):
        again = recompute(task.shape, task.rank) if checkpointing else 0.0
        for rows in _rows(most, shortest):
            for name, resident in _holdings(task.method) if parts == 1 else _SHARED:
                size = memory(task.shape, name, task.rank, rows, checkpointing, task.device, resident, task.compute_bytes,
                              task.learned, parts)
                yield Plan(name, resident, rows, checkpointing, size, again, parts > 1)


_SHARED: Sequence[tuple[Method, bool]] = (("qlora", False),)


def _rows(most: int, least: int) -> list[int]:
    return sorted({most, least, *(rows for rows in SMALLER_ROWS if least < rows < most)}, reverse=True)


def _holdings(method: str) -> Sequence[tuple[Method, bool]]:
    """(method, resident16), the quickest first."""
    if method == "lora":
        return (("lora", False),)
    return (("qlora", True), ("qlora", False)) if method == "qlora" else (("lora", False), ("qlora", False))


_LADDER = (
    ("32 billion", Shape("qwen2", 5120, 27_648, 64, 40, 8, 128, 152_064, False)),
    ("14 billion", Shape("qwen2", 5120, 13_824, 48, 40, 8, 128, 152_064, False)),
    ("7 billion", Shape("qwen2", 3584, 18_944, 28, 28, 4, 128, 152_064, False)),
    ("3 billion", Shape("qwen2", 2048, 11_008, 36, 16, 2, 128, 151_936, True)),
    ("1.5 billion", Shape("qwen2", 1536, 8960, 28, 12, 2, 128, 151_936, True)),
    ("0.5 billion", Shape("qwen2", 896, 4864, 24, 14, 2, 64, 151_936, True)),
    ("135 million", Shape("llama", 576, 1536, 30, 9, 3, 64, 49_152, True)),
)
"""Usual sizes (the config.json files of Qwen2.5 and SmolLM2), for saying which would fit."""


def too_large(task: Task, free_bytes: int) -> PipelineError:
    """Why nothing fits, and which size of model would."""
    where = "graphics card" if task.device == "cuda" else "machine"
    smaller = [words for words, size in _LADDER if size.parameters < task.shape.parameters
               and fitting(replace(task, shape=size), free_bytes)]
    other = "The method QLoRA would fit. " if fitting(replace(task, method="qlora"), free_bytes) else ""
    advice = (f"A model of about {smaller[0]} parameters would fit." if smaller
              else "Leave out the longest examples, free memory, or use a larger machine.")
    return PipelineError(
        f"This model needs at least {smallest(task).memory.total / USABLE / GIB:.1f} GiB of free memory for examples of up to "
        f"{task.longest:,} tokens; this {where} has {free_bytes / GIB:.1f} GiB free.", other + advice)
