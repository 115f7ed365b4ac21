"""Charts in one look: base grey, tuned accent, better green, worse red; every chart answers the question in its title."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

# Chosen to keep 3:1 against both the light and the dark background (WCAG 2.2, non-text contrast).
BASE, TUNED, BETTER, WORSE, WARNING = "#7d8a8d", "#2a93a6", "#2f9563", "#cf5860", "#b97a14"
HEIGHT = 260
SLANTED = 90
"""More for a chart whose slanted words would else take its bars' room."""
WORDS = {"better": BETTER, "worse": WORSE, "inconclusive": WARNING, "no difference worth having": BASE}
MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
LINES = ("#9b43b1", "#b15d25", "#2075f3", "#919108", "#be557f", "#736e45")


def wins(values: Sequence[float], metric: str, judged: str, rival: str) -> None:
    """On which test items did the judged model win? Sorted gains as an area above and below zero, thinned to 400 points."""
    ordered = sorted(values, reverse=True)
    step = max(1, len(ordered) // 400)
    rows = [{"item": place, "gain": value, "who": _winner(value, judged, rival)}
            for place, value in enumerate(ordered, start=1) if (place - 1) % step == 0 or place == len(ordered)]
    colours = alt.Scale(domain=[f"{judged} better", f"{rival} better", "equal"], range=[BETTER, WORSE, BASE])
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar().encode(
        x=alt.X("item:O", title=f"{len(ordered):,} test items, the largest win of {judged} first",
                axis=alt.Axis(labels=False, ticks=False)),
        y=alt.Y("gain:Q", title=f"{metric}, gain"), color=alt.Color("who:N", scale=colours, title=None,
                                                                     legend=alt.Legend(orient="top")),
        tooltip=["item:O", alt.Tooltip("gain:Q", format="+.3f"), "who:N"])
    st.altair_chart(chart.properties(title=f"On how many items did {judged} win, and by how much?"), width="stretch",
                    height=HEIGHT, alt=f"Gain in {metric} of {judged} over {rival} for every test item, sorted")


def intervals(rows: Sequence[dict[str, Any]], title: str, axis: str) -> None:
    """Differences with their 95 % intervals against zero: rows of name, value, low, high, word, and `of` where several stand
    under one name."""
    frame = pd.DataFrame(rows)
    groups = list(dict.fromkeys(row["of"] for row in rows))
    order = list(dict.fromkeys(row["name"] for row in rows))
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=230))
    lane = [alt.YOffset("of:N", sort=groups)] if len(groups) > 1 else []
    there = list(dict.fromkeys(row["word"] for row in rows))
    colour = alt.Color("word:N", title=None, legend=alt.Legend(orient="top", columns=2), scale=alt.Scale(
        domain=[word for word in WORDS if word in there], range=[WORDS[word] for word in WORDS if word in there]))
    legend = alt.Legend(orient="bottom", columns=1, symbolFillColor=BASE, symbolStrokeColor=BASE)
    shapes = alt.Scale(domain=groups, range=list(MARKS[: len(groups)]))
    shape = [alt.Shape("of:N", sort=groups, title=None, scale=shapes, legend=legend)] if len(groups) > 1 else []
    bars = alt.Chart(frame).mark_rule(strokeWidth=3).encode(y, *lane, x=alt.X("low:Q", title=axis), x2="high:Q", color=colour)
    dots = alt.Chart(frame).mark_point(filled=True, size=90, opacity=1).encode(
        y, *lane, *shape, x="value:Q", color=colour,
        tooltip=["name:N", "of:N", alt.Tooltip("value:Q", format="+.3f"), alt.Tooltip("low:Q", format="+.3f"),
                 alt.Tooltip("high:Q", format="+.3f"), "word:N"])
    zero = alt.Chart(pd.DataFrame([{"x": 0}])).mark_rule(strokeDash=[4, 4], color=BASE).encode(x="x:Q")
    head = alt.TitleParams(title, anchor="start", frame="bounds")  # over the names too: a phone leaves little beside them
    st.altair_chart((zero + bars + dots).properties(title=head), width="stretch",
                    height=150 + (26 if len(groups) == 1 else 18 * len(groups) + 8) * len(order),
                    alt=f"{title} Differences with their intervals")


