"""What scores are called, which way is better, and what they run over. Light: words and numbers only, the app reads it too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "labels", "json", "asked", "model", "own", "probe", "judge"]
"""What a score is about: answers of one form, words that somebody asked for, the model itself, a function that somebody
wrote, the general suite, or a judge."""

Better = Literal["higher", "lower", "neither"]
OWN = "own:"
"""What the key of a function that somebody wrote begins with."""


@dataclass(frozen=True)
class Metric:
    """One score of one answer. `low` to `high` is what it runs over (none: no end); `worth` is the smallest difference of
    means that is worth having unless people say otherwise; "neither" way is better where a score only describes.

    `logs`: its mean is one of logarithms (a geometric mean), and `worth` a share.
    """

    key: str
    title: str
    kind: Kind
    better: Better = "higher"
    low: float = 0.0
    high: float | None = 1.0
    worth: float = 0.02
    logs: bool = False
    unit: str = ""


METRICS: dict[str, Metric] = {one.key: one for one in (
    Metric("rougeL", "ROUGE-L", "text"),
    Metric("rouge1", "ROUGE-1", "text"),
    Metric("rouge2", "ROUGE-2", "text"),
    Metric("bleu", "BLEU", "text", high=100.0, worth=2.0),
    Metric("chrf", "chrF", "text", high=100.0, worth=2.0),
    Metric("similarity", "Similarity of meaning", "text", low=-1.0),
    Metric("length_ratio", "Length against the reference", "text", "neither", high=None, unit="×"),
    Metric("exact_match", "Exact match", "text"),
    Metric("accuracy", "Accuracy", "labels"),
    Metric("macro_f1", "Macro-F1", "labels"),
    Metric("accuracy_likelihood", "Accuracy by likelihood", "labels"),
    Metric("json_valid", "Valid JSON", "json"),
    Metric("schema_valid", "Meets the schema", "json"),
    Metric("field_accuracy", "Right fields", "json"),
    Metric("contains", "Contains the words", "asked"),
    Metric("regex", "Matches the pattern", "asked"),
    Metric("refusal", "Refusals", "asked", "neither"),
    Metric("perplexity", "Perplexity of the reference", "model", "lower", low=1.0, high=None, logs=True),
    Metric("probe", "General suite", "probe"),
    Metric("judge", "Judge, 1 to 5", "judge", low=1.0, high=5.0, worth=0.1),
)}
NAMES: dict[str, str] = {key: one.title for key, one in METRICS.items()}
"""Titles, in the order in which a list of scores is read."""

_SUITED: dict[str, tuple[str, ...]] = {
    "text": ("rougeL", "rouge1", "rouge2", "chrf", "length_ratio", "exact_match", "refusal", "perplexity"),
    "labels": ("accuracy", "accuracy_likelihood", "exact_match", "refusal", "perplexity"),
    "json": ("field_accuracy", "json_valid", "exact_match", "rougeL", "refusal", "perplexity"),
}
_PRIMARY = {"text": "rougeL", "labels": "accuracy", "json": "field_accuracy"}


def of(key: str) -> Metric:
    """What is known of a score; of somebody's own function, its name. Raises KeyError for a key that nobody knows."""
    if key.startswith(OWN):
        return Metric(key, key.removeprefix(OWN), "own", low=0.0, high=None)
    return METRICS[key]


def title(key: str) -> str:
    """What a score is called on the screen; own ones by the name that somebody gave them."""
    return of(key).title


def in_order(found: Collection[str]) -> list[str]:
    """Keys in the order in which they are read: labels before JSON before text, own ones by name, then the rest."""
    places = {"labels": 0, "json": 1, "text": 2, "own": 3, "asked": 4, "model": 5, "judge": 6, "probe": 7}
    rank = {key: place for place, key in enumerate(METRICS)}
    return sorted(found, key=lambda key: (places[of(key).kind], rank.get(key, 0), key))


def suited(answers: str) -> tuple[str, ...]:
    """The scores that answers of a form ("text", "labels", "json") get where nobody chose."""
    return _SUITED[answers]


def default_primary(answers: str, found: Collection[str] = ()) -> str:
    """The score that a verdict speaks of where nobody chose one before; the first of `found` where it is not among them."""
    wanted = _PRIMARY[answers]
    return wanted if not found or wanted in found else in_order(found)[0]
