"""Charts of training: losses, the course of one number, memory by part, and the runs of a group against each other."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from studio import curves, groups
from studio.dials import METHODS
from studio.groups import Member
from studio.previews import Preview
from studio.ui.charts import BASE, TUNED, WARNING
from studio.workspace import Row

# Twelve hues far apart in CIELAB, each 3:1 against both backgrounds; a run keeps its own, whatever its place becomes.
RUNS = ("#2a93a6", "#de20f3", "#919108", "#2075f3", "#e90c0c", "#08914d", "#9b43b1", "#b15d25", "#6c6ca7", "#be557f", "#736e45",
        "#f3205f")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
PARTS = {"weights": BASE, "adapter": TUNED, "optimizer": "#6c6ca7", "activations": WARNING, "logits": "#be557f",
         "other": "#736e45"}
TALL, SMALL = 330, 220


def losses(train: Sequence[Row], validation: Sequence[Row]) -> None:
    """Is the loss still falling? Training loss as a line, validation loss as dots on a thicker one."""
    rows = [{"step": step, "loss": loss, "of": name} for name, part in (("training", train), ("validation", validation))
            for step, loss in curves.thinned(part, "loss")]
    colours = alt.Scale(domain=["training", "validation"], range=[BASE, TUNED])
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("step:Q", title="optimizer step", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("loss:Q", title="loss (nats a token)", scale=alt.Scale(zero=False)),
        color=alt.Color("of:N", scale=colours, title=None, legend=alt.Legend(orient="top")),
        tooltip=["of:N", "step:Q", alt.Tooltip("loss:Q", format=".4f")])
    thin = base.transform_filter("datum.of == 'training'").mark_line(strokeWidth=1.4)
    thick = base.transform_filter("datum.of == 'validation'").mark_line(strokeWidth=2.4, point=alt.OverlayMarkDef(size=55))
    st.altair_chart((thin + thick).properties(title="Is the loss still falling?"), width="stretch", height=TALL,
                    alt="Training and validation loss by optimizer step")


def course(rows: Sequence[Row], key: str, title: str, unit: str, form: str) -> bool:
    """How one number went by step, small; False, with nothing drawn, where no event has it."""
    points = curves.thinned(rows, key)
    if not points:
        return False
    frame = pd.DataFrame(points, columns=["step", "value"])
    chart = alt.Chart(frame).mark_line(strokeWidth=1.4, color=TUNED, point=len(points) < 3).encode(
        x=alt.X("step:Q", title="optimizer step", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("value:Q", title=unit, axis=alt.Axis(format=form, tickCount=4)),
        tooltip=["step:Q", alt.Tooltip("value:Q", title=unit, format=form)])
    st.altair_chart(chart.properties(title=title), width="stretch", height=SMALL, alt=f"{unit} by optimizer step")
    return True


def memory(found: Preview) -> None:
    """Does it fit? One bar a method, its parts one after the other, against the line of what the machine has free."""
    rows = [{"method": METHODS[plan.method].split(",")[0], "part": part, "gib": gib, "order": place}  # type: ignore[index]
            for plan in found.plans for place, part in enumerate(PARTS) if (gib := plan.parts.get(part, 0.0))]
    there = float(found.machine["free_gib"])
    most = max(there, *(sum(plan.parts.values()) for plan in found.plans))
    bars = alt.Chart(pd.DataFrame(rows)).mark_bar(size=22).encode(
        y=alt.Y("method:N", title=None), x=alt.X("sum(gib):Q", title=f"GiB; the line is what is free ({there:.1f})",
                                             scale=alt.Scale(domain=[0, 1.05 * most], nice=False)),
        color=alt.Color("part:N", title=None, legend=alt.Legend(orient="top", columns=3), scale=alt.Scale(
            domain=list(PARTS), range=list(PARTS.values()))),
        order="order:Q", tooltip=["method:N", "part:N", alt.Tooltip("gib:Q", format=".2f", title="GiB")])
    line = alt.Chart(pd.DataFrame([{"x": there}])).mark_rule(strokeWidth=2, strokeDash=[6, 3], color=WARNING).encode(x="x:Q")
    st.altair_chart((bars + line).properties(title="Will it fit into memory?"), width="stretch",
                    height=190 + 40 * len(found.plans), alt="Memory by part for each method, against what the machine has")


def group(members: Sequence[Member]) -> None:
    """Which dials learn best? Validation loss of every run by the share of its own training, its place in the legend."""
    columns = 1 if len(groups.varied(members)) > 2 else 2
    named = [(member, f"{place}. {groups.words(member, members)}") for place, member in enumerate(members, start=1)]
    rows = [{"run": name, "epoch": row.get("epoch", 0.0), "step": row["step"], "loss": row["loss"],
             "best": member is members[0]} for member, name in named for row in member.validation]
    if not rows:
        return
    names = [name for _, name in named]
    colours = alt.Scale(domain=names, range=[RUNS[member.place % len(RUNS)] for member, _ in named])
    shapes = alt.Scale(domain=names, range=[SHAPES[member.place % len(SHAPES)] for member, _ in named])
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("epoch:Q", title="epoch"),
        y=alt.Y("loss:Q", title="validation loss (nats a token)", scale=alt.Scale(zero=False)),
        color=alt.Color("run:N", scale=colours, sort=names, title=None,
                        legend=alt.Legend(orient="bottom", columns=columns, labelLimit=300)),
        tooltip=["run:N", "step:Q", alt.Tooltip("epoch:Q", format=".2f"), alt.Tooltip("loss:Q", format=".4f")])
    lines = base.mark_line().encode(strokeWidth=alt.condition("datum.best", alt.value(3.2), alt.value(1.3)))
    shape = alt.Shape("run:N", scale=shapes, sort=names, title=None)
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(shape=shape)
    st.altair_chart((lines + dots).properties(title="Which dials learn best? (best first, thick)"), width="stretch",
                    height=TALL + 28 * -(-len(members) // columns), alt="Validation loss of every run of the group by epoch")
