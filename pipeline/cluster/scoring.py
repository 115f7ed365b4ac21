"""Scores and vectors of many texts, made by a pool of workers: the same values as in one process, in the same order."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cluster import pools
from pipeline.dedupe import vectors
from pipeline.spec_place import Place
from pipeline.specs import Meaning

if TYPE_CHECKING:
    from pipeline.dedupe.shingles import F32
    from pipeline.scoring.engine import Asked, Judged

AT_ONCE = 1_024
"""Texts, or answers, in one part. Vectors are made of so many at once in one process too: the batches are the same."""


def of(texts: Sequence[str], meaning: Meaning, place: Place) -> F32:
    """`dedupe.vectors.of` for a model that reads each text for itself."""
    parts = [json.dumps(texts[begin : begin + AT_ONCE]).encode() for begin in range(0, len(texts), AT_ONCE)]
    job = pools.Job(__name__, "embedding", (meaning.model_dump(), max(1, int(place.cpus))))
    made = [np.load(io.BytesIO(said), allow_pickle=False) for said in pools.over(job, parts, place, lambda: None, print)]
    return np.concatenate(made) if made else np.empty((0, 1), np.float32)


def embedding(meaning: dict[str, Any], threads: int) -> pools.Work:
    import torch

    make = vectors.maker(Meaning(**meaning), [])
    torch.set_num_threads(threads)

    def work(part: bytes) -> bytes:
        kept = io.BytesIO()
        np.save(kept, make(json.loads(part)), allow_pickle=False)
        return kept.getvalue()

    return work


def judged(pairs: Sequence[tuple[str, str]], asked: Asked, place: Place, look: Callable[[], None]) -> Iterator[Judged]:
    """`scoring.engine.judged` of (reference, answer)."""
    from pipeline.scoring import corpora, engine

    parts = [json.dumps(pairs[begin : begin + AT_ONCE]).encode() for begin in range(0, len(pairs), AT_ONCE)]
    for said in pools.over(pools.Job(__name__, "judging", (asked,)), parts, place, look, print):
        yield from (engine.Judged(row["scores"], corpora.Counted(**row["counted"])) for row in json.loads(said))


def judging(asked: Asked) -> pools.Work:
    from pipeline.scoring import engine

    def work(part: bytes) -> bytes:
        return json.dumps([asdict(one) for one in engine.judged(json.loads(part), asked)]).encode()

    return work
