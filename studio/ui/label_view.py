"""The Label page's parts: which set and which queue, how far everybody is, and how well people agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import streamlit as st

from studio import adjudicate, findings, intake, label_sets, marks, queues, records, snapshots
from studio.agreement import FieldAgreement
from studio.boards import Show
from studio.label_sets import LabelSet
from studio.queues import Order, QueueFilter
from studio.ui import layout
from studio.ui.formats import count, duration, interval, share
from studio.workspace import Workspace

MOST_BESIDE = 6
"""So many values stand side by side in half the page's width."""
Choice = TypeVar("Choice", bound=str)
SHOWS: dict[Show, str] = {"open": "need answers", "unlabelled": "unlabelled", "mine": "answered by me",
                          "disagreed": "disagreed", "flagged": "flagged", "skipped": "skipped by me"}
ORDERS: dict[Order, str] = {"oldest": "oldest first", "random": "in random order", "informative": "most informative first",
                            "doubtful": "most doubted labels first"}
NARROWING = ("words", "tag", "marked", "finding", "import", "rated-from", "rated-to", "snapshot")
"""The names of what narrows a queue beside what is shown of it."""
SPLITS = {"": "whole snapshot", "train": "train", "validation": "validation", "test": "test"}


def use(set_id: str) -> None:
    """Choose this set in the next run."""
    st.session_state["set-wanted"] = set_id


def choose_set(ws: Workspace) -> LabelSet | None:
    """The label set in use; None where the workspace has none yet."""
    names = {one.set_id: one.name for one in label_sets.every(ws)}
    if not names:
        return None
    if st.session_state.get("set-wanted") in names:
        st.session_state["set"] = st.session_state.pop("set-wanted")
    wanted = layout.place(list(names), st.query_params.get("set")) or 0
    chosen = st.selectbox("Label set", list(names), wanted, format_func=lambda one: names.get(one, "gone"), key="set",
                          bind="query-params", label_visibility="collapsed", width=160)
    return label_sets.get(ws, chosen)


def choose_queue(ws: Workspace, label_set: LabelSet) -> tuple[QueueFilter, Order]:
    """What to read, in what order: all behind one button that says what is chosen."""
    show, order = _kept("show", SHOWS), _kept("order", ORDERS)
    narrowed = sum(bool(st.session_state.get(one, st.query_params.get(one))) for one in NARROWING)
    said = f"{SHOWS[show].capitalize()}, {ORDERS[order]}" + (f", {count(narrowed, 'filter')}" if narrowed else "")
    with st.popover(said, icon=":material/filter_list:", width="content"):
        show = st.selectbox("Records", list(SHOWS), format_func=SHOWS.__getitem__, key="show", bind="query-params")
        order = st.selectbox("Order", list(ORDERS), format_func=ORDERS.__getitem__, key="order", bind="query-params")
        text = st.text_input("Holds the words", key="words", bind="query-params")
        tag = st.selectbox("Tag", records.tags(ws), None, placeholder="any", key="tag", bind="query-params")
        given = marks.tags(ws)
        marked = st.selectbox("Tag that people put on it", given, None, placeholder="any", disabled=not given, key="marked",
                              bind="query-params")
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
    return QueueFilter(label_set.set_id, show, finding or "", source or "", tag or "", low, high, snapshot or "",
                       split if snapshot else "", text or "", marked or ""), order


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


def agreement(ws: Workspace, label_set: LabelSet) -> None:
    """How far people agree, field by field, with its interval; then value by value and pair by pair of one field."""
    met = [one for one in adjudicate.overlaps(ws, label_set.set_id) if one.records]
    if not label_set.compared and not any(field.kind == "spans" for field in label_set.fields):
        layout.empty("Agreement is measured for choices, scales and marks on the text; this set asks for none of them.")
        return
    found = adjudicate.agreements(ws, label_set.set_id)
    if not met and not any(one.records for one in found):
        layout.empty("Agreement needs records that two people have answered. Ask for two answers a record, or for one more on "
                     "a share of them, under Sets; then let somebody else label under another name.")
        return
    if any(one.records for one in found):
        _by_field(label_set, found)
    if met:
        st.dataframe([{"marks on the text": label_set.field(one.field).title, "records": one.records,
                       "overlap (F1)": interval(*one.f1.parts)} for one in met], hide_index=True,
                     alt="Overlap of marks by field")
        st.caption("Overlap is 1 where two people mark the same characters as the same thing, 0 where they mark nothing alike.")
    if any(field.kind == "text" for field in label_set.fields):
        st.caption("Free texts are not compared: nobody writes the same words twice.")
    shown = [one for one in found if one.records]
    if not shown:
        return
    titles = {one.field: label_set.field(one.field).title for one in shown}
    chosen = st.segmented_control("Field", list(titles), default=shown[0].field, required=True, key=f"field-{label_set.set_id}",
                                  format_func=titles.__getitem__) if len(shown) > 1 else shown[0].field
    _one_field(label_set, next(one for one in shown if one.field == chosen))


def _by_field(label_set: LabelSet, found: Sequence[FieldAgreement]) -> None:
    st.dataframe([{"field": label_set.field(one.field).title, "records": one.records, "answers": one.answers,
                   "raw agreement": interval(*one.raw.parts), "Krippendorff's α": interval(*one.alpha.parts),
                   "taken as": one.level} for one in found], hide_index=True, alt="Agreement by field")
    st.caption("α is 1 where people always agree and 0 where they agree as often as chance; from 0.8 on one may rely on it, "
               "below 0.67 the guidelines want work (Krippendorff 2004). Intervals are 95 % bootstraps over records.")


def _one_field(label_set: LabelSet, found: FieldAgreement) -> None:
    field = label_set.field(found.field)
    names = {value: field.title_of(str(value)) for value in found.values}
    left, right = st.columns(2, gap="large") if len(names) <= MOST_BESIDE else (st.container(), st.container())
    with left:
        st.markdown("**What is taken for what?** Pairs of answers to the same record; on the diagonal people agree.")
        st.dataframe([{"": names[value], **{names[other]: n or None for other, n in zip(found.values, row, strict=True)}}
                      for value, row in zip(found.values, found.confusion, strict=True)], hide_index=True, placeholder="",
                     alt="Confusion between values")
    with right:
        st.markdown("**Which values are hard?** How often somebody else says so too.")
        st.dataframe([{"value": names[one.value], "answers": one.uses, "agreement": one.agreement}
                      for one in sorted(found.by_value, key=lambda one: one.agreement)], hide_index=True,
                     column_config={"agreement": st.column_config.NumberColumn(format="%.2f")}, alt="Agreement by value")
    st.markdown("**Who agrees with whom?**")
    st.dataframe([{"first": pair.first, "second": pair.second, "records": pair.records,
                   "raw agreement": interval(*pair.raw.parts), "Cohen's κ": interval(*pair.kappa.parts)}
                  for pair in found.pairs], hide_index=True, alt="Agreement by pair")


def settled(ws: Workspace, label_set: LabelSet) -> None:
    """What was settled, newest first."""
    found = adjudicate.settled(ws, label_set.set_id)
    if found:
        with st.expander(f"Settled already ({len(found):,})"):
            st.dataframe([{"record": layout.record_address(one.record_id), "by": one.who, **{
                part.title: part.words for part in label_sets.shown(label_set, label_set, one.answer)}}
                for one in found[:500]], hide_index=True, column_config={"record": layout.record_column()},
                alt="Settled records")
