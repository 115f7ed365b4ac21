"""A suggestion run: learn from the labels of a label set, say what the other records would be labelled, doubt some labels.

Reads `records.jsonl`, lines of `{"id", "version", "text", "given"}` (`given` is null, or field → value): the labelled ones
first, then the others in no order, so that their beginning is the sample that words are counted in. Writes
`suggestions.jsonl` and `doubts.jsonl` whole, beside and renamed in. `records.jsonl` holds texts: the app, which wrote it,
deletes it when it collects the run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import light_model
from pipeline.errors import PipelineError, Stopped
from pipeline.light_model import Floats, Model
from pipeline.rundir import Child
from pipeline.specs import SuggestField, SuggestSpec

RECORDS, SUGGESTIONS, DOUBTS = "records.jsonl", "suggestions.jsonl", "doubts.jsonl"
LEAST_LABELS = 20
LEAST_OF_A_VALUE = 3
SAMPLE = 20_000
CHUNK = 5_000
SPREAD = 1_000
"""So many of the least sure records are ordered so that the next ones differ; all others follow by their margin alone."""

LEVELS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
Line = dict[str, Any]


@dataclass
class Said:
    """What a field's model says of the unlabelled records, in their order: values as JSON, confidences and margins."""

    values: list[str] = field(default_factory=list)
    confidence: list[Floats] = field(default_factory=list)
    margin: list[Floats] = field(default_factory=list)

    def add(self, values: list[str], confidence: Floats, margin: Floats) -> None:
        self.values += values
        self.confidence.append(confidence)
        self.margin.append(margin)


@dataclass(frozen=True)
class Learned:
    """One field's models: one for a choice, one an option for a field of several. `report` is what the tests showed."""

    asked: SuggestField
    values: tuple[str, ...]
    models: tuple[Model, ...]
    report: dict[str, Any]
    doubts: tuple[Line, ...]

    def say(self, rows: Any) -> tuple[list[str], Floats, Floats]:
        if self.asked.kind == "choice":
            found = self.models[0].guess(rows)
            return [json.dumps(self.values[place]) for place in found.chosen], found.confidence, found.margin
        yes = np.column_stack([_yes(model, rows) for model in self.models])
        return [json.dumps(_chosen(self.values, row)) for row in yes > 0.5], _joint(yes), np.abs(2 * yes - 1).min(axis=1)


def run(child: Child, spec: SuggestSpec, workspace: Path) -> dict[str, Any]:
    """Learn, suggest, order and doubt; returns the result's data. Raises PipelineError in words where labels are too few."""
    path = child.folder / RECORDS
    labelled, sample = _beginning(path)
    child.say("learning", sentence=f"Learning from {len(labelled):,} labels")
    vectoriser = light_model.vectoriser([line["text"] for line in labelled] + sample)
    learned, reports = [], []
    for asked in spec.fields:
        _stop(child)
        one = learn(asked, labelled, vectoriser, spec.seed)
        reports.append(one if isinstance(one, dict) else one.report)
        learned += [] if isinstance(one, dict) else [one]
    if not learned:
        raise PipelineError(" ".join(report["too_few"] for report in reports), "Label more records, then start it again.")
    ids, said = _say(child, spec, path, vectoriser, learned)
    child.say("ordering", sentence="Ordering what to ask next")
    ranks = _ranks(path, vectoriser, said, spec.seed)
    _write(child.folder / SUGGESTIONS, _lines(ids, said, ranks))
    _write(child.folder / DOUBTS, [line for one in learned for line in one.doubts])
    return {"set_id": spec.set_id, "labelled": len(labelled), "suggested": len(ids), "fields": reports,
            "doubted": sum(len(one.doubts) for one in learned)}


def done_words(data: dict[str, Any]) -> str:
    tested = [f"{one['title']}: {one['right'] / one['tested']:.0%} right in cross-validation".replace("%", " %")
              for one in data["fields"] if not one["too_few"]]
    return (f"Learned from {data['labelled']:,} labels and suggests a label for {data['suggested']:,} records "
            f"({'; '.join(tested)}). {data['doubted']:,} labels look doubtful.")


