"""Endpoints on the screen: what they are, whether they answer, and a form that adds one."""

from __future__ import annotations

import streamlit as st

from studio import models, runs, starts
from studio.models import Model
from studio.runs import Run
from studio.ui import layout, session
from studio.ui.formats import ago
from studio.workspace import Workspace


def draw(ws: Workspace) -> None:
    """All endpoints, then the form."""
    found = [model for model in models.endpoints(ws) if not model.run_id]
    for endpoint in found:
        one(ws, endpoint)
    if not found:
        st.caption("A server that speaks OpenAI's chat API, such as vLLM, Ollama or OpenAI itself, can answer an evaluation "
                   "beside local models. None was added yet.")
    if session.may("run"):
        with st.expander("Add an endpoint", icon=":material/add:"), layout.guarded():
            _form(ws)


def one(ws: Workspace, endpoint: Model) -> None:
    """One endpoint: what it is, and a button that tests whether it answers."""
    said = endpoint.base
    with st.container(border=True):
        st.markdown(f"**{layout.plain(endpoint.name)}**")
        key = f"key from {said['key_env']}" if said["key_env"] else "no key" if said["base_url"] else "key from OPENAI_API_KEY"
        st.caption(layout.plain(f"{said['model']} at {said['base_url'] or 'OpenAI'}, {key}, {_prices(endpoint)}"))
        run = runs.latest_connection(ws, endpoint.model_id)
        if run is not None:
            layout.live_run(ws, run.run_id, lambda now: _connection(ws, now))
        with st.container(horizontal=True):
            moving = run is not None and run.moving
            if session.may("run") and st.button("Test the connection", icon=":material/cable:", disabled=moving,
                                                key=f"connect-{endpoint.model_id}"):
                starts.connection(ws, endpoint)
                st.rerun()
            layout.go("Chat with it", "pages/playground.py", {"model": endpoint.model_id})


def _connection(ws: Workspace, run: Run) -> None:
    """What the newest test found."""
    if run.moving:
        layout.progress(run)
    elif run.state == "done" and run.result:
        st.success(f"{layout.plain(run.result.message)} Tested {ago(run.started_at, ws.now())}.",
                   icon=":material/check_circle:")
    else:
        layout.run_end(ws, run)


def _form(ws: Workspace) -> None:
    st.caption("The texts of test items are sent there when it takes part in an evaluation.")
    with st.form("endpoint", border=False, enter_to_submit=False):
        name = st.text_input("Name", placeholder="Our vLLM", max_chars=models.LONGEST_NAME)
        url = st.text_input("Address", placeholder="http://localhost:8000/v1", help="Leave it empty for OpenAI itself.")
        model = st.text_input("Model", placeholder="the server's name for it")
        key = st.text_input("Environment variable with the key", placeholder="TUNEWRIGHT_VLLM_KEY",
                            help="The name of the variable, never the key. Leave it empty where the server needs none.")
        with st.container(horizontal=True):
            price_in = st.number_input("Price of a million tokens read", 0.0, None, None, width=230, placeholder="not known")
            price_out = st.number_input("Price of a million tokens written", 0.0, None, None, width=230,
                                        placeholder="not known")
            money = st.text_input("Currency", "USD", max_chars=12, width=120)
        if st.form_submit_button("Add this endpoint", type="primary"):
            models.add_endpoint(ws, name, url, model, key, price_in, price_out, money)
            st.rerun()


def _prices(endpoint: Model) -> str:
    read, written, money = (endpoint.base[key] for key in ("price_in", "price_out", "money"))
    if read is None or written is None:
        return "prices not known"
    return f"{read:g} {money} a million tokens read, {written:g} {money} written"
