"""What follows from the spec and the data: how many tokens make a step, and which examples go into each. Pure, no torch."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Sequence

WINDOW = 16
"""Steps packed together: enough choice to fill each step, few enough to keep the order well mixed."""

FEWEST_EXAMPLES, MOST_EXAMPLES, STEPS_AN_EPOCH = 4, 40, 50


def step_tokens_for(lengths: Sequence[int]) -> int:
    """Tokens an optimizer step, such that an epoch has about fifty steps of 4 to 40 examples.

    Fewer examples a step make too noisy, more too few steps for a learning rate of 2e-4 (the usual 16 lie in between). Never
    fewer tokens than the longest example has.
    """
    examples = min(MOST_EXAMPLES, max(FEWEST_EXAMPLES, round(len(lengths) / STEPS_AN_EPOCH)))
    return max(round(examples * sum(lengths) / len(lengths)), *lengths)


def steps(lengths: Sequence[int], step_tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """Places of the examples in every step of one epoch: each example exactly once, at most `step_tokens` tokens a step.

    Shuffled by (seed, epoch), then packed best-fit decreasing within windows of sixteen steps; what a window leaves less than
    nine tenths full goes into the next one. The steps are shuffled again.
    """
    dice = random.Random(f"{seed}/{epoch}")
    places = list(range(len(lengths)))
    dice.shuffle(places)
    made: list[list[int]] = []
    window: list[int] = []
    held = 0
    for place in places:
        window.append(place)
        held += lengths[place]
        if held >= WINDOW * step_tokens:
            full, window = _full(pack(window, lengths, step_tokens), lengths, 0.9 * step_tokens)
            made += full
            held = sum(lengths[left] for left in window)
    made += pack(window, lengths, step_tokens)
    dice.shuffle(made)
    return made


def pack(places: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """Bins of places whose lengths sum to at most `most`: best-fit decreasing, the same for the same order of places."""
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free, bin), sorted
    for place in sorted(places, key=lambda place: -lengths[place]):
        fits = bisect_left(room, (lengths[place], -1))
        if fits < len(room):
            free, number = room.pop(fits)
        else:
            free, number = most, len(bins)
            bins.append([])
        bins[number].append(place)
        insort(room, (free - lengths[place], number))
    return bins


def _full(bins: list[list[int]], lengths: Sequence[int], enough: float) -> tuple[list[list[int]], list[int]]:
    """Bins that are full enough, and the places of the others."""
    full = [places for places in bins if sum(lengths[place] for place in places) >= enough]
    rest = [place for places in bins if sum(lengths[place] for place in places) < enough for place in places]
    return (full, rest) if full else (bins, [])
