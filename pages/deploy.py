"""Bring a tuned model out of the door: export it, serve it, chat with it, and prove that it is still the same model."""

import streamlit as st

from studio import models
from studio.ui import deploy_view, export_view, layout, parity_view, serve_view, session

ws = session.workspace()
layout.header(ws, "Deploy", "Export a tuned model, serve it, and prove that what is served is what was evaluated.", "live")
if not models.adapters(ws):
    layout.empty("From here a tuned model goes out of the door: as files that others can use, and as a server that answers. "
                 "No model was tuned on this machine yet.", "Launch a training run", "pages/launch.py")
    st.stop()

model = deploy_view.choose(ws)
with layout.guarded():
    deploy_view.standing(ws, model)
st.subheader("Export", anchor=False)
with layout.guarded():
    export_view.draw(ws, model)
st.subheader("Serve", anchor=False)
with layout.guarded():
    serve_view.draw(ws, model)
st.subheader("Is it the same model?", anchor=False)
with layout.guarded():
    parity_view.draw(ws, model)
