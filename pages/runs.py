"""Watch runs, stop them, resume them, read their log."""

import streamlit as st

from studio import runs, snapshots
from studio.runs import Run
from studio.ui import charts, layout, session, twin_search
from studio.ui.formats import ago, count, duration

ws = session.workspace()
layout.header(ws, "Runs", "Training, evaluation and checks go on when the browser closes or the studio restarts.", "trained")
every = runs.every(ws)
if not every:
    layout.empty("A run is one training, one evaluation or one check. None was started yet.", "Launch a training run",
                 "pages/launch.py")
    st.stop()

ids = [run.run_id for run in every]
chosen = st.selectbox("Run", every, index=layout.place(ids, st.query_params.get("run")) or 0,
                      format_func=lambda r: f"{r.title} · {r.kind} · {r.state} · {ago(r.started_at, ws.now())}")
st.query_params["run"] = chosen.run_id


def draw(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        layout.state_badge(run)
        st.markdown(f"{run.kind}, started {ago(run.started_at, ws.now())}, attempt {run.attempt}")
    if run.moving:
        layout.progress(run)
        if st.button("Stop, keeping what it has", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
            runs.stop(ws, run.run_id)
            st.toast("Asked to stop. It saves what it has first, within a step or a batch.")
    else:
        layout.run_end(ws, run)
    for note in runs.notes(ws, run):
        st.caption(layout.plain(note))
    if run.kind == "train":
        training(run)
    layout.log(ws, run)


def training(run: Run) -> None:
    train, validation = runs.curve(ws, run)
    if train:
        charts.losses(train, validation)
    if train and validation:
        numbers = [("Validation loss before", f"{validation[0]['loss']:.3f}"),
                   ("Best validation loss", f"{min(row['loss'] for row in validation):.3f}"),
                   ("Training loss now", f"{train[-1]['loss']:.3f}"),
                   ("Tokens a second", f"{train[-1]['tokens_s']:,.0f}")]
        with st.container(horizontal=True):
            for label, value in numbers:
                st.metric(label, value, width=190)
    warning = runs.overfitting(train, validation)
    if warning:
        st.warning(warning)


def finished(run: Run) -> None:
    data = run.result.data
    if run.kind == "train":
        st.markdown(f"{count(data['steps'], 'step')} in {duration(data['seconds'])}; "
                    f"{count(data['learned_tokens'], 'token')} of answers learned from; "
                    f"{count(data['left_out'], 'example')} left out as too long.")
        layout.go("Evaluate this model", "pages/evaluate.py", {"model": run.run_id}, primary=True)
    elif run.kind == "check":
        layout.go("Open the findings", "pages/clean.py", primary=True)
    elif run.kind == "dedupe":
        layout.go("Open the twins", "pages/twins.py", {"side": twin_search.SIDE_NAMES[run.spec["side"]]}, primary=True)
    elif run.kind == "inspect":
        layout.go("Open what it found", *(("pages/snapshots.py", {"snapshot": run.snapshot_id}) if run.snapshot_id else
                                         ("pages/freeze.py", {})), primary=True)
    elif run.kind == "evaluate":
        layout.go("Open the verdict", "pages/evaluate.py", {"run": run.run_id}, primary=True)


layout.live_run(ws, chosen.run_id, draw)
if chosen.state == "done":
    finished(chosen)
with st.expander("What it was asked to do", icon=":material/tune:"):
    if chosen.snapshot_id:
        snapshot = snapshots.get(ws, chosen.snapshot_id)
        layout.link(f"Snapshot: {layout.plain(snapshot.name)}", "pages/snapshots.py", {"snapshot": snapshot.snapshot_id})
    st.json(chosen.spec)
    st.caption(f"Run folder: {layout.plain(str(ws.path(chosen.folder)))}")
