"""Evaluations over time on the screen: a table, a chart, and two of them held against each other."""

from __future__ import annotations

import math

import streamlit as st

from studio import evaluations, metrics, verdict_words
from studio.evaluations import Entry
from studio.ui import charts, evaluate_cache, layout
from studio.ui.formats import ago, count, interval, signed
from studio.ui.verdict_view import LOOKS
from studio.workspace import Workspace


def draw(ws: Workspace) -> None:
    found = evaluations.measured(ws)
    metric = str(st.selectbox("Metric", found, format_func=metrics.title, key="metric", bind="query-params", width=210))
    sets = evaluations.sets(evaluate_cache.entries(ws, metric))
    if len(sets) > 1:
        st.info(f"These evaluations used {len(sets)} different sets of test items. Scores of different items are not compared, "
                "so each set has its own table.", icon=":material/info:")
    for place, entries in enumerate(sets.values()):
        _one_set(ws, entries, metric, place)


def _one_set(ws: Workspace, entries: list[Entry], metric: str, place: int) -> None:
    """Everything that answered one set of test items."""
    named = list(dict.fromkeys(entry.snapshot for entry in entries))
    asked = len({entry.run_id for entry in entries})
    st.subheader(f"Test items of {layout.plain(', '.join(named))}", anchor=False)
    st.caption(f"{count(asked, 'evaluation')}, {count(max(entry.items for entry in entries), 'test item')}. Intervals are of "
               "one value alone; a difference is surer than two of them look, because it is paired.")
    if len({entry.decoding for entry in entries}) > 1:
        st.warning("Not all of these answers were made the same way: look at the column “answers made”.",
                   icon=":material/warning:")
    digits = verdict_words.places(metric, 1)
    st.dataframe([{"evaluated": ago(entry.started_at, ws.now()), "candidate": entry.role, "model": entry.name,
                   metrics.title(metric): interval(*entry.value.parts, digits), "items": entry.items,
                   "answers made": entry.decoding, "open": layout.address(f"/evaluate?run={entry.run_id}")}
                  for entry in reversed(entries)],
                 hide_index=True, alt="Every candidate of every evaluation of these items",
                 column_config=layout.numbers([metrics.title(metric)]) |
                 {"open": st.column_config.LinkColumn("open", display_text="open")})
    runs = list(dict.fromkeys(entry.run_id for entry in entries))
    if asked > 1:
        charts.over_time([{"place": f"{runs.index(entry.run_id):04d}|{entry.started_at:%d %b %H:%M}", "evaluation":
                           f"{entry.started_at:%d %b %Y %H:%M}", "candidate": f"{entry.role}: {entry.name}", "role": entry.role,
                           "value": entry.value.value, "low": _finite(entry.value.low, entry), "high":
                           _finite(entry.value.high, entry)} for entry in entries], metrics.title(metric))
    if len(entries) > 1:
        _two(ws, entries, metric, place)


def _two(ws: Workspace, entries: list[Entry], metric: str, place: int) -> None:
    """Two entries of one set, item by item."""
    by_key = {entry.key: entry for entry in entries}

    def said(key: str) -> str:
        entry = by_key[key]
        return f"{entry.started_at:%d %b %H:%M} · {entry.role}: {entry.name}"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        keys = list(by_key)
        newest, older = _default(entries)
        first = by_key[str(st.selectbox("Hold this", keys, newest, said, key=f"later-{place}", width=420))]
        second = by_key[str(st.selectbox("against this", keys, older, said, key=f"earlier-{place}", width=420))]
    if reason := evaluations.why_not(second, first):
        st.caption(reason)
        return
    with layout.guarded():
        found = evaluations.paired(ws, second, first, metric)
        colour, icon = LOOKS[found.word]
        st.markdown(f":{colour}[{icon}] **{found.word.capitalize()}**: difference "
                    f"**{signed(*found.difference.parts, verdict_words.places(metric))}** on "
                    f"{count(found.items, 'test item')}, item by item. {verdict_words.reach(found)}")
        if warned := evaluations.warning(second, first):
            st.warning(layout.plain(warned))


def _default(entries: list[Entry]) -> tuple[int, int]:
    """The newest tuned model, and the one before it where there is one; else the last and the first."""
    tuned = [place for place, entry in enumerate(entries) if entry.role.startswith("tuned")]
    return (tuned[-1], tuned[-2]) if len(tuned) > 1 else (len(entries) - 1, 0)


def _finite(value: float, entry: Entry) -> float:
    return value if math.isfinite(value) else entry.value.value
