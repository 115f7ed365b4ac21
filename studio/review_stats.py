"""What reviewers' verdicts allow one to say. Pure: opinions in, numbers and sentences out.

The unit is a pair (one item, two candidates): of several reviewers the majority counts, a tie where none leads. Hidden
repeats and what an organiser said after a look at the result are left out of all but what they were made for. Both good and
both bad are ties. """

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol

import numpy as np

from studio import agreement, bradley_terry, stopping, verdicts
from studio.agreement import PairAgreement
from studio.bradley_terry import Strengths
from studio.opinions import CRITERIA, Judged
from studio.stopping import Stop
from studio.verdicts import Comparison, Interval

Won = Literal["a", "b", "tie"]
LEAST_FOR_HABIT = 20
"""So many decided verdicts it takes to speak of a habit of choosing one side."""


class Rules(Protocol):
    """What of a session's settings is needed here."""

    @property
    def ties(self) -> Literal["left_out", "half"]: ...
    @property
    def rule(self) -> Literal["evidence", "fixed"]: ...
    @property
    def aim(self) -> int: ...


@dataclass(frozen=True)
class Count:
    """Pairs by who won them. `rate` is candidate b's win rate with Wilson's interval, ties as was said beforehand."""

    a: int
    b: int
    tie: int
    both_bad: int
    rate: Interval

    @property
    def decided(self) -> int:
        return self.a + self.b

    @property
    def pairs(self) -> int:
        return self.decided + self.tie + self.both_bad


@dataclass(frozen=True)
class Versus:
    """Two candidates: all pairs, then by slice and by reviewer (there the unit is a reviewer's verdict), and whether it is
    enough."""

    a: str
    b: str
    count: Count
    by_slice: Mapping[str, Count]
    by_person: Mapping[str, Count]
    stop: Stop


@dataclass(frozen=True)
class Side:
    """Whether the left or the right was chosen more often: the share of left among decided verdicts, with the exact two-sided
    p-value against a half."""

    left: int
    decided: int
    share: Interval
    p_value: float


@dataclass(frozen=True)
class Score:
    """One criterion of the rubric for two candidates: the mean of each, and their paired difference where both were scored."""

    criterion: str
    a: str
    b: str
    found: Comparison


@dataclass(frozen=True)
class Result:
    """All that a session says so far. `same` pairs had the same answer twice: ties that nobody was asked about."""

    versus: tuple[Versus, ...]
    side: Side
    people: tuple[str, ...]
    agreement: tuple[PairAgreement, ...]
    alpha: Interval
    consistency: Interval
    repeats: int
    scores: tuple[Score, ...]
    strengths: Strengths | None
    same: int
    not_blind: int


def result(judged: Sequence[Judged], rules: Rules, candidates: Sequence[str], same: int,
           slices: Mapping[str, Iterable[str]] | None = None) -> Result:
    """`slices` are item ids by the name of a slice."""
    counting = [one for one in judged if one.blind and not one.again]
    couples = list(combinations(candidates, 2))
    aim = rules.aim // len(couples) if couples else 0
    versus = tuple(_versus(counting, a, b, rules, aim, len(couples), same if len(couples) == 1 else 0, slices or {})
                   for a, b in couples)
    votes: dict[str, dict[str, agreement.Value]] = defaultdict(dict)
    for one in counting:
        votes[one.pair_id][one.who] = _as_tie(one.winner)
    found = agreement.of_field("winner", votes, "nominal")
    kept, of = _consistent(judged)
    return Result(versus, _side(counting), tuple(sorted({one.who for one in counting})), found.pairs, found.alpha,
                  verdicts.wilson(kept, of), of, _scores(counting, couples),
                  _strengths(counting, candidates) if len(candidates) > 2 else None, same, sum(not one.blind for one in judged))