def learn(asked: SuggestField, labelled: Sequence[Line], vectoriser: Any, seed: int) -> Learned | dict[str, Any]:
    """One field's models with what they are worth; where its labels are too few, only a report that says so."""
    having = [line for line in labelled if line["given"].get(asked.key) is not None]
    if len(having) < LEAST_LABELS:
        return _too_few(asked, f"{asked.title} has {len(having)} labels; a suggestion needs at least {LEAST_LABELS}.")
    rows = vectoriser.transform([line["text"] for line in having])
    return (_learn_choice if asked.kind == "choice" else _learn_several)(asked, having, rows, seed)


def _learn_choice(asked: SuggestField, having: list[Line], rows: Any, seed: int) -> Learned | dict[str, Any]:
    said = [line["given"][asked.key] for line in having]
    counted = Counter(said)
    values = tuple(value for value in asked.values if counted[value] >= LEAST_OF_A_VALUE)
    if len(values) < 2:
        return _too_few(asked, f"{asked.title} needs at least two values with {LEAST_OF_A_VALUE} labels each.")
    places = [place for place, value in enumerate(said) if value in values]
    given = np.array([values.index(said[place]) for place in places])
    tested = light_model.test(rows[places], given, seed)
    found = light_model.guess(tested.probabilities)
    report = _report(asked, found.confidence, found.chosen == given, int(np.bincount(given).max()),
                     [value for value in counted if value not in values])
    doubts = tuple(_doubt(asked, having[places[at]], said[places[at]], values[likely], doubt)
                   for at, likely, doubt in light_model.doubted(given, tested.probabilities))
    return Learned(asked, values, (light_model.fit(rows[places], given, tested.temperature),), report, doubts)


def _learn_several(asked: SuggestField, having: list[Line], rows: Any, seed: int) -> Learned | dict[str, Any]:
    """One against the rest for every option that was chosen, and was not, at least three times."""
    said = [set(line["given"][asked.key]) for line in having]
    counted = Counter(value for values in said for value in values)
    enough = range(LEAST_OF_A_VALUE, len(having) - LEAST_OF_A_VALUE + 1)
    values = tuple(value for value in asked.values if counted[value] in enough)
    if not values:
        return _too_few(asked, f"{asked.title} has no value with {LEAST_OF_A_VALUE} labels for it and as many against it.")
    given = np.array([[value in chosen for value in values] for chosen in said], dtype=np.int64)
    tested = [light_model.test(rows, column, seed) for column in given.T]
    yes = np.column_stack([one.probabilities[:, 1] for one in tested])
    right = ((yes > 0.5) == (given == 1)).all(axis=1)
    sets = Counter(tuple(row) for row in given.tolist())
    report = _report(asked, _joint(yes), right, max(sets.values()), [value for value in counted if value not in values])
    models = tuple(light_model.fit(rows, column, one.temperature) for column, one in zip(given.T, tested, strict=True))
    return Learned(asked, values, models, report, tuple(_doubts_of_several(asked, having, said, values, given, tested)))


def _doubts_of_several(asked: SuggestField, having: list[Line], said: list[set[str]], values: tuple[str, ...], given: Any,
                       tested: list[light_model.Tested]) -> Iterator[Line]:
    """One line a record: every doubted option turned round, with the greatest of their doubts."""
    turned: dict[int, dict[str, float]] = {}
    for value, column, one in zip(values, given.T, tested, strict=True):
        for place, _, doubt in light_model.doubted(column, one.probabilities):
            turned.setdefault(place, {})[value] = doubt
    for place, options in sorted(turned.items(), key=lambda found: -max(found[1].values())):
        likely = [value for value in asked.values if (value in said[place]) != (value in options)]
        given_now = [value for value in asked.values if value in said[place]]
        yield _doubt(asked, having[place], given_now, likely, max(options.values()))


def _report(asked: SuggestField, confidence: Floats, right: Any, most_common: int, left_out: list[str]) -> dict[str, Any]:
    """What cross-validation showed; `levels` holds (confidence, labels at least so sure, how many of those were right)."""
    levels = [[level, int((confidence >= level).sum()), int(right[confidence >= level].sum())] for level in LEVELS]
    return {"key": asked.key, "title": asked.title, "too_few": "", "tested": len(right), "right": int(right.sum()),
            "most_common": most_common, "left_out": sorted(left_out), "levels": levels}


