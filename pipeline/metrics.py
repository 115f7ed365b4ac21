"""Scores of one answer against its reference, and of labels over a test set. Well-kept libraries do the counting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

ROUGE = ("rouge1", "rouge2", "rougeL")
MAX_LABEL_WORDS = 4
NO_LABEL = "(none)"


@cache
def _scorer() -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(list(ROUGE), use_stemmer=False)


def score(reference: str, answer: str) -> dict[str, float]:
    """ROUGE-1/2/L F-measure (Lin 2004; rouge-score without stemming) and exact match after trimming white space."""
    found = _scorer().score(reference, answer)
    return {name: float(found[name].fmeasure) for name in ROUGE} | {"exact_match": float(reference.strip() == answer.strip())}


def normal(label: str) -> str:
    """A label as it is compared: case, white space and a closing full stop do not count."""
    return " ".join(label.casefold().split()).rstrip(".")


def labels_of(references: Sequence[str]) -> tuple[str, ...] | None:
    """The set of labels when the references are labels (short, and each said about twice or more), else None."""
    distinct = sorted({normal(reference) for reference in references})
    short = all(0 < len(label.split()) <= MAX_LABEL_WORDS for label in distinct)
    repeated = 2 <= len(distinct) <= len(references) / 2
    return tuple(distinct) if short and repeated else None


def to_label(answer: str, labels: Sequence[str]) -> str:
    """The label that a model's answer says: its first line, normalised, or NO_LABEL where that is none of the labels.

    Only one word for all that is no label: macro-F1 takes its mean over the labels that were said, so every other wording
    of a model that rambles would count as one more class that it got wrong.
    """
    lines = answer.strip().splitlines()
    said = normal(lines[0]) if lines else ""
    return said if said in labels else NO_LABEL


def classify(expected: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro-F1 (scikit-learn's, over labels that are expected or predicted)."""
    from sklearn.metrics import accuracy_score, f1_score

    return {"accuracy": float(accuracy_score(expected, predicted)),
            "macro_f1": float(f1_score(expected, predicted, average="macro", zero_division=0))}
