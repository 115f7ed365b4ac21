"""Read a snapshot: its card, whether it is ready, its lines, what differs from another, and ways out and in."""

import streamlit as st

from studio import snapshots
from studio.ui import layout, session, snapshot_view
from studio.ui.formats import ago

VIEWS = {"Card": "read", "Lines": "read", "Compare": "read", "Export": "export", "Test file": "run"}

ws = session.workspace()
layout.header(ws, "Snapshots", "What was frozen, what it is like, and whether it is ready to be trained on.", "frozen")
frozen = snapshots.every(ws)
if not frozen:
    layout.empty("A snapshot is data that never changes again. None was frozen yet.", "Freeze a snapshot", "pages/freeze.py")
else:
    ids = [snapshot.snapshot_id for snapshot in frozen]
    chosen = st.selectbox("Snapshot", frozen, index=layout.place(ids, st.query_params.get("snapshot")) or 0,
                          format_func=lambda s: f"{s.name} · {s.train:,} train · {ago(s.frozen_at, ws.now())}")
    st.query_params["snapshot"] = chosen.snapshot_id
    with layout.guarded():
        snapshot_view.head(ws, chosen)
        card = snapshot_view.chosen_card(ws, chosen)
        snapshot_view.leak_warning(ws, chosen, card)
        view = st.segmented_control("Show", session.within(VIEWS), default="Card", required=True, key="view",
                                    bind="query-params", label_visibility="collapsed")
        if view == "Card":
            snapshot_view.card(ws, chosen, card)
        elif view == "Lines":
            snapshot_view.lines(ws, chosen)
        elif view == "Compare":
            snapshot_view.compare(ws, chosen, [one for one in frozen if one != chosen])
        elif view == "Export":
            snapshot_view.export(ws, chosen)
        else:
            snapshot_view.foreign_file(ws, chosen)
if session.may("curate"):
    with st.expander("Adopt a snapshot that was frozen elsewhere", icon=":material/input:"), layout.guarded():
        snapshot_view.adopt(ws)
