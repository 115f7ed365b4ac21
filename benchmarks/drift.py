"""Does a drift check alarm only where something drifted? Data sets split at random, and with a new topic planted.

    python -m benchmarks.drift [TRIALS]

A trial draws today's questions and twice as many others from one data set: at random (any alarm is false), with families of
near-identical questions held on one side, or with one topic that only today's have. Recorded are `drift.false_alarms` (the
largest share of trials over data sets and sizes) and `drift.power` (the smallest, at 500 questions of which 20 % are of a new
topic; an alarm there must withstand correction for three comparisons, as in a run, and its first topic must show examples of
the planted one). Writes the table `drift` into RESULTS.md. A quarter of an hour on two cores.
"""

from __future__ import annotations

import csv
import multiprocessing
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks import record
from pipeline import drift_tests, drift_texts, drift_topics
from pipeline.drift_texts import Ints, Looked
from studio.sample_texts import CITIES, CLOSERS, FIRST_NAMES, OPENERS, PRODUCTS, TOPICS

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
TRIALS, NOW = 200, 500
SIZES, SHARES, COMPARISONS = (100, 250, 500, 2_000), (0.05, 0.1, 0.2), 3
DATA = ("bitext", "banking77", "made up")
FIRST_SEED = 10_000
"""The order of a topic's examples was chosen while trials of lower seeds were seen."""

EXAMPLES, MOSTLY = 10, 0.7
"""Of the first ten examples of the first topic, so many must be planted ones."""


@dataclass(frozen=True)
class Pool:
    """Questions of one data set, looked up once, with the topic and the family of each."""

    looked: Looked
    topics: Sequence[str]
    families: Ints


@dataclass(frozen=True)
class Trial:
    """What one trial found: the chance by luck, the share of planted ones among the first examples (none: no topic), whether
    the interval of the AUC holds ½."""

    p_value: float
    shown: float | None
    covers: bool


@dataclass(frozen=True)
class Cell:
    """Trials of one kind: `share` of today's questions is planted; `held`: families are held on one side."""

    data: str
    now: int
    share: float
    held: bool
    trials: int


def made_up(count: int, seed: int = 5) -> tuple[list[str], list[str]]:
    """Questions to the sample's shop, with their topics; no file is needed."""
    dice = random.Random(seed)
    texts, topics = [], []
    for number in range(count):
        topic = TOPICS[number % len(TOPICS)]
        slots = {"name": dice.choice(FIRST_NAMES), "product": dice.choice(PRODUCTS), "city": dice.choice(CITIES),
                 "order": f"FH-{dice.randrange(10_000, 100_000)}", "amount": f"£{dice.randrange(5, 145)}.50"}
        texts.append((dice.choice(OPENERS) + dice.choice(topic.asks) + dice.choice(CLOSERS)).format(**slots))
        topics.append(topic.tag)
    return texts, topics


def reworded(text: str, dice: random.Random) -> str:
    """As a customer who asks again does: a word more, or another one, twice."""
    words = text.split()
    for _ in range(2):
        at = dice.randrange(len(words))
        words[at : at + dice.randrange(2)] = dice.choice((["please"], ["again"], ["still"]))
    return " ".join(words)


def pool_of(texts: Sequence[str], topics: Sequence[str], related: bool, seed: int = 6) -> Pool:
    """`related`: each question comes with none to three of the same family beside it."""
    dice = random.Random(seed)
    more = [dice.choice((0, 1, 1, 2, 3)) if related else 0 for _ in texts]
    families = [[text, *(reworded(text, dice) for _ in range(count))] for text, count in zip(texts, more, strict=True)]
    sizes = [len(family) for family in families]
    return Pool(drift_texts.look([text for family in families for text in family]),
                [topic for topic, size in zip(topics, sizes, strict=True) for _ in range(size)],
                np.repeat(np.arange(len(texts)), sizes))


