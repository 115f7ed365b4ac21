"""How varied made questions are, alone and against the real ones; and whether a run begins to repeat itself.

All of it comes from the words (TF-IDF), is the same every time, and takes seconds for 10,000 texts. Where made ones are held
against real ones, as many of each are taken: most of these numbers change with how many texts there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline import shots
from pipeline.checking.language import STOP
from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import I64, normalised

ENOUGH, MOST, DRAWN = 20, 10_000, 1_000
"""Fewer texts say nothing; of more than 10,000, and in the map of more than 1,000, so many are taken at even steps."""

COVERS = 50
"""With fewer of either, the radius is so wide that questions on other matters altogether seem to cover the real ones."""

FIND_EACH_OTHER = 0.9
"""The share of real questions that find another real one within the radius."""

DIMENSIONS, MOST_CLUSTERS, BLOCK = 50, 30, 500
WORD_IN = 5
"""In so many questions a word must be before it describes a cluster: one that few people wrote could tell who they are."""

WINDOW, BEFORE = 50, 1_000
LEAST_SHARE, DROP = 0.24, 0.6
"""A window repeats itself when its questions are worth under 24 in a hundred different ones (real questions on one and the same
matter: 33 in Bitext, 42 in Banking77), or under 60 % of what this run's most varied window was worth (six questions reworded
again and again: 46 %; real questions in any order: 85 % at least)."""
_SILENT = STOP | {part for word in STOP for part in word.split("'")} | set("abcdefghijklmnopqrstuvwxyz")


def measure(made: Sequence[str], real: Sequence[str] = ()) -> dict[str, Any]:
    """What the made questions are like; only `texts` and `enough` (false) where there are fewer than 20.

    `distinct`: different runs of 1, 2, 3 words per run (Li et al. 2016); `self_similarity`: the mean cosine of a question's
    nearest other one; `openings`: different beginnings of three words per text, and the commonest with their share. Each has
    `real` beside it where there are 20 real ones. Then too: `coverage`, the share of real questions that have a made one within
    the radius in which 90 % of (as many) real ones have another real one, so about 0.9 is as good as real; `clusters` of the
    real ones by k-means, with how many made ones lie in each; `map`, both in two dimensions for a chart.
    """
    if len(made) < ENOUGH:
        return {"texts": len(made), "real": len(real), "enough": False}
    mine = [normalised(text) for text in _some(made, MOST)]
    theirs = _some(list(dict.fromkeys(filter(None, map(normalised, real)))), MOST)
    held = theirs if len(theirs) >= ENOUGH else []
    count = min(len(mine), len(held)) if held else len(mine)
    weigh = shots.weigher()
    rows = weigh.fit_transform([text or "." for text in [*mine, *held]])
    ours, known = rows[: len(mine)], rows[len(mine) :]
    near = known[_steps(len(held), count)] if held else None
    data: dict[str, Any] = {
        "texts": len(made), "real": len(real), "enough": True, "compared": count,
        "distinct": _beside(_distinct, _some(mine, count), _some(held, count) if held else None),
        "self_similarity": _beside(_likeness, ours[_steps(len(mine), count)], near),
        "openings": _beside(_openings, _some(mine, count), _some(held, count) if held else None),
        "coverage": None, "radius": None, "clusters": []}
    folded = _folded(rows)
    if count >= COVERS and held:
        radius = float(np.quantile(_nearest_other(near), 1 - FIND_EACH_OTHER))
        data["radius"] = round(radius, 4)
        data["coverage"] = round(float((_nearest(known, ours) >= max(radius, 1e-6)).mean()), 4)
    if held:
        data["clusters"] = _clusters(folded[len(mine) :], folded[: len(mine)], known, weigh.get_feature_names_out())
    data["map"] = _map(folded, len(mine))
    return data


def repeating(recent: Sequence[str], cells: Sequence[str] = ()) -> str:
    """A sentence where the last 50 accepted questions say the same again and again; empty where they do not, and for fewer than
    20. `recent` are all questions of the run so far, oldest first. `cells` says which cell each is of: then the last ones are
    only held against earlier ones of the same cells, since one scenario alone is less varied than many."""
    if len(recent) < ENOUGH:
        return ""
    size = min(WINDOW, len(recent))
    if cells:
        last = set(cells[-size:])
        recent = [text for text, cell in zip(recent, cells, strict=True) if cell in last]
    texts = [normalised(text) for text in recent[-BEFORE - size :]]
    rows = shots.vectors(texts)
    worth = [_worth(rows[end - size : end]) for end in range(len(texts), size - 1, -size)]
    if worth[0] < LEAST_SHARE * size:
        return (f"The last {size} questions are as like each other as {worth[0]:.0f} different ones would be, said again and "
                "again. Add scenarios, personas or examples.")
    if worth[0] < DROP * max(worth):
        return (f"The last {size} questions are as like each other as {worth[0]:.0f} different ones would be; earlier in this "
                f"run it was {max(worth):.0f}. Add scenarios, personas or examples.")
    return ""


def _worth(rows: Any) -> float:
    """How many wholly different texts are as varied as these: the exponential of the entropy of the eigenvalues of their
    cosines (the Vendi score, Friedman and Dieng 2023)."""
    shares = np.linalg.eigvalsh(np.asarray((rows @ rows.T).todense(), np.float64) / rows.shape[0])
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _some(texts: Sequence[str], count: int) -> list[str]:
    return [texts[place] for place in _steps(len(texts), count)]


def _steps(there: int, count: int) -> I64:
    """At most `count` places at even steps."""
    return np.arange(there) if there <= count else np.linspace(0, there - 1, count).astype(np.int64)


def _beside(measured: Any, made: Any, real: Any) -> dict[str, Any]:
    """The same of both; none of the real ones where there are too few."""
    return {"made": measured(made), "real": None if real is None else measured(real)}


def _distinct(texts: Sequence[str]) -> list[float]:
    """Different runs of one, two and three words per run."""
    found = []
    for size in (1, 2, 3):
        runs = [run for text in texts for run in _runs(text.split(), size)]
        found.append(round(len(set(runs)) / len(runs), 4) if runs else 0.0)
    return found


def _runs(spoken: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(spoken[place : place + size]) for place in range(len(spoken) - size + 1)]


def _openings(texts: Sequence[str]) -> dict[str, Any]:
    begun = Counter(" ".join(text.split()[:3]) for text in texts)
    common = sorted(begun.items(), key=lambda one: (-one[1], one[0]))[:5]
    return {"distinct": round(len(begun) / len(texts), 4), "common": [[words, round(n / len(texts), 4)] for words, n in common]}


def _likeness(rows: Any) -> float:
    return round(float(_nearest_other(rows).mean()), 4)


def _nearest_other(rows: Any) -> F32:
    """Of each row the highest cosine with another one."""
    return _nearest(rows, rows, own=True)


def _nearest(rows: Any, others: Any, own: bool = False) -> F32:
    turned, found = others.T.tocsr(), []
    for begin in range(0, rows.shape[0], BLOCK):
        likeness = (rows[begin : begin + BLOCK] @ turned).toarray()
        if own:
            likeness[np.arange(len(likeness)), np.arange(begin, begin + len(likeness))] = -1
        found.append(likeness.max(axis=1))
    return np.minimum(np.concatenate(found), 1.0)


def _folded(rows: Any) -> F32:
    """The rows in few dimensions, at length 1 (latent semantic analysis)."""
    from sklearn.decomposition import TruncatedSVD

    dimensions = min(DIMENSIONS, min(rows.shape) - 1)
    if dimensions < 2:
        return np.zeros((rows.shape[0], 2), np.float32)
    with np.errstate(invalid="ignore"):  # texts that are all the same have no variance to be shared out
        found = TruncatedSVD(dimensions, random_state=0).fit_transform(rows)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), np.float32)


def _clusters(real: F32, made: F32, weighed: Any, words: Any) -> list[dict[str, Any]]:
    """Clusters of real questions, largest first: words that stand out, how many real ones and how many made ones.

    A made one lies in the cluster of its nearest centre where it is as near to it as nine of ten real ones are.
    """
    from sklearn.cluster import KMeans

    count = int(np.clip(np.sqrt(len(real) / 2), 2, MOST_CLUSTERS))
    fitted = KMeans(count, n_init=3, random_state=0).fit(real)
    centres = fitted.cluster_centers_ / np.maximum(np.linalg.norm(fitted.cluster_centers_, axis=1, keepdims=True), 1e-9)
    near, of_made = real @ centres.T, made @ centres.T
    at, mean, found = of_made.argmax(axis=1), np.asarray(weighed.mean(axis=0)).ravel(), []
    for cluster in range(count):
        members = np.flatnonzero(fitted.labels_ == cluster)
        if not len(members):
            continue
        reach = np.quantile(near[members, cluster], 1 - FIND_EACH_OTHER)
        inside = int(((at == cluster) & (of_made[:, cluster] >= reach)).sum())
        found.append({"words": _words_of(weighed[members], mean, words), "real": len(members), "made": inside})
    return sorted(found, key=lambda one: (-one["real"], one["words"]))


def _words_of(members: Any, mean: Any, words: Any) -> list[str]:
    """Up to four words that stand out in these rows and are in enough of them."""
    standing = np.asarray(members.mean(axis=0)).ravel() - mean
    often = members.getnnz(axis=0) >= WORD_IN
    order = [place for place in np.argsort(-standing, kind="stable") if often[place] and standing[place] > 0]
    return [str(words[place]) for place in order if words[place].isalpha() and words[place] not in _SILENT][:4]


def _map(folded: F32, count: int) -> dict[str, Any]:
    """The two directions in which all texts differ most, for some made ones (the first `count` rows) and some real ones."""
    some = (folded - folded.mean(axis=0)).astype(np.float64)
    directions = np.linalg.eigh(some.T @ some)[1][:, :-3:-1]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), [0, 1]])
    points = np.round(some @ directions, 4)
    made, real = _steps(count, DRAWN), count + _steps(len(folded) - count, DRAWN)
    return {"made": points[made].tolist(), "real": points[real].tolist()}
