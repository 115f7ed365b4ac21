"""Candidates: who answers in an evaluation. A model as it is, with a system prompt of its own, with examples from train."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio import models, snapshots
from studio.models import Model
from studio.permissions import needs
from studio.runs import Candidate, Shots, labels_of, normal
from studio.snapshots import Snapshot
from studio.workspace import Row, Workspace

__all__ = ["Chosen", "Shots", "checkpoints", "default_prompt", "default_set", "few_shot", "spec"]

READ_AT_MOST = 5_000
"""Lines of train that a prompt is written from."""

FOR_LABELS = "You sort the messages of customers. Answer with exactly one of these labels, spelled as it is here, and with " \
             "nothing else:\n"
FOR_JSON = "You read the messages of customers. Answer with one JSON object that has {keys}, and with nothing else: no words " \
           "around it, no code fence."
FOR_TEXT = ("You are an experienced customer support agent. Answer the customer's message in the customer's language. Be "
            "friendly, concrete and complete: say what happens next and what the customer has to do. Write about {words} "
            "words. Use only what the message says; where something is missing, ask for it instead of making it up. Write "
            "nothing but the answer.")


@dataclass(frozen=True)
class Chosen:
    """A model with a system prompt in place of the items' own, with few-shot examples, or as it is.

    `prompt_name` is what people call the prompt; it does not make another candidate.
    """

    model: Model
    system: str | None = None
    shots: Shots | None = None
    prompt_name: str = ""

    @property
    def candidate_id(self) -> str:
        """The model's id where it is as it is; else with a hash of what it is given."""
        if self.system is None and self.shots is None:
            return self.model.model_id
        given = json.dumps([self.system, self.shots.model_dump() if self.shots else None], sort_keys=True)
        return f"{self.model.model_id}-{hashlib.sha256(given.encode()).hexdigest()[:8]}"

    @property
    def name(self) -> str:
        parts = [self.prompt_name or "own prompt"] if self.system is not None else []
        if self.shots:
            parts.append(f"{self.shots.examples} {self.shots.choice} examples")
        return f"{self.model.name} + {', '.join(parts)}" if parts else self.model.name


@needs("read")
def default_set(ws: Workspace, tuned: Model, snapshot: Snapshot) -> list[Chosen]:
    """Base, base with a well-written prompt, tuned: a good prompt is the rival that a tuned model must beat."""
    base = models.base_of(ws, tuned)
    return [Chosen(base), Chosen(base, default_prompt(ws, snapshot), prompt_name="written prompt"), Chosen(tuned)]


def few_shot(snapshot: Snapshot, examples: int = 4, choice: Any = "nearest") -> Shots:
    """`examples` of the snapshot's train before each question: the "nearest" ones, or a "diverse" set for all."""
    return Shots(train_file=snapshot.file("train"), sha256=snapshot.manifest["files"]["train.jsonl"]["sha256"],
                 examples=examples, choice=choice)


@needs("read")
def checkpoints(ws: Workspace, tuned: Model) -> list[Model]:
    """The kept checkpoints of a tuned model's run, the first step first, as models that can answer."""
    run = f"runs/{tuned.run_id}"
    found = sorted(ws.path(run).glob("checkpoints/step-*/adapter.safetensors")) if tuned.run_id else []
    return [Model(f"{tuned.model_id}-{path.parent.name}", f"{tuned.name}, step {int(path.parent.name[5:])}", "adapter",
                  tuned.base, f"{run}/checkpoints/{path.parent.name}", tuned.run_id, _sha256_of(path), tuned.facts,
                  tuned.added_at) for path in found]


@needs("read")
def default_prompt(ws: Workspace, snapshot: Snapshot) -> str:
    """A well-written system prompt for what the answers of *train* are: labels (all of them are named), JSON, or text.

    Validation and test are never read: a prompt must not know what it is tested on.
    """
    answers = [str(item.messages[-1].get("content") or "") for item in snapshots.items(ws, snapshot, "train", 0, READ_AT_MOST)]
    if labels := _labels(answers):
        return FOR_LABELS + "\n".join(f"- {label}" for label in labels)
    if keys := _json_keys(answers):
        return FOR_JSON.format(keys=f"the keys {', '.join(keys)}")
    words = statistics.median(len(answer.split()) for answer in answers) if answers else 60
    return FOR_TEXT.format(words=max(5, 5 * round(words / 5)))


@needs("read")
def spec(ws: Workspace, chosen: Chosen, held: Any) -> Candidate:
    """What the child is told. `held` is how the base is held where no adapter says it ("qlora", "lora")."""
    model = chosen.model
    mine: Row = ({"endpoint": model.base} if model.kind == "endpoint"
                 else {"base": model.base, "adapter": model.adapter, "method": model.facts.get("method") or held})
    return Candidate(model_id=model.model_id, candidate_id=chosen.candidate_id, name=chosen.name, system=chosen.system,
                     shots=chosen.shots, sha256=_bytes(model), **mine)


def held(chosen: Sequence[Chosen], base: Row) -> str:
    """How a base is held beside the adapters that learned on it: as the last of them did."""
    return next((str(one.model.facts["method"]) for one in reversed(chosen)
                 if one.model.base == base and one.model.facts.get("method")), "qlora")


def _labels(answers: Sequence[str]) -> list[str]:
    """The labels as they are mostly spelled, or none where the answers are not labels."""
    known = labels_of(answers) if answers else None
    spelled = Counter(answer.strip() for answer in answers)
    return [max((said for said in spelled if normal(said) == label), key=lambda said: (spelled[said], said))
            for label in known or ()]


def _json_keys(answers: Sequence[str]) -> list[str]:
    """Keys that more than half of the answers have, where all answers are JSON objects."""
    found: Counter[str] = Counter()
    for answer in answers:
        try:
            row = json.loads(answer)
        except ValueError:
            return []
        if not isinstance(row, dict):
            return []
        found.update(row.keys())
    return [key for key, times in found.items() if 2 * times > len(answers)]


def _bytes(model: Model) -> str:
    """What stands for a model's bytes: the hash of its adapter, and of a local base how large and how old its files are."""
    ref = str(model.base.get("ref") or "")
    stamp = models.stamp(ref) if model.base.get("kind") in ("folder", "gguf") else ""
    return hashlib.sha256(f"{model.fingerprint}/{stamp}".encode()).hexdigest() if stamp else model.fingerprint or ""


def _sha256_of(path: Any) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
