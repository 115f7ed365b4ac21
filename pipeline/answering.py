"""One candidate answers what it has not answered yet: from what is known, from an endpoint, or from a local model.

Every answer is written to outputs.jsonl as soon as it is there, so a run that dies, or is stopped, loses none.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from pipeline import answers, examples, shots
from pipeline.answers import Wanted
from pipeline.cluster import here
from pipeline.errors import Stopped
from pipeline.examples import Example
from pipeline.generation.answer import Answer, Ask
from pipeline.rundir import Child, read_lines
from pipeline.scoring import labels
from pipeline.specs import Candidate, Decoding, EvaluateSpec

MOST_LABELS = 200
NOTHING = {"reference_nats": None, "reference_tokens": None, "label_scores": None}
Facts = dict[str, Any]
Row = dict[str, Any]


@dataclass
class Sitting:
    """One candidate before all that it is asked. `likely` are its likelihoods by item, of the answers that lack them."""

    child: Child
    spec: EvaluateSpec
    candidate: Candidate
    items: Sequence[Example]
    workspace: Path
    known: dict[str, Row]
    done: int = 0
    total: int = 0
    likely: dict[str, Row] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)

    def run(self) -> Facts:
        """Answer what is not answered yet; returns what is worth telling of how the candidate was asked."""
        everything = answers.wanted(self.spec, self.candidate, self.items)
        have = {(row["item_id"], row["sample"]) for row in read_lines(self.child.folder / "outputs.jsonl")
                if row["candidate_id"] == self.candidate.candidate_id}
        todo = [one for one in everything if (one.example.id, one.sample) not in have]
        self.done, self.total = len(everything) - len(todo), len(everything)
        asked = [one for one in todo if one.key not in self.known]
        lacking = [one for one in todo if one.key in self.known and self._lacks(one)]
        for one in todo:
            if one.key in self.known and one not in lacking:
                self._reuse(one)
        self.facts["reused"] = len(todo) - len(asked)
        if asked or lacking:
            self._endpoint(asked) if self.candidate.endpoint else self._local(asked, lacking)
            gc.collect()
        return self.facts

    def _endpoint(self, asked: Sequence[Wanted]) -> None:
        from pipeline.generation.endpoint import EndpointModel

        assert self.candidate.endpoint is not None
        model = EndpointModel(self.candidate.endpoint)
        put = self._put_together(asked, lambda example, decoding: True)
        self._take(asked, put, model.answers)

    def _local(self, asked: Sequence[Wanted], lacking: Sequence[Wanted]) -> None:
        model = self._model()
        self.facts["compute"] = model.compute
        put = self._put_together([*asked, *lacking], lambda example, decoding: (
            len(model.prompt(example)) + decoding.max_new_tokens <= model.context))
        likely = [one for one in (*asked, *lacking) if self._wants_likelihood(one)]
        model.expect([put[one.example.id] for one in likely], tuple(self._labels().values()), self._by_decoding(asked, put))
        self._find_likelihoods(model, likely, put)
        for one in lacking:
            self._reuse(one)
        self._take(asked, put, model.answers)

    def _model(self) -> Any:
        """The candidate's model: here, or in the workers of the cluster that this runs on."""
        from pipeline.generation import local

        if (place := here.spread("evaluate")) is not None:
            from pipeline.cluster import answering

            return answering.SpreadModel(self.candidate, self.workspace, place, self.child)
        loading = f"loading {self.candidate.candidate_id}"
        return local.load(self.candidate, self.workspace, lambda said: self.child.say(loading, sentence=said))

    def _take(self, asked: Sequence[Wanted], put: dict[str, Example], answer: Callable[..., Iterable[Answer]]) -> None:
        """Have the wanted answers made, decoding by decoding, and write each down as it comes."""
        by_place = {(one.example.id, one.sample): one for one in asked}
        for decoding, part in self._by_decoding(asked, put):
            self._say()
            for made in answer(part, decoding, self._watch):
                self._write(by_place[made.item_id, made.sample], made.__dict__)

    def _by_decoding(self, asked: Sequence[Wanted], put: dict[str, Example]) -> list[tuple[Decoding, list[Ask]]]:
        return [(decoding, [Ask(put[one.example.id], one.sample) for one in asked if one.decoding == decoding])
                for decoding in dict.fromkeys(one.decoding for one in asked)]

    def _put_together(self, asked: Sequence[Wanted], fits: Callable[[Example, Decoding], bool]) -> dict[str, Example]:
        """By item, the conversation that the candidate is asked, with as many examples as there is room for."""
        put = {one.example.id: one.example for one in asked if one.is_probe}
        items = {one.example.id: one.example for one in asked if not one.is_probe}
        put |= {item_id: answers.conversation(self.candidate, item) for item_id, item in items.items()}
        if (wanted := self.candidate.shots) and items:
            train, used = examples.read(self.workspace / wanted.train_file), Counter[int]()
            chosen = shots.choose(train, list(items.values()), wanted.examples, wanted.choice)
            for item, some in zip(items.values(), chosen, strict=True):
                kept = shots.that_fit(some, lambda these, item=item: fits(  # type: ignore[misc]
                    answers.conversation(self.candidate, item, these), self.spec.decoding))
                put[item.id] = answers.conversation(self.candidate, item, kept)
                used[len(kept)] += 1
            self._tell_shots(wanted.examples, used)
        return put

    def _tell_shots(self, asked: int, used: Counter[int]) -> None:
        self.facts["shots"] = {"asked": asked, "fewest": min(used), "mean": mean(used.elements())}
        if min(used) < asked:
            self.child.event("note", sentence=f"{self.candidate.name}: {sum(used[n] for n in used if n < asked)} questions had "
                             f"room for fewer than {asked} examples, {min(used)} at the least.")

    def _find_likelihoods(self, model: Any, asked: Sequence[Wanted], put: dict[str, Example]) -> None:
        labels = self._labels()
        said = f"{self.candidate.name}: how likely the references are"
        every = model.likelihoods([put[one.example.id] for one in asked], tuple(labels.values()), self._watch)
        for done, found in enumerate(every, start=1):
            scores = {label: found.labels[spelled] for label, spelled in labels.items()}
            self.likely[found.item_id] = {
                "reference_nats": found.nats, "reference_tokens": found.tokens,
                "label_scores": json.dumps(scores, ensure_ascii=False) if labels else None}
            self.child.say(f"reading {self.candidate.candidate_id}", done, len(asked), "references", said)

    def _labels(self) -> dict[str, str]:
        """Each label as it is compared, with the spelling that references mostly have; none where answers are no labels."""
        references = [item.answer.strip() for item in self.items]
        known = labels.labels_of(references) if self.spec.answers == "auto" else None
        if self.spec.answers == "labels":
            known = tuple(sorted({labels.normal(said) for said in references}))
        times = Counter(references)
        spelled = {labels.normal(said): said for said in sorted(times, key=lambda said: (times[said], said))}
        return {label: spelled[label] for label in known or ()} if len(known or ()) <= MOST_LABELS else {}

    def _wants_likelihood(self, one: Wanted) -> bool:
        return self.spec.likelihood and self.candidate.base is not None and one.sample == 0 and not one.is_probe

    def _lacks(self, one: Wanted) -> bool:
        """Whether a known answer comes without how likely the reference and just these labels are."""
        if not self._wants_likelihood(one):
            return False
        row = self.known[one.key]
        return row.get("reference_nats") is None or set(json.loads(row.get("label_scores") or "{}")) != set(self._labels())

    def _reuse(self, one: Wanted) -> None:
        row = self.known[one.key]
        kept = {key: row.get(key) for key in ("text", "new_tokens", "prompt_tokens", "seconds", "finish", "cost", *NOTHING)}
        self._write(one, kept | self.likely.get(one.example.id, {}), reused=True)

    def _write(self, one: Wanted, made: Row, reused: bool = False) -> None:
        likely = self.likely.get(one.example.id, NOTHING) if self._wants_likelihood(one) else NOTHING
        row = likely | made | {"candidate_id": self.candidate.candidate_id, "item_id": one.example.id, "sample": one.sample,
                               "answer_key": one.key, "reused": reused}
        self.child.output(row)
        self.known.setdefault(one.key, row)
        self.done += 1
        self._say()

    def _say(self) -> None:
        self.child.say(f"answering {self.candidate.candidate_id}", self.done, self.total, "answers",
                       f"{self.candidate.name} answers")

    def _watch(self) -> None:
        if self.child.stop_requested():
            raise Stopped(f"Stopped after {self.done} of {self.total} answers of {self.candidate.name}, as asked; they are "
                          "kept.")
