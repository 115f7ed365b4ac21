"""The table of records on the screen: one row of filters for the desk and the table, then order, counts, page and acts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import streamlit as st

from studio import acts, findings, label_sets, labels, marks, record_table, records, search
from studio.label_sets import Field, LabelSet
from studio.labels import Given
from studio.marks import Mark
from studio.places import Decision
from studio.record_table import Facet, Found, Line, Order, Page, Wanted
from studio.ui import layout
from studio.ui.formats import count, excerpt
from studio.workspace import Workspace

SIZE = 25
DECISIONS = {"undecided": "Undecided", "keep": "Kept", "drop": "Dropped", "all": "All"}
DONE: dict[Decision, str] = {"keep": "Kept", "drop": "Dropped", "undecided": "Reset"}
VERBS: dict[Decision, str] = {"keep": "Keep", "drop": "Drop", "undecided": "Reset"}
TAG_VERBS = {True: "Tag", False: "Take it off"}
COLUMNS = {"position": "As they came in", "rating": "Rating", "date": "Date", "length": "Length", "decision": "Decision"}
FACETS = {"decision": "Decision", "tag": "Tag", "import": "Import", "rating": "Rating", "finding": "Finding"}
HEADS = ("decision", "rating", "date", "length")
"""Columns of the rows that a click on their name sorts by."""
SORTS = "A click on this name sorts all rows, not only this page; another click turns the order round."
KINDS = {kind.key: kind.title for kind in findings.KINDS}


def choose(ws: Workspace) -> Wanted:
    """The filters, held by the address: the same for the desk and the table."""
    tags = record_table.tags(ws)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        decision = st.segmented_control("Show", list(DECISIONS), default="undecided", required=True, key="show",
                                        bind="query-params", format_func=DECISIONS.__getitem__)
        tag = st.selectbox("Tag", tags, index=None, placeholder="any", width=200, disabled=not tags, key="tag",
                           bind="query-params")
        text = st.text_input("Holds the words", width=220, key="words", bind="query-params",
                             help="Records with a word that begins with each of these. Case and order do not matter.")
        with st.popover("More", icon=":material/filter_alt:"):
            more = _more(ws)
    return Wanted(None if decision == "all" else decision, tag,  # type: ignore[arg-type]
                  text or "", *more)


def _more(ws: Workspace) -> tuple[str, float | None, float | None, str, bool, str]:
    names = {source.import_id: f"{source.name} ({source.import_id[:6]})" for source in record_table.sources(ws)}
    source = st.selectbox("Import", list(names), index=None, placeholder="any", key="import", bind="query-params",
                          format_func=lambda one: names.get(one, one))
    low = st.number_input("Rated at least", value=None, key="rated-from", bind="query-params", placeholder="any")
    high = st.number_input("Rated at most", value=None, key="rated-to", bind="query-params", placeholder="any")
    kind = st.selectbox("Open finding", list(KINDS), index=None, placeholder="any", key="finding", bind="query-params",
                        format_func=lambda one: KINDS.get(one, one))
    flagged = st.toggle("Flagged by somebody", key="flagged", bind="query-params")
    given = marks.tags(ws)
    marked = st.selectbox("Tag that people put on it", given, index=None, placeholder="any", disabled=not given, key="marked",
                          bind="query-params")
    return source or "", low, high, kind or "", flagged, marked or ""


def table(ws: Workspace, who: str) -> None:
    """Filters, counts, rows and acts, drawn anew by themselves: the rest of the page stays as it is."""
    layout.fragment(lambda: _draw(ws, who))


def _draw(ws: Workspace, who: str) -> None:
    wanted = choose(ws)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        column = st.selectbox("Order", list(COLUMNS), key="order", bind="query-params", width=180,
                              format_func=COLUMNS.__getitem__)
        descending = st.toggle("Highest first", key="down", bind="query-params")
        by = st.selectbox("Count by", list(FACETS), index=None, placeholder="nothing", key="count-by", bind="query-params",
                          width=150, format_func=FACETS.__getitem__)
        order = Order(column, descending)  # type: ignore[arg-type]
        key = hashlib.sha256(repr((wanted, order)).encode()).hexdigest()[:12]
        found = record_table.Found(ws, wanted)
        pages = max(1, -(-found.matching // SIZE))
        number = st.number_input(f"Page, 1 to {pages:,}", 1, pages, 1, key=f"page-{key}", width=170)
    if by:
        _counts(ws, found, by, key)  # type: ignore[arg-type]
    unread = search.unread(ws) if wanted.text.strip() else 0
    if unread > search.FEW:
        st.caption(f":material/hourglass_top: {count(unread, 'new record')} are still being read into the index of words; "
                   "until then it takes longer to find words in them.")
    page = found.page(order, int(number), SIZE)
    above = st.container()  # what can be done stands above the rows, but depends on which are ticked
    ticked = _rows(ws, page, f"rows-{key}-{page.number}")
    with above:
        _acts(ws, wanted, found, ticked, who)


def _counts(ws: Workspace, found: Found, by: Facet, key: str) -> None:
    """How many matching records have which value; each count narrows the filter to its rows."""
    counted = dict(found.facet(by))
    if not counted:
        st.caption(f"No matching record has a {FACETS[by].lower()}.")
        return
    names = DECISIONS | KINDS | {source.import_id: source.name for source in record_table.sources(ws)}
    key = f"facet-{by}-{key}"

    def picked() -> None:
        value = st.session_state[key]
        if value is not None and by == "rating":
            st.session_state["rated-from"] = st.session_state["rated-to"] = float(value)
        elif value is not None:
            st.session_state["show" if by == "decision" else by] = value

    st.pills(f"{FACETS[by]}s of these records", list(counted), key=key, on_change=picked,
             format_func=lambda value: f"{layout.plain(excerpt(str(names.get(value, value)), 40))} · {counted[value]:,}")
    if len(counted) == record_table.MOST_VALUES:
        st.caption(f"The {record_table.MOST_VALUES} most frequent.")


def _rows(ws: Workspace, page: Page, key: str) -> list[str]:
    """The page's rows; returns the ids of those that are ticked. A click on a column's name sorts all rows, not the page's."""
    if not page.lines:
        layout.empty("No record matches these filters. Take one of them away, or show all decisions.")
        return []
    marked = marks.of(ws, [line.record.record_id for line in page.lines])
    rows = [_cells(line, marked.get(line.record.record_id, [])) for line in page.lines]
    shown = st.dataframe(rows, hide_index=True, key=key, on_select=lambda: _sort_by(key),
                         selection_mode=["multi-row", "single-column"], alt="Records that match the filter",
                         height=35 * len(page.lines) + 38,
                         column_config={"record": layout.record_column(),
                                        "decision": st.column_config.TextColumn(help=SORTS),
                                        "rating": st.column_config.NumberColumn(help=SORTS),
                                        "length": st.column_config.NumberColumn(help=f"Characters. {SORTS}"),
                                        "date": st.column_config.DatetimeColumn(format="YYYY-MM-DD", help=SORTS)})
    return [page.lines[place].record.record_id for place in shown.selection.rows if place < len(page.lines)]


