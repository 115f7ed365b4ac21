"""Watch runs, stop them, resume them, read their log; compare the runs of a group."""

import streamlit as st

from studio import runs, snapshots
from studio.ui import group_view, layout, run_view, session
from studio.ui.formats import ago

ws = session.workspace()
layout.header(ws, "Runs", "Training, evaluation and checks go on when the browser closes or the studio restarts.", "trained")
every = runs.every(ws)
if not every:
    layout.empty("A run is one training, one evaluation or one check. None was started yet.", "Launch a training run",
                 "pages/launch.py")
    st.stop()

group = group_view.choose(ws)
group_view.queue(ws, any(run.moving for run in every))
if group is not None:
    group_view.show(ws, group)
    st.stop()

ids = [run.run_id for run in every]
chosen = st.selectbox("Run", every, index=layout.place(ids, st.query_params.get("run")) or 0,
                      format_func=lambda r: f"{r.title} · {r.kind} · {r.state} · {ago(r.started_at, ws.now())}")
st.query_params["run"] = chosen.run_id

layout.live_run(ws, chosen.run_id, lambda run: run_view.draw(ws, run))
with st.expander("What it was asked to do", icon=":material/tune:"):
    if chosen.group_id:
        layout.link("The group it belongs to", "pages/runs.py", {"group": chosen.group_id})
    if chosen.snapshot_id:
        snapshot = snapshots.get(ws, chosen.snapshot_id)
        layout.link(f"Snapshot: {layout.plain(snapshot.name)}", "pages/snapshots.py", {"snapshot": snapshot.snapshot_id})
    st.json(chosen.spec)
    st.caption(f"Run folder: {layout.plain(str(ws.path(chosen.folder)))}")
