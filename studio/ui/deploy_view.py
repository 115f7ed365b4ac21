"""Which model goes out of the door, and how far it is."""

from __future__ import annotations

import streamlit as st

from studio import deploys, models
from studio.deploys import Word
from studio.models import Model
from studio.ui import layout
from studio.ui.formats import ago
from studio.workspace import Workspace

LOOKS: dict[Word, tuple[str, str]] = {
    "deployed": ("green", ":material/check_circle:"), "not the same model": ("red", ":material/error:"),
    "served, not proven": ("orange", ":material/question_mark:"), "starting": ("blue", ":material/hourglass_top:"),
    "exported": ("gray", ":material/inventory_2:"),
    "not exported": ("gray", ":material/radio_button_unchecked:")}


def choose(ws: Workspace) -> Model:
    """One of the models that were tuned here; the address says which."""
    tuned = models.adapters(ws)
    ids = [model.model_id for model in tuned]
    model = st.selectbox("Model", tuned, index=layout.place(ids, st.query_params.get("model")) or 0,
                         format_func=lambda one: f"{one.name} · {ago(one.added_at, ws.now())}")
    if "model" in st.query_params or model is not tuned[0]:
        st.query_params["model"] = model.model_id
    return model


def standing(ws: Workspace, model: Model) -> None:
    """Its word in colour, with a sign, and what that means."""
    found = deploys.standing(ws, model)
    colour, icon = LOOKS[found.word]
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.badge(found.word, icon=icon, color=colour)  # type: ignore[arg-type]
        st.markdown(layout.plain(found.sentence))
