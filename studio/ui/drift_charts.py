"""Drift over the weeks, drawn."""

from __future__ import annotations

from datetime import timedelta

import altair as alt
import pandas as pd
import streamlit as st

from studio.drifts import Found
from studio.ui import charts


def weeks(found: Found) -> None:
    """How well each week's questions can be told from the training data, with what luck reaches; nothing of a single week."""
    if len(found.data["weeks"]) < 2:
        return
    length = found.until - found.since
    rows = [{"until": found.until - length * one["period"], "auc": one["auc"][0], "low": one["auc"][1], "high": one["auc"][2],
             "luck": one["threshold"], "questions": one["questions"],
             "told": "told apart" if one["auc"][0] > one["threshold"] else "not told apart"} for one in found.data["weeks"]]
    said = f"{length / timedelta(days=1):g} days until"
    colours = alt.Scale(domain=["told apart", "not told apart"], range=[charts.WARNING, charts.BASE])
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("until:T", title=f"{said} (UTC)", axis=alt.Axis(format="%d %b", tickCount=len(rows))),
        color=alt.Color("told:N", scale=colours, title=None, legend=alt.Legend(orient="top")))
    axis = alt.Y("auc:Q", title="AUC (0.5: alike)", scale=alt.Scale(zero=False))
    tooltip = [alt.Tooltip("until:T", title=said, format="%d %b"), alt.Tooltip("auc:Q", format=".2f", title="AUC"),
               alt.Tooltip("low:Q", format=".2f"), alt.Tooltip("high:Q", format=".2f"),
               alt.Tooltip("luck:Q", format=".2f", title="luck reaches"), "questions:Q"]
    parts = [base.mark_rule(strokeWidth=3).encode(y=axis, y2="high:Q").transform_calculate(auc="datum.low"),
             base.mark_point(filled=True, size=90, opacity=1).encode(y=axis, tooltip=tooltip),
             base.mark_tick(thickness=2, size=34).encode(y="luck:Q", color=alt.value(charts.BASE))]
    title = alt.TitleParams("Do the weeks move away? (bar: what luck reaches)", anchor="start",
                            frame="bounds")
    st.altair_chart(alt.layer(*parts).properties(title=title), width="stretch", height=charts.HEIGHT + 20,
                    alt="How well each week's questions can be told from the training data, with intervals and thresholds")
