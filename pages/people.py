"""Who works here, in which role; invitations; what everybody did."""

import streamlit as st

from studio.ui import layout, people_view, session

VIEWS = {"people": "People", "trail": "Audit trail", "roles": "Roles"}

ws = session.workspace()
layout.header(ws, "People", "Who may see and do what in this workspace, and who did what.")
view = st.segmented_control("View", list(VIEWS), default="people", required=True, key="view", bind="query-params",
                            format_func=VIEWS.__getitem__, label_visibility="collapsed")
with layout.guarded():
    if view == "people":
        people_view.people(ws, session.person())
    elif view == "trail":
        people_view.trail(ws)
    else:
        people_view.roles()
