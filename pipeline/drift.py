"""A drift check: are today's questions still what the model was trained on, and questions and answers as they were before?

Reads `texts.parquet` (row_id, period, question, answer), which the app wrote and deletes when it collects the run, and the
train file where it lies. What it returns are numbers, ids of rows, and words that at least five texts have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline import drift_tests, drift_texts, drift_topics, drift_words, examples
from pipeline.dedupe import vectors
from pipeline.drift_tests import LEAST, LEVEL, Compared
from pipeline.drift_texts import Ints, Looked
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.specs import DriftSpec

TEXTS = "texts.parquet"
MOST_NOW, TIMES_NOW = 2_000, 2
"""At most so many of today's texts are compared, with at most twice as many others. With six times as many, families were cut
apart by strangers: 3 to 15 % false alarms in 60 trials, where twice as many had 1 to 3 % in 150."""
A_WEEK, WEEK_SHUFFLES = 500, 199
AT_ONCE = 500
Side = Literal["questions", "answers"]
SIDES: tuple[Side, ...] = ("questions", "answers")
COMPARISONS: tuple[tuple[Side, str], ...] = (("questions", "training"), ("questions", "before"), ("answers", "before"))
"""A model answers in another way than the people it learned from, so answers are held against its own alone."""


@dataclass(frozen=True)
class Given:
    """All texts, those of production first, then those of the train file; `period` is -1 for these."""

    ids: tuple[str, ...]
    period: Ints
    questions: tuple[str, ...]
    answers: tuple[str, ...]

    def texts(self, side: Side) -> tuple[str, ...]:
        return self.questions if side == "questions" else self.answers


def run(child: Child, spec: DriftSpec, workspace: Path) -> dict[str, Any]:
    """Compare, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    began = time.monotonic()
    if spec.meaning is not None:
        vectors.check(spec.meaning)
    given = _given(child.folder / TEXTS, workspace / spec.train_file if spec.train_file else None, spec.seed)
    looked: dict[Side, Looked] = {side: _look(child, spec, given, side) for side in SIDES}
    found = _comparisons(child, given, looked, spec.seed)
    weeks = _weeks(child, given, looked["questions"], spec)
    if not found:
        raise PipelineError("There is too little to compare.", f"Both sides need {LEAST} questions: take a longer time.")
    for one, adjusted in zip(found, drift_tests.holm([one["p_value"] for one in found]), strict=True):
        one["adjusted"], one["drifted"] = adjusted, adjusted <= LEVEL
        one["topics"] = one["topics"] if one["drifted"] else []
    data = {"drifted": any(one["drifted"] for one in found), "level": LEVEL, "comparisons": found,
            "rows": {"now": spec.rows, "before": spec.before_rows, "training": int((given.period < 0).sum())},
            "looked_at": {"now": int((given.period == 0).sum()), "before": int((given.period > 0).sum())},
            "weeks": weeks, **_figures(given, looked)}
    return data | {"sentence": drift_words.sentence(data), "advice": drift_words.advice(data),
                   "seconds": time.monotonic() - began}


