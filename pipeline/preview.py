"""A preview run: what a training run would do, before it is started. Nothing is trained and no weights are loaded.

Reads the snapshot with the base model's own tokenizer and template, counts what would be learned and what stands in the way,
plans each method for the memory there is, and says how long it would take. Leaves `preview.jsonl`: some examples as the model
reads them.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline import base_models, device, examples, machine, template
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example
from pipeline.machine import Machine
from pipeline.rundir import Child, write_atomic
from pipeline.specs import PreviewSpec, TrainSpec
from pipeline.template import Encoded
from pipeline.training import fit, plans, recipe
from pipeline.training.shape import Shape, text_config

CHUNK = 500
RENDERED = 20
SEED = TrainSpec.model_fields["seed"].default
FEW = 3
"""Odd examples of one kind (several turns, weight 0, too long) that are rendered at most."""


@dataclass
class Part:
    """A split as it is read: a length and a learned count for each sequence that fits; `places` says whose it is."""

    lengths: array[int] = field(default_factory=lambda: array("l"))
    learned: array[int] = field(default_factory=lambda: array("l"))
    places: array[int] = field(default_factory=lambda: array("l"))
    too_long: list[int] = field(default_factory=list)
    no_target: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    said: PipelineError | None = None


def run(child: Child, spec: PreviewSpec, workspace: Path) -> dict[str, Any]:
    """Read, count, plan, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    child.say("preparing", sentence="Preparing the base model")
    folder = base_models.prepare(spec.base, workspace, lambda sentence: child.say("preparing", sentence=sentence))
    config = text_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    shape = Shape.from_config(config)
    context = base_models.context(folder)
    limit = min(spec.max_tokens or 10**9, context or 10**9)
    tokenizer = base_models.load_tokenizer(folder)
    child.say("reading", sentence="Reading the snapshot")
    read = {name: examples.read(workspace / file)
            for name, file in (("train", spec.train_file), ("validation", spec.validation_file))}
    parts = {name: _look(child, tokenizer, some, limit, name) for name, some in read.items()}
    train = _usable(parts["train"], limit)
    write_atomic(child.folder / "preview.jsonl", "".join(_rendered(tokenizer, read["train"], train)))
    step_tokens = max(spec.step_tokens or recipe.step_tokens_for(train.lengths), max(train.lengths))
    epochs = [len(recipe.steps(train.lengths, step_tokens, SEED, epoch)) for epoch in range(spec.epochs)]
    here, flops, busy = _measured(child, shape, workspace)
    asked = plans.Asked(spec.rank, max(train.lengths), step_tokens // spec.processes, sum(train.lengths) * spec.epochs,
                        sum(parts["validation"].lengths) * (1 + spec.evaluations_per_epoch * spec.epochs),
                        sum(length * length for length in train.lengths) / sum(train.lengths),
                        sum(train.learned) / sum(train.lengths), spec.method, spec.processes, spec.known_tokens_s,
                        spec.known_method)
    return plans.said(shape, asked, here, flops, busy) | {
        "model": {"parameters": shape.parameters, "layers": shape.layers, "hidden": shape.hidden,
                  "vocabulary": shape.vocabulary, "context": context,
                  "dtype": str(config.get("dtype") or config.get("torch_dtype") or "")},
        "machine": {"device": here.device, "name": here.name, "memory_gib": here.memory / fit.GIB,
                    "free_gib": here.free / fit.GIB, "cores": here.cores, "compute": here.compute, "busy": busy},
        "train": _counts(read["train"], train), "validation": _counts(read["validation"], parts["validation"]),
        "steps": sum(epochs), "steps_per_epoch": epochs[0], "step_tokens": step_tokens,
        "truncated": sum(len(part.too_long) for part in parts.values())}


def done_words(data: dict[str, Any]) -> str:
    train = data["train"]
    words = f"{train['examples']:,} examples, {data['steps']:,} steps. "
    return words + (data["why"] if data["recommended"] else f"It does not fit. {data['why']}")


def _look(child: Child, tokenizer: Any, some: Sequence[Example], limit: int, name: str) -> Part:
    """Encode every example, and keep numbers only: the tokens of a large snapshot would fill the memory."""
    part = Part()
    for start in range(0, len(some), CHUNK):
        if child.stop_requested():
            raise Stopped("Stopped before the end, as asked; nothing is said of this snapshot.")
        child.say(f"reading {name}", start, len(some), "examples", f"Reading {name} with the model's own tokenizer")
        chunk = some[start : start + CHUNK]
        for place, found in enumerate(template.encode_all(tokenizer, chunk), start):
            _count(part, place, some[place], found, limit)
    child.say(f"reading {name}", len(some), len(some), "examples", f"Read {name}")
    return part


