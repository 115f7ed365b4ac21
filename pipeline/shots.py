"""Few-shot examples, and the training examples nearest to an item. They come from the train file alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from pipeline.examples import Example

BLOCK = 1_000
"""Items compared with all of train at once."""

Fits = Callable[[Sequence[Example]], bool]


def choose(train: Sequence[Example], items: Sequence[Example], count: int,
           choice: Literal["nearest", "diverse"]) -> list[list[Example]]:
    """For each item up to `count` examples, the most telling one first: the most similar questions, or a set that is as far
    spread as it can be and the same for all items. Examples with tools are left out: their turns are no plain text."""
    usable = [example for example in train if not example.tools and all(turn["role"] != "tool" for turn in example.messages)]
    if not usable:
        return [[] for _ in items]
    if choice == "diverse":
        spread = [usable[place] for place in diverse(vectors([question(example) for example in usable]), count)]
        return [spread for _ in items]
    return [[usable[place] for place in places] for places in nearest(usable, items, count)]


def nearest(train: Sequence[Example], items: Sequence[Example], count: int) -> list[list[int]]:
    """For each item the places of the `count` training examples with the most similar question: cosine of TF-IDF, which is
    learned from train; equal ones in the order of the file."""
    known, asked = _vectors(train, items)
    count, found = min(count, len(train)), []
    for start in range(0, len(items), BLOCK):
        likeness = np.asarray((asked[start : start + BLOCK] @ known.T).todense(), np.float32)
        found += np.argsort(-likeness, axis=1, kind="stable")[:, :count].tolist()
    return found


def diverse(rows: Any, count: int) -> list[int]:
    """Places of examples each of which is as far as possible from those before it; the first is the one nearest to the mean
    (farthest-first traversal, Gonzalez 1985)."""
    mean = np.asarray(rows.mean(axis=0)).ravel()
    chosen = [int(np.argmax(rows @ mean))]
    likeness = np.full(rows.shape[0], -1.0)
    while len(chosen) < min(count, rows.shape[0]):
        likeness = np.maximum(likeness, np.asarray((rows @ rows[chosen[-1]].T).todense()).ravel())
        likeness[chosen[-1]] = np.inf
        chosen.append(int(np.argmin(likeness)))
    return chosen


def that_fit(examples: Sequence[Example], fits: Fits) -> list[Example]:
    """As many of the examples as fit before the question, an example that is too long left out, the most telling one last: it
    then stands next to the question."""
    if fits(examples):
        return list(reversed(examples))
    kept: list[Example] = []
    for example in examples:
        if fits([*kept, example]):
            kept.append(example)
    return list(reversed(kept))


def question(example: Example) -> str:
    """What the customer said, all turns."""
    return "\n".join(str(turn.get("content") or "") for turn in example.question if turn["role"] == "user")


def vectors(texts: Sequence[str]) -> Any:
    """Rows of length 1, sparse: words and signs by TF-IDF, learned from these texts."""
    return weigher().fit_transform([text.strip() or "." for text in texts])


def _vectors(train: Sequence[Example], items: Sequence[Example]) -> tuple[Any, Any]:
    words = weigher()
    known = words.fit_transform([question(example) or "." for example in train])
    return known, words.transform([question(item) for item in items]) if items else None


def weigher() -> Any:
    """What weighs words and signs by TF-IDF, still to be fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[^\w\s]", dtype=np.float32)
