"""Answers that are labels: which label an answer says, and how well labels are told apart. scikit-learn does the counting."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

MAX_LABEL_WORDS = 4
NO_LABEL = "(none)"
_APART = re.compile(r"[\W_]+")
_LEAD = re.compile(r"^\W*(?:(?:the|my)\s+)?(?:answer|label|intent|category|class|topic|tag)\s*(?:is)?\W*\s", re.IGNORECASE)


def normal(label: str) -> str:
    """A label as it is compared: case, white space and a closing full stop do not count."""
    return " ".join(label.casefold().split()).rstrip(".")


def labels_of(references: Sequence[str]) -> tuple[str, ...] | None:
    """The set of labels when the references are labels (short, and each said about twice or more), else None."""
    distinct = sorted({normal(reference) for reference in references})
    short = all(0 < len(label.split()) <= MAX_LABEL_WORDS for label in distinct)
    repeated = 2 <= len(distinct) <= len(references) / 2
    return tuple(distinct) if short and repeated else None


def to_label(answer: str, labels: Sequence[str], read: Literal["lenient", "strict"] = "lenient") -> str:
    """The label that an answer says, or NO_LABEL where it says none, or more than one.

    Strict: the answer is the label and nothing else. Lenient: its first line is, but for quotes, marks and a lead such as
    "Label:"; or else one label alone stands in it (hyphens and underscores are read as spaces).

    Only one word for all that is no label: macro-F1 takes its mean over the labels that were said, so every other wording
    of a model that rambles would count as one more class that it got wrong.
    """
    if read == "strict":
        said = normal(answer.strip())
        return said if said in labels else NO_LABEL
    bare = {_bare(label): label for label in labels}
    first = next(iter(answer.strip().splitlines()), "")
    for line in (first, _LEAD.sub("", first, count=1)):
        if normal(line) in labels:
            return normal(line)
        if _bare(line) in bare:
            return bare[_bare(line)]
    return _only_one(_bare(answer), bare)


def _only_one(said: str, bare: dict[str, str]) -> str:
    """The one label that stands in a text; a label within a longer one that stands there too does not count."""
    rest, found = f" {said} ", set()
    for words in sorted(bare, key=len, reverse=True):
        if words and f" {words} " in rest:
            found.add(bare[words])
            rest = rest.replace(f" {words} ", " | ")
    return found.pop() if len(found) == 1 else NO_LABEL


def by_likelihood(label_scores: str, labels: Sequence[str]) -> str:
    """The likeliest label by a model's log-probabilities (JSON, by label), however it puts its answers into words."""
    scores = {normal(label): float(value) for label, value in json.loads(label_scores).items()}
    known = [label for label in labels if label in scores]
    return max(known, key=scores.__getitem__) if known else NO_LABEL


def classify(expected: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro-F1 (scikit-learn's, over labels that are expected or predicted)."""
    from sklearn.metrics import accuracy_score, f1_score

    return {"accuracy": float(accuracy_score(expected, predicted)),
            "macro_f1": float(f1_score(expected, predicted, average="macro", zero_division=0))}


def _bare(text: str) -> str:
    return _APART.sub(" ", text.casefold()).strip()