def _count(part: Part, place: int, example: Example, found: tuple[Encoded, ...] | PipelineError, limit: int) -> None:
    if not any(turn["role"] == "assistant" and turn.get("weight", 1) != 0 for turn in example.messages):
        part.no_target.append(place)
    elif isinstance(found, PipelineError):
        part.failed.append(place)
        part.said = part.said or found
    elif any(len(one.ids) > limit for one in found):
        part.too_long.append(place)
    else:
        for one in found:
            part.lengths.append(len(one.ids))
            part.learned.append(sum(one.learned))
            part.places.append(place)


def _usable(train: Part, limit: int) -> Part:
    """Raises PipelineError where nothing is left to train on."""
    if train.lengths:
        return train
    if train.said:
        raise PipelineError(f"None of the examples can be used. {train.said.message}", train.said.hint)
    if train.too_long:
        raise PipelineError(f"Every example of train is longer than {limit:,} tokens.",
                            "Raise the longest example, or choose a base model that takes longer texts.")
    raise PipelineError("No example of train has anything to learn: no answer of the agent counts.",
                        "Freeze a snapshot with answers.")


def _measured(child: Child, shape: Shape, workspace: Path) -> tuple[Machine, float | None, bool]:
    """The machine, the speed of its matrix products, and whether another run computes on it now.

    A card in use is not measured, and its whole memory is counted as free: a run would wait for its turn.
    """
    child.say("measuring", sentence="Measuring how fast this machine is")
    with device.if_free(workspace) as free:
        here = machine.look()
        if not free and here.device == "cuda":
            return here.after_others(), None, True
        rows = 512 if here.device == "cpu" else fit.GPU_ROWS
        flops = machine.matrix_speed(shape.hidden, shape.intermediate, rows, here)
    return (here if free else here.after_others()), flops, not free


def _counts(some: Sequence[Example], part: Part) -> dict[str, Any]:
    ordered = sorted(part.lengths)
    at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0 for share in (0.05, 0.5, 0.95, 1.0)]
    return {"examples": len(some), "tokens": sum(ordered), "learned_tokens": sum(part.learned), "lengths": at,
            "too_long": [some[place].id for place in part.too_long], "no_target": [some[place].id for place in part.no_target],
            "template_failures": [some[place].id for place in part.failed],
            "template_said": part.said.message if part.said else ""}


def _rendered(tokenizer: Any, some: Sequence[Example], part: Part) -> Iterator[str]:
    """Lines of preview.jsonl: the odd ones first, then the shortest, the median and the longest, then others evenly."""
    lines = 0
    for place in _chosen(some, part):
        found = template.encode_all(tokenizer, [some[place]])[0]
        for one in found if not isinstance(found, PipelineError) else ():
            if lines == RENDERED:
                return
            lines += 1
            row = {"id": one.id, "pieces": _pieces(tokenizer, one), "tokens": len(one.ids), "learned": sum(one.learned)}
            yield json.dumps(row, ensure_ascii=False) + "\n"


def _chosen(some: Sequence[Example], part: Part) -> list[int]:
    """Places of examples, each once, the most telling first."""
    ordered = [place for _, place in sorted(zip(part.lengths, part.places, strict=True))]
    several = (place for place in ordered if sum(turn["role"] == "assistant" for turn in some[place].messages) > 1)
    unlearned = (place for place in ordered if any(turn.get("weight", 1) == 0 for turn in some[place].messages))
    odd = [place for kind in (iter(part.too_long), several, unlearned) for place, _ in zip(kind, range(FEW), strict=False)]
    ends = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    evenly = [ordered[number * (len(ordered) - 1) // RENDERED] for number in range(RENDERED + 1)]
    return list(dict.fromkeys([*odd, *ends, *evenly]))


def _pieces(tokenizer: Any, one: Encoded) -> list[tuple[str, bool]]:
    """Its text as the model reads it, cut where learning begins and ends."""
    edges = [0, *(place for place in range(1, len(one.ids)) if one.learned[place] != one.learned[place - 1]), len(one.ids)]
    return [(tokenizer.decode(list(one.ids[left:right]), skip_special_tokens=False, clean_up_tokenization_spaces=False),
             one.learned[left]) for left, right in pairwise(edges)]
