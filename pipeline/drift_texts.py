"""Texts as a drift test needs them: weighed words, vectors of meaning, lengths, languages, refusals. All by row.

What is looked up of a text here depends on that text alone, so many comparisons of the same texts look at them once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.checking import language
from pipeline.dedupe.texts import normalised
from pipeline.scoring.refusals import is_refusal

F32 = NDArray[np.float32]
Ints = NDArray[np.int64]
DIMENSIONS, SWEEPS = 64, 2
"""Of the words' space (latent semantic analysis). Other numbers were not tried."""
SURE_OF_LANGUAGE = 0.5
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Looked:
    """What was looked up of n texts. `counts` (n, words) are words and pairs of words, their names in `words`; `lengths`
    in words; `languages` and `refused` one a text. `vectors` (n, d) where a model made some: meaning is theirs then, not the
    words'."""

    counts: Any
    words: NDArray[np.str_]
    lengths: Ints
    languages: NDArray[np.str_]
    refused: NDArray[np.bool_]
    vectors: F32 | None = None

    def of(self, rows: Ints) -> Looked:
        """The same of some of the texts, in this order."""
        return Looked(self.counts[rows], self.words, self.lengths[rows], self.languages[rows],
                      self.refused[rows], None if self.vectors is None else self.vectors[rows])

    def __len__(self) -> int:
        return len(self.lengths)


def look(texts: Sequence[str], vectors: F32 | None = None) -> Looked:
    """A number is a number, whichever it is: the same question about two orders is asked twice."""
    said = [_NUMBER.sub("0", normalised(text)).split() for text in texts]
    counts, names = _counted([words + [f"{a} {b}" for a, b in pairwise(words)] for words in said])
    return Looked(counts, names, np.array([len(words) for words in said], np.int64),
                  np.array([_language(text) for text in texts], str), np.array([is_refusal(text) for text in texts], bool),
                  vectors)


def _counted(found: Sequence[Sequence[str]]) -> tuple[Any, NDArray[np.str_]]:
    """Counts as a sparse matrix (texts, words), the words in alphabetical order."""
    from scipy.sparse import csr_array

    names, places = np.unique(np.array([word for words in found for word in words], str), return_inverse=True)
    ends = np.cumsum([0, *map(len, found)])
    made = csr_array((np.ones(len(places), np.float32), places, ends), shape=(len(found), max(1, len(names))))
    made.sum_duplicates()
    return made, names


def _language(text: str) -> str:
    """"und" where it cannot be told: two thirds of short questions have no word that only one language has."""
    if language.is_plain_english(language.words(text[: language.LOOKED_AT])):
        return "en"
    code, sure = language.detect(text)
    return code if sure >= SURE_OF_LANGUAGE else "und"


def meaning(looked: Looked, seed: int) -> F32:
    """Vectors of length 1 (n, d): the model's, else TF-IDF of these texts folded into 64 dimensions."""
    if looked.vectors is not None:
        return looked.vectors
    weighed = tfidf(looked)
    if min(weighed.shape) <= DIMENSIONS:
        return weighed.toarray().astype(np.float32)
    return unit(_folded(weighed, seed))


def tfidf(looked: Looked) -> Any:
    """Sublinear TF-IDF with rows of length 1, of the words that two of these texts have; sparse (n, such words)."""
    from scipy.sparse import diags_array

    texts_with = np.bincount(looked.counts.indices, minlength=looked.counts.shape[1])
    kept = np.flatnonzero(texts_with > 1)
    rows = looked.counts[:, kept]
    rare = (1 + np.log((1 + len(looked)) / (1 + texts_with[kept]))).astype(np.float32)
    rows.data = (1 + np.log(rows.data)) * rare[rows.indices]
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return diags_array((1 / np.where(lengths > 0, lengths, 1)).astype(np.float32)) @ rows


def unit(rows: F32) -> F32:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _folded(weighed: Any, seed: int) -> F32:
    """The first 64 singular directions, by random projections (Halko, Martinsson and Tropp 2011, algorithm 4.4)."""
    dice = np.random.default_rng(seed)
    seen = weighed @ dice.standard_normal((weighed.shape[1], DIMENSIONS + 8), np.float32)
    for _ in range(SWEEPS):
        seen = weighed @ (weighed.T @ np.linalg.qr(seen)[0])
    basis = np.linalg.qr(seen)[0]
    small = np.asarray((weighed.T @ basis).T)
    left, sizes, _ = np.linalg.svd(small @ small.T)
    return (basis @ (left * np.sqrt(sizes)))[:, :DIMENSIONS].astype(np.float32)
