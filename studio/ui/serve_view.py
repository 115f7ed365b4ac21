"""Servers on the screen: who is served, where, and what answers now."""

from __future__ import annotations

import json
from functools import partial

import streamlit as st

from studio import deploys, runs
from studio.deploys import Export
from studio.models import Model
from studio.runs import Run
from studio.ui import layout
from studio.ui.formats import ago, count
from studio.workspace import Workspace

ENGINES = {"tunewright": "Tunewright's own small server", "vllm": "vLLM"}
AS_EVALUATED = "As it was evaluated: base and adapter"


def draw(ws: Workspace, model: Model) -> None:
    """What is served now, then the form; the newest server that ended says how."""
    found = deploys.servers(ws, model)
    up = [run for run in found if run.moving]
    for run in up:
        layout.live_run(ws, run.run_id, partial(_one, ws, deploys.answers_now(run)))
    if not up and found:
        layout.live_run(ws, found[0].run_id, partial(_ended, ws))
    title = "Serve it once more" if up else "Serve it another way" if found else "Serve it"
    with st.expander(title, icon=":material/dns:", expanded=not found):
        _form(ws, model)


def _one(ws: Workspace, was_ready: bool, run: Run) -> None:
    """A server as it stands; the whole page is drawn again when it begins to answer, for then it can be tested."""
    ready = deploys.answers_now(run)
    if ready and not was_ready:
        st.rerun()
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("answers" if ready else run.status.phase if run.status else "starting",
                     icon=":material/check:" if ready else ":material/hourglass_top:", color="green" if ready else "blue")
            st.caption(layout.plain(run.status.sentence.split(" · ")[-1] if run.status else "Starting its process…"))
        if run.status and run.status.done:
            st.caption(f"{count(run.status.done, 'answer')} since it was started, {ago(run.started_at, ws.now())}.")
        st.code(deploys.address(run.spec), language=None)
        _where(run)
        with st.container(horizontal=True):
            if ready and (endpoint := deploys.endpoint(ws, run)):
                layout.go("Chat with it now", "pages/playground.py", {"model": endpoint.model_id}, primary=True)
            if st.button("Stop serving", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
                runs.stop(ws, run.run_id)
        with st.expander("Ask it from elsewhere", icon=":material/terminal:"):
            st.code(_curl(run), language="bash", wrap_lines=True)
            st.caption("It speaks OpenAI's chat API: any client takes its address as the base URL. Without a temperature "
                       "answers are greedy, as they were evaluated.")


def _where(run: Run) -> None:
    """Who can reach it."""
    spec = run.spec
    token = f"callers send the token from {spec['key_env']}" if spec["key_env"] else "no token is asked for"
    reach = "Only this machine can reach it" if spec["host"] in ("127.0.0.1", "::1", "localhost") else (
        f"Others can reach it at {spec['host']}")
    what = "the merged model" if spec["merged"] else "base and adapter"
    st.caption(layout.plain(f"{reach}; {token}. {ENGINES[spec['engine']]}, {what}."))


def _ended(ws: Workspace, run: Run) -> None:
    if run.moving:  # resumed from another page
        _one(ws, deploys.answers_now(run), run)
        return
    with st.container(border=True):
        layout.state_badge(run)
        if run.result is not None and run.result.outcome == "stopped":
            st.caption(layout.plain(f"{run.result.message} It was at {deploys.address(run.spec)}."))
            if st.button("Serve it there again", type="primary", icon=":material/play_arrow:", key=f"again-{run.run_id}"):
                runs.resume(ws, run.run_id)
                st.rerun()
        else:
            layout.run_end(ws, run)
            layout.log(ws, run)


def _form(ws: Workspace, model: Model) -> None:
    merged = [one for one in deploys.exports(ws, model) if one.merged]
    choices: list[Export | None] = [None, *merged]
    exported = st.selectbox("What is served", choices, format_func=lambda one: _called(ws, one), width=440)
    engine = "tunewright"
    if deploys.has_vllm():
        engine = st.radio("By", list(ENGINES), format_func=ENGINES.__getitem__, horizontal=True, help="vLLM is quick and takes "
                          "a share of the graphics card until it is stopped. Our own is slow, takes memory only while it "
                          "answers, and needs no graphics card.")
    else:
        st.caption("By Tunewright's own small server: it answers as the evaluation did, takes memory only while it answers, "
                   "and is slow. vLLM is not installed here; where it is, it can be started from this page.")
    host, port, key_env = deploys.HERE, None, ""
    where = st.expander("Where, and who may ask", icon=":material/lan:")
    with where.container(horizontal=True, vertical_alignment="bottom"):
        host = st.text_input("Address", deploys.HERE, width=200, help="127.0.0.1 is this machine alone; 0.0.0.0 is everybody "
                             "who can reach it.")
        port = st.number_input("Port", 1024, 65_535, None, placeholder="a free one", width=160)
        key_env = st.text_input("Environment variable with the token", placeholder="TUNEWRIGHT_SERVE_TOKEN", width=300,
                                help="The name of the variable, never the token. Needed where others can reach it.")
    if st.button("Serve it", type="primary", icon=":material/play_arrow:"):
        deploys.serve(ws, model, exported, engine, host, int(port) if port else None, key_env)
        st.rerun()


def _called(ws: Workspace, exported: Export | None) -> str:
    if exported is None:
        return AS_EVALUATED
    return f"Merged model, {exported.precision}, exported {ago(exported.run.started_at, ws.now())}"


def _curl(run: Run) -> str:
    token = f' \\\n  -H "Authorization: Bearer ${run.spec["key_env"]}"' if run.spec["key_env"] else ""
    body = json.dumps({"model": run.spec["name"], "messages": [{"role": "user", "content": "Where is my order?"}]})
    address = f"{deploys.address(run.spec)}/chat/completions"
    return f"curl {address} \\\n  -H 'Content-Type: application/json'{token} \\\n  -d '{body}'"
