"""How fast training will be, from how fast matrix products are here: an estimate, replaced by what a real run measured.

Pure. The constants were fitted to one H100 (Llama-3.1-8B shape: 8k and 4k rows, NF4 and 16 bits, checkpointing) and to the
starter model on two CPU cores; `benchmarks/NOTES.md` has predicted and measured.
"""

from __future__ import annotations

from pipeline.training.fit import Device, Plan, Shape, flops_per_token

GPU_SHARE = 0.74
"""Of the speed of a large matrix product, what the layers reach on a long row."""

GPU_LAYER_SECONDS = 1.0e-3
"""A row costs this for each layer, however short it is: launches, and products too small to fill the card."""

GPU_DEQUANTISE_SECONDS = 2.0e-12
"""A 4-bit parameter costs this twice a row on an H100 (forward, backward), and once more with checkpointing; halved here."""

CPU_SHARE = {"bfloat16": 0.41, "float32": 0.6}
"""The same on a CPU, by the type it computes in: norms and attention take a larger part of the time there. (The second is a
guess from the first: float32 was never alone on the machine.)"""

CPU_DEQUANTISE_SECONDS = 1.6e-9
"""A 4-bit parameter on one CPU, each time it is brought to the computing type."""

FORWARD_SHARE = 0.35
"""A token of validation against one of training: the forward pass alone."""


def work_per_token(shape: Shape, rank: int, mean_length: float, learned: float) -> float:
    """Useful FLOPs a token where only a share `learned` of them (0 to 1) goes through the head."""
    return flops_per_token(shape, rank, mean_length) - 4 * shape.embedding_parameters * (1 - learned)


def tokens_per_second(shape: Shape, rank: int, mean_length: float, learned: float, plan: Plan, device: Device, flops: float,
                      compute: str) -> float:
    """Tokens trained on in a second. `flops` is the measured speed of a matrix product in the type `compute`, FLOP/s."""
    share = GPU_SHARE if device == "cuda" else CPU_SHARE[compute]
    work = work_per_token(shape, rank, mean_length, learned) * (1 + plan.recompute) * plan.row_tokens
    passes = 3 if plan.checkpointing else 2
    fixed = shape.layers * GPU_LAYER_SECONDS if device == "cuda" else 0.0
    if plan.method == "qlora" and not plan.resident16:
        once = GPU_DEQUANTISE_SECONDS if device == "cuda" else CPU_DEQUANTISE_SECONDS
        fixed += passes * once * shape.block_parameters
    return plan.row_tokens / (work / (flops * share) + fixed)
