"""Two sets of texts held against each other: are both drawn from the same? Pure: what was looked up goes in, numbers come out.

Every part is measured as it is and again under shuffled labels, the same shuffles for all parts, so that each has a threshold
of its own on these very texts, and the largest part one that corrects for all of them (Westfall and Young 1993, max-T). Were
the labels given at random, being told apart so well has exactly the chance that `p_value` says, however odd the texts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline import drift_families, drift_texts
from pipeline.drift_texts import F32, Ints, Looked

LEVEL = 0.01
"""How often a check of texts that did not drift may alarm. One a week then is wrong once in two years."""
SHUFFLES, FOLDS, LEAST = 499, 5, 20
RIDGE, HAIR = 1.0, 1e-6
TEXTS_A_CLUSTER, MOST_CLUSTERS, ROUNDS = 20, 80, 8
Z95 = 1.959964
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One way to look: its value, the threshold that shuffled labels pass in 1 % of cases when all parts are looked at
    together, the same of this part alone, and the chance of the value under shuffled labels, corrected and not."""

    name: str
    value: float
    threshold: float
    alone: float
    p_value: float
    p_alone: float


@dataclass(frozen=True)
class Compared:
    """Two sets held against each other. `now` and `then` count the texts; about the share `in_families` of them has twins on
    its own side alone, so the tests shuffled `units` of texts.

    `auc` with its 95 % interval: the chance that a classifier, of texts it had not seen, tells which of two is today's; ½ is
    none. `rows` are the texts (places in now + then) in the order of what follows: `scores` how much each looks like today's,
    `cluster` where it lies. `grown` has a row a cluster: its share now, its share then, and the chance that shuffled labels
    give any cluster so much more or less.
    """

    now: int
    then: int
    in_families: float
    units: int
    parts: tuple[Part, ...]
    p_value: float
    auc: tuple[float, float, float]
    rows: Ints
    scores: F32
    cluster: Ints
    vectors: F32
    grown: Floats

    @property
    def is_now(self) -> NDArray[np.bool_]:
        return self.rows < self.now


def compare(looked: Looked, now: int, seed: int, answers: bool = False, shuffles: int = SHUFFLES) -> Compared:
    """The first `now` texts are today's, the others those before. `answers`: whether they decline is looked at too.

    On one thread: several wait for each other longer than products of this size take. Raises ValueError where either side has
    fewer than 20 texts.
    """
    from threadpoolctl import threadpool_limits

    if min(now, len(looked) - now) < LEAST:
        raise ValueError(f"each side needs {LEAST} texts")
    with threadpool_limits(1):
        return _compared(looked, now, seed, answers, shuffles)


def _compared(looked: Looked, now: int, seed: int, answers: bool, shuffles: int) -> Compared:
    then = len(looked) - now
    dice = np.random.default_rng([seed, now, then])
    # Where texts are alike to the last digit their order decides, so it must say nothing of the label.
    rows = dice.permutation(len(looked))
    used = looked.of(rows)
    labels = (rows < now).astype(np.float32)
    vectors = drift_texts.meaning(used, seed)
    family, in_families = drift_families.find(vectors, labels, dice)
    shuffled = _shuffled(labels, family, shuffles, dice)
    cluster = clusters(vectors, dice)
    scores, aucs = _classified(vectors, shuffled, family, dice)
    lift = 0.5 - float(aucs[1:].mean())
    each = _shares(cluster, shuffled)
    measured: dict[str, F32] = {"classifier": aucs + lift, "distance": _distance(vectors, shuffled),
                                "clusters": np.abs(each).max(0), "lengths": _lengths(used.lengths, shuffled)}
    for name, said in (("languages", used.languages), *((("refusals", used.refused),) if answers else ())):
        if len(codes := np.unique(said, return_inverse=True)[1]) and codes.max():
            measured[name] = np.abs(_shares(codes, shuffled)).max(0)
    parts, p_value = _judged(measured)
    return Compared(now, then, in_families, int(family.max()) + 1, parts, p_value,
                    _interval(scores, labels > 0, lift, float(aucs[1:].std())), rows, scores, cluster, vectors,
                    _grown(cluster, labels, each))


def _shuffled(labels: F32, family: Ints, shuffles: int, dice: np.random.Generator) -> F32:
    """The labels as they are, then shuffled, a column each; a family keeps one label (texts, 1 + shuffles)."""
    first = np.unique(family, return_index=True)[1]
    columns = dice.permuted(np.tile(labels[first], (shuffles, 1)), axis=1)
    return np.concatenate((labels[:, None], columns.T[family]), axis=1)


