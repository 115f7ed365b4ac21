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


def differences(values: Sequence[float], metric: str) -> None:
    """On which test items did the tuned model win? One bar an item, sorted; up and green is better, down and red worse."""
    rows = [{"item": place, "difference": value, "who": _winner(value)} for place, value in enumerate(values, start=1)]
    colours = alt.Scale(domain=["tuned better", "base better", "no difference"], range=[BETTER, WORSE, BASE])
    chart = alt.Chart(pd.DataFrame(rows)).mark_bar().encode(
        x=alt.X("item:O", title="test items, the tuned model's largest win first", axis=alt.Axis(labels=False, ticks=False)),
        y=alt.Y("difference:Q", title=f"{metric}, tuned minus base"),
        color=alt.Color("who:N", scale=colours, title=None, legend=alt.Legend(orient="top")),
        tooltip=["item:O", alt.Tooltip("difference:Q", format="+.3f"), "who:N"])
    st.altair_chart(chart.properties(title="On which test items did the tuned model win?"),
                    width="stretch", height=HEIGHT, alt=f"Difference in {metric} for every test item, sorted")


def intervals(rows: Sequence[dict[str, Any]]) -> None:
    """How much better, and how sure are we? The paired difference of every metric with its 95 % interval against zero."""
    frame = pd.DataFrame(rows)
    order = [row["metric"] for row in rows]
    y = alt.Y("metric:N", sort=order, title=None)
    colour = alt.Color("word:N", title=None, legend=alt.Legend(orient="top"), scale=alt.Scale(
        domain=["better", "worse", "inconclusive", "no difference worth having"], range=[BETTER, WORSE, WARNING, BASE]))
    bars = alt.Chart(frame).mark_rule(strokeWidth=3).encode(
        y=y, x=alt.X("low:Q", title="tuned minus base, 95 % paired interval"), x2="high:Q", color=colour)
    dots = alt.Chart(frame).mark_point(filled=True, size=90, opacity=1).encode(
        y=y, x="value:Q", color=colour, tooltip=["metric:N", alt.Tooltip("value:Q", format="+.3f"), "word:N"])
    zero = alt.Chart(pd.DataFrame([{"x": 0}])).mark_rule(strokeDash=[4, 4], color=BASE).encode(x="x:Q")
    st.altair_chart((zero + bars + dots).properties(title="How much better, and how sure are we?"), width="stretch",
                    height=130 + 34 * len(rows), alt="Differences of every metric with their intervals")


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
    st.altair_chart(chart.properties(title="How long are messages and answers?"), width="stretch", height=HEIGHT,
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
    st.altair_chart(chart.properties(title="Do the examples fit into the model?"), width="stretch", height=HEIGHT,
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
        x=alt.X("conversations:Q", title="conversations"),
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


def _winner(value: float) -> str:
    if abs(value) < 1e-9:
        return "no difference"
    return "tuned better" if value > 0 else "base better"
