"""Scores of a free text against its reference, beside ROUGE, BLEU and chrF."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.cluster import here
from pipeline.scoring import rouge
from pipeline.scoring.refusals import is_refusal
from pipeline.specs import Meaning


def length_ratio(reference: str, answer: str) -> float:
    """Words of the answer by words of the reference; of an empty reference, by one word."""
    return len(answer.split()) / max(1, len(reference.split()))


def exact_match(reference: str, answer: str) -> float:
    """Whether both are the same after trimming white space."""
    return float(reference.strip() == answer.strip())


def refusal(reference: str, answer: str) -> float:
    return float(is_refusal(answer))


def contains(words: Sequence[str], answer: str) -> float:
    """Whether every one of the words stands in the answer, in any case."""
    said = answer.casefold()
    return float(all(word.casefold() in said for word in words))


def similarities(references: Sequence[str], answers: Sequence[str], meaning: Meaning | None) -> list[float]:
    """Cosines of their vectors: by a model where one is named, else by the words' TF-IDF over all these texts."""
    from pipeline.dedupe import vectors

    texts = list(dict.fromkeys([*references, *answers]))
    stands = {text: at for at, text in enumerate(texts)}
    wanted = meaning or Meaning()
    place = here.spread("score") if wanted.kind == "transformer" else None
    if place is None:
        rows = vectors.of(texts, wanted)
    else:
        from pipeline.cluster import scoring

        rows = scoring.of(texts, wanted, place)
    pairs = zip(references, answers, strict=True)
    return [float(rows[stands[reference]] @ rows[stands[answer]]) for reference, answer in pairs]


SCORES = {"length_ratio": length_ratio, "exact_match": exact_match, "refusal": refusal}
"""Scores of one answer that need nothing but the reference."""


def score(reference: str, answer: str, wanted: Sequence[str]) -> dict[str, float]:
    """Every wanted score that one pair of texts decides."""
    found = rouge.score(reference, answer) if any(key in wanted for key in rouge.KEYS) else {}
    return {key: found[key] if key in found else SCORES[key](reference, answer)
            for key in wanted if key in found or key in SCORES}
