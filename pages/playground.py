"""One question to several models at once, streaming side by side; a chat with one; hard prompts ready; good ones are kept."""

import streamlit as st

from studio.ui import layout, play_form, play_view, session

ws = session.workspace()
layout.header(ws, "Playground", "Ask several models the same thing and read their answers side by side as they come, or chat "
              "with one of them.", "proven")
thread_id = st.query_params.get("thread", "")
if thread_id:
    asks = play_view.conversation(ws, thread_id)
    play_form.go_on(ws, thread_id, asks)
else:
    play_form.begin(ws, st.query_params.get("model", ""))
play_view.earlier(ws, thread_id)
