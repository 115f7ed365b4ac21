"""Exports on the screen: what is to be made, how far it is, what is there, and its way to the Hub."""

from __future__ import annotations

import streamlit as st

from studio import deploys
from studio.deploys import Export
from studio.models import Model
from studio.runs import Run
from studio.ui import layout, place_view
from studio.ui.formats import ago, count
from studio.workspace import Workspace

FORMS = {"adapter": "Adapter", "merged": "Merged model", "gguf": "GGUF"}
PRECISIONS = {"bfloat16": "16 bits (bfloat16)", "float16": "16 bits (float16)", "float32": "32 bits (float32)"}
ONTO = {"trained": "The 4-bit values that it learned on", "base": "The base's own 16 bits"}


def draw(ws: Workspace, model: Model) -> None:
    """The form, the newest export while it moves or failed, and what is there."""
    found = deploys.exports(ws, model)
    newest = deploys.newest_export(ws, model)
    if newest is not None and newest.state != "done":
        layout.live_run(ws, newest.run_id, lambda run: _watch(ws, run))
    if newest is None or not newest.moving:
        with st.expander("Export it", icon=":material/output:", expanded=not found):
            _form(ws, model)
    for exported in found:
        _one(ws, model, exported)


def _watch(ws: Workspace, run: Run) -> None:
    layout.watch(ws, run, f"{run.title}, {ago(run.started_at, ws.now())}", "Stop, keeping what is whole")
    if not run.moving:
        layout.log(ws, run)


def _form(ws: Workspace, model: Model) -> None:
    has_gguf = deploys.has_converter()
    with st.container(horizontal=True, gap="medium"):
        adapter = st.checkbox("The adapter alone", True, help="A few megabytes, for peft or vLLM's LoRA support.")
        merged = st.checkbox("The merged model", True, help="Safetensors with tokenizer, chat template and generation config: "
                             "a folder that transformers and `vllm serve` take.")
        gguf = st.checkbox("GGUF", False, disabled=not has_gguf, help="For llama.cpp, Ollama and LM Studio. Made from the "
                           "merged model by llama.cpp's own converter.")
    if not has_gguf:
        st.caption(f"GGUF: llama.cpp's converter is not here. {layout.plain(deploys.GGUF_HINT)}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        precision = st.selectbox("Merged in", list(PRECISIONS), list(PRECISIONS).index(deploys.suited_precision(model)),
                                 format_func=PRECISIONS.__getitem__, width=220,
                                 help="bfloat16 is what most servers expect. float16 rounds eight times more finely, "
                                 "but cannot hold very large numbers. In 32 bits nothing is rounded, at twice the size.")
        onto = "trained"
        if deploys.learned_on_4_bits(model):
            onto = st.selectbox("Merged into", list(ONTO), format_func=ONTO.__getitem__, width=320, help="The adapter corrects "
                                "a base that was rounded to 4 bits (NF4). Into those values, it is what was evaluated.")
    if onto == "base":
        st.warning("The base's own 16 bits are not the values that this adapter learned on: the merged model gives other "
                   "answers than it was evaluated with, often worse ones. The parity test below will say how much.",
                   icon=":material/warning:")
    forms = [form for form, wanted in zip(FORMS, (adapter, merged, gguf), strict=True) if wanted]
    with place_view.there(ws, "export"):
        if st.button("Export", type="primary", icon=":material/output:", disabled=not forms):
            deploys.export(ws, model, forms, precision, onto)
            st.rerun()


def _one(ws: Workspace, model: Model, exported: Export) -> None:
    sizes = " · ".join(f"{FORMS[form]} {size / 1e6:,.0f} MB" for form, size in exported.sizes.items())
    with st.container(border=True):
        st.markdown(f"**{sizes}**")
        said = f"{ago(exported.run.started_at, ws.now())}, {PRECISIONS[exported.precision]}"
        if exported.merged and deploys.learned_on_4_bits(model):
            apart = f" ({100 * exported.distance:.1f} % from the base's own 16 bits)" if exported.distance else ""
            said += f", merged into {ONTO[exported.onto][0].lower()}{ONTO[exported.onto][1:]}"
            said += apart if exported.onto == "trained" else ""
        st.caption(layout.plain(said))
        st.code(str(ws.path(exported.folder)), language=None, wrap_lines=True)
        if exported.merged:
            st.caption("Anywhere with a graphics card and vLLM, this serves it:")
            st.code(deploys.vllm_command(ws, model, exported), language="bash", wrap_lines=True)
        with st.expander("Push to the Hugging Face Hub", icon=":material/cloud_upload:"), layout.guarded():
            _push(ws, exported)


def _push(ws: Workspace, exported: Export) -> None:
    if not deploys.token_is_set():
        st.caption(f"{deploys.NO_TOKEN} Set it and start the studio again; it is read from there and stored nowhere.")
        return
    key = exported.run.run_id
    with st.container(horizontal=True, vertical_alignment="bottom"):
        form = st.selectbox("What", list(exported.sizes), format_func=FORMS.__getitem__, width=180, key=f"push-what-{key}")
        repository = st.text_input("Repository", placeholder="owner/name", width=280, key=f"push-where-{key}")
        private = st.checkbox("Private", True, key=f"push-private-{key}")
    if not private:
        st.warning("Everybody can read it then, and a model can repeat what it was trained on.", icon=":material/public:")
    if st.button("Push", icon=":material/cloud_upload:", key=f"push-{key}", disabled=not repository.strip()):
        deploys.push(ws, exported, form, repository, private)
        st.rerun()
    pushed = deploys.pushes(ws, exported)
    for run in pushed[:1]:
        layout.live_run(ws, run.run_id, lambda now: layout.watch(ws, now, now.title, "Stop"))
    if len(pushed) > 1:
        st.caption(f"{count(len(pushed) - 1, 'earlier push', 'earlier pushes')}, on the Runs page.")
