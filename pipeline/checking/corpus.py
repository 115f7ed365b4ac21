"""What only all records together show: pasted answers, contradictions, and whether the answers are worth learning.

Memory stays bounded at a million records: texts are kept as 64-bit hashes, counts in a sketch of fixed size.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

from pipeline.checking import language as tongue
from pipeline.checking import quality
from pipeline.checking.finding import Finding, Kind, Messages

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]

KINDS: tuple[Kind, ...] = (
    Kind("macro", "cleaning", "Pasted answer", "The same answer or long sentence stands in many records; training "
         "on all of them teaches to paste."),
    Kind("contradiction", "quality", "Contradictory answers", "Nearly the same question was answered with quite other words."),
)

PASTED_FROM = 10
"""Records that share an answer or a sentence before it counts as pasted; fewer is how people talk."""

LONG_SENTENCE = 8
"""Words of a sentence that nobody writes twice by chance."""

SLOTS = 1 << 22
GROUPS = 200_000
STEMS_KEPT = 128
AGREEING = 0.4
SAMPLE = 2_000
MANTEL_SAMPLE = 400
SHUFFLES = 499
BUCKETS = 4_096
FEWEST_PAIRS = 30
SIGNIFICANT = 0.01
NOT_WORTH = "These answers are not worth training on"

Records = Iterable[tuple[str, Messages]]

_SENTENCE = re.compile(r"[^.!?\n\r]+")


def _key(text: str) -> int:
    return int.from_bytes(blake2b(_bytes(text), digest_size=8).digest(), "big")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _Counts:
    """How often a key came, never too low and seldom too high: a count-min sketch of two rows (Cormode and Muthukrishnan 2005),
    32 MiB however many keys there are."""

    def __init__(self) -> None:
        self._rows = (array("I", bytes(4 * SLOTS)), array("I", bytes(4 * SLOTS)))

    def add(self, key: int) -> None:
        self._rows[0][key % SLOTS] += 1
        self._rows[1][(key >> 32) % SLOTS] += 1

    def of(self, key: int) -> int:
        return min(self._rows[0][key % SLOTS], self._rows[1][(key >> 32) % SLOTS])


@dataclass(frozen=True, slots=True)
class _Answered:
    """The first record that asked a question: its id and its answer's content stems (see `_sketch`)."""

    record_id: str
    stems: array[int]


def _sketch(text: str) -> array[int]:
    """32-bit hashes of the content stems, ascending; of more than 128 the lowest (bottom-k sketch, Cohen and Kaplan 2007)."""
    return array("I", sorted(crc32(_bytes(stem)) for stem in tongue.stems(tongue.words(text)))[:STEMS_KEPT])


def _overlap(one: array[int], other: array[int]) -> float:
    """Share of the stems in common, of the side that has fewer; only hashes that neither sketch has cut off are compared."""
    reach = min((side[-1] for side in (one, other) if len(side) == STEMS_KEPT), default=1 << 32)
    left, right = ({stem for stem in side if stem <= reach} for side in (one, other))
    return len(left & right) / (min(len(left), len(right)) or 1)


def _normal(text: str) -> str:
    return " ".join(tongue.words(text))


def _question_key(messages: Messages) -> int | None:
    """Nearly identical questions share it: the sorted set of their content stems, without case, digits, order and small words.
    None for a question of fewer than two such words, which says too little to be the same question."""
    found = tongue.stems(tongue.words(quality.said_by(messages, "user")))
    return _key(" ".join(sorted(found))) if len(found) >= 2 else None