def clusters(vectors: F32, dice: np.random.Generator) -> Ints:
    """K-means of all texts, the labels unseen; about 20 texts a cluster, at most 80 clusters."""
    count = max(2, min(MOST_CLUSTERS, len(vectors) // TEXTS_A_CLUSTER))
    centres = vectors[dice.choice(len(vectors), count, replace=False)]
    for _ in range(ROUNDS):
        member = (vectors @ centres.T).argmax(1)
        sums = np.zeros_like(centres)
        np.add.at(sums, member, vectors)
        centres = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 0, drift_texts.unit(sums), centres)
    return (vectors @ centres.T).argmax(1).astype(np.int64)


def _classified(vectors: F32, labels: F32, family: Ints, dice: np.random.Generator) -> tuple[F32, F32]:
    """A classifier two-sample test (Lopez-Paz and Oquab 2017), cross-fitted: how much each text looks like today's to one
    that learned from the other folds (under the labels as they are), and the AUC under all columns of labels.

    Ridge regression on the labels, because all shuffles are then solved at once. Folds do not know the labels, and a
    family is in one of them.
    """
    scores = np.empty_like(labels)
    fold = dice.permutation(int(family.max()) + 1)[family] % FOLDS
    for held in range(FOLDS):
        learn, test = fold != held, fold == held
        middle = vectors[learn].mean(0)
        rows = vectors[learn] - middle
        square = rows.T @ rows
        square[np.diag_indices_from(square)] += RIDGE * np.trace(square) / len(square)
        weights = np.linalg.solve(square, rows.T @ (labels[learn] - labels[learn].mean(0)))
        scores[test] = (vectors[test] - middle) @ weights
    order = np.argsort(scores.T.copy(), axis=1)
    above = np.take_along_axis(labels.T, order, axis=1) @ np.arange(1, len(labels) + 1, dtype=np.float64)
    ones = labels.sum(0)
    return scores[:, 0], ((above - ones * (ones + 1) / 2) / (ones * (len(labels) - ones))).astype(np.float32)


def _distance(vectors: F32, labels: F32) -> F32:
    """Energy distance (Székely and Rizzo 2013): twice the mean distance between the sides less those within them."""
    apart = np.sqrt(np.maximum(0, 2 - 2 * (vectors @ vectors.T)))
    ones = labels.sum(0)
    weights = labels / ones - (1 - labels) / (len(labels) - ones)
    return -np.einsum("np,np->p", weights, apart @ weights)


def _shares(member: Ints, labels: F32) -> F32:
    """For each class, how many standard errors its share among today's is above that before (classes, columns)."""
    count = int(member.max()) + 1
    within = np.zeros((count, labels.shape[1]), np.float32)
    np.add.at(within, member, labels)
    sizes, ones = np.bincount(member, minlength=count)[:, None], labels.sum(0)
    others = len(labels) - ones
    share = sizes / len(labels)
    error = np.sqrt(np.maximum(share * (1 - share), 1e-9) * (1 / ones + 1 / others))
    return ((within / ones - (sizes - within) / others) / error).astype(np.float32)


def _lengths(lengths: Ints, labels: F32) -> F32:
    """Kolmogorov and Smirnov's distance: the widest gap between both sides' shares of texts up to a length."""
    order = np.argsort(lengths, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(lengths[order]) > 0, True))
    ones = labels.sum(0)
    weights = labels / ones - (1 - labels) / (len(labels) - ones)
    return np.abs(np.cumsum(weights[order], axis=0)[ends]).max(0).astype(np.float32)


def _judged(measured: dict[str, F32]) -> tuple[tuple[Part, ...], float]:
    """Each part by its own shuffles and by those of the largest part, all in standard deviations of the part."""
    values = np.stack(list(measured.values())).astype(np.float64)
    middle, spread = values.mean(1, keepdims=True), np.maximum(values.std(1, keepdims=True), 1e-12)
    standard = (values - middle) / spread
    largest = standard.max(0)
    high = np.quantile(largest[1:], 1 - LEVEL)
    parts = tuple(
        Part(name, float(row[0]), float(at + high * by), float(np.quantile(row[1:], 1 - LEVEL)),
             float(np.mean(largest >= mine[0] - HAIR)), float(np.mean(mine >= mine[0] - HAIR)))
        for name, row, mine, at, by in zip(measured, values, standard, middle[:, 0], spread[:, 0], strict=True))
    return parts, float(np.mean(largest >= largest[0] - HAIR))


def _interval(scores: F32, is_now: NDArray[np.bool_], lift: float, spread: float) -> tuple[float, float, float]:
    """The AUC with its 95 % interval (DeLong et al. 1988), at least as wide as shuffled labels spread it: DeLong takes the
    classifier as given, while this one learned from the texts.

    `lift`: how far under ½ shuffled labels lie. A copy of a held out text, on the other side, teaches the wrong label.
    """
    mine, others = np.sort(scores[is_now]), np.sort(scores[~is_now])
    above = (np.searchsorted(others, mine) + np.searchsorted(others, mine, "right")) / (2 * len(others))
    below = 1 - (np.searchsorted(mine, others) + np.searchsorted(mine, others, "right")) / (2 * len(mine))
    value = float(above.mean()) + lift
    half = Z95 * max(spread, float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))))
    return min(1.0, value), max(0.0, value - half), min(1.0, value + half)


def _grown(cluster: Ints, labels: F32, each: F32) -> Floats:
    """A row a cluster: share now, share then, chance that any cluster is this much more, or less, common by shuffling."""
    now = np.bincount(cluster, labels, len(each)) / labels.sum()
    then = np.bincount(cluster, 1 - labels, len(each)) / (len(labels) - labels.sum())
    largest = np.abs(each).max(0)
    return np.stack((now, then, [(largest >= abs(one[0]) - HAIR).mean() for one in each]), axis=1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for being read together (Holm 1979)."""
    order = np.argsort(p_values)
    raised, highest = [0.0] * len(p_values), 0.0
    for place, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[at]))
        raised[at] = highest
    return raised
