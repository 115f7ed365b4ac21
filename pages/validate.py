"""Is a file ready to be learned from? Upload it, or name it, or take a snapshot's; see every problem by line."""

import streamlit as st

from studio import exports, runs, snapshots, starts, validation
from studio.runs import Run
from studio.snapshots import SPLITS
from studio.ui import charts, layout, session
from studio.ui.formats import count

SHOWN = 200

ws = session.workspace()
layout.header(ws, "Validate", "Checks the form of a JSONL file as fine-tuning services do, and says every problem by line. "
              "Files made elsewhere are welcome; nothing leaves this machine.", "frozen")
earlier, frozen = validation.every(ws), snapshots.every(ws)


def choose() -> str:
    upload, server, here = st.tabs(["Upload a file", "A file on this machine", "A snapshot's file"])
    uploaded = upload.file_uploader("JSONL file", type=["jsonl", "ndjson", "json", "txt"], key=f"upload-{len(earlier)}")
    typed = server.text_input("Path of the file", placeholder="/data/train.jsonl")
    if frozen:
        snapshot = here.selectbox("Snapshot", frozen, index=None, format_func=lambda one: one.name)
        split = here.segmented_control("File", SPLITS, default="train", required=True)
    else:
        here.markdown("Nothing is frozen yet.")
        snapshot = None
    if uploaded:
        return validation.receive(ws, uploaded.name, uploaded.getbuffer())
    return typed or (snapshot.file(split) if snapshot else "")


def begin() -> None:
    file = choose()
    tokens = st.number_input("Longest example, tokens", 16, 1_000_000, starts.CONTEXT_TOKENS, width=220,
                             help="Longer ones are errors. Tokens are estimated: four bytes each.")
    if st.button("Validate the file", type="primary", disabled=not file, icon=":material/fact_check:"):
        st.query_params["run"] = validation.start(ws, file, int(tokens))
        st.rerun()


def verdict(run: Run) -> None:
    if run.moving:
        layout.progress(run)
        if st.button("Stop"):
            runs.stop(ws, run.run_id)
        return
    if run.result is None or run.result.outcome != "done":
        layout.run_end(ws, run)
        return
    found = run.result.data
    (st.error if found["errors"] else st.success)(f"**{layout.plain(run.result.message)}**")
    if found["kinds"]:
        st.dataframe([{"kind": kind, "problems": times} for kind, times in found["kinds"].items()], hide_index=True, width=420,
                     alt="Problems by kind")
        problems(run, found["kinds"])
    if found["examples"]:
        charts.token_lengths(found["length_from"], found["length_steps"], found["median"], found["longest"])


def problems(run: Run, kinds: dict[str, int]) -> None:
    kind = st.selectbox("Show", list(kinds), index=None, placeholder="every kind", width=260)
    total = kinds[kind] if kind else sum(kinds.values())
    page = st.number_input("Page", 1, -(-total // SHOWN), 1, width=120) if total > SHOWN else 1
    st.dataframe([vars(one) for one in validation.problems(ws, run, kind, SHOWN, (int(page) - 1) * SHOWN)], hide_index=True,
                 alt="Problems by line")
    st.download_button(f"Download {count(total, 'problem')} as CSV", lambda: whole(run, kind), "problems.csv", "text/csv",
                       on_click="ignore")


def whole(run: Run, kind: str | None) -> str:
    return exports.csv_text([vars(one) for one in validation.problems(ws, run, kind)])


with st.expander("Choose a file", expanded="run" not in st.query_params, icon=":material/add:"), layout.guarded():
    begin()
if "run" in st.query_params:
    chosen = runs.get(ws, st.query_params["run"])
    st.subheader(layout.plain(chosen.title), anchor=False)
    layout.live_run(ws, chosen.run_id, verdict)
for run in earlier[:8]:
    with st.container(horizontal=True, vertical_alignment="center"):
        layout.state_badge(run)
        layout.link(layout.plain(run.title), "pages/validate.py", {"run": run.run_id})
