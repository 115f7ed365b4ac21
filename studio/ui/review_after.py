"""After the reveal: read the disagreements together, take corrections over, see faults that come back, take it all along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from studio import corrections, faults, marks, opinions, records, review_exports, review_results, reviews, runs, slices
from studio.corrections import Correction
from studio.opinions import Judged
from studio.people import Right
from studio.review_texts import PLAYGROUND, Texts
from studio.reviews import Session
from studio.ui import layout, session, where_view
from studio.ui.formats import count, excerpt, share
from studio.workspace import Workspace

VIEWS = {"differ": "Disagreements", "all": "All pairs", "better": "Better answers", "faults": "Faults", "files": "Take along"}
TAKEN = {"version": "Taken over: a new version of its record.", "example": "Taken over: a record of its own.", "left": "Left."}
RIGHTS: dict[str, Right] = {"differ": "read", "all": "read", "better": "curate", "faults": "read", "files": "export"}
PAGE = 20


def draw(ws: Workspace, held: Session) -> None:
    """One of the views."""
    called = review_results.names(ws, held)
    judged = reviews.standing(ws, held.session_id)
    differ = review_results.disagreed(judged)
    default = "differ" if differ else "all"
    view = st.segmented_control("View", session.within(RIGHTS), default=default, required=True, key="after",
                                bind="query-params", label_visibility="collapsed", format_func=VIEWS.__getitem__)
    if view == "better":
        _better(ws, held, corrections.of_session(ws, held.session_id))
    elif view == "faults":
        _faults(ws, held, judged, called)
    elif view == "files":
        _files(ws, held, called)
    else:
        _pairs(ws, held, judged, differ if view == "differ" else None, called)


def _pairs(ws: Workspace, held: Session, judged: Sequence[Judged], only: Sequence[str] | None,
           called: Mapping[str, str]) -> None:
    by_pair: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_pair[one.pair_id].append(one)
    chosen = [pair for pair in by_pair if only is None or pair in only]
    if not chosen:
        layout.empty("People agree on every pair that several of them judged." if only is not None else "Nothing was judged.")
        return
    shown = layout.page_of(chosen, PAGE, f"pairs-{only is None}")
    texts = reviews.texts(ws, held.session_id, [by_pair[pair][0].item_id for pair in shown])
    for pair in shown:
        first = by_pair[pair][0]
        if first.item_id in texts:
            _one(by_pair[pair], texts[first.item_id], called, held.run_id != PLAYGROUND)


def _one(said: Sequence[Judged], known: Texts, called: Mapping[str, str], of_records: bool) -> None:
    """A pair with both answers under their names, who said what, marks and notes."""
    first = said[0]
    won = ", ".join(f"{one.who}: {_winner(one, called)}" + (" (again)" if one.again else "") for one in said)
    with st.expander(f"{layout.plain(excerpt(known.question[-1]['content'], 80))} · {layout.plain(won)}"):
        layout.conversation(known.question)
        left, right = st.columns(2, gap="medium")
        for column, candidate in ((left, first.a), (right, first.b)):
            with column:
                layout.conversation([{"role": "assistant", "content": known.answers[candidate]}], called[candidate])
        for one in said:
            if lines := _remarks(one, known, called):
                st.markdown("\n".join(f"- {line}" for line in lines))
        if known.reference:
            st.caption(f"Reference: {layout.plain(known.reference)}")
        if of_records:
            layout.link("Open its record", "pages/curate.py", {"record": first.item_id})


def _winner(one: Judged, called: Mapping[str, str]) -> str:
    return {"a": called[one.a], "b": called[one.b]}.get(one.winner, opinions.VERDICTS.get(one.winner, "").lower())


def _remarks(one: Judged, known: Texts, called: Mapping[str, str]) -> list[str]:
    who, sides, lines = layout.plain(one.who), {"a": one.a, "b": one.b}, []
    for fault in one.faults:
        words = known.answers[sides[fault.side]][fault.start : fault.end] or "the whole answer"
        note = f": {layout.plain(fault.note)}" if fault.note else ""
        where = f"“{layout.plain(excerpt(words, 120))}”"
        lines.append(f"{who} on {called[sides[fault.side]]}: **{opinions.FAULTS[fault.kind]}** in {where}{note}")
    for side, given in one.scores.items():
        lines.append(f"{who} scores {called[sides[side]]}: " + ", ".join(f"{opinions.CRITERIA[key].lower()} {value}"
                                                                         for key, value in given.items()))
    if one.note:
        lines.append(f"{who}: {layout.plain(one.note)}")
    if one.better:
        lines.append(f"{who} would write: {layout.plain(one.better)}")
    return lines


def _better(ws: Workspace, held: Session, written: Sequence[Correction]) -> None:
    """Answers that reviewers wrote: each becomes a version of its record, a record of its own, or stays as it is."""
    if not written:
        layout.empty("Nobody wrote a better answer in this session: w opens the editor while judging.")
        return
    st.caption("What is taken over goes to train in every later snapshot, with all that hangs together with it, never to test. "
               "This test set stays as it is; a model that learned from it is shown with and without these items on it.")
    for one in layout.page_of(written, PAGE, "better"):
        with st.container(border=True):
            layout.conversation(one.question)
            left, right = st.columns(2, gap="medium")
            with left:
                layout.conversation([{"role": "assistant", "content": one.before or "none"}], "Reference")
            with right:
                layout.conversation([{"role": "assistant", "content": one.better}], f"Better, by {one.who}")
            if one.state:
                st.caption(TAKEN[one.state])
                continue
            with st.container(horizontal=True):
                for how, words, icon in (("version", "Correct its record", "edit"), ("example", "Add as a new example", "add"),
                                         ("left", "Leave it", "close")):
                    st.button(words, icon=f":material/{icon}:", key=f"{how}-{one.card_id}", on_click=_take,
                              args=(ws, held, one, how), disabled=how == "version" and not one.has_record)


def _take(ws: Workspace, held: Session, one: Correction, how: corrections.How) -> None:
    with layout.guarded():
        corrections.take(ws, held.session_id, one, how, session.person(), f"{one.card_id}-{how}")


def _faults(ws: Workspace, held: Session, judged: Sequence[Judged], called: Mapping[str, str]) -> None:
    """What was marked, by candidate: what comes back can be labelled, looked up and sought elsewhere."""
    found = faults.count(judged)
    if not found:
        layout.empty("Nobody marked a fault in this session: x marks words while judging.")
        return
    st.dataframe([{"candidate": called[one.candidate], "fault": one.title, "on items": share(len(one.items), one.judged),
                   "95 % interval": f"{100 * one.share.low:.0f}–{100 * one.share.high:.0f} %",
                   "comes back": "yes" if one.repeated else "–"} for one in found], hide_index=True,
                 column_config=layout.numbers(["on items", "95 % interval"]), alt="Faults by candidate")
    repeated = [one for one in found if one.repeated]
    if held.run_id == PLAYGROUND:
        return
    if not session.may("curate"):
        return
    if not repeated:
        st.caption(f"A fault comes back from {faults.REPEATED} items on.")
        return
    layout.link("See them as slices on Evaluate", "pages/evaluate.py",
                {"run": held.run_id, "view": "Where", "by": slices.BY["fault"]})
    one = st.selectbox("What to do about one that comes back", repeated,
                       format_func=lambda one: f"{one.title} in {called[one.candidate]} · {count(len(one.items), 'item')}")
    for note in one.notes[:5]:
        st.caption(layout.plain(f"“{note}”"))
    tag = f"fault: {one.title.lower()}"
    if st.button("Label these", icon=":material/label:", help=f"Tags them “{tag}” and opens the label queue with this tag."):
        here = [record.record_id for record in records.every(ws, one.items)]
        marks.put_many(ws, here, "tag", tag, session.person(), ws.new_id())
        layout.open_page("pages/label.py", {"marked": tag})
    if st.toggle("Find more like these among your tickets", key="fault-like"):
        layout.fragment(lambda: where_view.more_like(ws, one.items, runs.get(ws, held.run_id).snapshot_id, one.title))


def _files(ws: Workspace, held: Session, called: Mapping[str, str]) -> None:
    rows = review_exports.rows(ws, held.session_id, called)
    preferred = review_exports.preferences(ws, held.session_id)
    take = partial(review_exports.take_out, ws, held.session_id)
    name = f"review-{held.session_id}"
    with st.container(horizontal=True):
        st.download_button(f"{count(len(rows), 'verdict')} as CSV", lambda: take(review_exports.as_csv(rows)), f"{name}.csv",
                           "text/csv",
                           icon=":material/download:", on_click="ignore", disabled=not rows)
        st.download_button("as JSONL", lambda: take(review_exports.as_jsonl(rows)), f"{name}.jsonl",
                           "application/jsonl",
                           on_click="ignore", disabled=not rows)
        st.download_button(f"{count(len(preferred.lines), 'preference pair')} for DPO", lambda: take(preferred.text),
                           f"{name}-preferences.jsonl", "application/jsonl", icon=":material/compare_arrows:",
                           on_click="ignore", disabled=not preferred.lines)
    for reason, number in preferred.left_out.items():
        st.caption(f"{number:,} {reason} are no preference and were left out.")
    st.warning(review_exports.OF_THE_TEST)
