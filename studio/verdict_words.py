"""Verdicts in words: the same sentences on the page, on Overview and in the report. Pure; escapes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from studio import metrics
from studio.rivals import Verdict
from studio.ui.formats import count, interval, signed
from studio.verdicts import MIN_ITEMS, Comparison, Word

SIGNS: dict[Word, str] = {"better": "▲", "worse": "▼", "no difference worth having": "=", "inconclusive": "?"}
"""A sign beside each word, so that colour is never alone."""


def noun(role: str) -> str:
    """`tuned` → `the tuned model`, `endpoint 2` → `endpoint 2`."""
    return role if role.startswith("endpoint") else f"the {role} model"


def headline(found: Comparison, judged: str, rival: str) -> str:
    """What an interval allows one to say of two candidates, by their roles: one sentence."""
    who, other = noun(judged), noun(rival)
    said = {"better": f"{who} is better than {other}", "worse": f"{who} is worse than {other}",
            "no difference worth having": f"no difference worth having between {who} and {other}",
            "inconclusive": f"inconclusive: {who} may be better or worse than {other}"}[found.word]
    return said[0].upper() + said[1:]


def numbers(found: Comparison, judged: str, rival: str) -> str:
    """Both values and the difference, each with its interval."""
    digits, name = places(found.metric), metrics.title(found.metric)
    return (f"{name}: {rival} {interval(*found.a.parts, digits)}, {judged} {interval(*found.b.parts, digits)}, difference "
            f"{signed(*found.difference.parts, digits)} on {count(found.items, 'test item')}{_clusters(found)}.")


def reach(found: Comparison) -> str:
    """The smallest difference that this set could have shown, and how many more items would settle it."""
    if found.units < MIN_ITEMS:
        return f"Fewer than {MIN_ITEMS} test items cannot carry a verdict, whatever they say."
    said = (f"With {count(found.units, 'item')} like these, a true difference of "
            f"{found.smallest_detectable:.{places(found.metric)}f} or more is found four times in five.")
    if found.word != "inconclusive":
        return said
    if found.more_items is None:
        return f"{said} How many more would settle it cannot be told from these."
    return f"{said} About {count(found.more_items, 'more item')} like these would settle it."


def correction(found: Sequence[Verdict]) -> str:
    """How chance was kept from having several tries."""
    others = sum(len(one.others) for one in found)
    first = (f"The verdict speaks of {metrics.title(found[0].first.metric)} alone; as it is held against {len(found)} rivals, "
             "better and worse are corrected for that (Holm)." if len(found) > 1 else
             f"The verdict speaks of {metrics.title(found[0].first.metric)} alone.")
    if others < 2:
        return first
    return (f"{first} The {others} comparisons on other metrics are corrected together: what stands there is support, no "
            "verdict.")


def places(metric: str, more: int = 0) -> int:
    """How many decimals a metric is written with."""
    high = metrics.of(metric).high
    return (1 if high is not None and high > 10 else 2) + more


def digits(found: Comparison) -> int:
    """As many decimals as the interval allows: one more where it is narrow."""
    low, high = found.difference.low, found.difference.high
    return places(found.metric, int(high - low < 2 * found.worth))


def _clusters(found: Comparison) -> str:
    if not found.clusters:
        return ""
    return f" of {count(found.clusters, 'ticket or customer', 'tickets or customers')}"
