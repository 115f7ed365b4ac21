"""Will it fit? The peak memory of LoRA training, by part, and the quickest plan for the memory there is.

Pure arithmetic: no torch, no files. The constants at the top are the whole of what was measured; the H100 figures they are
held against are in `tests/test_fit.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from pipeline.errors import PipelineError
from pipeline.training.shape import Shape, flops_per_token, recompute, text_config

__all__ = ["Shape", "flops_per_token", "recompute", "text_config"]

Method = Literal["qlora", "lora"]
Device = Literal["cuda", "cpu"]
GIB = 1 << 30

NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""A parameter in NF4 with double quantisation: 4 bits, an 8-bit scale for 64 of them, a 32-bit one for 256 scales
(arXiv:2305.14314, 4.127 bits)."""

MASTER_BYTES, GRADIENT_BYTES, MOMENT_BYTES = 4, 4, 8
"""A trained parameter's float32 weight, float32 gradient and AdamW's two float32 moments."""

HEAD_ROWS = 1_024
"""Positions whose logits are in memory at once."""

KEEPS_MLP_PRODUCT = False
"""Whether act(gate) × up is kept for the backward pass; the fused layers compute it again (the measured peaks kept it)."""

WORKING_MLP, WORKING_HIDDEN = 2 - KEEPS_MLP_PRODUCT, 3
"""Values a token that the backward pass of one layer needs beside what was kept, in widths of the MLP and of the model: the
product, where it is computed again, and its gradient; the gradients of the layer's output, of a norm and of the residual."""

KEPT_ON_CPU = 1.0
"""What a CPU keeps for the backward pass, against what the fused layers keep."""

CUDA_BYTES = round(0.8 * GIB)
"""The CUDA context with the kernels of torch, cuBLAS and triton."""

CPU_BYTES = round(0.6 * GIB)
"""The process itself: Python, torch, transformers and peft loaded, before any weight."""

