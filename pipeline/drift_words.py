"""What a drift check says: what was found, how sure it is, what to do. Pure, light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

AGAINST = {"training": "the training data", "before": "the weeks before"}
PARTS = {"classifier": "a classifier", "distance": "the distance in meaning", "clusters": "shares of topics",
         "lengths": "lengths", "languages": "languages", "refusals": "refusals"}
FOUND = ((2_000, 10), (500, 20))
"""From so many questions on, a new topic with such a share (percent) is found in at least 95 of 100 cases
(benchmarks/RESULTS.md); with 250, one of 20 % in 58 to 97."""


def sentence(data: dict[str, Any]) -> str:
    """The whole finding in a few sentences; `data` is the run's, without its sentence."""
    drifted = [one for one in data["comparisons"] if one["drifted"]]
    if not drifted:
        return f"{_nothing(data['comparisons'])} {_would_find(data['comparisons'][0])}".strip()
    questions = [one for one in drifted if one["what"] == "questions"]
    luck = f"where nothing changed, at most 1 check in {round(1 / data['level'])} says so."
    return f"{_changed((questions or drifted)[0])}; {luck}"


def advice(data: dict[str, Any]) -> str:
    """What to do now."""
    drifted = [one for one in data["comparisons"] if one["drifted"]]
    against = {(one["what"], one["against"]) for one in drifted}
    if not drifted:
        return ""
    if ("questions", "training") in against:
        return ("Open the questions below and send those that matter to the label queue. Freeze a snapshot with them and train "
                "again: the model has not learned to answer them.")
    if ("questions", "before") in against:
        return ("What people ask changed, but it is like the training data as a whole. Look whether the answers to the "
                "questions below are still good.")
    return ("The questions are as they were, the answers are not. Look whether the model, its prompt or its settings were "
            "changed.")


def percent(share: float) -> str:
    """`12 %`; a decimal below one percent."""
    return f"{100 * share:.1f} %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _changed(one: dict[str, Any]) -> str:
    """What changed in one comparison, the topics first."""
    who = "Questions" if one["what"] == "questions" else "Answers"
    auc = one["auc"]
    told = (f"Of two, a classifier tells today's in {100 * auc[0]:.0f} % [{100 * auc[1]:.0f}, {100 * auc[2]:.0f}] of cases "
            "(luck: 50 %)")
    topics = [topic for topic in one["topics"] if topic["kind"] != "less"][:2]
    begun = f"{who} are unlike those of {AGAINST[one['against']]}"
    if topics:
        listed = "; ".join(f"{percent(topic['share'])} {_about(topic['words'])} (there {percent(topic['before'])})"
                           for topic in topics)
        return f"{begun}: {listed}. {told}"
    sure = [PARTS[part["name"]] for part in one["parts"] if part["p_value"] <= 0.05]
    return f"{begun}, by {_listed(sure or ['all parts together'])}. {told}"


def _about(words: Sequence[str]) -> str:
    return f"about {', '.join(words[:3])}" if words else "in one group without a word of its own"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _nothing(found: Sequence[dict[str, Any]]) -> str:
    seen = _listed([f"those of {AGAINST[one['against']]}" for one in found if one["what"] == "questions"])
    return f"No drift: {found[0]['now']:,} questions look like {seen}." if seen else "No drift."


def _would_find(one: dict[str, Any]) -> str:
    found = next((share for least, share in FOUND if one["now"] >= least), None)
    if one["in_families"]:
        return "Many come in families of near-identical ones, which count as one, so only large changes are found."
    return (f"A new topic of {found} % of them would almost surely have been found." if found else
            "With fewer than 500, a new topic of 20 % of them may be missed.")
