"""Start a training run: data, base model, a few dials, one click."""

import streamlit as st

from studio import models, snapshots, starts
from studio.starts import Dials
from studio.ui import layout, session
from studio.ui.formats import ago, count

KINDS = {"folder": "Folder on this machine", "gguf": "GGUF file on this machine", "hub": "Hugging Face id"}

ws = session.workspace()
layout.header(ws, "Launch", "QLoRA: the base model is held in 4 bits and a small adapter learns the agent's answers, and "
              "nothing but the answers.", "trained")
frozen, bases = snapshots.every(ws), models.bases(ws)
if not frozen:
    layout.empty("Training needs a frozen snapshot, so that what was learned and what is tested never mix.",
                 "Freeze a snapshot", "pages/freeze.py")
    st.stop()


def add_base() -> None:
    kind = st.radio("It is a", list(KINDS), format_func=KINDS.__getitem__, horizontal=True)
    ref = st.text_input("Hugging Face id" if kind == "hub" else "Full path",
                        placeholder="owner/name" if kind == "hub" else "/models/my-model")
    if kind == "hub":
        st.caption("Its weights are fetched from huggingface.co when the run starts; nothing else here goes to the network.")
    if st.button("Add this base model", disabled=not ref):
        st.query_params["base"] = models.add_base(ws, kind, ref).model_id
        st.rerun()


def dials() -> Dials:
    with st.container(horizontal=True):
        epochs = st.number_input("Epochs", 1, 50, 3, width=150,
                                 help="Times through the data. 3 to 5 is usual; 10 and more memorises.")
        rate = st.number_input("Learning rate", 1e-6, 1e-2, 2e-4, step=5e-5, format="%.1e", width=170,
                               help="2e-4 is usual for QLoRA; lower it when the loss jumps.")
    with st.expander("More dials"), st.container(horizontal=True):
        rank = st.number_input("LoRA rank", 1, 256, 16, width=150,
                               help="How much the adapter can hold. Alpha is twice the rank.")
        batch = st.number_input("Examples a step", 1, 64, 4, width=150)
        seed = st.number_input("Seed", 0, 2**31 - 1, 1234, width=150)
        longest = st.number_input("Longest example, tokens", 16, None, None, width=210, placeholder="what the model takes",
                                  help="Longer examples are left out and counted, never cut.")
    return Dials(int(epochs), float(rate), int(rank), int(batch), int(longest) if longest else None, int(seed))


places = [snapshot.snapshot_id for snapshot in frozen], [base.model_id for base in bases]
snapshot = st.selectbox("Snapshot", frozen, index=layout.place(places[0], st.query_params.get("snapshot")) or 0,
                        format_func=lambda s: f"{s.name} · {s.train:,} train · {ago(s.frozen_at, ws.now())}")
base = st.selectbox("Base model", bases, index=layout.place(places[1], st.query_params.get("base")) or 0,
                    format_func=lambda m: m.name)
with st.expander("Use another base model", icon=":material/add:"), layout.guarded():
    add_base()
chosen = dials()
name = st.text_input("Name of the run", f"{base.name.split(' ')[0]} on {snapshot.name}", max_chars=80,
                     key=f"name-{base.model_id}-{snapshot.snapshot_id}")

steps = -(-snapshot.train // chosen.batch_size) * chosen.epochs
st.markdown(f"{count(steps, 'optimizer step')} over {count(snapshot.train, 'example')} × {count(chosen.epochs, 'epoch')}. "
            "The time left is shown from the first steps on; you can close the browser meanwhile.")
if snapshot.train < 200:
    st.warning(f"{snapshot.train} training examples are few: a style shows from about 200, simple tasks want 500 to 1,000.")
if st.button("Start training", type="primary", icon=":material/play_arrow:"):
    layout.open_page("pages/runs.py", {"run": starts.training(ws, snapshot, base, chosen, name)})
