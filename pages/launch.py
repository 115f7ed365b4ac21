"""Start a training run: data, base model, a few dials, the truth before the start, one click."""

import streamlit as st

from studio import models, snapshots, starts
from studio.ui import launch_view, layout, managed_form, place_view, preview_view, session
from studio.ui.formats import ago

WHERE = {"here": "This machine", "service": "A service"}

ws = session.workspace()
layout.header(ws, "Launch", "A small adapter learns the agent's answers, and nothing but the answers. The base model stays as "
              "it is.", "trained")
frozen, bases = snapshots.every(ws), models.bases(ws)
if not frozen:
    layout.empty("Training needs a frozen snapshot, so that what was learned and what is tested never mix.",
                 "Freeze a snapshot", "pages/freeze.py")
    st.stop()

ids = [snapshot.snapshot_id for snapshot in frozen], [base.model_id for base in bases]
where = st.segmented_control("Where it trains", list(WHERE), default="here", required=True, format_func=WHERE.__getitem__,
                             key="where", bind="query-params")
snapshot = st.selectbox("Snapshot", frozen, index=layout.place(ids[0], st.query_params.get("snapshot")) or 0,
                        format_func=lambda s: f"{s.name} · {s.train:,} train · {ago(s.frozen_at, ws.now())}")
if where == "service":
    managed_form.draw(ws, snapshot)
    st.stop()
base = st.selectbox("Base model", bases, index=layout.place(ids[1], st.query_params.get("base")) or 0,
                    format_func=lambda m: m.name)
with st.expander("Use another base model", icon=":material/add:"), layout.guarded():
    launch_view.add_base(ws)

preset = launch_view.choose_preset(ws)
dials = launch_view.dials(preset)
launch_view.follows(dials, snapshot)
launch_view.keep_preset(ws, dials, preset)

preview_view.before_start(ws, snapshot, base, dials)

st.subheader("Start", anchor=False)
name = st.text_input("Name of the run", f"{base.name.split(' ')[0]} on {snapshot.name}", max_chars=80,
                     key=f"name-{base.model_id}-{snapshot.snapshot_id}")
with place_view.there(ws, "train"), layout.guarded():
    if st.button("Start training", type="primary", icon=":material/play_arrow:"):
        layout.open_page("pages/runs.py", {"run": starts.training(ws, snapshot, base, dials, name)})
st.caption("You can close the browser meanwhile. Runs that are started while another one computes wait for their turn.")
with st.expander("Try several values, as a group of runs", icon=":material/stacked_line_chart:"), place_view.there(ws, "group"):
    launch_view.search(ws, snapshot, base, dials, name)
