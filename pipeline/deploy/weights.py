"""Why does a merged folder answer otherwise? Its weights are looked at, layer by layer, beside those that it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pipeline.deploy.comparing import Cause

LOOKED_AT = 3
"""So many adapted layers are looked at, spread over the model."""

UNTOUCHED = 8
"""So many tensors that no adapter touches (embeddings, norms)."""

SAME = 1e-2
"""Weights this close, as a share of their size, were rounded to 16 bits on the way and nothing else."""

PREFIX = "base_model.model."


class Files:
    """The tensors of a folder of safetensors, by name."""

    def __init__(self, folder: Path) -> None:
        self.places: dict[str, Path] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                self.places |= {name: path for name in file.keys()}  # noqa: SIM118

    def get(self, name: str) -> Tensor:
        with safe_open(self.places[name], "pt") as file:
            found: Tensor = file.get_tensor(name).float()
        return found


def explain(base: Path, adapter: Path, merged: Path, in_4_bits: bool) -> tuple[Cause, str]:
    """What the weights say: another base, no adapter in it, merged into other values than it learned on, or only rounded."""
    own, theirs, parts = Files(base), Files(merged), Files(adapter)
    layers = sorted(name.removesuffix(".lora_A.weight") for name in parts.places if name.endswith(".lora_A.weight"))
    adapted = {f"{name.removeprefix(PREFIX)}.weight": name for name in layers}
    untouched = [name for name in own.places if name not in adapted]
    for name in untouched[:: max(1, len(untouched) // UNTOUCHED)]:
        if name in theirs.places and _apart(theirs.get(name), own.get(name)) > SAME:
            return "base", f"Another base: {name}, which no adapter touches, is not that of the base it was trained on."
    known = [name for name in adapted if name in own.places and name in theirs.places]
    found = [_of_layer(name, adapted[name], own, theirs, parts, _scale(adapter), in_4_bits)
             for name in known[:: max(1, len(known) // LOOKED_AT)]]
    for cause in ("no_adapter", "quantised", "base"):
        if words := next((said for what, said in found if what == cause), ""):
            return cause, words  # type: ignore[return-value]
    return "precision", "The weights are those of the adapter on its base, rounded: what is left is precision."


def _of_layer(name: str, layer: str, own: Files, theirs: Files, parts: Files, scale: float,
              in_4_bits: bool) -> tuple[Cause, str]:
    base, merged = own.get(name), theirs.get(name)
    if base.shape != merged.shape:
        return "base", f"Another base: {name} has another shape there."
    change = scale * (parts.get(f"{layer}.lora_B.weight") @ parts.get(f"{layer}.lora_A.weight"))
    wanted = (_nf4(base) if in_4_bits else base) + change
    size = float(change.norm())
    apart = {"": float((merged - wanted).norm()), "no_adapter": float((merged - base).norm()),
             "quantised": float((merged - base - change).norm()) if in_4_bits else float("inf")}
    if in_4_bits:
        apart["no_adapter"] = min(apart["no_adapter"], float((merged - _nf4(base)).norm()))
    nearest = min(apart, key=lambda one: apart[one])
    if apart[nearest] > max(SAME * float(base.norm()), size / 2):
        return "base", f"Another base: {name} holds other values than the base it was trained on, with its adapter or without."
    said = {"": "", "no_adapter": f"The adapter is not in it: {name} has the base's own values.",
            "quantised": "The adapter learned on the base in 4 bits (NF4) and was merged into the 16-bit base: those are other "
                         f"values ({100 * _apart(_nf4(base), base):.1f} % apart in {name})." if in_4_bits else ""}
    return nearest, said[nearest]  # type: ignore[return-value]


def _nf4(weight: Tensor) -> Tensor:
    """The values that 4 bits leave of a weight, as `quantised.load_base` holds it."""
    import bitsandbytes as bnb

    codes, state = bnb.functional.quantize_4bit(weight.contiguous(), quant_type="nf4", compress_statistics=True)
    found: Tensor = bnb.functional.dequantize_4bit(codes, state)
    return found.float()


def _scale(adapter: Path) -> float:
    config: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    rank = float(config["r"])
    return float(config["lora_alpha"]) / (rank**0.5 if config.get("use_rslora") else rank)


def _apart(left: Tensor, right: Tensor) -> float:
    if left.shape != right.shape:
        return float("inf")
    return float((left - right).norm() / right.norm().clamp_min(torch.finfo(torch.float32).tiny))