def _comparisons(child: Child, given: Given, looked: dict[Side, Looked], seed: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, (what, against) in enumerate(COMPARISONS):
        _looking(child)
        child.say("comparing", number, len(COMPARISONS), "comparisons", f"Comparing {what} with {drift_words.AGAINST[against]}")
        found += _held(given, looked[what], what, against, seed)
    return found


def done_words(data: dict[str, Any]) -> str:
    return str(data["sentence"])


def _looking(child: Child) -> None:
    if child.stop_requested():
        raise Stopped("Stopped as asked; a drift check begins anew.")


def _given(file: Path, train: Path | None, seed: int) -> Given:
    import pyarrow.parquet as pq

    if not file.is_file():
        raise PipelineError("The texts to compare are gone from the run folder.", "Start a new check.")
    read = pq.read_table(file).to_pydict()
    kept = [place for place, text in enumerate(read["question"]) if (text or "").strip()]
    lines = [] if train is None else [line for line in examples.read(train) if _question(line).strip()]
    if len(lines) > TIMES_NOW * MOST_NOW:
        drawn = np.random.default_rng(seed).choice(len(lines), TIMES_NOW * MOST_NOW, replace=False)
        lines = [lines[place] for place in np.sort(drawn)]
    return Given((*(str(read["row_id"][place]) for place in kept), *(line.id for line in lines)),
                 np.array([*(read["period"][place] for place in kept), *(-1 for _ in lines)], np.int64),
                 (*(read["question"][place] for place in kept), *map(_question, lines)),
                 (*(read["answer"][place] or "" for place in kept), *(line.answer for line in lines)))


def _question(line: examples.Example) -> str:
    """What the customer said last, as production logs have it."""
    return next((str(turn.get("content") or "") for turn in reversed(line.question) if turn["role"] == "user"), "")


def _look(child: Child, spec: DriftSpec, given: Given, side: Side) -> Looked:
    texts = given.texts(side)
    made = None
    if spec.meaning is not None:
        made = vectors.of(texts, spec.meaning, lambda done, total: _tell(child, side, done, total))
    _tell(child, side, 0, len(texts))
    return drift_texts.look(texts, made)


def _tell(child: Child, side: Side, done: int, total: int) -> None:
    _looking(child)
    child.say(f"reading {side}", done, total, side, f"Reading {side}")


def _held(given: Given, looked: Looked, what: Side, against: str, seed: int) -> list[dict[str, Any]]:
    """Today's held against the others, where both sides have enough; as the run's data has it."""
    said = np.array([bool(text.strip()) for text in given.texts(what)], bool)
    now = _some(np.flatnonzero((given.period == 0) & said), MOST_NOW, seed)
    others = np.flatnonzero((given.period < 0 if against == "training" else given.period > 0) & said)
    then = _some(others, TIMES_NOW * len(now), seed)
    if min(len(now), len(then)) < LEAST:
        return []
    rows = np.concatenate((now, then))
    among = looked.of(rows)
    found = drift_tests.compare(among, len(now), seed, answers=what == "answers")
    return [{"what": what, "against": against, "now": len(now), "then": len(then), "in_families": found.in_families,
             "units": found.units, "p_value": found.p_value, "auc": list(found.auc),
             "parts": [vars(part) for part in found.parts], "topics": _topics(given, among, found, rows),
             "unlike": [given.ids[rows[row]] for row in drift_topics.unlike(found)]}]


def _topics(given: Given, among: Looked, found: Compared, rows: Ints) -> list[dict[str, Any]]:
    return [{"kind": one.kind, "words": list(one.words), "share": one.share, "before": one.before,
             "row_ids": [given.ids[rows[row]] for row in one.rows]} for one in drift_topics.find(among, found)]


def _some(places: Ints, most: int, seed: int) -> Ints:
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(seed).choice(places, most, replace=False))


def _weeks(child: Child, given: Given, looked: Looked, spec: DriftSpec) -> list[dict[str, Any]]:
    """How well each week's questions can be told from the training data; the newest week first. Every week gives as many."""
    train = np.flatnonzero(given.period < 0)
    made = []
    for period in range(spec.weeks + 1):
        _looking(child)
        child.say("weeks", period, spec.weeks + 1, "weeks", "Holding each week against the training data")
        mine = _some(np.flatnonzero(given.period == period), A_WEEK, spec.seed)
        others = _some(train, TIMES_NOW * len(mine), spec.seed)
        if min(len(mine), len(others)) >= LEAST:
            found = drift_tests.compare(looked.of(np.concatenate((mine, others))), len(mine), spec.seed, shuffles=WEEK_SHUFFLES)
            made.append({"period": period, "questions": len(mine), "auc": list(found.auc), "threshold": found.parts[0].alone})
    return made


def _figures(given: Given, looked: dict[Side, Looked]) -> dict[str, Any]:
    """Lengths, languages and refusals of each time, with the rows of today behind them."""
    times = {"now": given.period == 0, "before": given.period > 0, "training": given.period < 0}
    there = {name: rows for name, rows in times.items() if rows.any()}
    languages, refused = looked["questions"].languages, looked["answers"].refused
    told = [code for code in np.unique(languages) if code != "und"]
    return {
        "lengths": {side: {name: [float(part) for part in np.percentile(looked[side].lengths[rows], (25, 50, 75))]
                           for name, rows in there.items()} for side in looked},
        "languages": [{"language": str(code), **{name: float((languages[rows] == code).mean()) for name, rows in there.items()},
                       "row_ids": _ids(given, (languages == code) & times["now"])} for code in told],
        "refusals": {**{name: float(refused[rows].mean()) for name, rows in there.items()},
                     "row_ids": _ids(given, refused & times["now"])}}


def _ids(given: Given, which: Any) -> list[str]:
    return [given.ids[place] for place in np.flatnonzero(which)[:AT_ONCE]]