def _sort_by(key: str) -> None:
    """After a click on a column's name: order by it, and the other way round where it is the order already."""
    chosen = st.session_state[key].selection.columns
    if chosen and chosen[0] in HEADS:
        st.session_state["down"] = st.session_state["order"] == chosen[0] and not st.session_state["down"]
        st.session_state["order"] = chosen[0]
    elif chosen:
        st.toast(f"Rows are not sorted by {chosen[0]}; choose another column under Order.")


def _cells(line: Line, marked: Sequence[Mark]) -> dict[str, object]:
    record = line.record
    put = dict.fromkeys("⚑" if mark.kind == "flag" else f"# {mark.value}" for mark in marked if mark.kind in ("flag", "tag"))
    return {"record": layout.record_address(record.record_id), "decision": record.decision, "rating": record.rating,
            "tags": record.tags, "date": record.happened_at, "length": line.characters,
            "marks": " ".join(put), "customer": excerpt(record.question, 60), "agent": excerpt(record.answer, 60)}


def _acts(ws: Workspace, wanted: Wanted, found: Found, ticked: Sequence[str], who: str) -> None:
    """What can be done with the ticked rows or, where none is ticked, with everything that matches."""
    some = f"{count(len(ticked), 'ticked record')}" if ticked else f"all {count(found.matching, 'matching record')}"
    st.markdown(f"With **{some}**{'' if ticked else ' (tick rows to choose single ones)'}:")
    with st.container(horizontal=True):
        for decision, verb in VERBS.items():
            coming = len(ticked) if ticked else len(found.undecided_so(decision))
            if st.button(f"{verb} {count(coming, 'record')}", disabled=not coming, key=f"bulk-{decision}",
                         help=None if ticked else "Those of them that are not so yet. One act: undo takes it back whole."):
                with st.spinner("Storing what you decided…"):
                    done = _decide(ws, wanted, ticked, decision, who)
                st.toast(f"{DONE[decision]} {count(done, 'record')}. Undo takes it back.")
                st.rerun(scope="app")
        _tag(ws, wanted, found, ticked, who)
        _label(ws, ticked, found.matching, lambda: list(ticked) or record_table.matching_ids(ws, wanted), who)
        if st.button("Undo my last act", icon=":material/undo:"):
            with st.spinner("Taking it back…"):
                undone = acts.undo(ws, who, ws.new_id())
            st.toast(layout.plain(undone.sentence) if undone else "There is nothing of yours to undo.")
            st.rerun(scope="app")


