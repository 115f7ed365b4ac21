"""Score answers against their references: which scores suit them, one row an answer, the facts over all. Light at its top."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.cluster import here
from pipeline.errors import PipelineError
from pipeline.examples import Example
from pipeline.scoring import corpora, labels, names, probes
from pipeline.specs import EvaluateSpec, Meaning, ScoreSpec

Row = dict[str, Any]
Say = Callable[[int, int], None]
EVERY, MANY = 500, 5_000
"""Answers between two words of how far it is, and from how many on the workers of a cluster score them."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the answers: their form, the labels where they are such, and the keys of the scores."""

    answers: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    strict: bool
    contains: tuple[str, ...] = ()
    schema: str = ""
    meaning: Meaning | None = None


@dataclass(frozen=True)
class Judged:
    """What one answer and its reference decide by themselves."""

    scores: dict[str, float]
    counted: corpora.Counted


def score(items: Sequence[Example], outputs: Sequence[Row], spec: EvaluateSpec | ScoreSpec, say: Say) -> tuple[list[Row], Row]:
    """Rows {"candidate_id", "item_id", "sample", "scores", "expected", "predicted"}, and the facts for the run's result:
    "answers", "labels", "scored" (the keys), "metrics" (means by candidate) and "corpus" (BLEU and chrF of all answers).

    Items of the general suite get "probe" and nothing else. What an answer lacks (an endpoint's likelihoods) is left out of its
    row. Own functions and patterns are not scored here (`scoring.again`). Raises PipelineError in words.
    """
    references = {item.id: item.answer for item in items if not item.id.startswith(probes.PREFIX)}
    asked = _asked(list(references.values()), spec)
    newest = {(row["candidate_id"], row["item_id"], row["sample"]): row for row in outputs
              if row["item_id"] in references or row["item_id"].startswith(probes.PREFIX)}
    rows = []
    pairs = [(references[output["item_id"]], output["text"]) for output in newest.values() if output["item_id"] in references]
    found = _all_judged(pairs, asked, lambda: say(0, len(newest)))
    together = {row["candidate_id"]: corpora.Corpus(asked.metrics) for row in newest.values()}
    for done, output in enumerate(newest.values()):
        if done % EVERY == 0:
            say(done, len(newest))
        rows.append(_probed(output) if output["item_id"] not in references
                    else _row(output, references[output["item_id"]], asked, next(found), together[output["candidate_id"]]))
    if "similarity" in asked.metrics:
        _add_similarities(rows, newest, references, asked.meaning)
    return rows, _facts(rows, newest, together, asked)


def form_of(references: Sequence[str]) -> str:
    """What answers are, by their references: "labels", "json" or "text"."""
    from pipeline.scoring import structure

    if labels.labels_of(references):
        return "labels"
    return "json" if references and all(map(structure.is_structured, references)) else "text"


def _asked(references: list[str], spec: EvaluateSpec | ScoreSpec) -> Asked:
    form = form_of(references) if spec.answers == "auto" else spec.answers
    keys = spec.metrics or names.suited(form)
    if isinstance(spec, EvaluateSpec) and spec.primary:
        keys = (spec.primary, *keys)
    keys = tuple(dict.fromkeys("accuracy" if key == "macro_f1" else key for key in keys))
    for key in keys:
        if not key.startswith(names.OWN) and key not in names.METRICS:
            raise PipelineError(f"There is no score {key}.", "Choose among those of the Evaluate page.")
        if form != "labels" and not key.startswith(names.OWN) and names.of(key).kind == "labels":
            raise PipelineError(f"{names.title(key)} needs references that are labels.",
                                "Choose other scores, or say that the answers are labels.")
    known = tuple(sorted({labels.normal(one) for one in references})) if form == "labels" else ()
    if isinstance(spec, EvaluateSpec):
        return Asked(form, known, keys, spec.labels_read == "strict")
    _something_to_look_for(spec)
    return Asked(form, known, keys, spec.labels_read == "strict", spec.contains, spec.answer_schema, spec.meaning)


def _something_to_look_for(spec: ScoreSpec) -> None:
    for key, given, what in (("contains", spec.contains, "words"), ("regex", spec.pattern, "a pattern"),
                             ("schema_valid", spec.answer_schema, "a JSON schema")):
        if key in spec.metrics and not given:
            raise PipelineError(f"{names.title(key)}: nothing to look for was given.", f"Give {what}.")


def judged(pairs: Iterable[tuple[str, str]], asked: Asked) -> Iterator[Judged]:
    """Of each (reference, answer), in their order."""
    judge = _judge(asked)
    return (Judged(judge(reference, answer), corpora.count(reference, answer, asked.metrics)) for reference, answer in pairs)