def _sentences(content: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, normalised) of each sentence of eight words or more."""
    for match in _SENTENCE.finditer(content):
        if len(match[0]) >= 2 * LONG_SENTENCE:
            words = tongue.words(match[0])
            if len(words) >= LONG_SENTENCE:
                yield match.start(), match.end(), " ".join(words)


class Corpus:
    """Two passes over the same records: `count` each one, then ask for the `findings` of each one, and `rest` at the end.

    About 230 MiB at most: two sketches, and the first answer to each of up to 200,000 questions that come more than once.
    """

    def __init__(self) -> None:
        self._pasted = _Counts()
        self._asked = _Counts()
        self._first: dict[int, _Answered] = {}
        self._disputed: dict[str, tuple[int, float, str]] = {}

    def count(self, messages: Messages) -> None:
        """First pass: one record's answers, sentences and question. A text said twice in one record counts once."""
        seen = set()
        for turn in messages:
            if turn["role"] == "assistant":
                seen.add(_key(_normal(turn["content"])))
                seen.update(_key(f"s {said}") for _, _, said in _sentences(turn["content"]))
        for key in seen:
            self._pasted.add(key)
        asked = _question_key(messages)
        if asked is not None:
            self._asked.add(asked)

    def findings(self, record_id: str, messages: Messages) -> list[Finding]:
        """Second pass: what is pasted in this record, and where it contradicts the first record with the same question."""
        found = [finding for place, turn in enumerate(messages) if turn["role"] == "assistant"
                 for finding in self._macros(place, turn["content"])]
        return found + list(self._contradiction(record_id, messages))

    def rest(self) -> Iterator[tuple[str, Finding]]:
        """After the second pass: (record id, finding) of the first records that later ones contradicted."""
        for record_id, (times, score, other) in self._disputed.items():
            evidence = (f"Nearly the same question was later answered with quite other words, {times:,} time"
                        f"{'s' if times > 1 else ''}; once in record {other}.")
            yield record_id, Finding("contradiction", -1, 0, 0, score, evidence)

    def _macros(self, place: int, content: str) -> Iterator[Finding]:
        times = self._pasted.of(_key(_normal(content)))
        if times >= PASTED_FROM and len(content.split()) >= LONG_SENTENCE:  # a label is meant to come often
            yield Finding("macro", place, 0, len(content), _often(times), f"This whole answer stands in {times:,} records.")
            return
        for start, end, said in _sentences(content):
            times = self._pasted.of(_key(f"s {said}"))
            if times >= PASTED_FROM:
                yield Finding("macro", place, start, end, _often(times) * min(1.0, 0.4 + (end - start) / len(content)),
                              f"This sentence stands in {times:,} records.")

    def _contradiction(self, record_id: str, messages: Messages) -> Iterator[Finding]:
        asked = _question_key(messages)
        if asked is None or self._asked.of(asked) < 2:
            return
        mine = _sketch(quality.said_by(messages, "assistant"))
        first = self._first.get(asked)
        if first is None:
            if len(self._first) < GROUPS:
                self._first[asked] = _Answered(record_id, mine)
            return
        if not mine or not first.stems:
            return
        overlap = _overlap(mine, first.stems)
        score = 1 - overlap / AGREEING
        if score >= quality.SHOWN_FROM:
            times, highest, other = self._disputed.get(first.record_id, (0, 0.0, record_id))
            self._disputed[first.record_id] = (times + 1, max(score, highest), other)
            yield Finding("contradiction", -1, 0, 0, score,
                          f"Nearly the same question comes {self._asked.of(asked):,} times; of this answer's words that matter "
                          f"{overlap:.0%} are shared with record {first.record_id}.")


def _often(times: int) -> float:
    """0.5 where a text is pasted in 10 records, 0.75 in 20, towards 1."""
    return 1 - 0.5 * PASTED_FROM / times


@dataclass(frozen=True, slots=True)
class _Pair:
    question: frozenset[str]
    answer: frozenset[str]
    off_topic: bool


