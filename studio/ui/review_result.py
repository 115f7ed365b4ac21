"""What reviewers found, on the screen: the headline, the intervals by slice and reviewer, habits, agreement, scores,
strengths."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio import opinions, review_results, review_samples, review_stats
from studio.review_stats import Count, Result, Versus
from studio.reviews import Session
from studio.ui import charts, layout
from studio.ui.formats import count, interval, signed
from studio.verdicts import MIN_ITEMS
from studio.workspace import Workspace

LOOKS = {"enough": ("green", ":material/check_circle:"), "level": ("gray", ":material/drag_handle:"),
         "more": ("orange", ":material/help:"), "over": ("orange", ":material/help:"),
         "fixed": ("gray", ":material/hourglass_top:")}


AXIS = "Win rate minus a half, 95 % Wilson interval"


def draw(ws: Workspace, session: Session, who: str) -> None:
    """All of the result."""
    called, found = review_results.names(ws, session), review_results.of(ws, session, who)
    for one in found.versus:
        colour, icon = LOOKS[one.stop.state]
        st.markdown(f"#### {icon} :{colour}[{layout.plain(review_stats.headline(one, called))}]")
        st.markdown(layout.plain(f"{review_stats.numbers(one, called)} {review_stats.reach(one)}"))
    st.caption(_basis(session, found))
    _charts(found, called)
    if found.strengths is not None:
        _strengths(found, called)
    _scores(found, called)
    _trust(found)


def _basis(session: Session, found: Result) -> str:
    said = [review_samples.SAID[session.settings.sample]]
    out = session.settings.ties == "left_out"
    said.append("Ties are left out of the win rate." if out else "A tie is half a win for each.")
    if found.same:
        said.append(f"{count(found.same, 'pair')} had the same answer twice and are ties.")
    if found.not_blind:
        said.append(f"{count(found.not_blind, 'verdict')} given after a look at the result do not count.")
    return " ".join(said)


def _charts(found: Result, called: Mapping[str, str]) -> None:
    """How sure is it? A win rate's interval against a half: of all pairs, of slices that are large enough, of each reviewer."""
    several = len(found.versus) > 1
    for one in found.versus if not several else ():
        rows = [_bar("all pairs", one.count, one)]
        rows += [_bar(name, part) for name, part in one.by_slice.items() if part.decided >= MIN_ITEMS and len(one.by_slice) > 1]
        rows += [_bar(f"{who} alone", part) for who, part in one.by_person.items() if part.decided and len(one.by_person) > 1]
        if one.count.decided:
            charts.intervals(rows, f"How often did {called[one.b]} win?", AXIS)
    rows = [_bar(f"{called[one.b]} against {called[one.a]}".replace("the ", ""), one.count, one) for one in found.versus
            if one.count.decided]
    if several and rows:
        charts.intervals(rows, "How often did the first of two win?", AXIS)


def _bar(name: str, part: Count, one: Versus | None = None) -> dict[str, object]:
    """All pairs are called what the stopping rule allows; parts what their interval says, for there is no rule of their own."""
    low, high = part.rate.low - 0.5, part.rate.high - 0.5
    word = "better" if low > 0 else "worse" if high < 0 else "inconclusive"
    if one is not None:
        word = {"b": "better", "a": "worse", "": "inconclusive"}[one.stop.winner]
    return {"name": f"{name} ({part.decided})", "value": part.rate.value - 0.5, "low": low, "high": high, "word": word,
            "of": ""}


def _strengths(found: Result, called: Mapping[str, str]) -> None:
    fit = found.strengths
    assert fit is not None
    rows = [{"name": called[name], "value": one.value, "low": one.low, "high": one.high, "of": "",
             "word": "better" if one.low > 0 else "worse" if one.high < 0 else "inconclusive"}
            for name, one in zip(fit.names, fit.strengths, strict=True)]
    rows.sort(key=lambda row: -float(str(row["value"])))
    charts.intervals(rows, "Who is strongest, all comparisons together?",
                     "Bradley–Terry strength (log odds against the middle), 95 % interval over items")
    if fit.held:
        st.caption("Somebody never won or never lost so far: the numbers are held back a little, or they would be endless.")


def _scores(found: Result, called: Mapping[str, str]) -> None:
    if not found.scores:
        return
    st.markdown("**What do the scores say?** Means from 1 to 5 over pairs, and the paired difference.")
    st.dataframe([{"criterion": opinions.CRITERIA[one.criterion], "first": f"{called[one.a]} {interval(*one.found.a.parts)}",
                   "second": f"{called[one.b]} {interval(*one.found.b.parts)}",
                   "difference": signed(*one.found.difference.parts), "verdict": one.found.word} for one in found.scores],
                 hide_index=True, alt="Scores by criterion")


def _trust(found: Result) -> None:
    """Whether the verdicts can be trusted: sides, agreement, repeats."""
    with st.expander("Can these verdicts be trusted?", icon=":material/balance:"):
        st.markdown(layout.plain(review_stats.habit(found.side)))
        again = f"{count(found.repeats, 'hidden repeat')}: the same was chosen in {interval(*found.consistency.parts)}."
        st.markdown(again if found.repeats else "No hidden repeat was judged.")
        if not found.agreement:
            st.markdown("No pair was judged by two people, so nothing is known of their agreement.")
            return
        st.dataframe([{"first": one.first, "second": one.second, "pairs": one.records,
                       "raw agreement": interval(*one.raw.parts), "Cohen's κ": interval(*one.kappa.parts)}
                      for one in found.agreement], hide_index=True, alt="Agreement between reviewers",
                     column_config=layout.numbers(["raw agreement", "Cohen's κ"]))
        if len(found.people) > 2:
            st.caption(f"Krippendorff's α over all: {interval(*found.alpha.parts)}.")
