"""Read records and say keep or drop, by mouse or key; edit what is nearly right; decide in bulk over a table; undo anything."""

import streamlit as st

from studio import records
from studio.components import desk
from studio.ui import layout, session, table_view

VIEWS = {"read": "One by one", "table": "Table"}

ws = session.workspace()
layout.header(ws, "Curate", "Everything nobody drops can be frozen; keep marks what you have read and stand by.", "kept")
if not records.counts(ws).total:
    layout.empty("Here you read conversations one by one and decide which a model should learn from. There are none yet.",
                 "Import tickets", "pages/import_tickets.py")
    st.stop()

if "record" in st.query_params:
    layout.one_record(ws, records.get(ws, st.query_params["record"]))
    st.stop()

view = st.segmented_control("View", list(VIEWS), default="read", required=True, key="view", bind="query-params",
                            format_func=VIEWS.__getitem__, label_visibility="collapsed")
if view == "table":
    table_view.table(ws, session.person())
else:
    desk.curate(ws, table_view.choose(ws), session.person())