def answer_worth(records: Records, seed: int = 0) -> list[tuple[str, float]]:
    """(sentence, figure) on whether these answers are worth training on; the first says it, beginning with NOT_WORTH if not.

    Looks at the first 2,000 distinct pairs of all a customer asks and all the agent says: hand in a random sample. Two tests
    shuffle the answers among the questions 499 times, seeded, so that p is at least 0.002 (Phipson and Smyth 2010): are
    questions closer to their own answers than to others' (cosine of TF-IDF vectors), and do similar questions get similar
    answers (Mantel 1967), which needs no word in common and so holds for labels too? Answers that pass neither at p = 0.01
    do not depend on the questions. Nor are they worth it where half are off topic. Fewer than 30 pairs prove nothing.
    """
    pairs = _pairs(records)
    if len(pairs) < FEWEST_PAIRS:
        few = len(pairs)
        return [(f"Only {few} different conversations have both sides: too few to judge the answers by.", float(few))]
    import numpy as np

    rng = np.random.default_rng(seed)
    vectors = _vectors([pair.question for pair in pairs] + [pair.answer for pair in pairs])
    questions, answers = vectors[: len(pairs)], vectors[len(pairs):]
    own, others, p_own = _own_against_others(questions @ answers.T, rng)
    alike, p_alike = _mantel(questions[:MANTEL_SAMPLE], answers[:MANTEL_SAMPLE], rng)
    off = sum(pair.off_topic for pair in pairs) / len(pairs)
    return [
        _verdict(min(p_own, p_alike), off),
        (f"{off:.0%} of the answers share no words that matter with their question and hardly read as sentences.", off),
        (f"Question and own answer are alike by {own:.3f} on average (cosine, 0 to 1), p = {p_own:.3f}.", own),
        (f"Question and another question's answer are alike by {others:.3f}.", others),
        (f"How alike two questions are and how alike their answers are correlate by {alike:.2f}, p = {p_alike:.3f}.", alike),
    ]


def _verdict(p: float, off: float) -> tuple[str, float]:
    if p > SIGNIFICANT:
        return f"{NOT_WORTH}: they fit their own questions no better than any other question (p = {p:.2f}).", p
    if off >= 0.5:
        return f"{NOT_WORTH} as they stand: {off:.0%} of them do not address the question.", off
    return f"The answers depend on their questions (p = {p:.3f}), as answers worth training on do.", p


def _pairs(records: Records) -> list[_Pair]:
    """Distinct pairs: a record that comes twice would make its answer look tied to its question."""
    threshold = next(kind.threshold for kind in quality.KINDS if kind.key == "off_topic")
    found: dict[tuple[frozenset[str], frozenset[str]], _Pair] = {}
    for _, messages in records:
        sides = (quality.said_by(messages, role) for role in ("user", "assistant"))
        question, answer = (frozenset(tongue.stems(tongue.words(side))) for side in sides)
        if question and answer and (question, answer) not in found:
            checked = quality.quality_findings(messages, None, None)
            off = any(one.kind == "off_topic" and one.score >= threshold for one in checked)
            found[question, answer] = _Pair(question, answer, off)
        if len(found) == SAMPLE:
            break
    return list(found.values())


def _vectors(texts: list[frozenset[str]]) -> Matrix:
    """(texts, 4096) TF-IDF of hashed stems (each counted once), rows of length 1."""
    import numpy as np

    found = np.zeros((len(texts), BUCKETS), dtype=np.float32)
    for row, text in enumerate(texts):
        found[row, [crc32(_bytes(stem)) % BUCKETS for stem in text]] = 1
    found *= np.log((1 + len(texts)) / (1 + found.sum(axis=0))) + 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _own_against_others(alike: Matrix, rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean of the diagonal of (n, n), mean over shuffled answers, and the one-sided p."""
    import numpy as np

    rows = np.arange(len(alike))
    own = float(alike[rows, rows].mean())
    shuffled = np.array([alike[rows, rng.permutation(rows)].mean() for _ in range(SHUFFLES)])
    return own, float(shuffled.mean()), float((1 + (shuffled >= own).sum()) / (1 + SHUFFLES))


def _mantel(questions: Matrix, answers: Matrix, rng: np.random.Generator) -> tuple[float, float]:
    """Correlation of the two matrices of similarities off the diagonal, and its one-sided p."""
    import numpy as np

    away = ~np.eye(len(questions), dtype=bool)
    asked, given = questions @ questions.T, answers @ answers.T
    asked, given = (np.where(away, one - one[away].mean(), 0) for one in (asked, given))
    scale = float(np.linalg.norm(asked) * np.linalg.norm(given))
    if scale == 0:
        return 0.0, 1.0
    real = float((asked * given).sum())
    higher = 0
    for _ in range(SHUFFLES):
        order = rng.permutation(len(asked))
        higher += float((asked * given[np.ix_(order, order)]).sum()) >= real
    return real / scale, (1 + higher) / (1 + SHUFFLES)
