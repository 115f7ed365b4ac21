"""When a review may stop. The rule is chosen before the first verdict, so that nobody stops when it suits.

"evidence" may be looked at after every verdict: it is an anytime-valid test of p = ½ (no difference) by a mixture of
binomials over a Beta prior (Robbins 1970; Howard et al. 2021). Under no difference the e-value exceeds 1/α at any time with a
chance of at most α (Ville 1939). Where several pairs of candidates are compared, each has its share of α (Bonferroni).
"fixed" says nothing before so many pairs are judged; then an exact binomial test at α. """

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

State = Literal["enough", "more", "fixed", "level", "over"]
ALPHA = 0.05
PRIOR = 4.0
"""Beta(4, 4): most weight on shares of 30 to 70 %, which is what reviews show; one of 70 % is found after about 60 pairs."""
LEVEL = 0.1
"""A win rate within ½ ± this is a difference not worth having."""
LOOK_AHEAD = 5_000


@dataclass(frozen=True)
class Stop:
    """Where a comparison stands.

    "enough": there is a `winner`; "level": the win rate surely lies within ½ ± 0.1; "more": go on, about `more` further
    decided pairs at the share seen so far (None: no end in sight); "fixed": nothing is said yet, `more` pairs are missing;
    "over": all is judged and it is not enough. """

    state: State
    winner: Literal["a", "b", ""]
    more: int | None


def log_e_value(wins: int, losses: int, against: float = 0.5, prior: float = PRIOR) -> float:
    """The logarithm of the mixture likelihood ratio of `wins` and `losses` against a win rate of `against`."""
    return (_log_beta(prior + wins, prior + losses) - _log_beta(prior, prior)
            - wins * math.log(against) - losses * math.log1p(-against))


def bounds(wins: int, losses: int, alpha: float = ALPHA) -> tuple[float, float]:
    """The win rates that the evidence does not speak against, at any time (a confidence sequence): those with an e-value below
    1/alpha. (0, 1) without any verdict."""
    if not wins + losses:
        return 0.0, 1.0
    middle, limit = wins / (wins + losses), -math.log(alpha)
    return _edge(wins, losses, 0.0, middle, limit), _edge(wins, losses, 1.0, middle, limit)


def said(wins: int, losses: int, ties: int, rule: Literal["evidence", "fixed"], aim: int, alpha: float = ALPHA,
         comparisons: int = 1) -> Stop:
    """Where a comparison of candidate b (`wins`) with a (`losses`) stands. `aim` is the number of pairs there are, ties among
    them; `comparisons` how many pairs of candidates share α. Ties say nothing about who is better, and are no evidence."""
    done, share = wins + losses + ties, alpha / comparisons
    if rule == "fixed":
        if done < aim:
            return Stop("fixed", "", aim - done)
        return Stop("enough", _leader(wins, losses), None) if two_sided(wins, losses) <= share else Stop("over", "", None)
    if log_e_value(wins, losses) >= -math.log(share):
        return Stop("enough", _leader(wins, losses), None)
    low, high = bounds(wins, losses, share)
    if low >= 0.5 - LEVEL and high <= 0.5 + LEVEL:
        return Stop("level", "", None)
    if done >= aim:
        return Stop("over", "", None)
    return Stop("more", "", missing(wins, losses, share))


def missing(wins: int, losses: int, alpha: float) -> int | None:
    """How many more decided pairs it takes if the share stays as it is; None where that would be more than 5,000, or none was
    decided yet."""
    decided = wins + losses
    if not decided:
        return None
    rate, limit = wins / decided, -math.log(alpha)

    def enough(further: int) -> bool:
        more = round(rate * further)
        return log_e_value(wins + more, losses + further - more) >= limit

    if not enough(LOOK_AHEAD):
        return None
    low, high = 0, LOOK_AHEAD
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def two_sided(wins: int, losses: int) -> float:
    """The exact two-sided p-value of a binomial test against ½; 1 without any verdict."""
    n, most = wins + losses, max(wins, losses)
    tail = sum(math.comb(n, k) for k in range(most, n + 1))
    return min(1.0, 2 * tail / 2**n)


def _leader(wins: int, losses: int) -> Literal["a", "b", ""]:
    return "b" if wins > losses else "a" if losses > wins else ""


def _edge(wins: int, losses: int, end: float, middle: float, limit: float) -> float:
    """Between the middle, which the evidence is for, and an end: where the e-value reaches its limit."""
    inside, outside = middle, end
    for _ in range(60):
        between = (inside + outside) / 2
        if 0 < between < 1 and log_e_value(wins, losses, between) < limit:
            inside = between
        else:
            outside = between
    return outside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
