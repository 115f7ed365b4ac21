"""Records that say the same: see them side by side, let a rule or a person choose who stays, settle answers that contradict."""

import streamlit as st

from studio import conflicts, duplicate_groups, duplicates, keepers, records
from studio.ui import layout, session, twin_cache, twin_cards, twin_search, twins_view
from studio.ui.formats import count

SHOWN, CONFLICTS_SHOWN = 8, 5
PARTS = ["Groups", "Conflicts", "Cost"]

ws = session.workspace()
layout.header(ws, "Twins", "Records that say the same, exactly, nearly or in meaning. Nothing is dropped until you say so, and "
              "undo brings it back.", "kept")
counted = records.counts(ws)
if not counted.total:
    layout.empty("Here records that say the same are found, so that a model does not learn them twice and is not tested on "
                 "what it learned. There are none yet.", "Import tickets", "pages/import_tickets.py")
    st.stop()
side, search, who = *twin_search.newest_search(ws), session.person()
if search is None:
    st.stop()
dial = st.container()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    part = st.segmented_control("Look at", PARTS, default=PARTS[0], required=True, key="part", bind="query-params")
    if st.button("Undo my last act", icon=":material/undo:"):
        with st.spinner("Undoing…"):
            undone = duplicate_groups.undo(ws, who)
        st.toast(layout.plain(undone.sentence) if undone else "There is nothing of yours to undo.")
        st.rerun()


def groups() -> duplicate_groups.Tally:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = twins_view.choose_rule()
        state, order = twins_view.choose_groups()
    spare = twins_view.spare_kept(rule)
    number = twins_view.page_number()
    tally, shown = twin_cache.listing(ws, side, SHOWN, (number - 1) * SHOWN, order, state)
    plan = twin_cache.plan(ws, side, rule if state == "open" else "hand", [group.group_id for group in shown], 0.0, spare)
    if not shown:
        twins_view.nothing(state, tally)
    if state == "open" and plan.drops:
        if st.button(f"Accept all {count(len(shown), 'group')} on this page: drop {count(len(plan.drops), 'record')}",
                     key=f"accept-page-{plan.key}", icon=":material/done_all:", type="primary"):
            twin_cards.said(keepers.accept(ws, plan, who))
        twins_view.losses(twin_cache.cost(ws, plan))
    twin_cards.groups(ws, shown, plan, twin_search.measured(search), who)
    twins_view.pager(number, getattr(tally, state), SHOWN)
    return tally


def clashes() -> None:
    if not twins_view.conflicts_need(side):
        return
    low = st.slider("Answers count as different below this similarity", 0.05, 1.0, conflicts.LOW, 0.05, key="low", width=460,
                    help="1 is the same, 0 has nothing in common.")
    if duplicates.latest(ws, "answer") is None:
        st.caption("Copies of one question are listed as soon as one word of their answers differs, a name for instance. "
                   "Compare the **Answers** as well, and those that are as alike as this are left out.")
    number = twins_view.page_number()
    total, shown = twin_cache.clashes(ws, CONFLICTS_SHOWN, (number - 1) * CONFLICTS_SHOWN, low)
    if not shown:
        st.success("No question was answered in two different ways, or each was settled.", icon=":material/check:")
    else:
        st.markdown(f"**{count(total, 'question')}** with answers that contradict, the most frequent first. Keep one answer, "
                    "or say that all are right.")
    for one in shown:
        twin_cards.conflict(ws, one, who)
    twins_view.pager(number, total, CONFLICTS_SHOWN)


def all_groups() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = twins_view.choose_rule()
        least = twins_view.at_least(ws, side)
    spare = twins_view.spare_kept(rule)
    plan = twin_cache.plan(ws, side, rule, None, least, spare)
    slices = twin_cache.cost(ws, plan)
    if st.button(f"Accept all: drop {count(len(plan.drops), 'record')}", type="primary", disabled=not plan.drops,
                 icon=":material/done_all:", key=f"accept-all-{plan.key}"):
        with st.spinner("Dropping…"):
            twin_cards.said(keepers.accept(ws, plan, who))
    twins_view.cost(plan, slices, counted.usable)


if part == "Conflicts":
    clashes()
elif part == "Cost":
    all_groups()
tally = groups() if part == "Groups" else twin_cache.listing(ws, side, 0, 0, "size", "open")[0]
with dial:
    twin_search.dial(ws, search, tally)
