"""Figures of a training at a service: the result file in all the shapes it was seen in, and rows for the charts. Pure."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]
FIGURES: dict[str, tuple[str, ...]] = {
    "train_loss": ("train_loss", "training_loss", "train/loss", "loss"),
    "train_accuracy": ("train_mean_token_accuracy", "train_accuracy", "training_token_accuracy"),
    "valid_loss": ("full_valid_loss", "valid_loss", "full_validation_loss", "validation_loss", "eval/loss", "eval_loss"),
    "valid_accuracy": ("full_valid_mean_token_accuracy", "valid_mean_token_accuracy", "validation_token_accuracy"),
}
"""Our name of a figure → the names that it was seen under; the first that holds a number counts."""

STEPS = ("step", "train/global_step", "global_step")


def parse(body: bytes) -> list[Row]:
    """Rows of step, train_loss, train_accuracy, valid_loss, valid_accuracy, None where a cell is empty or no number.

    The body is CSV, the same in base64, or either as a JSON string. What is neither has no rows.
    """
    text = _csv(body.decode("utf-8-sig", "replace").strip())
    try:
        rows = [figures({str(name).strip(): value for name, value in line.items() if name})
                for line in csv.DictReader(io.StringIO(text))]
    except csv.Error:
        return []
    return [row for row in rows if "step" in row]


def figures(given: Mapping[str, Any]) -> Row:
    """Known figures of one step, under our names; nothing where there is no step or no figure."""
    step = next((found for name in STEPS if (found := _number(given.get(name))) is not None), None)
    row: Row = {name: next((found for one in names if (found := _number(given.get(one))) is not None), None)
                for name, names in FIGURES.items()}
    if all(value is None for value in row.values()):
        return {}
    return row if step is None else {"step": int(step)} | row


def merged(*sources: Iterable[Row]) -> list[Row]:
    """One row a step, in order; where two tell the same figure the later source counts."""
    steps: dict[int, Row] = {}
    for row in (row for source in sources for row in source if "step" in row):
        known = steps.setdefault(row["step"], {})
        known |= {name: value for name, value in row.items() if value is not None}
    return [{"step": step} | {name: steps[step].get(name) for name in FIGURES} for step in sorted(steps)]


def summary(rows: list[Row]) -> Row:
    """What a run's result says of them; None where nothing is known."""
    train = [row["train_loss"] for row in rows if row["train_loss"] is not None]
    valid = [(row["valid_loss"], row["step"]) for row in rows if row["valid_loss"] is not None]
    best = min(valid, default=(None, None))
    return {"steps": rows[-1]["step"] if rows else None, "last_train_loss": train[-1] if train else None,
            "first_validation_loss": valid[0][0] if valid else None, "best_validation_loss": best[0], "best_step": best[1]}


def _csv(text: str) -> str:
    if text.startswith('"') and text.endswith('"') and "\n" not in text:
        try:
            text = str(json.loads(text)).strip()
        except ValueError:
            return ""
    if "," in text.split("\n", 1)[0]:
        return text
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8-sig")
    except ValueError:
        return ""


def _number(value: Any) -> float | None:
    """A finite number, also one written as text; None for empty cells, "N/A", "nan"."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