def _decide(ws: Workspace, wanted: Wanted, ticked: Sequence[str], decision: Decision, who: str) -> int:
    if ticked:
        records.decide(ws, ticked, decision, who)
        return len(ticked)
    return record_table.decide_matching(ws, wanted, decision, who)


def _tag(ws: Workspace, wanted: Wanted, found: Found, ticked: Sequence[str], who: str) -> None:
    """Put a tag on many records, or take it off, as one act; the buttons say from how many it would come or go."""
    with st.popover("Tag", icon=":material/sell:"):
        tag = (st.selectbox("Tag", marks.tags(ws), index=None, accept_new_options=True, key="bulk-tag",
                            placeholder="Choose one or write a new one") or "").strip()
        bearing = {one for one, said in marks.of(ws, ticked).items()
                   if any((mark.kind, mark.value) == ("tag", tag) for mark in said)}
        for standing, verb in TAG_VERBS.items():
            some = [one for one in ticked if (one in bearing) is not standing]
            coming = 0 if not tag else len(some) if ticked else len(found.tagged_so(tag, standing))
            if st.button(f"{verb} {count(coming, 'record')}", disabled=not coming, key=f"bulk-tag-{standing}",
                         type="primary" if standing else "secondary"):
                with st.spinner("Storing it…"):
                    done = marks.put_many(ws, some, "tag", tag, who, ws.new_id(), standing) if ticked else \
                        record_table.tag_matching(ws, wanted, tag, who, standing)
                st.toast(f"{'Tagged' if standing else 'Took the tag off'} {count(done, 'record')}. Undo takes it back.")
                st.rerun(scope="app")


def _label(ws: Workspace, ticked: Sequence[str], matching: int, meant: Callable[[], list[str]], who: str) -> None:
    """Give many records the same label, where a label set asks one question with options."""
    sets = {one.set_id: one for one in label_sets.every(ws) if _only_question(one)}
    if not sets:
        return
    with st.popover("Label", icon=":material/label:"):
        set_id = st.selectbox("Label set", list(sets), key="bulk-label-set", format_func=lambda one: sets[one].name)
        field = _only_question(sets[set_id])
        if field is None:
            return
        value = st.selectbox(layout.plain(field.title), [option.value for option in field.options], index=None,
                             key=f"bulk-label-{set_id}", format_func=field.title_of)
        coming = len(ticked) or matching
        if st.button(f"Label {count(coming, 'record')}", disabled=value is None or not coming, type="primary",
                     key="bulk-label"):
            answer = {field.key: [value] if field.kind == "multi" else value}
            with st.spinner("Labelling…"):
                done = labels.answer_many(ws, set_id, [Given(record_id, answer) for record_id in meant()], who, ws.new_id())
            st.toast(f"Labelled {count(done, 'record')}. Undo takes it back.")
            st.rerun(scope="app")


def _only_question(label_set: LabelSet) -> Field | None:
    """The one field that must be answered, where it has options to choose from."""
    required = [field for field in label_set.fields if field.required]
    return required[0] if len(required) == 1 and required[0].kind in ("choice", "multi") else None