def _too_few(asked: SuggestField, sentence: str) -> dict[str, Any]:
    return {"key": asked.key, "title": asked.title, "too_few": sentence}


def _doubt(asked: SuggestField, line: Line, given: Any, likely: Any, doubt: float) -> Line:
    return {"field": asked.key, "record_id": line["id"], "given": json.dumps(given), "likely": json.dumps(likely),
            "doubt": round(doubt, 6)}


def _say(child: Child, spec: SuggestSpec, path: Path, vectoriser: Any, learned: list[Learned]
         ) -> tuple[list[tuple[str, int]], dict[str, Said]]:
    """What every field's model says of the unlabelled records: their (id, version), and by field what is said."""
    ids: list[tuple[str, int]] = []
    said = {one.asked.key: Said() for one in learned}
    for lines in _chunks(path):
        _stop(child)
        rows = vectoriser.transform([line["text"] for line in lines])
        ids += [(line["id"], line["version"]) for line in lines]
        for one in learned:
            said[one.asked.key].add(*one.say(rows))
        child.say("suggesting", len(ids), spec.records - spec.labelled, "records", "Reading the unlabelled records")
    return ids, said


def _ranks(path: Path, vectoriser: Any, said: dict[str, Said], seed: int) -> list[int]:
    """Each unlabelled record's place in the order in which labels teach most, from 1; the least sure field counts."""
    margins = np.column_stack([np.concatenate(one.margin or [np.zeros(0)]) for one in said.values()]).min(axis=1)
    by_margin = np.argsort(margins, kind="stable")
    first = by_margin[:SPREAD]
    if len(first):
        wanted = {int(place): at for at, place in enumerate(first)}
        texts = [""] * len(first)
        for place, line in enumerate(line for lines in _chunks(path) for line in lines):
            if place in wanted:
                texts[wanted[place]] = line["text"]
        first = first[light_model.spread(vectoriser.transform(texts), margins[first], seed)]
    ranks = np.zeros(len(margins), dtype=np.int64)
    ranks[np.concatenate([first, by_margin[SPREAD:]])] = np.arange(1, len(margins) + 1)
    return [int(rank) for rank in ranks]


def _lines(ids: list[tuple[str, int]], said: dict[str, Said], ranks: list[int]) -> Iterator[Line]:
    for key, one in said.items():
        confidence = np.concatenate(one.confidence or [np.zeros(0)])
        for (record_id, version), value, sure, rank in zip(ids, one.values, confidence, ranks, strict=True):
            yield {"field": key, "record_id": record_id, "record_version": version, "value": value,
                   "confidence": round(float(sure), 6), "rank": rank}


def _yes(model: Model, rows: Any) -> Floats:
    chosen = model.guess(rows)
    return np.where(chosen.chosen == 1, chosen.confidence, 1 - chosen.confidence)


def _joint(yes: Floats) -> Floats:
    """How sure it is of all options together, taken as independent of each other."""
    joint: Floats = np.maximum(yes, 1 - yes).prod(axis=1)
    return joint


def _chosen(values: tuple[str, ...], row: Any) -> list[str]:
    return [value for value, yes in zip(values, row, strict=True) if yes]


def _beginning(path: Path) -> tuple[list[Line], list[str]]:
    """The labelled lines, and the texts of the first unlabelled ones."""
    labelled: list[Line] = []
    sample: list[str] = []
    for line in _read(path):
        if line["given"] is not None:
            labelled.append(line)
        elif len(sample) < SAMPLE:
            sample.append(line["text"])
        else:
            break
    return labelled, sample


def _chunks(path: Path) -> Iterator[list[Line]]:
    """The unlabelled lines, some thousands at a time."""
    chunk: list[Line] = []
    for line in _read(path):
        if line["given"] is None:
            chunk.append(line)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _read(path: Path) -> Iterator[Line]:
    try:
        with path.open(encoding="utf-8") as file:
            for text in file:
                yield json.loads(text)
    except FileNotFoundError:
        raise PipelineError("The run's copy of the records is gone.", "Start a new one on the Label page.") from None


def _write(path: Path, lines: Iterable[Line]) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    beside.replace(path)


def _stop(child: Child) -> None:
    if child.stop_requested():
        raise Stopped("Stopped as asked; nothing was suggested yet.")
