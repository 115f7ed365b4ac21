"""The examples of a run, encoded: every conversation whole, and a refusal in words where something could not be learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import examples, template
from pipeline.errors import PipelineError
from pipeline.template import Encoded

CHUNK = 1_000
NAMED = 3


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
