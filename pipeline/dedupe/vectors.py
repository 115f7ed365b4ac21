"""Texts as vectors of length 1: by TF-IDF, by a model in a local folder, by an endpoint. Nothing is fetched from a hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import normalised
from pipeline.specs import Meaning

Watch = Callable[[int, int], None]
DIMENSIONS = 256
MOST_WORDS = 50_000


@dataclass(frozen=True)
class Suited:
    """Cosines that suit a way of making vectors: pairs are kept from `floor` on, and are twins from `threshold` on unless a
    person says otherwise (benchmarks/RESULTS.md has precision and recall of both)."""

    floor: float
    threshold: float


SUITED = {"tfidf": Suited(0.6, 0.8), "model2vec": Suited(0.7, 0.85), "transformer": Suited(0.75, 0.9),
          "endpoint": Suited(0.75, 0.9)}


def suited(meaning: Meaning) -> Suited:
    return SUITED[meaning.kind]


def of(texts: Sequence[str], meaning: Meaning, watch: Watch = lambda done, total: None) -> F32:
    """One row a text, of length 1 (0 where a text says nothing). Raises PipelineError in words.

    TF-IDF weighs words by how rare they are among these texts, so the same text has another vector among others.
    """
    if meaning.kind == "tfidf":
        return _tfidf(texts)
    raise NotImplementedError(meaning.kind)


def unit(rows: F32) -> F32:
    """The rows at length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _tfidf(texts: Sequence[str]) -> F32:
    """Words and pairs of words by TF-IDF, folded into 256 dimensions where they are many (latent semantic analysis)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    said = [normalised(text) for text in texts]
    if not any(said):
        return np.zeros((len(said), 1), np.float32)
    weighed = TfidfVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 2), sublinear_tf=True,
                              max_features=MOST_WORDS, dtype=np.float32).fit_transform(said)
    if min(weighed.shape) <= DIMENSIONS:
        return unit(weighed.toarray())
    return unit(TruncatedSVD(DIMENSIONS, random_state=0).fit_transform(weighed))
