"""Ray clusters that runs can be sent to: what they are, what runs there, and what a run would lack."""

import streamlit as st

from studio import clusters
from studio.ui import cluster_view, layout, session

ws = session.workspace()
layout.header(ws, "Cluster", "Runs can be sent to a Ray cluster. They are watched, stopped, resumed and collected as those on "
              "this machine.", "trained")
known = clusters.every(ws)
for cluster in known:
    with layout.guarded():
        cluster_view.one(ws, cluster)
if not known:
    layout.empty("Everything runs on this machine so far. With the address of a Ray cluster, and storage that both sides see, "
                 "each run can be sent there.")
with st.expander("Add a cluster", icon=":material/add:", expanded=not known), layout.guarded():
    cluster_view.form(ws)
cluster_view.copies(ws)
