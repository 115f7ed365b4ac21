import streamlit as st
from studio import label_sets
from studio.components import label
from studio.queues import QueueFilter
from studio.ui import layout, session, label_form
ws = session.workspace()
layout.header(ws, "Label", "x", "kept")
sets = label_sets.every(ws)
if not sets:
    if label_form.editor(ws, session.person(), None):
        st.rerun()
    st.stop()
one = st.selectbox("Set", sets, format_func=lambda s: s.name)
label.label(ws, one, QueueFilter(one.set_id), "oldest", session.person())
with st.expander("edit"):
    label_form.editor(ws, session.person(), one)
