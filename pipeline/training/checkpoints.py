"""Checkpoints without pickle: adapter, optimizer and place in the data as safetensors and JSON, renamed in whole.

Training has no other state: the order of batches and the learning rate follow from the step, and dropout is off. So a
resumed run goes on bit for bit.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

KEEP = 2


@dataclass(frozen=True)
class Place:
    """Where training stands after `step` optimizer steps, `validated_step` being the last one with a validation loss.

    Losses are nats a token; `seconds` were spent computing, in the precision `compute` ("bfloat16" or "float32").
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
    compute: str


def save(run_dir: Path, place: Place, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Write `checkpoints/step-NNNNNN` beside and rename it in; keep it, the one before and the best."""
    folder = run_dir / "checkpoints"
    beside, target = folder / f".step-{place.step:06d}", folder / f"step-{place.step:06d}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file({name: parameter.detach().cpu().contiguous() for name, parameter in parameters.items()},
              beside / "adapter.safetensors")
    save_file(_optimizer_tensors(parameters, optimizer), beside / "optimizer.safetensors")
    (beside / "place.json").write_text(json.dumps(asdict(place)), encoding="utf-8")
    for path in beside.iterdir():
        _flush(path)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(beside, target)
    _sweep(folder, place)


def newest(run_dir: Path) -> tuple[Path, Place] | None:
    """The last whole checkpoint, None where there is none. (A folder with the final name is whole: it was renamed in.)"""
    found = sorted((run_dir / "checkpoints").glob("step-*"))
    return (found[-1], Place(**json.loads((found[-1] / "place.json").read_text(encoding="utf-8")))) if found else None


def restore(folder: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights and optimizer moments back in place."""
    load_adapter(folder, parameters)
    moments = load_file(folder / "optimizer.safetensors")
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            key: moments[f"{key}/{name}"].to(parameter.device if key != "step" else "cpu")
            for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{name}" in moments}


def load_adapter(folder: Path, parameters: dict[str, nn.Parameter]) -> None:
    weights = load_file(folder / "adapter.safetensors")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def at_step(run_dir: Path, step: int) -> Path:
    return run_dir / "checkpoints" / f"step-{step:06d}"


def _optimizer_tensors(parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {f"{key}/{name}": value.detach().cpu().contiguous() for name, parameter in parameters.items()
            for key, value in _state(optimizer, parameter).items()}


def _state(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Any]:
    return dict(optimizer.state.get(parameter, {}))


def _sweep(folder: Path, place: Place) -> None:
    found = sorted(folder.glob("step-*"))
    for old in found[:-KEEP]:
        if old.name != f"step-{place.best_step:06d}":
            shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
