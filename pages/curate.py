"""Read records and say keep or drop, by mouse or key; edit what is nearly right; undo anything."""

import streamlit as st

from studio import records
from studio.components import desk
from studio.records import Filter
from studio.ui import layout, session
from studio.ui.formats import count, excerpt

SHOWN = 100
DECISIONS = {"undecided": "Undecided", "keep": "Kept", "drop": "Dropped", "all": "All"}

ws = session.workspace()
layout.header(ws, "Curate", "Everything nobody drops can be frozen; keep marks what you have read and stand by.", "kept")
counted, tags = records.counts(ws), records.tags(ws)
if not counted.total:
    layout.empty("Here you read conversations one by one and decide which a model should learn from. There are none yet.",
                 "Import tickets", "pages/import_tickets.py")
    st.stop()

with st.container(horizontal=True, vertical_alignment="bottom"):
    decision = st.segmented_control("Show", list(DECISIONS), default="undecided", required=True, key="show",
                                    bind="query-params", format_func=DECISIONS.__getitem__)
    tag = st.selectbox("Tag", tags, index=None, placeholder="any", width=200, disabled=not tags, key="tag",
                       bind="query-params")
    text = st.text_input("Holds the words", width=220, key="words", bind="query-params")

chosen = Filter(None if decision == "all" else decision, tag, text or "")
matching = records.matching(ws, chosen)


def in_bulk() -> None:
    st.markdown(f"{count(matching, 'record')} match the filter above. A bulk decision is one act: undo takes it back whole.")
    with st.container(horizontal=True):
        for verb, word in (("keep", "Keep"), ("drop", "Drop"), ("undecided", "Reset")):
            if st.button(f"{word} all {matching:,}", disabled=not matching, key=f"bulk-{verb}"):
                records.decide_matching(ws, chosen, verb, session.person())
                st.rerun()
        if st.button("Undo my last act", icon=":material/undo:"):
            undone = records.undo(ws, session.person())
            st.toast(layout.plain(undone.sentence) if undone else "There is nothing of yours to undo.")
            st.rerun()
    st.dataframe([{"line": r.source_line, "decision": r.decision, "rating": r.rating, "tags": r.tags,
                   "customer": excerpt(r.question), "agent": excerpt(r.answer), "record": layout.record_address(r.record_id)}
                  for r in records.page(ws, chosen, SHOWN)], hide_index=True,
                 column_config={"record": layout.record_column()}, alt="Records that match the filter")
    if matching > SHOWN:
        st.caption(f"The first {SHOWN} of {matching:,} are listed; narrow the filter to see others.")


if "record" in st.query_params:
    layout.one_record(ws, records.get(ws, st.query_params["record"]))
else:
    desk.curate(ws, chosen, session.person())
with st.expander("List and bulk decisions", icon=":material/table_rows:"):
    in_bulk()
