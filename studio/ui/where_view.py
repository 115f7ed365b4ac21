"""Where it is better and where worse: slices with their intervals, and what to do about a bad one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import acts, metrics, similar, slices, verdict_words
from studio.rivals import roles as roles_of
from studio.runs import Run
from studio.similar import Like
from studio.slices import Slice
from studio.ui import charts, evaluate_cache, layout, session, verdict_view
from studio.ui.formats import count, excerpt, signed
from studio.workspace import Workspace

SHOWN, LIKE = 24, 25


def draw(ws: Workspace, run: Run) -> None:
    """Choose a way to part the items, see the slices, act on one."""
    grid, roles = evaluate_cache.grid(ws, run), roles_of(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rival, judged = verdict_view.choose_pair(run)
        metric = verdict_view.choose_metric(run, grid, whole=True)
        by = choose_way(ws, run)
    found = evaluate_cache.cut(ws, run, by, metric, rival, judged)
    title = slices.ways(ws, grid, run)[by].lower()
    if not found:
        layout.empty(f"No test item has a value for {layout.plain(title)}, so there is nothing to part.")
        return
    large = [one for one in found if one.found is not None]
    _said(large, found, title, roles[judged], roles[rival])
    if large:
        charts.intervals([_bar(one) for one in large[:SHOWN]], "Where is it better, and where worse?",
                         f"{metrics.title(metric)}, {roles[judged]} minus {roles[rival]}, 95 % paired interval")
    st.dataframe([_row(one, metric) for one in found], hide_index=True, column_config=layout.numbers(["difference"]),
                 alt=f"Every slice by {title} with its interval")
    _act(ws, run, by, found)


def choose_way(ws: Workspace, run: Run) -> str:
    ways = slices.ways(ws, evaluate_cache.grid(ws, run), run)
    return str(st.selectbox("Parted by", list(ways), format_func=lambda one: ways[one], key="by", bind="query-params",
                            width=verdict_view.CHOICE))


def _said(large: list[Slice], found: list[Slice], title: str, judged: str, rival: str) -> None:
    worse = [one.name for one in large if one.found and one.found.word == "worse"]
    better = [one.name for one in large if one.found and one.found.word == "better"]
    few = len(found) - len(large)
    said = (f"Of {count(len(found), 'slice')} by {layout.plain(title)}, {judged} is surely better than {rival} on "
            f"**{len(better)}** and surely worse on **{len(worse)}**")
    st.markdown(said + (f" ({layout.plain(', '.join(worse[:5]))})." if worse else ".")
                + (f" {count(few, 'slice has', 'slices have')} too few items to say." if few else ""))
    if len(large) > 1:
        st.caption(f"{len(large)} slices are {len(large)} tries for chance: better and worse are corrected for that (Holm). "
                   "The surest losses come first.")


def _bar(one: Slice) -> dict[str, object]:
    assert one.found is not None
    return {"name": f"{excerpt(one.name, 34)} ({one.items:,})", "value": one.found.difference.value, "of": "",
            "low": one.found.difference.low, "high": one.found.difference.high, "word": one.found.word}


def _row(one: Slice, metric: str) -> dict[str, object]:
    digits = verdict_words.places(metric)
    said = signed(*one.found.difference.parts, digits) if one.found else "–"
    return {"slice": one.name, "items": one.items, "difference": said, "verdict": one.found.word if one.found else "too few"}


def _act(ws: Workspace, run: Run, by: str, found: list[Slice]) -> None:
    """What to do about one slice: read it, label it, find more like it."""
    st.subheader("What to do about one of them", anchor=False)
    named = {one.name: one for one in found}
    name = st.selectbox("Slice", list(named), format_func=lambda one: f"{one} · {count(named[one].items, 'item')}", key="slice",
                        bind="query-params")
    chosen, tag = named[name], slices.tag_for(by, name)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Read the answers", icon=":material/menu_book:", on_click=_to_answers, args=(by, name))
        if session.may("curate") and st.button("Label these", icon=":material/label:",
                     help=layout.plain(f"Tags them “{tag}” and opens the label queue with this tag.")):
            slices.tag_items(ws, evaluate_cache.grid(ws, run), [int(place) for place in chosen.places], tag, session.person(),
                             ws.new_id())
            layout.open_page("pages/label.py", {"marked": tag})
    if session.may("curate") and st.toggle("Add more like these to the next snapshot", key="like"):
        items = evaluate_cache.grid(ws, run).items
        layout.fragment(lambda: more_like(ws, [str(items[place]) for place in chosen.places], run.snapshot_id, name))


def _to_answers(by: str, name: str) -> None:
    """Open Answers on this slice: its choices have the same names there."""
    st.session_state["view"], st.session_state["by"], st.session_state["slice"] = "answers", by, name


def more_like(ws: Workspace, item_ids: Sequence[str], snapshot_id: str, name: str) -> None:
    """Undecided records outside the snapshot that speak of the same: seen first, then kept in one act."""
    who = session.person()
    limit = int(st.number_input("How many at most", 1, 1_000, LIKE, width=150))
    words, found = similar.to(ws, item_ids, snapshot_id, limit)
    if unread := similar.unread(ws):
        st.caption(f":material/hourglass_top: {count(unread, 'record')} are not in the index of words yet and cannot be found.")
    if not found:
        st.markdown("No undecided record outside this snapshot speaks of the same. Import newer tickets, or reset decisions on "
                    "Curate.")
    else:
        st.caption(f"Looked for by what these items say more often than others: {layout.plain(', '.join(words[:12]))}.")
        _listed(found)
    with st.container(horizontal=True):
        st.button(f"Keep {count(len(found), 'record')}", type="primary", icon=":material/check:", disabled=not found,
                  on_click=_keep, args=(ws, found, name, who))
        st.button("Undo my last act", icon=":material/undo:", on_click=_undo, args=(ws, who))


def _keep(ws: Workspace, found: Sequence[Like], name: str, who: str) -> None:
    with layout.guarded():
        kept = similar.keep(ws, found, name, who, ws.new_id())
        st.toast(f"Kept {count(kept, 'record')}: the next snapshot can hold them. Undo takes all of them back.")


def _undo(ws: Workspace, who: str) -> None:
    with layout.guarded():
        undone = acts.undo(ws, who, ws.new_id())
        st.toast(layout.plain(undone.sentence) if undone else "There is nothing of yours to undo.")


def _listed(found: Sequence[Like]) -> None:
    st.dataframe([{"record": layout.record_address(one.record.record_id), "likeness": one.weight,
                   "asks": excerpt(one.record.question, 120)} for one in found], hide_index=True,
                 column_config={"record": layout.record_column(),
                                "likeness": st.column_config.NumberColumn(format="percent",
                                                                          help="Share of these words' weight")},
                 alt="Records like the slice")
