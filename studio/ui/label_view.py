"""The Label page's parts: which set and which queue, how far everybody is, and how well people agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import streamlit as st

from studio import findings, intake, label_sets, queues, records, snapshots
from studio.boards import Show
from studio.label_sets import LabelSet
from studio.queues import Order, QueueFilter
from studio.ui import layout
from studio.ui.formats import count, duration, share
from studio.workspace import Workspace

Choice = TypeVar("Choice", bound=str)
SHOWS: dict[Show, str] = {"open": "need answers", "unlabelled": "unlabelled", "mine": "answered by me",
                          "disagreed": "disagreed", "flagged": "flagged", "skipped": "skipped by me"}
ORDERS: dict[Order, str] = {"oldest": "oldest first", "random": "in random order", "informative": "most informative first",
                            "doubtful": "most doubted labels first"}
SPLITS = {"": "whole snapshot", "train": "train", "validation": "validation", "test": "test"}


def choose_set(ws: Workspace) -> LabelSet | None:
    """The label set in use; None where the workspace has none yet."""
    names = {one.set_id: one.name for one in label_sets.every(ws)}
    if not names:
        return None
    wanted = layout.place(list(names), st.query_params.get("set")) or 0
    chosen = st.selectbox("Label set", list(names), wanted, format_func=lambda one: names.get(one, "gone"), key="set",
                          bind="query-params", label_visibility="collapsed", width=190)
    return label_sets.get(ws, chosen)


def choose_queue(ws: Workspace, label_set: LabelSet) -> tuple[QueueFilter, Order]:
    """What to read, in what order: all behind one button that says what is chosen."""
    show, order = _kept("show", SHOWS), _kept("order", ORDERS)
    with st.popover(f"{SHOWS[show].capitalize()}, {ORDERS[order]}", icon=":material/filter_list:", width="content"):
        show = st.selectbox("Records", list(SHOWS), format_func=SHOWS.__getitem__, key="show", bind="query-params")
        order = st.selectbox("Order", list(ORDERS), format_func=ORDERS.__getitem__, key="order", bind="query-params")
        tag = st.selectbox("Tag", records.tags(ws), None, placeholder="any", key="tag", bind="query-params")
        kinds = {one.kind.key: one.kind.title for one in findings.kinds(ws) if one.open}
        finding = st.selectbox("Finding", list(kinds), None, format_func=kinds.__getitem__, placeholder="any",
                               disabled=not kinds, key="finding", bind="query-params")
        files = {one.import_id: one.source_name for one in intake.imports(ws)}
        source = st.selectbox("Import", list(files), None, format_func=files.__getitem__, placeholder="any", key="import",
                              bind="query-params")
        with st.container(horizontal=True):
            low = st.number_input("Rating from", value=None, placeholder="any", key="rated-from", width=130)
            high = st.number_input("to", value=None, placeholder="any", key="rated-to", width=130)
        frozen = {one.snapshot_id: one.name for one in snapshots.every(ws)}
        with st.container(horizontal=True):
            snapshot = st.selectbox("Snapshot", list(frozen), None, format_func=frozen.__getitem__, placeholder="any",
                                    disabled=not frozen, key="snapshot", width=170)
            split = st.selectbox("Split", list(SPLITS), format_func=SPLITS.__getitem__, disabled=not snapshot, key="split",
                                 width=150)
        text = st.text_input("Holds the words", key="words", bind="query-params")
    return QueueFilter(label_set.set_id, show, finding or "", source or "", tag or "", low, high, snapshot or "",
                       split if snapshot else "", text or ""), order


def _kept(name: str, words: Mapping[Choice, str]) -> Choice:
    """What a list that is drawn later holds already; an address holds the words that people read."""
    held, address = st.session_state.get(name), st.query_params.get(name)
    return next((key for key in words if key == held or (held is None and words[key] == address)), next(iter(words)))


def progress(ws: Workspace, label_set: LabelSet) -> None:
    """How far the set is, and who did how much."""
    reached = queues.progress(ws, label_set.set_id)
    words = f"{share(reached.done, reached.total)} records have all their answers; {count(reached.answers, 'answer')} stand"
    st.progress(reached.done / reached.total if reached.total else 0.0, text=words)
    if not reached.people:
        layout.empty("Nobody has answered with this set yet. Progress stands here by person once somebody has.")
        return
    st.dataframe([{"person": one.who, "answers": one.answered, "today": one.today, "skipped": one.skipped,
                   "a record": duration(one.median_seconds) if one.median_seconds is not None else "",
                   "an hour": round(one.per_hour) if one.per_hour else None} for one in reached.people], hide_index=True,
                 column_config={"a record": st.column_config.TextColumn(help="Median time a record lay before this person"),
                                "an hour": st.column_config.NumberColumn(help="Answers an hour of labelling")},
                 alt="Answers by person")