def _all_judged(pairs: Sequence[tuple[str, str]], asked: Asked, look: Callable[[], None]) -> Iterator[Judged]:
    """By the workers of a cluster where there are many, else here."""
    place = here.spread("score") if len(pairs) >= MANY else None
    if place is None:
        return judged(pairs, asked)
    from pipeline.cluster import scoring

    return scoring.judged(pairs, asked, place, look)


def _judge(asked: Asked) -> Callable[[str, str], dict[str, float]]:
    """What scores an answer that is no label, by (reference, answer)."""
    from pipeline.scoring import structure, texts

    schema = structure.schema_check(asked.schema) if "schema_valid" in asked.metrics and asked.schema else None

    def judge(reference: str, answer: str) -> dict[str, float]:
        found = texts.score(reference, answer, asked.metrics)
        if "json_valid" in asked.metrics:
            found["json_valid"] = structure.valid(answer)
        if "field_accuracy" in asked.metrics:
            found["field_accuracy"] = structure.field_accuracy(reference, answer)
        if schema:
            found["schema_valid"] = schema(answer)
        if "contains" in asked.metrics and asked.contains:
            found["contains"] = texts.contains(asked.contains, answer)
        return found

    return judge


def _row(output: Row, reference: str, asked: Asked, judged: Judged, together: corpora.Corpus) -> Row:
    found = judged.scores | together.take(judged.counted)
    expected = predicted = None
    if asked.labels and "accuracy" in asked.metrics:
        expected = labels.normal(reference)
        predicted = labels.to_label(output["text"], asked.labels, "strict" if asked.strict else "lenient")
        found["accuracy"] = float(predicted == expected)
    if asked.labels and "accuracy_likelihood" in asked.metrics and output.get("label_scores"):
        likeliest = labels.by_likelihood(output["label_scores"], asked.labels)
        found["accuracy_likelihood"] = float(likeliest == labels.normal(reference))
    if "perplexity" in asked.metrics and output.get("reference_tokens"):
        found["perplexity"] = _perplexity(output["reference_nats"], output["reference_tokens"])
    return _named(output) | {"scores": found, "expected": expected, "predicted": predicted}


def _probed(output: Row) -> Row:
    found = {"probe": probes.score(output["item_id"], output["text"])}
    return _named(output) | {"scores": found, "expected": None, "predicted": None}


def _named(output: Row) -> Row:
    return {key: output[key] for key in ("candidate_id", "item_id", "sample")}


def _add_similarities(rows: list[Row], newest: dict[tuple[str, str, int], Row], references: dict[str, str],
                      meaning: Meaning | None) -> None:
    from pipeline.scoring import texts

    mine = [row for row in rows if row["item_id"] in references]
    said = [newest[(row["candidate_id"], row["item_id"], row["sample"])]["text"] for row in mine]
    found = texts.similarities([references[row["item_id"]] for row in mine], said, meaning)
    for row, value in zip(mine, found, strict=True):
        row["scores"]["similarity"] = value


def _facts(rows: list[Row], newest: dict[tuple[str, str, int], Row], together: dict[str, corpora.Corpus],
           asked: Asked) -> Row:
    means = {one: _means([row for row in rows if row["candidate_id"] == one], [newest[key] for key in newest if key[0] == one])
             for one in together}
    return {"answers": asked.answers, "labels": list(asked.labels) or None, "scored": list(asked.metrics), "metrics": means,
            "corpus": {one: corpus.scores() for one, corpus in together.items() if corpus.wanted}}


def _means(rows: list[Row], outputs: list[Row]) -> dict[str, float]:
    """Means over one candidate's answers; macro-F1 and perplexity are of all of them together."""
    found = {}
    for key in names.in_order({key for row in rows for key in row["scores"]}):
        values = [row["scores"][key] for row in rows if key in row["scores"]]
        found[key] = sum(values) / len(values)
    named = [row for row in rows if row["expected"] is not None]
    if named:
        found |= labels.classify([row["expected"] for row in named], [row["predicted"] for row in named])
    if "perplexity" in found:
        told = [output for output in outputs if output.get("reference_tokens")]
        found["perplexity"] = _perplexity(sum(one["reference_nats"] for one in told),
                                          sum(one["reference_tokens"] for one in told))
    return found


def _perplexity(nats: float, tokens: int) -> float:
    """e to the mean loss of a token, at most 1e300 (a model may find a reference all but impossible)."""
    return math.exp(min(nats / tokens, math.log(1e300)))


def lines(rows: Sequence[Row]) -> str:
    """Rows as they are written down: one JSON line each."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
