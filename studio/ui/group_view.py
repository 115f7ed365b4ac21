"""A group of runs on the screen: which dials learn best, and what still runs."""

from __future__ import annotations

import math

import streamlit as st

from studio import groups, runs
from studio.dials import scientific
from studio.groups import Group, Member
from studio.runs import Run
from studio.ui import layout, run_charts, session
from studio.ui.formats import ago, count, duration
from studio.workspace import Workspace


def choose(ws: Workspace) -> Group | None:
    """The group that the address names, with a way to another one; None: a single run is shown."""
    found = groups.every(ws)
    place = layout.place([group.group_id for group in found], st.query_params.get("group"))
    if not found:
        return None
    chosen = st.selectbox("Group of runs", found, index=place, placeholder="None: a single run", key=f"group-{place}",
                          format_func=lambda group: f"{group.name} · {ago(group.started_at, ws.now())}")
    if chosen is None:
        st.query_params.pop("group", None)
    else:
        st.query_params["group"] = chosen.group_id
    return chosen


def show(ws: Workspace, group: Group) -> None:
    """All of a group, drawn anew while one of its runs moves; what ended is collected at once."""
    was_moving = {run.run_id for run in runs.of_group(ws, group.group_id) if run.moving}

    def part() -> None:
        members = groups.members(ws, group.group_id)
        moving = {member.run.run_id for member in members if member.run.moving}
        if was_moving - moving:
            runs.collect(ws)
            st.rerun()
        _draw(ws, group, members)

    layout.refresh_while(bool(was_moving), part)


def _draw(ws: Workspace, group: Group, members: list[Member]) -> None:
    moving = sum(member.run.moving for member in members)
    done = sum(member.run.state == "done" for member in members)
    best = members[0]
    if math.isfinite(best.best):
        st.success(f"**Best so far: {best.dials.words}**, validation loss {best.best:.3f} at step {best.best_step:,}."
                   if moving else f"**Best: {best.dials.words}**, validation loss {best.best:.3f} at step {best.best_step:,}.",
                   icon=":material/trophy:")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{done} of {count(len(members), 'run')} done" + (f", {moving} still to end." if moving else "."))
        if moving and session.may("run") and st.button("Stop all", icon=":material/stop_circle:"):
            asked = groups.stop(ws, group.group_id)
            st.toast(f"Asked {count(asked, 'run')} to stop; each saves what it has first.")
    waiting = [run.run_id for run in runs.queue(ws)]
    for member in members:
        if member.run.moving and member.run.run_id not in waiting:
            st.caption(layout.plain(member.dials.words))
            layout.progress(member.run)
    run_charts.group(members)
    rows = [_row(member, place, waiting) for place, member in enumerate(members, start=1)]
    st.dataframe(rows, hide_index=True, placeholder="–", column_config={
        "best validation loss": st.column_config.NumberColumn(format="%.4f"),
        "open": st.column_config.LinkColumn("open", display_text="Open", help="Open this run")})


def _row(member: Member, place: int, waiting: list[str]) -> dict[str, object]:
    measured = math.isfinite(member.best)
    said = member.dials
    return {"place": place if measured else None, "learning rate": scientific(said.learning_rate), "rank": said.rank,
            "epochs": said.epochs, "state": state(member.run, waiting),
            "best validation loss": member.best if measured else None, "at step": member.best_step if measured else None,
            "took": duration(member.seconds) if member.seconds else "",
            "open": layout.address(f"/runs?run={member.run.run_id}")}


def state(run: Run, waiting: list[str]) -> str:
    """Its state in a word; a run that waits has its place in the queue."""
    return f"waiting, {_ordinal(waiting.index(run.run_id) + 1)}" if run.run_id in waiting else run.state


def queue(ws: Workspace, moving: bool) -> None:
    """Runs that wait for their turn, in the order they will have it, looked up again while any run moves."""
    layout.refresh_while(moving, lambda: _queue(ws))


def _queue(ws: Workspace) -> None:
    waiting = runs.queue(ws)
    if waiting:
        with st.expander(f"{count(len(waiting), 'run')} waiting, in this order", icon=":material/hourglass_top:"):
            for place, run in enumerate(waiting, start=1):
                layout.link(f"{place}. {layout.plain(run.title)}", "pages/runs.py", {"run": run.run_id})


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