def counted(pairs: Iterable[Won | Literal["both_bad"]], ties: Literal["left_out", "half"]) -> Count:
    """The pairs by their winner, and the win rate of b."""
    said = Counter(pairs)
    a, b, tie = said["a"], said["b"], said["tie"] + said["both_bad"]
    rate = verdicts.wilson(b, a + b) if ties == "left_out" else _half(a, b, tie)
    return Count(a, b, said["tie"], said["both_bad"], rate)


def headline(one: Versus, names: Mapping[str, str]) -> str:
    """The result in one sentence, by the stopping rule alone: never more than it allows."""
    a, b = names[one.a], names[one.b]
    if one.stop.state == "enough":
        winner, other = (b, a) if one.stop.winner == "b" else (a, b)
        return f"People find {winner} better than {other}"
    if one.stop.state == "level":
        return f"People find no difference worth having between {a} and {b}"
    if one.stop.state == "fixed":
        return f"Nothing is said before {one.stop.more} more pairs are judged, as was decided beforehand"
    return f"Not enough to say whether people find {b} better than {a}"


def numbers(one: Versus, names: Mapping[str, str]) -> str:
    """The count under the headline, in a sentence."""
    count, b = one.count, names[one.b]
    if not count.pairs:
        return "No pair is judged yet."
    ties = f"{count.tie} both good, {count.both_bad} both bad" if count.tie or count.both_bad else "no ties"
    if not count.decided:
        return f"Of {count.pairs} judged pairs none was decided: {ties}."
    return (f"{b[:1].upper()}{b[1:]} won {count.b} of {count.decided} decided pairs; win rate {_share(count.rate)} ({ties}).")


def reach(one: Versus) -> str:
    """What is missing, in a sentence, and why an interval that leaves out a half may not be enough yet."""
    if one.stop.state == "fixed" or not one.count.decided:
        return ""
    if one.stop.state == "over":
        return "All pairs are judged; a larger session could say more."
    if one.stop.state != "more":
        return ""
    said = (f"About {one.stop.more} more decided pairs at this share would settle it." if one.stop.more is not None else
            "No end is in sight at this share.")
    low, high = one.count.rate.low, one.count.rate.high
    return said + (" The interval is that of a single look; the rule may be looked at any time, and asks for more."
                   if low > 0.5 or high < 0.5 else "")


def evidence(found: Result) -> str:
    """Whether it is enough, without a word on who leads: for an organiser who still judges."""
    said = []
    for one in found.versus:
        state, more = one.stop.state, one.stop.more
        said.append("Enough: the session may end." if state in ("enough", "level") else
                    f"{more} more pairs are needed, as was decided." if state == "fixed" else
                    "All is judged, and it is not enough to say: open a larger session." if state == "over" else
                    f"Not enough yet: about {more} more decided pairs, if it goes on like this." if more is not None else
                    "Not enough yet, and no end in sight: the two look alike so far." if one.count.decided else
                    "No pair is decided yet.")
    return " ".join(dict.fromkeys(said))


def habit(side: Side) -> str:
    """Whether the side had something to do with the choice, in words."""
    if side.decided < LEAST_FOR_HABIT:
        return f"Left was chosen in {side.left} of {side.decided} decided verdicts: too few to speak of a habit."
    said = f"Left was chosen in {side.left} of {side.decided} decided verdicts ({_share(side.share)})"
    if side.p_value < 0.05:
        return (f"{said}: more than chance would (p = {side.p_value:.3f}). Sides are drawn for each person and pair, so it "
                "favours nobody, but it blurs the result.")
    return f"{said}, as chance would."


def _versus(judged: Sequence[Judged], a: str, b: str, rules: Rules, aim: int, comparisons: int, same: int,
            slices: Mapping[str, Iterable[str]]) -> Versus:
    mine = [one for one in judged if (one.a, one.b) == (a, b)]
    pairs, item_of = by_pair(mine), {one.pair_id: one.item_id for one in mine}
    count = counted([*pairs.values(), *["tie"] * same], rules.ties)  # type: ignore[list-item]
    parts = {}
    for name, items in slices.items():
        inside = set(items)
        if some := [won for pair, won in pairs.items() if item_of[pair] in inside]:
            parts[name] = counted(some, rules.ties)
    people = {who: counted([one.winner for one in mine if one.who == who], rules.ties)
              for who in sorted({one.who for one in mine})}
    stop = stopping.said(count.b, count.a, count.tie + count.both_bad, rules.rule, aim, comparisons=comparisons)
    return Versus(a, b, count, dict(sorted(parts.items(), key=lambda part: -part[1].pairs)), people, stop)