def over_time(rows: Sequence[dict[str, Any]], metric: str) -> None:
    """Does it get better over time? One point a candidate and evaluation, with its interval."""
    frame = pd.DataFrame(rows)
    names = list(dict.fromkeys(row["candidate"] for row in rows))
    roles = {row["candidate"]: row["role"] for row in rows}
    others = iter(LINES * len(names))
    colours = alt.Scale(domain=names, range=[{"base": BASE, "tuned": TUNED}.get(roles[name]) or next(others) for name in names])
    base = alt.Chart(frame).encode(
        x=alt.X("place:O", title="evaluation", sort=None, axis=alt.Axis(labelAngle=0, labelExpr="split(datum.label, '|')[1]")),
        color=alt.Color("candidate:N", scale=colours, sort=names, title=None,
                        legend=alt.Legend(orient="bottom", columns=1, labelLimit=420)))
    bars = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=metric, scale=alt.Scale(zero=False)), y2="high:Q",
                                                xOffset=alt.XOffset("candidate:N", sort=names))
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        y="value:Q", xOffset=alt.XOffset("candidate:N", sort=names),
        tooltip=["candidate:N", "evaluation:N", alt.Tooltip("value:Q", format=".3f")])
    st.altair_chart((bars + dots).properties(title="Does it get better over time?"), width="stretch",
                    height=HEIGHT + 90 + 24 * len(names), alt=f"{metric} of every candidate by evaluation, with intervals")


def confusion(labels: Sequence[str], counted: Sequence[Sequence[int]]) -> None:
    """What is taken for what? Rows are the expected labels, columns the said ones; each cell is a share of its row, and what is
    right lies on the diagonal. Counts stand in the cells where there is room."""
    rows = [{"expected": expected, "said": said, "items": items, "share": items / max(1, sum(line)),
             "what": "right" if expected == said else "wrong"}
            for expected, line in zip(labels, counted, strict=True) for said, items in zip(labels, line, strict=True) if items]
    order = list(labels)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("said:N", title="said", sort=order, scale=alt.Scale(domain=order),
                axis=alt.Axis(labelAngle=-40, labelOverlap=False)),
        y=alt.Y("expected:N", title="expected", sort=order, scale=alt.Scale(domain=order),
                axis=alt.Axis(labelOverlap=False)),
        tooltip=["expected:N", "said:N", "items:Q", alt.Tooltip("share:Q", format=".0%"), "what:N"])
    cells = base.mark_rect().encode(
        color=alt.Color("what:N", title=None, legend=alt.Legend(orient="top"),
                        scale=alt.Scale(domain=["right", "wrong"], range=[BETTER, WORSE])),
        opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.15, 1])))
    chart = cells + base.mark_text(fontSize=11).encode(text="items:Q") if len(labels) <= 20 else cells
    st.altair_chart(chart.properties(title="What is taken for what?"), width="stretch",
                    height=min(900, 140 + 24 * len(labels)), alt="Expected labels against said ones, as a heat map")


def ratings(counted: Mapping[float, int], lowest: float = -math.inf) -> None:
    """How are the tickets rated? One bar a rating; those that come in wear the accent, the others are grey."""
    rows = [{"rating": number, "rows": rows, "who": "comes in" if number >= lowest else "stays out"}
            for number, rows in counted.items()]
    few = len(rows) <= 12
    upright = alt.Axis(labelAngle=0)
    x = alt.X("rating:O", title="rating", axis=upright) if few else alt.X("rating:Q", bin=alt.Bin(maxbins=20), title="rating")
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar().encode(
        x=x, y=alt.Y("sum(rows):Q", title="rows"),
        color=alt.Color("who:N", title=None, legend=None if lowest == -math.inf else alt.Legend(orient="top"),
                        scale=alt.Scale(domain=["comes in", "stays out"], range=[TUNED, BASE])),
        tooltip=["rating:Q", alt.Tooltip("sum(rows):Q", format=",", title="rows"), "who:N"])
    st.altair_chart(chart.properties(title="How are the tickets rated?"), width="stretch", height=HEIGHT,
                    alt="Rows by rating, split at the lowest rating to import")


