"""Read two answers side by side without knowing whose they are, and say which is better."""

import streamlit as st

from studio import review_texts, reviews, runs
from studio.ui import layout, review_form, review_view, session

ws = session.workspace()
layout.header(ws, "Review", "Blind: which answer is whose stays on the server until the session is ended.", "proven")
chosen = st.query_params.get("session")
if chosen:  # nothing about candidates is drawn beside the desk
    with layout.guarded():
        review_view.draw(ws, reviews.get(ws, chosen))
    st.stop()

opens, held = session.may("curate"), reviews.sessions(ws)
proven = runs.proven(ws) if opens else []
played = opens and len(review_texts.played(ws)) > 1
if not proven and not held and not played:
    layout.empty("A review needs two models' answers to the same questions: an evaluation that is done.",
                 "Evaluate a model", "pages/evaluate.py")
    st.stop()
if proven or played:
    with st.expander("Open a session", expanded=not held or "run" in st.query_params, icon=":material/add:"), layout.guarded():
        review_form.draw(ws, proven)
review_view.listed(ws, held)