def by_pair(judged: Sequence[Judged]) -> dict[str, Won | Literal["both_bad"]]:
    """What the majority of its reviewers says of each pair; a tie where none leads."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for one in judged:
        said[one.pair_id][one.winner] += 1
    found: dict[str, Won | Literal["both_bad"]] = {}
    for pair, counts in said.items():
        ranked = counts.most_common(2)
        level = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
        found[pair] = "tie" if level else ranked[0][0]  # type: ignore[assignment]
    return found


def _half(a: int, b: int, ties: int) -> Interval:
    """Ties count half a win for each. Wilson's interval with the wins so counted: wider than the truth, because a tie varies
    less than a win or a loss."""
    n = a + b + ties
    return verdicts.wilson(b + ties / 2, n)  # type: ignore[arg-type]


def _side(judged: Sequence[Judged]) -> Side:
    decided = [one for one in judged if one.winner in ("a", "b")]
    left = sum((one.winner == "a") == one.left_is_a for one in decided)
    return Side(left, len(decided), verdicts.wilson(left, len(decided)), stopping.two_sided(left, len(decided) - left))


def _consistent(judged: Sequence[Judged]) -> tuple[int, int]:
    """How many hidden repeats were answered as the first showing was, of how many."""
    first = {(one.who, one.pair_id): one.winner for one in judged if not one.again}
    again = [one for one in judged if one.again and (one.who, one.pair_id) in first]
    return sum(one.winner == first[one.who, one.pair_id] for one in again), len(again)


def _scores(judged: Sequence[Judged], couples: Sequence[tuple[str, str]]) -> tuple[Score, ...]:
    """Each criterion's paired difference; of several reviewers of a pair the mean."""
    found = []
    for (a, b), criterion in ((couple, criterion) for couple in couples for criterion in CRITERIA):
        both: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for one in judged:
            given = [one.scores.get(side, {}).get(criterion) for side in ("a", "b")]
            if (one.a, one.b) == (a, b) and given[0] is not None and given[1] is not None:
                both[one.item_id].append((given[0], given[1]))
        if len(both) > 1:
            means = [np.mean(pairs, axis=0) for pairs in both.values()]
            found.append(Score(criterion, a, b, verdicts.compare_means(
                criterion, [float(one[0]) for one in means], [float(one[1]) for one in means], least_worth=0.25)))
    return tuple(found)


def _strengths(judged: Sequence[Judged], candidates: Sequence[str]) -> Strengths | None:
    """Bradley–Terry over all pairs, with items as the unit; None where some candidates never met."""
    place = {one: number for number, one in enumerate(candidates)}
    items: dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]] = defaultdict(
        lambda: np.zeros((len(candidates), len(candidates))))
    names = {one.pair_id: (one.item_id, place[one.a], place[one.b]) for one in judged}
    for pair, won in by_pair(judged).items():
        item, a, b = names[pair]
        items[item][b, a] += {"b": 1.0, "a": 0.0}.get(won, 0.5)
        items[item][a, b] += {"a": 1.0, "b": 0.0}.get(won, 0.5)
    if not items:
        return None
    by_item = np.stack(list(items.values()))
    try:
        return bradley_terry.fit(candidates, by_item.sum(0), by_item)
    except ValueError:
        return None


def _as_tie(winner: str) -> str:
    return winner if winner in ("a", "b") else "tie"


def _share(found: Interval) -> str:
    return f"{100 * found.value:.0f} %, 95 % interval {100 * found.low:.0f}–{100 * found.high:.0f} %"
