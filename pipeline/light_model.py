"""The light model: TF-IDF and logistic regression on the labels so far. Pure: texts and labels in, numbers out.

Everything it says of itself comes from labels it had not seen: each label is predicted by a model of the other folds. The same
out-of-fold probabilities set the temperature that makes confidences honest (Guo et al., 2017, "On Calibration of Modern Neural
Networks") and find labels that look wrong (Northcutt et al., 2021, "Confident Learning", as the library cleanlab does it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS = 5
FEATURES = 30_000
INVERSE_REGULARISATION = 10.0
"""scikit-learn's C: with L2-normed TF-IDF rows and tens to thousands of labels, 1 learns too little."""

ONE_THREAD = 1
"""More threads wait for each other longer than these small products take: 6 s a fit instead of 0.1 on two busy cores."""

_LETTERS_ALONE = "\\u0e00-\\u0e7f\\u3040-\\u30ff\\u3400-\\u9fff"
WORD = f"(?u)[{_LETTERS_ALONE}]|[^\\W{_LETTERS_ALONE}]+"
"""A word, or one letter of a script that puts no spaces between words (Thai, Japanese, Chinese)."""


@dataclass(frozen=True)
class Guess:
    """What a model says of texts: the class of each, how sure it is (0 to 1), and how far the runner-up is behind (0 to 1)."""

    chosen: Ints
    confidence: Floats
    margin: Floats


@dataclass(frozen=True)
class Model:
    """A fitted classifier of one choice: `weights` has shape (features, classes); probabilities are softmax(logits / T)."""

    weights: Floats
    offsets: Floats
    temperature: float

    def guess(self, rows: Any) -> Guess:
        return guess(softmax((rows @ self.weights + self.offsets) / self.temperature))


@dataclass(frozen=True)
class Tested:
    """Out-of-fold: probabilities of shape (labels, classes) at the fitted temperature."""

    probabilities: Floats
    temperature: float


def vectoriser(texts: Sequence[str]) -> Any:
    """A TF-IDF vectoriser of words and pairs of words, fitted on these texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, max_features=FEATURES, dtype=np.float64)
    made.fit(texts)
    return made


def fit(rows: Any, given: Ints, temperature: float) -> Model:
    """Fit on all labels; `given` are class numbers from 0, every one of them at least once."""
    weights, offsets = _fit(rows, given)
    return Model(weights, offsets, temperature)


def test(rows: Any, given: Ints, seed: int) -> Tested:
    """Predict each label by a model that saw only the other folds. Every class needs at least three labels."""
    from sklearn.model_selection import StratifiedKFold

    folds = min(FOLDS, int(np.bincount(given).min()))
    logits = np.zeros((len(given), int(given.max()) + 1))
    for seen, held in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, given):
        weights, offsets = _fit(rows[seen], given[seen])
        logits[held] = rows[held] @ weights + offsets
    temperature = _temperature(logits, given)
    return Tested(softmax(logits / temperature), temperature)


def guess(probabilities: Floats) -> Guess:
    """The likeliest class of each row, its probability, and the distance to the runner-up's."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return Guess(probabilities.argmax(axis=1), two[:, 1], two[:, 1] - two[:, 0])


def doubted(given: Ints, probabilities: Floats) -> list[tuple[int, int, float]]:
    """Labels that look wrong, the most doubtful first: (place, likelier class, doubt: 1 - the given label's probability)."""
    from cleanlab.filter import find_label_issues

    found = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [(int(place), int(probabilities[place].argmax()), float(1 - probabilities[place, given[place]])) for place in found]


def spread(rows: Any, margins: Floats, seed: int) -> list[int]:
    """The order in which to ask: the least sure first, but never many alike in a row.

    Rows are put into clusters of their meaning (latent semantic analysis, k-means); each round takes the least sure of every
    cluster (round-robin as in Citovsky et al., 2021, "Batch Active Learning at Scale").
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    count = rows.shape[0]
    clusters = min(100, count // 10)
    if clusters < 2:
        return [int(place) for place in np.argsort(margins, kind="stable")]
    parts = min(50, rows.shape[1] - 1, count - 1)
    with threadpool_limits(ONE_THREAD):
        points = normalize(TruncatedSVD(parts, random_state=seed).fit_transform(rows))
        member = MiniBatchKMeans(clusters, random_state=seed, n_init=3).fit_predict(points)
    ordered = np.lexsort((margins, member))
    turn = np.zeros(count, dtype=np.int64)  # how many of its cluster come before it
    _, starts, sizes = np.unique(member[ordered], return_index=True, return_counts=True)
    turn[ordered] = np.arange(count) - np.repeat(starts, sizes)
    return [int(place) for place in np.lexsort((margins, turn))]


def softmax(logits: Floats) -> Floats:
    raised: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _fit(rows: Any, given: Ints) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    seen = np.unique(rows.indices)  # a word that no label has keeps the weight 0, so it need not slow the fit down
    with threadpool_limits(ONE_THREAD):
        made = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=300).fit(rows[:, seen], given)
    weights, offsets = np.zeros((rows.shape[1], len(made.coef_))), made.intercept_
    weights[seen] = made.coef_.T
    if weights.shape[1] == 1:  # of two classes scikit-learn keeps the difference
        return np.hstack([-weights / 2, weights / 2]), np.hstack([-offsets / 2, offsets / 2])
    return weights, offsets


def _temperature(logits: Floats, given: Ints) -> float:
    """The temperature under which the given labels are likeliest."""
    places = np.arange(len(given))
    losses = {float(t): float(-np.log(np.maximum(softmax(logits / t)[places, given], 1e-12)).mean())
              for t in np.geomspace(0.05, 10, 80)}
    return min(losses, key=lambda t: losses[t])
