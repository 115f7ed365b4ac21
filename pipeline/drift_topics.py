"""What changed, in topics: clusters of questions that came up, grew or went, with the words that set them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline import drift_texts
from pipeline.checking.language import STOP
from pipeline.drift_tests import Compared, Floats
from pipeline.drift_texts import Ints, Looked

Kind = Literal["new", "more", "less"]
SURE, SAME_TOPIC, NEW_BELOW, MOST_WORDS = 0.05, 0.55, 0.25, 6
"""Clusters are named whose change has so small a chance, corrected for all clusters; those so near each other (cosine of their
middles) are one topic; it is new where before it had less than a quarter of its share."""
WORD_IN = 5
"""In so many questions a word must be before it describes a topic: one that few people wrote could tell who they are."""
PRIOR = 500
"""Words; how much the texts in all weigh against those of the topic: a word of two or three texts is luck."""
_SILENT = STOP | {part for word in STOP for part in word.split("'")} | set("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class Topic:
    """Texts that are near each other. `rows` are today's, those first that look least like before
    (where they became fewer: before's, those first that look least like today's);
    `share` is that of today's texts, `before` that of those before."""

    kind: Kind
    words: tuple[str, ...]
    rows: tuple[int, ...]
    share: float
    before: float


def find(looked: Looked, found: Compared) -> list[Topic]:
    """The topics whose share changed, new ones first, then the largest change. `looked` is what was compared.

    Where no cluster became more frequent, the last topic is of the texts that look more like today's than 95 % of those before.
    """
    rose = found.grown[:, 0] > found.grown[:, 1]
    sure = found.grown[:, 2] <= SURE
    groups = [group for side in (rose, ~rose) for group in _joined(found, np.flatnonzero(sure & side))]
    made = [_topic(looked, found, np.flatnonzero(np.isin(found.cluster, group))) for group in groups]
    if not any(one.kind != "less" for one in made):
        made.append(_topic(looked, found, np.flatnonzero(found.scores > np.quantile(found.scores[~found.is_now], 1 - SURE))))
    order = ("new", "more", "less")
    return sorted(made, key=lambda one: (order.index(one.kind), -abs(one.share - one.before)))


def unlike(found: Compared, most: int = 20) -> list[int]:
    """Today's texts that look least like those before, the most telling first."""
    mine = np.flatnonzero(found.is_now)
    return [int(row) for row in found.rows[mine[np.argsort(-found.scores[mine], kind="stable")][:most]]]


def _joined(found: Compared, clusters: Ints) -> list[Ints]:
    """Clusters near each other put together (single linkage)."""
    if not len(clusters):
        return []
    from scipy.sparse.csgraph import connected_components

    middles = drift_texts.unit(np.stack([found.vectors[found.cluster == one].mean(0) for one in clusters]))
    count, group = connected_components(middles @ middles.T >= SAME_TOPIC, directed=False)
    return [clusters[group == one] for one in range(count)]


def _topic(looked: Looked, found: Compared, within: Ints) -> Topic:
    rows = found.rows[within[np.argsort(-found.scores[within], kind="stable")]]
    is_now = rows < found.now
    share, before = float(is_now.sum() / found.now), float((~is_now).sum() / found.then)
    kind: Kind = "less" if share < before else "new" if before < NEW_BELOW * share else "more"
    shown = rows[~is_now][::-1] if kind == "less" else rows[is_now]
    return Topic(kind, describe(looked, rows), tuple(map(int, shown)), share, before)


def describe(looked: Looked, rows: Ints) -> tuple[str, ...]:
    """The words that set these texts apart from the others: log-odds with a prior from all texts, in standard errors (Monroe,
    Colaresi and Quinn 2008). Words that fewer than five of them have are never shown."""
    there = looked.counts[rows]
    texts_with = np.bincount(there.indices, minlength=looked.counts.shape[1])[: len(looked.words)]
    known = np.flatnonzero(texts_with >= WORD_IN)
    kept = np.array([place for place in known if _says_something(looked.words[place])], np.int64)
    if not len(kept):
        return ()
    inside, every = (np.asarray(part[:, kept].sum(axis=0), np.float64).ravel() for part in (there, looked.counts))
    total, all_words = float(there.sum()), float(looked.counts.sum())
    prior = PRIOR * every / all_words
    odds = _log_odds(inside, total, prior) - _log_odds(every - inside, all_words - total, prior)
    apart = odds / np.sqrt(1 / (inside + prior) + 1 / (every - inside + prior))
    order = kept[np.argsort(-apart, kind="stable")[: int((apart > 0).sum())]]
    return tuple(str(looked.words[place]) for place in order[:MOST_WORDS])


def _says_something(word: str) -> bool:
    return " " not in word and word not in _SILENT and not any(map(str.isdigit, word))


def _log_odds(counts: Floats, total: float, prior: Floats) -> Floats:
    odds: Floats = np.log((counts + prior) / np.maximum(total + PRIOR - counts - prior, 1e-9))
    return odds
