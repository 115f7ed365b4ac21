"""Samples: what a model that is being trained answers to the same few questions, at every evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from studio import runs
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Row, Workspace


@dataclass(frozen=True)
class Answer:
    """What it said after so many optimizer steps; step 0 is the base model."""

    step: int
    text: str


@dataclass(frozen=True)
class Prompt:
    """One question of the validation part, what the desk answered, and the model's answers, newest first."""

    record_id: str
    question: str
    expected: str
    answers: tuple[Answer, ...]


@needs("raw")
def every(ws: Workspace, run: Run) -> list[Prompt]:
    """In the order of their numbers. A resumed run answers some steps again: the later answer counts."""
    newest: dict[int, dict[int, Row]] = {}
    for row in runs.lines(ws, run, runs.SAMPLES):
        newest.setdefault(row["number"], {})[row["step"]] = row
    return [_prompt(by_step) for _, by_step in sorted(newest.items())]


def _prompt(by_step: dict[int, Row]) -> Prompt:
    row = next(iter(by_step.values()))
    answers = tuple(Answer(step, by_step[step]["answer"]) for step in sorted(by_step, reverse=True))
    return Prompt(row["id"], row["question"], row["expected"], answers)
