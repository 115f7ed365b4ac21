"""Dials: what a person sets for a training run, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

from studio.errors import StudioError

Method = Literal["auto", "qlora", "lora"]
Checkpointing = Literal["auto", "on", "off"]
TooLong = Literal["refuse", "leave_out"]
METHODS: dict[Method, str] = {"auto": "Automatic", "qlora": "QLoRA, base in 4 bits", "lora": "LoRA, base in 16 bits"}
MOST_EACH, MOST_RUNS = 3, 12
"""A search: at most so many values of a dial, and so many runs."""


@dataclass(frozen=True)
class Dials:
    """What a person may set for a training run. None: derived from the data and the machine when the run starts.

    `step_tokens` are the tokens an optimizer step learns from, `row_tokens` those computed at once; `keep` counts checkpoints.
    """

    epochs: int = 3
    learning_rate: float = 2e-4
    rank: int = 16
    method: Method = "auto"
    step_tokens: int | None = None
    row_tokens: int | None = None
    checkpointing: Checkpointing = "auto"
    max_tokens: int | None = None
    too_long: TooLong = "refuse"
    evaluations_per_epoch: int = 2
    keep: int = 2
    sample_prompts: int = 3
    processes: int = 1
    seed: int = 1234

    @property
    def words(self) -> str:
        """The four that are compared: `2e-4 · rank 16 · 3 epochs`, with the method where one was chosen."""
        parts = [scientific(self.learning_rate), f"rank {self.rank}", f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"]
        return " · ".join(parts + ([METHODS[self.method].split(",")[0]] if self.method != "auto" else []))


def scientific(rate: float) -> str:
    """A learning rate as people write it: `2e-4`, `1.5e-4`."""
    digits, power = f"{rate:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def written(dials: Dials) -> str:
    return json.dumps(asdict(dials), sort_keys=True)


def read(text: str) -> Dials:
    """Dials as this version or another wrote them: what it does not know is left out, what is missing is standard."""
    known = {field.name for field in fields(Dials)}
    return Dials(**{key: value for key, value in json.loads(text).items() if key in known})


def follows(dials: Dials, examples_a_step: int) -> list[tuple[str, str]]:
    """What nobody sets: names and values, in words."""
    tokens = f"{dials.step_tokens:,}" if dials.step_tokens else f"those of about {examples_a_step} examples"
    return [("Target modules", "all linear layers"),
            ("Alpha", f"2 × rank = {2 * dials.rank}"),
            ("Scheduler", "cosine, down to a tenth"),
            ("Warm-up", "first 5 % of the steps"),
            ("Tokens a step", tokens),
            ("Tokens at once", f"{dials.row_tokens:,}" if dials.row_tokens else "as many as the memory takes"),
            ("Longest example", f"{dials.max_tokens:,} tokens" if dials.max_tokens else "what the model takes"),
            ("Longer ones", "left out and counted" if dials.too_long == "leave_out" else "the start is refused"),
            ("Learned from", "the agent's turns only"),
            ("Seed", str(dials.seed))]


def grid(dials: Dials, rates: Sequence[float], ranks: Sequence[int], epochs: Sequence[int]) -> list[Dials]:
    """Every combination of these values, the other dials as they are. Raises StudioError for none, and for too many."""
    for name, values in (("learning rates", rates), ("ranks", ranks), ("numbers of epochs", epochs)):
        if not 1 <= len(set(values)) <= MOST_EACH:
            raise StudioError(f"Choose one to {MOST_EACH} {name}.")
    made = [Dials(**(asdict(dials) | {"learning_rate": rate, "rank": rank, "epochs": number}))
            for rate in sorted(set(rates)) for rank in sorted(set(ranks)) for number in sorted(set(epochs))]
    if len(made) > MOST_RUNS:
        raise StudioError(f"That would be {len(made)} runs; a group has at most {MOST_RUNS}.", "Choose fewer values.")
    return made
