"""Let a model write examples where the data is thin, let through only what is worth it, and see what every call cost."""

import streamlit as st

from studio import runs
from studio.ui import layout, ledger_view, recipe_form, session, synthesis_view

VIEWS = {"recipe": "Recipe", "made": "Runs", "ledger": "Ledger"}

ws = session.workspace()
layout.header(ws, "Synthesise", "A gate, not a pile: what passes goes to the label queue, marked synthetic.", "imported")
session.turned("view")
view = st.segmented_control("View", list(VIEWS), default="recipe", required=True, key="view", bind="query-params",
                            format_func=VIEWS.__getitem__, label_visibility="collapsed")
with layout.guarded():
    if view == "recipe":
        recipe_form.draw(ws)
    elif view == "ledger":
        ledger_view.draw(ws)
    elif runs.every(ws, "synthesize"):
        synthesis_view.draw(ws)
    else:
        layout.empty("No examples were written yet. A recipe says what is wanted; start with three to look at.")
