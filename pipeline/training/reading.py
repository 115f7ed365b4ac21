"""The examples of a run, encoded: every conversation whole, and a refusal in words where something could not be learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import base_models, examples, template
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example
from pipeline.rundir import Child
from pipeline.specs import TrainSpec
from pipeline.template import Encoded
from pipeline.training import samples

CHUNK = 1_000
NAMED = 3


@dataclass(frozen=True)
class Data:
    """What is learned and what is measured. `left_out` were too long; `asked` are answered at every validation."""

    train: list[Encoded]
    validation: list[Encoded]
    left_out: int
    asked: list[Example]


def read(tokenizer: Any, path: Path, limit: int, leave_out: bool,
         before_each: Callable[[int, int], None] = lambda done, total: None) -> tuple[list[Encoded], int]:
    """(what is learned, how many examples were left out as too long). `before_each` hears (done, total) before every chunk.

    Raises PipelineError when an example has nothing to learn or the template refuses it, when one is longer than `limit` tokens
    and `leave_out` is not set, and when none is left.
    """
    found = examples.read(path)
    encoded: list[Encoded] = []
    long: list[str] = []
    for start in range(0, len(found), CHUNK):
        before_each(start, len(found))
        part = found[start : start + CHUNK]
        for example, made in zip(part, template.encode_all(tokenizer, part), strict=True):
            if isinstance(made, PipelineError):
                raise PipelineError(f"Example {example.id} of {path.name}: {made.message}", made.hint)
            if any(len(one.ids) > limit for one in made):
                long.append(example.id)
            else:
                encoded += made
    if long and not leave_out:
        many = f"{len(long):,} examples of {path.name} are" if len(long) > 1 else f"One example of {path.name} is"
        raise PipelineError(f"{many} longer than {limit:,} tokens, so answers would be cut: {_named(long)}.",
                            "Raise the longest example, or say that longer ones may be left out, and start again.")
    if not encoded:
        raise PipelineError(f"Every example of {path.name} is longer than {limit} tokens.",
                            "Raise the longest example, or choose a base model that takes longer texts.")
    return encoded, len(long)


def _named(ids: list[str]) -> str:
    return ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else "")


def of_run(child: Child, spec: TrainSpec, workspace: Path, folder: Path, tokenizer: Any) -> Data:
    """The two parts of a training run's snapshot. Raises as `read` does, and Stopped."""
    limit = min(spec.max_tokens or 10**9, base_models.context(folder) or 10**9)
    leave_out = spec.too_long == "leave_out"

    def look(done: int, total: int) -> None:
        child.say("reading", done, total, "examples", "Reading the snapshot")
        if child.stop_requested():
            raise Stopped("Stopped while it read the snapshot; nothing was trained.")

    train, left_out = read(tokenizer, workspace / spec.train_file, limit, leave_out, look)
    validation, left_too = read(tokenizer, workspace / spec.validation_file, limit, leave_out, look)
    if left_out + left_too:
        child.event("note",
                    sentence=f"Longer than {limit:,} tokens, so left out and not cut: {left_out + left_too:,} examples.")
    asked = samples.choose(examples.read(workspace / spec.validation_file), spec.sample_prompts, spec.seed)
    return Data(train, validation, left_out, asked)
