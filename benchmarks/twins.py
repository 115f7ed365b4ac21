"""Generated tickets of about 60 words with planted twins, the same for the same number and seed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WORDS, PHRASES, SEGMENTS = 30_000, 400, 10
TWINS, EXACT = 0.10, 0.3
SYLLABLES = [a + b for a in "bdklmnrst" for b in "aeio"]
ANSWERS = ("We are sorry. A new one is on its way.", "Please send it back, we pay for the postage.",
           "The refund was made today and takes five days.", "Could you tell us the number on the label?")


def tickets(count: int, seed: int = 7) -> Iterator[str]:
    """Stock phrases that many tickets share between words of their own, used as often as words of a language are (Zipf and
    Mandelbrot); the last tenth are twins of earlier ones: three in ten of them differ in capitals and signs only, the others in
    one to eight words."""
    dice = np.random.default_rng(seed)
    words = np.array(["".join(dice.choice(SYLLABLES, 1 + n.bit_length() // 5)) for n in range(WORDS)], dtype=object)
    often = 1 / (np.arange(WORDS) + 2.7)
    often /= often.sum()
    phrases = [list(dice.choice(words, dice.integers(4, 10), p=often)) for _ in range(PHRASES)]
    fresh = count - int(count * TWINS)
    known: list[list[str]] = []
    for begin in range(0, fresh, 10_000):
        size = min(10_000, fresh - begin)
        stock = dice.integers(0, PHRASES * 5 // 2, (size, SEGMENTS))
        own = dice.choice(words, (size, SEGMENTS * 6), p=often)
        for row in range(size):
            said: list[str] = []
            for segment, phrase in enumerate(stock[row]):
                said += phrases[phrase] if phrase < PHRASES else list(own[row, segment * 6 : segment * 6 + 6])
            known.append(said)
            yield " ".join(said)
    for _ in range(count - fresh):
        yield _twin(known[dice.integers(len(known))], words, dice)


def _twin(said: list[str], words: np.ndarray, dice: np.random.Generator) -> str:
    if dice.random() < EXACT:
        return ", ".join((" ".join(said[:7]).upper(), " ".join(said[7:]))) + "!"
    changed = list(said)
    for place in dice.integers(0, len(said), dice.integers(1, 9)):
        changed[place] = str(words[dice.integers(WORDS)])
    return " ".join(changed)


def write(path: Path, count: int) -> None:
    """A CSV file of `count` tickets with short answers."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("ticket_id", "customer_message", "agent_response"))
        rows.writerows((f"T{n}", text, ANSWERS[n % len(ANSWERS)]) for n, text in enumerate(tickets(count)))
