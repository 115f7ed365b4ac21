"""Decks: which pairs one reviewer gets, in what order, and who stands on which side. Drawn once, on the server.

Pure but for its dice, which come from the operating system: nobody can work out an order from another one.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

FAR = 8
"""A hidden repeat stands at least so many cards behind its first showing, as far as the deck allows."""


@dataclass(frozen=True)
class Drawn:
    pair_id: str
    left_is_a: bool
    again: bool = False


def meetings(answers: Mapping[str, Mapping[str, str]], candidates: Sequence[str], item_ids: Sequence[str],
             aim: int) -> tuple[list[tuple[str, str, str]], int]:
    """At most `aim` pairs of (item id, candidate, another), in rounds (in the first each item meets two candidates, in the next
    the two after those, and so on), and how many of them have the same answer twice; those are left out. `answers` are by item,
    then candidate."""
    couples = list(combinations(candidates, 2))
    met: list[tuple[str, str, str]] = []
    same = 0
    for round_, (place, item_id) in product(range(len(couples)), enumerate(item_ids)):
        a, b = couples[(place + round_) % len(couples)]
        said = answers.get(item_id, {})
        if a not in said or b not in said or len(met) + same >= aim:
            continue
        if said[a].strip() == said[b].strip():
            same += 1
        else:
            met.append((item_id, a, b))
    return met, same


def draw(pairs: Sequence[tuple[str, int]], had: Collection[str], most: int, overlap: int, repeats: int,
         dice: random.Random | None = None) -> list[Drawn]:
    """One person's deck: at most `most` pairs of (pair id, how many people have it) that they have not `had`.

    The first `overlap` pairs are in every deck, the others are those that the fewest people have; the order is random, and
    so is each side. `repeats` of the pairs come once more, far behind their first showing and with sides exchanged.
    """
    dice = dice or random.SystemRandom()
    open_ = [(pair_id, held) for pair_id, held in pairs if pair_id not in had]
    everybody = [pair_id for pair_id, _ in open_[:overlap]]
    others = sorted(((held, dice.random(), pair_id) for pair_id, held in open_[overlap:]))
    chosen = (everybody + [pair_id for _, _, pair_id in others])[:most]
    dice.shuffle(chosen)
    deck = [Drawn(pair_id, dice.random() < 0.5) for pair_id in chosen]
    early = deck[: max(1, len(deck) - FAR)]
    for first in dice.sample(early, min(repeats, len(early))) if len(deck) > 1 else []:
        behind = deck.index(first) + 1
        place = dice.randint(min(len(deck), behind + FAR), len(deck))
        deck.insert(place, Drawn(first.pair_id, not first.left_is_a, again=True))
    return deck
