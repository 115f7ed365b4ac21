"""BLEU and chrF of single answers, and of all answers of one candidate together, from the same counts: sacrebleu's values.

BLEU is counted by sacrebleu. chrF (Popović 2015: character n-grams up to six, β = 2) is counted here, because its reference is
remembered and its counts are needed twice; a test holds it against sacrebleu bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

ORDER, BETA_SQUARED = 6, 4
Grams = tuple[Counter[str], ...]


@cache
def _bleu(effective_order: bool) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=effective_order)


@dataclass(frozen=True)
class Counted:
    """One answer: its own scores, and the counts behind them, which those of all answers are made of; none where not wanted."""

    scores: dict[str, float]
    words: Sequence[int] = ()
    grams: Sequence[int] = ()


def count(reference: str, answer: str, wanted: Collection[str]) -> Counted:
    """BLEU and chrF of one answer, as far as they are wanted."""
    found: dict[str, float] = {}
    words: Sequence[int] = ()
    grams: Sequence[int] = ()
    if "bleu" in wanted:
        one = _bleu(True).sentence_score(answer, [reference])
        words = (one.sys_len, one.ref_len, *one.counts, *one.totals)
        found["bleu"] = float(one.score)
    if "chrf" in wanted:
        grams = _met(_grams(answer), _reference(reference))
        found["chrf"] = _f(grams)
    return Counted(found, words, grams)


class Corpus:
    """The answers of one candidate, added one by one. `wanted` holds "bleu", "chrf" or both."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.wanted = [key for key in ("bleu", "chrf") if key in wanted]
        self.words, self.grams = [0] * 10, [0] * (3 * ORDER)
        self.answers = 0

    def add(self, reference: str, answer: str) -> dict[str, float]:
        """The scores of this answer alone, 0 to 100; BLEU as sacrebleu's own sentence BLEU: its order is that of the answer."""
        return self.take(count(reference, answer, self.wanted))

    def take(self, counted: Counted) -> dict[str, float]:
        """`add` of what was counted already, here or in another process."""
        self.answers += 1
        if counted.words:
            self.words = [a + b for a, b in zip(self.words, counted.words, strict=True)]
        if counted.grams:
            self.grams = [a + b for a, b in zip(self.grams, counted.grams, strict=True)]
        return dict(counted.scores)

    def scores(self) -> dict[str, float]:
        """Those of all answers together, which are no means of the single ones."""
        if not self.answers:
            return {}
        found = {}
        if "bleu" in self.wanted:
            told = _bleu(False).compute_bleu(self.words[2:6], self.words[6:], self.words[0], self.words[1], "exp")
            found["bleu"] = float(told.score)
        if "chrf" in self.wanted:
            found["chrf"] = _f(self.grams)
        return found


def _grams(text: str) -> Grams:
    bare = "".join(text.split())
    return tuple(Counter([bare[at : at + n] for at in range(len(bare) - n + 1)]) for n in range(1, ORDER + 1))


@lru_cache(maxsize=1_024)
def _reference(text: str) -> Grams:
    return _grams(text)


def _met(said: Grams, wanted: Grams) -> list[int]:
    """For each length: n-grams of the answer, of the reference, and of both. Where the reference has none, none count."""
    stats = []
    for mine, theirs in zip(said, wanted, strict=True):
        met = sum(min(often, theirs[gram]) for gram, often in mine.items() if gram in theirs)
        stats += [mine.total() if theirs else 0, theirs.total(), met]
    return stats


def _f(stats: list[int]) -> float:
    """F of the mean precision and recall over the lengths that both have (sacrebleu's effective order)."""
    precision = recall = 0.0
    lengths = 0
    for at in range(0, len(stats), 3):
        said, wanted, met = stats[at : at + 3]
        if said > 0 and wanted > 0:
            precision += met / said
            recall += met / wanted
            lengths += 1
    if lengths:
        precision /= lengths
        recall /= lengths
    if not precision + recall:
        return 0.0
    score = (1 + BETA_SQUARED) * precision * recall
    score /= BETA_SQUARED * precision + recall
    return 100 * score
