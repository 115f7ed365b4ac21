"""A local model that answers in several workers, asked as `generation.local.LocalModel` is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import base_models, template
from pipeline.cluster import here, pools
from pipeline.examples import Example
from pipeline.generation import local
from pipeline.generation.answer import Answer, Ask
from pipeline.generation.local import Likelihood
from pipeline.rundir import Child
from pipeline.spec_place import Place
from pipeline.specs import Candidate, Decoding

PARTS_EACH = 4
"""Parts a worker gets, at least: what a death costs, and how evenly they end."""
REFERENCES = 64
"""References in one part."""


class SpreadModel:
    """A candidate in several workers. What it is going to be asked is said first (`expect`): so each loads it only once."""

    def __init__(self, candidate: Candidate, workspace: Path, place: Place, child: Child) -> None:
        assert candidate.base is not None, "an endpoint has no model here"
        self.candidate, self.place, self.child = candidate, place, child
        self.folder = base_models.prepare(candidate.base, workspace, self._say)
        self.tokenizer = base_models.load_tokenizer(self.folder)
        self._likely = 0
        self._coming: Iterator[list[dict[str, Any]]] = iter(())
        self._watch: Callable[[], None] = local.nothing

    @property
    def compute(self) -> str:
        """The type that the workers compute in."""
        return str(local.precision_of(self.folder)).removeprefix("torch.") if self.place.gpus else "float32"

    @property
    def context(self) -> int:
        return base_models.context(self.folder) or 1 << 30

    def prompt(self, example: Example) -> list[int]:
        return template.prompt_ids(self.tokenizer, example.question, example.tools)

    def expect(self, likely: Sequence[Example], labels: Sequence[str], asked: Sequence[tuple[Decoding, Sequence[Ask]]]) -> None:
        """All that will be asked, in this order: likelihoods, then answers."""
        references = [_part(likelihoods=_examples(part), labels=list(labels)) for part in _cut(likely, REFERENCES)]
        answers = [_part(answers=_examples([ask.example for ask in part]), samples=[ask.sample for ask in part],
                         decoding=decoding.model_dump())
                   for decoding, asks in asked for part in _cut(asks, self._at_once(len(asks)))]
        self._say(f"Loading {self.candidate.name} in {self.place.workers} workers")
        job = pools.Job(__name__, "answering", (self.candidate.model_dump_json(), max(1, int(self.place.cpus))))
        found = pools.over(job, [*references, *answers], self.place, lambda: self._watch(), self._note)
        self._likely, self._coming = len(references), (json.loads(said) for said in found)

    def likelihoods(self, examples: Sequence[Example], labels: Sequence[str],
                    watch: Callable[[], None]) -> Iterator[Likelihood]:
        """Those that were expected, which is all of them."""
        self._watch = watch
        for _ in range(self._likely):
            yield from (Likelihood(**row) for row in next(self._coming))

    def answers(self, asked: Sequence[Ask], decoding: Decoding, watch: Callable[[], None]) -> Iterator[Answer]:
        """The next ones that were expected, in their order, part by part."""
        self._watch = watch
        left = len(asked)
        while left:
            part = next(self._coming)
            left -= len(part)
            yield from (Answer(**row) for row in part)

    def _at_once(self, count: int) -> int:
        most = local.MOST_ROWS["cuda" if self.place.gpus else "cpu"]
        return max(1, min(most, -(-count // (PARTS_EACH * self.place.workers))))

    def _say(self, sentence: str) -> None:
        self.child.say(f"loading {self.candidate.candidate_id}", sentence=sentence)

    def _note(self, sentence: str) -> None:
        self.child.event("note", sentence=sentence)


def answering(candidate: str, threads: int) -> pools.Work:
    """What a worker does: the model is loaded here, on its node."""
    import torch

    said = Candidate.model_validate_json(candidate)
    assert said.base is not None
    here.fetched(f"models/{base_models.slug(said.base)}")
    if said.adapter:
        here.fetched(said.adapter)
    model = local.load(said, here.root(), lambda sentence: None)
    if model.where.type == "cpu":
        torch.set_num_threads(threads)

    def work(part: bytes) -> bytes:
        asked = json.loads(part)
        if "likelihoods" in asked:
            found: list[Any] = list(model.likelihoods(_read(asked["likelihoods"]), tuple(asked["labels"])))
        else:
            asks = [Ask(example, sample) for example, sample in zip(_read(asked["answers"]), asked["samples"], strict=True)]
            places = {(ask.example.id, ask.sample): place for place, ask in enumerate(asks)}
            found = sorted(model.answers(asks, Decoding(**asked["decoding"])),
                           key=lambda made: places[made.item_id, made.sample])
        return json.dumps([asdict(one) for one in found]).encode()

    return work


def _part(**said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False).encode()


def _examples(examples: Sequence[Example]) -> list[list[Any]]:
    return [[one.id, one.messages, one.tools] for one in examples]


def _read(rows: list[list[Any]]) -> list[Example]:
    return [Example(example_id, tuple(messages), tuple(tools)) for example_id, messages, tools in rows]


def _cut(whole: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (whole[begin : begin + size] for begin in range(0, len(whole), size))
