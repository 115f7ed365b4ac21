"""Checkpoints without pickle: adapter, optimizer and place in the data as safetensors and JSON, renamed in whole.

Training has no other state: the order of examples and the learning rate follow from the step, and dropout is off. So a
resumed run goes on bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.errors import PipelineError

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW knows of the adapter's flat values."""


@dataclass(frozen=True)
class Way:
    """How a run computes, chosen at its first start and kept when it is resumed: another way would round differently.

    `compute` is "bfloat16" or "float32", `resident16` whether 4-bit values are held in it, `checkpointed` how many layers are
    computed again in the backward pass, `sharded` whether each process holds a part of the base.
    """

    method: str
    compute: str
    resident16: bool
    row_tokens: int
    checkpointed: int
    sharded: bool = False


@dataclass(frozen=True)
class Place:
    """Where training stands after `step` optimizer steps, `validated_step` being the last one with a validation loss.

    Losses are nats a token; `seconds` were spent computing.
    """

    step: int
    tokens: int
    learned_tokens: int
    seconds: float
    first_validation_loss: float
    best_validation_loss: float
    best_step: int
    last_train_loss: float
    validated_step: int
    way: Way


def save(run_dir: Path, place: Place, parameters: dict[str, nn.Parameter], moments: dict[str, Tensor], keep: int) -> None:
    """Write `checkpoints/step-NNNNNN` beside and rename it in; keep the newest `keep` and the best."""
    folder = run_dir / "checkpoints"
    beside, target = folder / f".step-{place.step:06d}", folder / f"step-{place.step:06d}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file(plain(parameters), beside / "adapter.safetensors")
    save_file({key: moments[key].detach().cpu().clone() for key in MOMENTS if key in moments}, beside / "optimizer.safetensors")
    (beside / "place.json").write_text(json.dumps(asdict(place)), encoding="utf-8")
    for path in beside.iterdir():
        _flush(path)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(beside, target)
    _sweep(folder, place, keep)


def plain(parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Each parameter with memory of its own, off the device."""
    return {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}


def newest(run_dir: Path) -> tuple[Path, Place] | None:
    """The last whole checkpoint, None where there is none. (A folder with the final name is whole: it was renamed in.)"""
    found = sorted((run_dir / "checkpoints").glob("step-*"))
    if not found:
        return None
    known = json.loads((found[-1] / "place.json").read_text(encoding="utf-8"))
    if "way" not in known:
        raise PipelineError("This run was begun by an older Tunewright, whose checkpoints cannot be gone on from.",
                            "Start a new run with the same dials.")
    return found[-1], Place(**(known | {"way": Way(**known["way"])}))


def restore(folder: Path, parameters: dict[str, nn.Parameter], moments: dict[str, Tensor]) -> None:
    """Put a checkpoint's weights and the optimizer's moments back in place."""
    load_adapter(folder, parameters)
    for key, value in load_file(folder / "optimizer.safetensors").items():
        moments[key].copy_(value)


def load_adapter(folder: Path, parameters: dict[str, nn.Parameter]) -> None:
    weights = load_file(folder / "adapter.safetensors")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def save_adapter(run_dir: Path, model: Any, base_name: str, parameters: dict[str, nn.Parameter], tokenizer: Any) -> str:
    """Write the adapter in peft's own form, without the path of this machine in it; returns its SHA-256."""
    beside, target = run_dir / ".adapter", run_dir / "adapter"
    shutil.rmtree(beside, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = base_name
    model.save_pretrained(beside, safe_serialization=True, save_embedding_layers=False, state_dict=plain(parameters))
    tokenizer.save_pretrained(beside)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(beside, target)
    return hashlib.sha256((target / "adapter_model.safetensors").read_bytes()).hexdigest()


def at_step(run_dir: Path, step: int) -> Path:
    return run_dir / "checkpoints" / f"step-{step:06d}"


def _sweep(folder: Path, place: Place, keep: int) -> None:
    found = sorted(folder.glob("step-*"))
    for old in found[:-keep]:
        if old.name != f"step-{place.best_step:06d}":
            shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
