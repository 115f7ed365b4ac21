"""Curves: what the losses of a training run say, in words, and as few points as show them. Pure; losses are nats a token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studio.workspace import Row

MOST_POINTS = 1_000
FEWEST_STEPS = 10
LEAST_GAIN = 0.01
"""A run that gains less than this share of its first loss in its first third does not learn."""


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong: its name, how one sees it, and what to do."""

    name: str
    sign: str
    advice: str


def thinned(rows: Sequence[Row], key: str, most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """(step, value) of at most so many rows. Where there are more, the lowest and the highest of each stretch stay, so that no
    spike is lost. Rows that lack the value, or whose value is no number, are left out."""
    found = [(int(row["step"]), float(row[key])) for row in rows if _finite(row.get(key))]
    if len(found) <= most:
        return found
    stretches = most // 2
    kept: list[tuple[int, float]] = []
    for place in range(stretches):
        part = found[place * len(found) // stretches : (place + 1) * len(found) // stretches]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def troubles(train: Sequence[Row], validation: Sequence[Row], steps: int) -> list[Trouble]:
    """What is wrong so far, the worst first; `steps` is how many there will be, 0 where that is not known."""
    if found := divergence(train, validation):
        return [found]
    return [one for one in (overfitting(train, validation), flat(train, validation, steps)) if one]


def overfitting(train: Sequence[Row], validation: Sequence[Row]) -> Trouble | None:
    """Validation loss well above its best (by 5 % and 0.02), or 1.5 times the training loss of the last ten steps (and 0.1
    above it): the guide's rule (docs/training.md)."""
    if len(validation) < 3 or not train:
        return None
    best, last = min(row["loss"] for row in validation), validation[-1]["loss"]
    training = _mean(train[-10:])
    rising, far = last > max(1.05 * best, best + 0.02), last > max(1.5 * training, training + 0.1)
    if not (rising or far):
        return None
    sign = (f"validation loss rose from {best:.3f} to {last:.3f}" if rising else
            f"validation loss {last:.3f} is {last / training:.1f} × the training loss {training:.3f}")
    return Trouble("The model begins to memorise", sign, "The adapter of the best validation loss is kept. Fewer epochs, more "
                   "data or a lower rank would help.")


def divergence(train: Sequence[Row], validation: Sequence[Row]) -> Trouble | None:
    """A loss that is no number, or the middle one of the last five twice what the first five began with."""
    advice = "Stop it and start again with a lower learning rate: a half, or a tenth."
    if broken := next((row for row in (*train, *validation) if not _finite(row.get("loss"))), None):
        return Trouble("Training ran away", f"the loss is no number at step {broken['step']}", advice)
    first, last = _middle(train[:5]), _middle(train[-5:])
    if len(train) >= FEWEST_STEPS and last >= 2 * first:
        return Trouble("Training runs away", f"the loss grew from {first:.2f} to {last:.2f}", advice)
    return None


def flat(train: Sequence[Row], validation: Sequence[Row], steps: int) -> Trouble | None:
    """No gain of more than 1 % once a third of the steps is done."""
    if not steps or len(train) < FEWEST_STEPS or 3 * train[-1]["step"] < steps:
        return None
    window = max(5, len(train) // 10)
    gains = [1 - _middle(train[-window:]) / max(_middle(train[:window]), 1e-9)]  # a spike must not hide it
    if len(validation) > 1:
        gains.append(1 - min(row["loss"] for row in validation) / max(validation[0]["loss"], 1e-9))
    if max(gains) > LEAST_GAIN:
        return None
    sign = f"a third of the steps is done, and the loss fell by {max(0.0, *gains):.1%}".replace("%", " %")
    return Trouble("It does not learn", sign, "Raise the learning rate (2e-4 is usual), look on Launch whether anything is "
                   "learned at all, or choose another base model.")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _mean(rows: Sequence[Row]) -> float:
    return math.fsum(row["loss"] for row in rows) / len(rows)


def _middle(rows: Sequence[Row]) -> float:
    return float(sorted(row["loss"] for row in rows)[len(rows) // 2]) if rows else math.nan
