"""What production says of the model: figures against targets, alerts with what shows them, the way back to the data."""

import streamlit as st

from studio import live, logs
from studio.ui import drift_view, layout, monitor_alerts, monitor_logs, monitor_rows, monitor_view, session

VIEWS = {"production": "Production", "alerts": "Targets and alerts", "drift": "Drift", "logs": "Logs"}

ws = session.workspace()
layout.header(ws, "Monitor", "Is the model in production as good, as quick and as cheap as it should be?")
who = session.person()
here = bool(logs.sources(ws, 1))
session.turned("view")
RIGHTS = dict.fromkeys(VIEWS, "curate") | {"production": "read"}
start = "alerts" if "alert" in st.query_params else "production" if here or not session.may("curate") else "logs"
view = st.segmented_control("View", session.within(RIGHTS), default=start, required=True, key="view",
                            bind="query-params", format_func=VIEWS.__getitem__, label_visibility="collapsed")
with layout.guarded():
    if "row" in st.query_params:
        monitor_rows.one(ws, st.query_params["row"])
    elif view == "logs":
        monitor_logs.draw(ws, who)
    elif not here:
        layout.empty("Here you see what production says: latency, thumbs, success and cost against your targets. Bring logs in "
                     "first: open Logs above.")
    elif view == "alerts":
        monitor_alerts.draw(ws, who)
    elif view == "drift":
        drift_view.draw(ws, who)
    elif live.newest(ws) is None:
        st.info("The rows that were read have no time, so nothing can be drawn over time. Say under Logs which field holds it, "
                "and read them again.", icon=":material/schedule:")
    else:
        monitor_view.draw(ws, who)
