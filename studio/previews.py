"""Previews: what a training run would do, looked at before it is started, and remembered for the same question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from studio import runs
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Row, Workspace

DATA = ("base", "train_file", "validation_file", "max_tokens")
"""The part of a question that what can be learned depends on; the rest is about memory and time."""

KEPT = 5
"""So many previews keep their rendered examples: these are copies of what customers wrote."""


@dataclass(frozen=True)
class Part:
    """A split as the model would read it. Lengths are tokens: 5 %, the middle, 95 % and the longest. Ids name examples
    that are not counted in; `template_said` is why the model's template refuses the first of its own."""

    examples: int
    tokens: int
    learned_tokens: int
    lengths: tuple[int, ...]
    too_long: tuple[str, ...]
    no_target: tuple[str, ...]
    template_failures: tuple[str, ...]
    template_said: str


@dataclass(frozen=True)
class Plan:
    """One way to do it. Memory in GiB, by part and at its highest; `seconds` to the end, as `basis` explains."""

    method: str
    fits: bool
    row_tokens: int
    checkpointing: bool
    parts: dict[str, float]
    peak_gib: float
    tokens_s: float | None
    seconds: float | None
    basis: str


@dataclass(frozen=True)
class Preview:
    """What was found; `recommended` is the method of one of the plans, or empty where none fits. Examples of more than
    `longest` tokens are too long."""

    model: Row
    machine: Row
    train: Part
    validation: Part
    steps: int
    steps_per_epoch: int
    step_tokens: int
    plans: tuple[Plan, ...]
    recommended: str
    why: str
    longest: int

    @property
    def plan(self) -> Plan:
        """The recommended way, else the one that needs least."""
        return next((plan for plan in self.plans if plan.method == self.recommended),
                    min(self.plans, key=lambda plan: plan.peak_gib))


@dataclass(frozen=True)
class Rendered:
    """One example in the words of the model's own template: pieces of text, each learned or not."""

    record_id: str
    pieces: tuple[tuple[str, bool], ...]
    tokens: int
    learned: int


@needs("read")
def newest(ws: Workspace, question: Row) -> Run | None:
    """The newest preview that asked this, however it stands."""
    return next((run for run in runs.every(ws, "preview") if _asks(run, question, tuple(question))), None)


@needs("read")
def known_speed(ws: Workspace, base: Row, processes: int) -> Row:
    """Tokens/s of the newest finished training run on this base model with as many processes, and how it held the base, under
    the names that a preview knows them by; empty without one."""
    rows = ws.rows("""select r.spec, e.data from runs r join run_results e using (run_id)
                      where r.kind = 'train' and e.outcome = 'done' order by e.ended_at desc""")
    read = ((json.loads(row["spec"]), json.loads(row["data"])) for row in rows)
    return next(({"known_tokens_s": float(data["tokens_s"]), "known_method": data.get("method") or "qlora"}
                 for spec, data in read
                 if spec["base"] == base and spec.get("processes", 1) == processes and data.get("tokens_s")), {})


@needs("read")
def refusal(ws: Workspace, question: Row, too_long: str) -> StudioError | None:
    """Why a training run of this data must not start yet, as the newest preview of the same data found; None: it may."""
    run = next((run for run in runs.every(ws, "preview") if run.state == "done" and _asks(run, question, DATA)), None)
    return refused_by(read(run), too_long) if run else None


def refused_by(found: Preview, too_long: str) -> StudioError | None:
    """The one reason a run must not start, in a sentence, with what to do."""
    parts = (("train", found.train), ("validation", found.validation))
    if nothing := [(name, part) for name, part in parts if part.no_target]:
        many = sum(len(part.no_target) for _, part in nothing)
        return StudioError(f"{_examples(many)} of {_names(nothing)} {_have(many)} nothing to learn: no answer of the agent.",
                           "Drop them on Curate and freeze a new snapshot.")
    if odd := [(name, part) for name, part in parts if part.template_failures]:
        many = sum(len(part.template_failures) for _, part in odd)
        return StudioError(f"The model's chat template refuses {_examples(many)} of {_names(odd)}: {odd[0][1].template_said}",
                           "Drop them on Curate and freeze a new snapshot, or choose another base model.")
    if long := [(name, part) for name, part in parts if part.too_long]:
        many = sum(len(part.too_long) for _, part in long)
        if too_long == "refuse":
            which = f"{_examples(many)} of {_names(long)} {_are(many)}"
            return StudioError(
                f"{which} longer than {found.longest:,} tokens, so answers would be cut.",
                "Under Advanced, raise the longest example, or say that longer ones may be left out.")
    return None


def read(run: Run) -> Preview:
    """What a preview that is done found."""
    assert run.result is not None
    data, names = run.result.data, Plan.__dataclass_fields__
    return Preview(
        data["model"], data["machine"], _part(data["train"]), _part(data["validation"]), data["steps"], data["steps_per_epoch"],
        data["step_tokens"], tuple(Plan(**{name: plan.get(name) for name in names}) for plan in data["plans"]),
        data["recommended"] or "", data["why"], min(run.spec["max_tokens"] or 10**9, data["model"]["context"] or 10**9))


@needs("raw")
def examples(ws: Workspace, run: Run) -> list[Rendered]:
    """The examples it rendered; none where they were cleared away or forgotten."""
    return [Rendered(row["id"], tuple((text, learned) for text, learned in row["pieces"]), row["tokens"], row["learned"])
            for row in runs.lines(ws, run, runs.PREVIEW)]


@needs("run", looks=True)
def clear_older(ws: Workspace) -> None:
    """Take the rendered examples of all but the newest previews away."""
    for run in runs.every(ws, "preview")[KEPT - 1:]:
        if not run.moving:
            runs.clear_copies(ws, run)


def _asks(run: Run, question: Row, keys: tuple[str, ...]) -> bool:
    def plain(value: Any) -> str:
        return json.dumps(value, sort_keys=True)

    return all(plain(run.spec.get(key)) == plain(question[key]) for key in keys)


def _part(found: Row) -> Part:
    return Part(found["examples"], found["tokens"], found["learned_tokens"], tuple(found["lengths"]), tuple(found["too_long"]),
                tuple(found["no_target"]), tuple(found["template_failures"]), found.get("template_said", ""))


def _names(parts: list[tuple[str, Part]]) -> str:
    return " and ".join(name for name, _ in parts)


def _examples(many: int) -> str:
    return f"{many:,} example{'' if many == 1 else 's'}"


def _have(many: int) -> str:
    return "has" if many == 1 else "have"


def _are(many: int) -> str:
    return "is" if many == 1 else "are"