@cache
def pool(data: str, related: bool) -> Pool:
    if data == "made up":
        return pool_of(*made_up(9_000), related)
    name, text, topic = {"bitext": ("bitext_llm/bitext_support_responses_v2_2023-08-18.csv", "instruction", "intent"),
                         "banking77": ("banking77/train.csv", "text", "category")}[data]
    with (SHARED / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return pool_of([row[text] for row in rows], [row[topic] for row in rows], related)


def drawn(found: Pool, now: int, share: float, dice: np.random.Generator) -> tuple[Ints, np.ndarray]:
    """Rows of today's and of twice as many others (fewer where there are no more), and which of today's are planted.

    Families stay together. The planted topic is one, or as many as it takes.
    """
    topics, order = np.array(found.topics), dice.permutation(int(found.families.max()) + 1)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rows = np.argsort(rank[found.families], kind="stable")
    wanted, planted = round(now * share), np.zeros(len(rows), bool)
    for topic in dice.permutation(np.unique(topics)):
        if planted.sum() >= wanted:
            break
        planted |= topics[rows] == topic
    new, usual = rows[planted][:wanted], rows[~planted]
    today = np.concatenate((new, usual[: now - len(new)]))
    return np.concatenate((today, usual[now - len(new) :][: 2 * now])), np.arange(len(today)) < len(new)


def trial(found: Pool, now: int, share: float, seed: int, shuffles: int = drift_tests.SHUFFLES) -> Trial:
    rows, planted = drawn(found, now, share, np.random.default_rng([seed, now, round(1_000 * share)]))
    looked = found.looked.of(rows)
    compared = drift_tests.compare(looked, now, seed, shuffles=shuffles)
    shown = None
    if share:
        topics = [one for one in drift_topics.find(looked, compared) if one.kind != "less"]
        shown = float(np.mean([planted[row] for row in topics[0].rows[:EXAMPLES]])) if topics else None
    return Trial(compared.p_value, shown, compared.auc[1] <= 0.5 <= compared.auc[2])


def false_alarms(trials: Sequence[Trial]) -> float:
    return float(np.mean([one.p_value <= drift_tests.LEVEL for one in trials]))


def power(trials: Sequence[Trial]) -> float:
    """Corrected as one of three comparisons, the other two of which found nothing."""
    return float(np.mean([one.p_value <= drift_tests.LEVEL / COMPARISONS for one in trials]))


def shown(trials: Sequence[Trial]) -> float:
    """The share of trials that alarm and whose first topic is mostly of the planted one."""
    return float(np.mean([one.p_value <= drift_tests.LEVEL / COMPARISONS and (one.shown or 0) >= MOSTLY for one in trials]))


def cells(trials: int) -> list[Cell]:
    """All trials where the claims are made (nothing planted, or 20 % at 500), fewer elsewhere."""
    claimed = [(data, now, share, held) for data in DATA for now in SIZES[:3] for share, held in
               ((0.0, False), (0.0, True), *([(0.2, False)] if now == NOW else []))]
    others = [(data, now, share, False) for data in DATA for now in SIZES[:3] for share in SHARES if (now, share) != (NOW, 0.2)]
    large = [(data, 2_000, share, False) for data in DATA for share in (0.0, 0.05, 0.1)]
    related = [(data, NOW, 0.2, True) for data in DATA]
    return [Cell(*cell, most) for kind, most in ((claimed, trials), (others + related, trials // 2), (large, trials // 5))
            for cell in kind]


def measured(cell: Cell) -> tuple[Cell, list[Trial], float]:
    found = pool(cell.data, cell.held)
    began = time.perf_counter()
    trials = [trial(found, cell.now, cell.share, FIRST_SEED + number) for number in range(cell.trials)]
    return cell, trials, (time.perf_counter() - began) / cell.trials


def main(trials: int = TRIALS) -> None:
    began = time.perf_counter()
    lines = ["| data | questions | planted | families | trials | alarms | topic shown | ½ in the AUC's interval | s a trial |",
             "|---|---:|---:|---|---:|---:|---:|---:|---:|"]
    alarms, powers = [0.0], []
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        for cell, found, seconds in processes.map(measured, cells(trials)):
            told = power(found) if cell.share else false_alarms(found)
            if not cell.share:
                alarms.append(told)
            elif cell.now == NOW and cell.share == 0.2 and not cell.held:
                powers.append(shown(found))
            cover = np.mean([one.covers for one in found])
            lines.append(f"| {cell.data} | {cell.now:,} | {f'{cell.share:.0%}' if cell.share else 'nothing'} | "
                         f"{'held together' if cell.held else 'none'} | {cell.trials} | **{told:.3f}** | "
                         f"{f'{shown(found):.3f} | ' if cell.share else f' | {cover:.3f}'} | {seconds:.2f} |")
            print(lines[-1], flush=True)
    figures = {"drift.false_alarms": round(max(alarms), 4), "drift.power": round(min(powers), 4)}
    print(figures, f"{time.perf_counter() - began:.0f} s")
    record.keep(figures)
    record.table("drift", "Drift: how often a check alarms, at a level of 1 %", lines)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
