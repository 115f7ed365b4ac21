"""Opening a review session: whose answers, which items, how many for each person, what is asked, when to stop."""

from __future__ import annotations

from typing import Any

import streamlit as st

from studio import metrics, opinions, review_results, review_samples, review_texts, reviews, rivals, slices
from studio.grids import Grid
from studio.review_samples import Wanted
from studio.review_texts import PLAYGROUND
from studio.reviews import Settings
from studio.runs import Run
from studio.ui import evaluate_cache, layout, session
from studio.ui.formats import ago, count
from studio.workspace import Workspace

RULES = {"evidence": "As soon as the evidence is enough", "fixed": "Only after a fixed number of pairs"}
TIES = {"left_out": "Left out of the win rate", "half": "Half a win for each"}


def draw(ws: Workspace, proven: list[Run]) -> None:
    """The whole form; opening a session leads to it."""
    played = review_texts.played(ws)
    by_id = {run.run_id: run for run in proven}
    sources = [*by_id, *([PLAYGROUND] if len(played) > 1 else [])]
    source = str(st.selectbox("Answers of", sources, index=layout.place(sources, st.query_params.get("run")) or 0,
                              format_func=lambda one: _title(ws, by_id.get(one))))
    run = by_id.get(source)
    called = {one: f"{role}: {rivals.names(run)[one]}" for one, role in rivals.roles(run).items()} if run else played
    usual = review_results.usual(run) if run else list(called)[:2]
    chosen = st.multiselect("Candidates", list(called), usual, key=f"who-{source}", format_func=called.__getitem__,
                            help="Two or more. With more than two, every two of them meet equally often.")
    if len(chosen) < 2:
        st.caption("Choose at least two.")
        return
    there = len(review_texts.items(ws, source, chosen))
    if not there:
        st.caption("No item was answered by all of them.")
        return
    grid = evaluate_cache.grid(ws, run) if run else None
    wanted = _sample(ws, run, grid) if run and grid else Wanted()
    settings, pairs = _settings(there, len(chosen), wanted)
    name = st.text_input("Name", "", max_chars=80, placeholder="Refund answers, week 48",
                         help="What people see in the list. Do not name the models here.")
    st.caption(f"{count(pairs, 'pair')} of {count(there, 'item')} that all of them answered. {review_samples.SAID[wanted.way]} "
               "Pairs whose answers are the same, word for word, are ties and are shown to nobody.")
    if st.button("Open the session", type="primary", icon=":material/play_arrow:"):
        items, _ = review_samples.draw(ws, source, grid, chosen, wanted, pairs, run)
        session_id = reviews.start(ws, source, chosen, items, settings, session.person(), name)
        st.query_params.from_dict({"session": session_id})
        st.rerun()


def _title(ws: Workspace, run: Run | None) -> str:
    return f"Evaluation {ago(run.started_at, ws.now())} · {run.run_id}" if run else "Comparisons saved in the playground"


def _sample(ws: Workspace, run: Run, grid: Grid) -> Wanted:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        way = str(st.selectbox("Items", review_samples.ways(ws, run, grid), format_func=review_samples.WAYS.__getitem__,
                               width=330, key=f"way-{run.run_id}"))
        if way == "slices":
            ways = slices.ways(ws, grid, run)
            return Wanted(way, by=str(st.selectbox("Slices by", list(ways), format_func=ways.__getitem__, width=240)))
        if way in ("losses", "metrics"):
            first = str(st.selectbox("By", grid.metrics, format_func=metrics.title, width=240))
            others = [one for one in grid.metrics if one != first]
            other = str(st.selectbox("and", others, format_func=metrics.title, width=240)) if way == "metrics" else ""
            return Wanted(way, metric=first, other=other)
    return Wanted(way)


def _settings(there: int, candidates: int, wanted: Wanted) -> tuple[Settings, int]:
    """What is decided before the first verdict, and how many pairs there will be."""
    most = review_results.most_pairs(there, candidates)
    with st.container(horizontal=True):
        pairs = int(st.number_input("Pairs in all", 1, most, min(most, 60), width=150))
        for_each, by_all, twice = review_results.shares(pairs)
        each = int(st.number_input("for each person", 1, pairs, for_each, width=150,
                                   help="Who has judged them may ask for more."))
        overlap = int(st.number_input("judged by everybody", 0, each, min(each, by_all), width=170,
                                      help="The same pairs for all: they show how far people agree."))
        repeats = int(st.number_input("shown twice", 0, each // 2, min(each // 2, twice), width=150,
                                      help="Hidden, with sides exchanged: they show whether a person stays with their word."))
    rubric = st.multiselect("Also ask for scores from 1 to 5", list(opinions.CRITERIA), placeholder="none: quickest",
                            format_func=opinions.CRITERIA.__getitem__)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule: Any = st.radio("Stop", list(RULES), format_func=RULES.__getitem__, help="Decided now, so that nobody "
                             "stops when it suits. The first may be looked at after every verdict: it is wrong in at most 5 of "
                             "100 sessions.")
        ties: Any = st.radio("Both good", list(TIES), format_func=TIES.__getitem__)
    return Settings(each, overlap, repeats, tuple(rubric), ties, rule, wanted.way, wanted.by, pairs), pairs