def lengths(steps: Sequence[int], questions: Sequence[int], answers: Sequence[int]) -> None:
    """How long are messages and answers? Conversations by words, both sides beside each other."""
    names = _bars(steps)
    rows = [{"words": name, "conversations": count, "of": who} for who, counts in (("customer", questions), ("agent", answers))
            for name, count in zip(names, counts, strict=True)]
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar().encode(
        x=alt.X("words:N", sort=names, title="words",
                axis=alt.Axis(labelAngle=-35, labelOverlap=False)),
        xOffset=alt.XOffset("of:N", sort=["customer", "agent"]), y=alt.Y("conversations:Q", title="conversations"),
        color=alt.Color("of:N", title=None, legend=alt.Legend(orient="top"),
                        scale=alt.Scale(domain=["customer", "agent"], range=[BASE, TUNED])),
        tooltip=["of:N", "words:N", alt.Tooltip("conversations:Q", format=",")])
    st.altair_chart(chart.properties(title="How long are messages and answers?"), width="stretch",
                    height=HEIGHT + SLANTED,
                    alt="Conversations by the number of words in the first message and in the last answer")


def token_lengths(steps: Sequence[int], counts: Sequence[int], median: int, longest: int,
                  unit: str = "estimated tokens") -> None:
    """Do the examples fit into the model? Examples by their tokens, estimated or counted."""
    names = _bars(steps)
    rows = [{"tokens": name, "examples": count} for name, count in zip(names, counts, strict=True)]
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar(color=TUNED).encode(
        x=alt.X("tokens:N", sort=names, title=f"{unit} (middle {median:,}, longest {longest:,})",
                axis=alt.Axis(labelAngle=-35, labelOverlap=False)),
        y=alt.Y("examples:Q", title="examples"), tooltip=["tokens:N", alt.Tooltip("examples:Q", format=",")])
    st.altair_chart(chart.properties(title="Do the examples fit into the model?"), width="stretch",
                    height=HEIGHT + SLANTED,
                    alt=f"Examples by their number of {unit}")


def thresholds(falls: Mapping[float, int], now: float) -> None:
    """How many records fall at each threshold? One bar a threshold; those that the dial leaves out are grey."""
    rows = [{"threshold": threshold, "end": threshold + 0.02, "records": fall,
             "who": "counts" if threshold >= now - 1e-6 else "below the dial"} for threshold, fall in falls.items()]
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar(stroke=None).encode(
        x=alt.X("threshold:Q", bin="binned", title="threshold (grey: below the dial)", axis=alt.Axis(format=".2f", tickCount=6),
                scale=alt.Scale(domain=[min(falls), 1.02])),
        x2="end:Q", y=alt.Y("records:Q", title="records that fall", axis=alt.Axis(format=",d", tickMinStep=1)),
        color=alt.Color("who:N", legend=None, scale=alt.Scale(domain=["counts", "below the dial"], range=[TUNED, BASE])),
        tooltip=[alt.Tooltip("threshold:Q", format=".2f"), alt.Tooltip("records:Q", format=",")])
    st.altair_chart(chart.properties(title="How many records fall at each threshold?"), width="stretch", height=230,
                    alt="Records that fall at each threshold, those at or above the dial marked")


def topics(counted: Mapping[str, int]) -> None:
    """What are the tickets about? The most frequent tags."""
    rows = [{"tag": tag, "conversations": count} for tag, count in counted.items()]
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar(color=TUNED).encode(
        y=alt.Y("tag:N", sort="-x", title=None, axis=alt.Axis(labelOverlap=False)),
        x=alt.X("conversations:Q", title="conversations", axis=alt.Axis(format=",d", tickMinStep=1)),
        tooltip=["tag:N", alt.Tooltip("conversations:Q", format=",")])
    st.altair_chart(chart.properties(title="What are the tickets about?"), width="stretch", height=80 + 26 * len(rows),
                    alt="Conversations by tag, the most frequent first")


def months(counted: Mapping[date, int]) -> None:
    """When were the tickets written? Conversations a month."""
    rows = [{"month": pd.Timestamp(month), "conversations": count} for month, count in counted.items()]
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar(color=TUNED).encode(
        x=alt.X("yearmonth(month):T", title="month"), y=alt.Y("conversations:Q", title="conversations"),
        tooltip=[alt.Tooltip("yearmonth(month):T", title="month"), alt.Tooltip("conversations:Q", format=",")])
    st.altair_chart(chart.properties(title="When were the tickets written?"), width="stretch", height=HEIGHT,
                    alt="Conversations by month")


def _bars(steps: Sequence[int]) -> list[str]:
    """What bars that begin at these numbers are called; the last is open."""
    return [f"{low}–{high - 1}" for low, high in pairwise(steps)] + [f"{steps[-1]} or more"]


def _winner(value: float, judged: str, rival: str) -> str:
    if abs(value) < 1e-9:
        return "equal"
    return f"{judged} better" if value > 0 else f"{rival} better"
