"""A synthesis on the screen: how far, at what price, what passes and why not, the examples as they come, how much they vary."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from studio import made, runs, synthesis, synthetic
from studio.runs import Run
from studio.synthesis import Made
from studio.ui import charts, layout
from studio.ui.formats import ago, count, excerpt, share
from studio.workspace import Workspace

SHOWN = 8


def draw(ws: Workspace) -> None:
    """Choose a run, watch it."""
    found = runs.every(ws, "synthesize")
    ids = [run.run_id for run in found]
    run = st.selectbox("Run", found, index=layout.place(ids, st.query_params.get("run")) or 0,
                       format_func=lambda one: f"{one.title} · {ago(one.started_at, ws.now())} · {one.state}")
    st.query_params["run"] = run.run_id
    layout.live_run(ws, run.run_id, lambda now: _live(ws, now))
    ended = runs.get(ws, run.run_id)
    if not ended.moving:
        _after(ws, ended)


def _live(ws: Workspace, run: Run) -> None:
    found, spent = synthesis.made(ws, run), synthesis.spending(ws, run)
    accepted = sum(one.accepted for one in found)
    unit = (run.spec["model"].get("endpoint") or {}).get("money", "")
    money = f", {spent.cost:,.4f} {unit}" if spent.cost is not None else ""
    layout.watch(ws, run, f"{share(accepted, synthesis.wanted(run))} accepted · {count(spent.calls, 'call')}, "
                 f"{spent.failed:,} in vain · {spent.prompt_tokens:,} tokens read, {spent.new_tokens:,} written{money} · "
                 f"{spent.rate:.1f} calls/s", "Stop and keep what is there")
    if run.moving:
        _pause(ws, run)
    for note in runs.events(ws, run).notes:
        st.warning(layout.plain(note), icon=":material/repeat:")
    _rates(ws, run)
    st.subheader("As they come", anchor=False)
    for one in reversed(found[-SHOWN:]):
        _example(one)


def _pause(ws: Workspace, run: Run) -> None:
    paused = synthesis.paused(ws, run)
    if st.button("Go on" if paused else "Pause", icon=":material/play_arrow:" if paused else ":material/pause:",
                 key=f"pause-{run.run_id}", help="While it pauses nothing new is asked; what is on its way still comes."):
        synthesis.pause(ws, run, not paused)
        st.rerun(scope="fragment")


def _rates(ws: Workspace, run: Run) -> None:
    """Accept rates by scenario, with what stopped the others."""
    found = synthesis.rates(ws, run)
    st.dataframe([{"scenario": one.scenario or "–", "accepted": one.accepted, "set aside": one.refused,
                   "why tries failed": ", ".join(f"{_why(kind)} {number}"
                                                 for kind, number in one.reasons.items()) or "–"}
                  for one in found], hide_index=True, alt="Accept rates by scenario")


def _why(kind: str) -> str:
    return synthetic.REASONS[kind].title if kind in synthetic.REASONS else kind


def _example(one: Made) -> None:
    why = ", ".join(_why(kind) for kind in one.reasons)
    badge = ":green-badge[:material/check: accepted]" if one.accepted else f":orange-badge[:material/block: {why}]"
    score = f" · scored {one.score:g} of 5" if one.score is not None else ""
    asked = next((turn["content"] for turn in one.messages if turn["role"] == "user"), "")
    with st.expander(f"{badge} {layout.plain(excerpt(asked, 90))}"):
        st.caption(layout.plain(f"{one.scenario or 'no scenario'}, try {one.tries}{score}"))
        layout.conversation(one.messages)


def _after(ws: Workspace, run: Run) -> None:
    """What it is worth, and where it goes."""
    data = run.result.data if run.result else {}
    if run.spec.get("only"):
        st.info("This was a look: nothing of it became a record. Change the recipe, or write all of them.")
        return
    if not any(one.accepted for one in synthesis.made(ws, run)):
        return
    with st.container(horizontal=True):
        layout.go("Label them", "pages/label.py", {"import": run.run_id}, primary=True)
        layout.go("See them on Curate", "pages/curate.py", {"import": run.run_id})
    if data.get("diversity"):
        _diversity(data["diversity"])
    aside = made.refused(ws, run.run_id)
    if aside:
        with st.expander(f"Set aside: {len(aside):,}", icon=":material/block:"):
            for row in aside[:50]:
                st.caption(layout.plain(", ".join(_why(kind) for kind in row["reasons"])))
                layout.conversation(row["messages"])


def _diversity(found: dict[str, Any]) -> None:
    """Numbers and the map: do the made ones cover the real ones?"""
    st.subheader("How much do they vary?", anchor=False)
    for sentence in synthesis.diversity(found):
        st.markdown(sentence)
    drawn = found.get("map") or {}
    points = [(x, y, whose) for whose in ("real", "made") for x, y in drawn.get(whose, [])]
    if points:
        frame = pd.DataFrame(points, columns=["x", "y", "whose"])
        colours = alt.Scale(domain=["real", "made"], range=[charts.BASE, charts.TUNED])
        chart = alt.Chart(frame).mark_point(filled=True, size=26, opacity=0.55).encode(
            x=alt.X("x:Q", axis=None), y=alt.Y("y:Q", axis=None), color=alt.Color("whose:N", scale=colours, title=None),
            shape=alt.Shape("whose:N", title=None))
        title = alt.TitleParams("Do the made questions lie where the real ones do?", anchor="start", frame="bounds")
        st.altair_chart(chart.properties(title=title), width="stretch", height=320, alt="Map of real and made questions")
