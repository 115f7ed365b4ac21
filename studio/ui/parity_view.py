"""The parity test on the screen: what is compared, how far it is, and where a mismatch begins."""

from __future__ import annotations

import streamlit as st

from studio import deploys, parity_words, runs, snapshots
from studio.deploys import Export
from studio.models import Model
from studio.runs import Run
from studio.ui import layout
from studio.ui.formats import ago, count
from studio.workspace import Workspace

SHOWN = 10


def draw(ws: Workspace, model: Model) -> None:
    """The newest test, then the form."""
    found = deploys.parities(ws, model)
    if found:
        layout.live_run(ws, found[0].run_id, lambda run: _watch(ws, run))
        if found[0].state == "done":
            _result(ws, found[0])
    merged = [one for one in deploys.exports(ws, model) if one.merged]
    up = [run for run in deploys.servers(ws, model) if deploys.answers_now(run)]
    if not merged and not up:
        st.caption("A served model often differs from the one that was evaluated: another chat template, a lost special token, "
                   "rounding, a merge into other values. Export the merged model or serve it; then the same prompts are put to "
                   "all of them here and compared.")
        return
    if not found or not found[0].moving:
        with st.expander("Test it again" if found else "Test it", icon=":material/compare:", expanded=not found):
            _form(ws, model, merged, up)


def _watch(ws: Workspace, run: Run) -> None:
    if run.state == "done":
        return
    layout.watch(ws, run, f"started {ago(run.started_at, ws.now())}", "Stop the test")
    if not run.moving:
        layout.log(ws, run)


def _form(ws: Workspace, model: Model, merged: list[Export], up: list[Run]) -> None:
    own = runs.get(ws, model.run_id).snapshot_id if model.run_id else ""
    frozen = sorted(snapshots.every(ws), key=lambda one: one.snapshot_id != own)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        exported = st.selectbox("Merged model", [*merged, None], width=330, format_func=lambda one: (
            f"{one.precision}, exported {ago(one.run.started_at, ws.now())}" if one else "none"))
        server = st.selectbox("Served model", [*up, None], width=330, format_func=lambda one: (
            f"at {deploys.address(one.spec)}" if one else "none"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        snapshot = st.selectbox("Prompts from the test items of", frozen, width=330, format_func=lambda one: (
            f"{one.name} · {count(one.test, 'test item')}"))
        prompts = int(st.number_input("Prompts", 1, 1_000, min(deploys.PROMPTS, max(1, snapshot.test)), width=120))
        tokens = int(st.number_input("Tokens an answer", 1, 1_024, deploys.TOKENS, width=160))
    if server is None:
        st.caption("Without a server only the files are compared; a model is called deployed once its server passed.")
    if st.button("Prove that it is the same model", type="primary", icon=":material/compare:",
                 disabled=exported is None and server is None):
        deploys.parity(ws, model, snapshot, exported, server, prompts, tokens)
        st.rerun()


def _result(ws: Workspace, run: Run) -> None:
    data = run.result.data if run.result else {}
    good = data["passed"]
    colour, icon = ("green", ":material/check_circle:") if good else ("red", ":material/error:")
    with st.container(border=True, key=f"tw-parity-{run.run_id}", gap="small"):
        st.markdown(f"#### :{colour}[{icon}] {layout.plain(parity_words.headline(data))}")
        for leg in data["legs"]:
            if leg["mismatches"]:
                st.markdown(layout.plain(leg["words"]))
                st.markdown(f":material/build: {layout.plain(parity_words.MEND[leg['cause']])}")
        st.dataframe(parity_words.table(data), hide_index=True, alt="What was compared, and what came of it")
        st.caption(f"{layout.plain(parity_words.terms(data))} Tested {ago(run.started_at, ws.now())}.")
        _rows(ws, run)


def _rows(ws: Workspace, run: Run) -> None:
    found = deploys.rows(ws, run)
    if not found:
        return
    with st.expander(f"{count(len(found), 'prompt')} that differ", icon=":material/difference:"):
        for row in found[:SHOWN]:
            st.markdown(f"[{row['item_id']}]({layout.record_address(row['item_id'])})")
            for one in row["differences"]:
                st.caption(layout.plain(f"{parity_words.NAMES[one['leg']]}: {one['words']}"))
            for name, said in row["said"].items():
                st.text(f"{name}: {said}")
        if len(found) > SHOWN:
            st.caption(f"The first {SHOWN} of {len(found):,}.")
