"""Does the stopping rule of a review keep its promise? Simulated reviewers whose truth is known, looked at after every verdict.

`python -m benchmarks.reviews` prints how often a session stops with a winner by the true share, and after how many pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from studio import stopping

SESSIONS, PAIRS = 1_000, 200
SHARES = (0.55, 0.6, 0.65, 0.7, 0.8)


@dataclass(frozen=True)
class Reviewer:
    """Chooses the truly better side with chance `share` where it decides; `ties` of its verdicts are ties; `left` is how
    often it chooses left without looking."""

    name: str
    share: float = 0.5
    ties: float = 0.2
    left: float = 0.0


COIN_FLIPPERS = (Reviewer("coin flips", ties=0.0), Reviewer("coin flips and ties"), Reviewer("mostly ties", ties=0.7),
                 Reviewer("always left", left=1.0), Reviewer("often left", left=0.6))


def stopped(reviewer: Reviewer, sessions: int = SESSIONS, pairs: int = PAIRS, seed: int = 0) -> NDArray[np.int64]:
    """After how many pairs each session declared a winner for the first time, looked at after every verdict; 0: never."""
    dice = np.random.default_rng(seed)
    left_is_b = dice.random((sessions, pairs)) < 0.5
    habit = dice.random((sessions, pairs)) < reviewer.left
    b_wins = np.where(habit, left_is_b, dice.random((sessions, pairs)) < reviewer.share)
    decided = dice.random((sessions, pairs)) >= reviewer.ties
    wins, losses = np.cumsum(decided & b_wins, 1), np.cumsum(decided & ~b_wins, 1)
    enough = _enough(pairs)[wins, losses]
    return np.where(enough.any(1), enough.argmax(1) + 1, 0)


@cache
def _enough(pairs: int) -> NDArray[np.bool_]:
    """What the rule itself says of every count of wins and losses."""
    return np.array([[wins + losses <= pairs and stopping.said(wins, losses, 0, "evidence", 10 * pairs).state == "enough"
                      for losses in range(pairs + 1)] for wins in range(pairs + 1)])


def main() -> None:
    head = ["reviewer", "true share of the better one", f"stops with a winner within {PAIRS} pairs", "median pairs until then"]
    rows, false = [], []
    for reviewer in COIN_FLIPPERS:
        false.append(float((stopped(reviewer) > 0).mean()))
        rows.append([reviewer.name, "50 %", f"{false[-1]:.3f}", "–"])
    for share in SHARES:
        found = stopped(Reviewer("", share))
        middle = f"{np.median(found[found > 0]):.0f}" if (found > 0).any() else "–"
        rows.append(["a fifth ties", f"{100 * share:.0f} %", f"{(found > 0).mean():.3f}", middle])
    lines = [f"{SESSIONS:,} simulated sessions a row, looked at after every verdict. At 50 % nobody is better: what stops "
             "there is false (at most 0.05).", "", *("| " + " | ".join(row) + " |" for row in (head, ["---"] * 4, *rows))]
    print("\n".join(lines))
    record.keep({"review.false_stops": round(max(false), 4)})
    record.table("reviews", "Reviews that stop as soon as the evidence is enough", lines)


if __name__ == "__main__":
    main()
