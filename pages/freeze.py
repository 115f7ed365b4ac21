"""Freeze records into train, validation and test files that never change, after their leaks were looked for."""

import streamlit as st

from studio import findings, records, snapshots
from studio.ui import finding_view, freeze_view, layout, session

ws = session.workspace()
layout.header(ws, "Freeze", "A snapshot is what a model learns from and is tested on: the same records, shares and seed give "
              "the same bytes.", "frozen")
counted, frozen = records.counts(ws), snapshots.frozen(ws)
if not counted.total:
    layout.empty("A snapshot needs records, and there are none yet.", "Import tickets", "pages/import_tickets.py")
    st.stop()

name = st.text_input("Name", f"Snapshot {frozen + 1}", max_chars=80)
recipe = freeze_view.choose(ws, counted)
base = freeze_view.choose_base(ws)
st.subheader("What would be frozen", anchor=False)
with layout.guarded():
    with st.spinner("Planning…"):
        planned = snapshots.plan(ws, recipe)
    freeze_view.planned(planned)
    st.subheader("Leaks", anchor=False)
    checked = freeze_view.leak_gate(ws, planned)
    gate = findings.privacy_gate(ws, recipe.only_kept)
    passed = finding_view.passed(gate)
    settled = checked is not None and not checked.open
    if st.button("Freeze snapshot" if gate.clear else "Freeze anyway", type="primary" if settled else "secondary",
                 icon=":material/ac_unit:", disabled=not (passed and settled),
                 help=None if settled else "Check for leaks first, and decide about what is found."):
        with st.spinner("Freezing…"):
            made = snapshots.freeze(ws, name, recipe, gate, session.person(), base)
        layout.open_page("pages/snapshots.py", {"snapshot": made.snapshot_id})
if frozen:
    layout.link("Read the snapshots there are", "pages/snapshots.py")
