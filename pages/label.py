"""Label records under the keys with the questions of a label set; see how far everybody is; settle what people disagree on."""

import streamlit as st

from studio import records
from studio.components import label
from studio.ui import label_form, label_view, layout, session, suggestion_view

VIEWS = {"label": "Label", "suggestions": "Suggestions", "progress": "Progress", "agreement": "Agreement", "settle": "Settle",
         "set": "Sets"}
RIGHTS = dict.fromkeys(VIEWS, "curate") | {"label": "label", "progress": "label", "agreement": "label"}

ws = session.workspace()
layout.header(ws, "Label", "", "labelled")
if not records.counts(ws).total:
    layout.empty("Here people answer questions about records: intent, quality, marks on the text. There are no records yet.",
                 "Import tickets", "pages/import_tickets.py")
    st.stop()

who = session.person()
with st.container(horizontal=True, vertical_alignment="center"):
    chosen_set = label_view.choose_set(ws)
    view = st.segmented_control("View", session.within(RIGHTS), default="label", required=True, key="view", bind="query-params",
                                format_func=VIEWS.__getitem__, label_visibility="collapsed") if chosen_set else "set"
    if chosen_set and view == "label":
        queue, order = label_view.choose_queue(ws, chosen_set)

if chosen_set is None and not session.may("curate"):
    layout.empty("A label set says what people are asked about each record. A curator of this workspace makes the first one.")
elif chosen_set is None:
    layout.empty("A label set says what people are asked about each record. Start from a ready one and change what you like.")
    if label_form.editor(ws, who, None):
        st.rerun()
elif view == "label":
    label.label(ws, chosen_set, queue, order, who)
elif view == "progress":
    label_view.progress(ws, chosen_set)
elif view == "suggestions":
    suggestion_view.light_model(ws, chosen_set, who)
elif view == "agreement":
    label_view.agreement(ws, chosen_set)
elif view == "settle":
    label.settle(ws, chosen_set, who)
    label_view.settled(ws, chosen_set)
else:
    label_form.editor(ws, who, chosen_set)
    with st.expander("Make another set", icon=":material/add:"):
        if made := label_form.editor(ws, who, None):
            label_view.use(made)
            st.rerun()