FRAGMENTED = 0.03
"""What the allocator holds and cannot use, of everything else."""

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
    `recompute`: what checkpointing computes a second time, as a share of the useful work."""

    method: Method
    resident16: bool
    row_tokens: int
    checkpointing: bool
    memory: Memory
    recompute: float


def kept_per_token(shape: Shape, rank: int) -> int:
    """Values one layer keeps of one token for the backward pass.

    Each norm's input, and its output where a linear layer reads it; q, k and v, before their norms too where they have some;
    attention's output; gate and up; LoRA's products of rank values.
    """
    normed = 2 * shape.hidden + shape.norms * shape.hidden
    attention = 2 * shape.queries + 2 * shape.keys + (shape.queries + shape.keys if shape.qk_norm else 0)
    mlp = (2 + KEEPS_MLP_PRODUCT) * shape.intermediate
    return normed + attention + mlp + rank * len(shape.linears)


def memory(shape: Shape, method: Method, rank: int, row_tokens: int, checkpointing: bool, device: Device,
           resident16: bool = False, compute_bytes: int = 2) -> Memory:
    """The peak of a training step on rows of `row_tokens` tokens, in bytes by part.

    `compute_bytes`: 2 where it computes in bfloat16, 4 in float32 (some CPUs). With checkpointing every layer keeps its input
    only, and one layer at a time everything.
    """
    packed = method == "qlora" and not resident16
    trained = shape.lora_parameters(rank)
    weights = (shape.block_parameters * (NF4_BYTES if packed else compute_bytes)
               + (shape.parameters - shape.block_parameters) * compute_bytes)
    copies = compute_bytes if compute_bytes < MASTER_BYTES else 0
    layer = kept_per_token(shape, rank) * (KEPT_ON_CPU if device == "cpu" else 1.0)
    kept = shape.hidden * shape.layers + layer if checkpointing else layer * shape.layers
    working = WORKING_MLP * shape.intermediate + WORKING_HIDDEN * shape.hidden
    logits = HEAD_ROWS * shape.vocabulary + row_tokens * shape.hidden
    parts = {
        "weights": weights, "adapter": trained * (MASTER_BYTES + GRADIENT_BYTES + copies), "optimizer": trained * MOMENT_BYTES,
        "activations": row_tokens * (kept + working) * compute_bytes, "logits": logits * compute_bytes,
        "dequantised": max(inputs * outputs for inputs, outputs in shape.linears) * compute_bytes if packed else 0}
    overhead = (CUDA_BYTES if device == "cuda" else CPU_BYTES) + FRAGMENTED * sum(parts.values())
    return Memory(**{name: round(size) for name, size in parts.items()}, overhead=round(overhead))


def choose(shape: Shape, rank: int, longest: int, step_tokens: int, free_bytes: int, device: Device, method: str = "auto",
           compute_bytes: int = 2) -> Plan:
    """The quickest plan that fits into 92 % of the free memory.

    `longest` is the longest example in tokens: no row is shorter. `step_tokens` are the tokens of an optimizer step of one
    process: no row needs to be longer. Raises PipelineError, saying which size of model would fit, when nothing does.
    """
    found = fitting(shape, rank, longest, step_tokens, free_bytes, device, method, compute_bytes)
    if found is None:
        raise _too_large(shape, rank, longest, step_tokens, free_bytes, device, method, compute_bytes)
    return found


def fitting(shape: Shape, rank: int, longest: int, step_tokens: int, free_bytes: int, device: Device, method: str,
            compute_bytes: int = 2) -> Plan | None:
    """The first of the plans, quickest first, that fits; None where none does."""
    return next((plan for plan in _plans(shape, rank, longest, step_tokens, device, method, compute_bytes)
                 if plan.memory.total <= USABLE * free_bytes), None)


def smallest(shape: Shape, rank: int, longest: int, step_tokens: int, device: Device, method: str,
             compute_bytes: int = 2) -> Plan:
    """The plan that needs least."""
    return min(_plans(shape, rank, longest, step_tokens, device, method, compute_bytes), key=lambda plan: plan.memory.total)


def _plans(shape: Shape, rank: int, longest: int, step_tokens: int, device: Device, method: str,
           compute_bytes: int) -> Iterator[Plan]:
    """Every plan, quickest first: without checkpointing on long rows, then on shorter ones, then with it.

    At each length 16 bits go first: no weight is dequantised. (Tokens/s on an H100: 8k rows 15,700 in 16 bits and 15,400
    in NF4, 4k rows 14,800 and 14,150; checkpointing 9,400.)
    """
    most = max(longest, min(GPU_ROWS if device == "cuda" else CPU_ROWS, step_tokens))
    least = min(most, max(longest, FEWEST_UNCHECKPOINTED if device == "cuda" else longest))
    for checkpointing, shortest in ((False, least), (True, longest)):
        for rows in _rows(most, shortest):
            for name, resident in _holdings(method):
                size = memory(shape, name, rank, rows, checkpointing, device, resident, compute_bytes)
                yield Plan(name, resident, rows, checkpointing, size, recompute(shape, rank) if checkpointing else 0.0)


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


def _too_large(shape: Shape, rank: int, longest: int, step_tokens: int, free_bytes: int, device: Device, method: str,
               compute_bytes: int) -> PipelineError:
    least = smallest(shape, rank, longest, step_tokens, device, method, compute_bytes).memory.total
    where = "graphics card" if device == "cuda" else "machine"
    smaller = [words for words, size in _LADDER if size.parameters < shape.parameters
               and fitting(size, rank, longest, step_tokens, free_bytes, device, method, compute_bytes)]
    other = "" if method == "qlora" or not fitting(shape, rank, longest, step_tokens, free_bytes, device, "qlora",
                                                   compute_bytes) else "The method QLoRA would fit. "
    advice = (f"A model of about {smaller[0]} parameters would fit." if smaller
              else "Leave out the longest examples, free memory, or use a larger machine.")
    return PipelineError(
        f"This model needs at least {least / USABLE / GIB:.1f} GiB of free memory for examples of up to {longest:,} tokens; "
        f"this {where} has {free_bytes / GIB:.1f} GiB free.", other + advice)
