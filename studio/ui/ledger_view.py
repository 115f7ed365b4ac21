"""The ledger on the screen: what calls took, by run and by day."""

from __future__ import annotations

import streamlit as st

from studio import ledger
from studio.ui import layout
from studio.ui.formats import ago, count
from studio.workspace import Workspace


def draw(ws: Workspace) -> None:
    days, found = ledger.by_day(ws), ledger.by_run(ws)
    if not found:
        layout.empty("Every call to a model that writes, answers through an endpoint or judges is listed here with its tokens "
                     "and its price. There was none yet.")
        return
    st.subheader("By day", anchor=False)
    st.dataframe([{"day": one.day, "calls": one.calls, "in vain": one.failed, "tokens read": one.prompt_tokens,
                   "tokens written": one.new_tokens, "cost": f"{one.cost:,.4f} {one.money}"} for one in days], hide_index=True,
                 column_config=layout.numbers(["cost"]), alt="Calls and costs by day")
    st.subheader("By run", anchor=False)
    st.dataframe([{"run": one.title, "kind": one.kind, "model": one.model, "when": ago(one.at, ws.now()), "calls": one.calls,
                   "in vain": one.failed, "tokens read": one.prompt_tokens, "tokens written": one.new_tokens,
                   "cost": f"{one.cost:,.4f} {one.money}" if one.cost is not None else "not known",
                   "median": f"{one.seconds:.1f} s" if one.seconds is not None else "–"} for one in found], hide_index=True,
                 column_config=layout.numbers(["cost", "median"]), alt="Calls and costs by run")
    st.caption(f"{count(sum(one.calls for one in found), 'call')} in all. Prices are those of the Models page when the call "
               "was made; a server that does not say its tokens costs what is not known. Texts and keys are not in the ledger.")
