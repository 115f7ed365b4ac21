"""Check records for personal data, mail remains and weak answers; see each place, mend it, drop it or let it stand."""

import streamlit as st

from studio import findings, records, runs
from studio.findings import KindCount, Open
from studio.ui import finding_view, layout, session
from studio.ui.formats import count

SHOWN = 10

ws = session.workspace()
layout.header(ws, "Clean", "Personal data, mail remains and weak answers, each with its place in the text. Nothing is changed "
              "until you say so, and undo takes it back.", "kept")
if not records.counts(ws).total:
    layout.empty("Here records are checked for what a model should never learn. There are none yet.",
                 "Import tickets", "pages/import_tickets.py")
    st.stop()

finding_view.newest_check(ws)
newest = runs.latest_check(ws)
if newest is None:
    st.stop()
finding_view.answer_worth(newest)
who = session.person()


def act(one: KindCount) -> None:
    with st.container(horizontal=True):
        if one.fixable and st.button(f"Apply to these {count(one.records, 'record')}", type="primary",
                                     icon=":material/auto_fix_high:"):
            st.toast(finding_view.said(findings.apply(ws, [one.kind.key], who, style=style)))
            st.rerun()
        others = [other.kind.key for other in counts if other.kind.group == one.kind.group and other.fixable]
        if one.fixable and len(others) > 1 and st.button(f"Apply all {one.kind.group} fixes"):
            st.toast(finding_view.said(findings.apply(ws, others, who, style=style)))
            st.rerun()
        if st.button(f"Drop these {count(one.records, 'record')}", disabled=not one.records, icon=":material/delete:"):
            st.toast(f"Dropped {count(findings.drop(ws, one.kind.key, who), 'record')}. Undo takes it back.")
            st.rerun()
        if st.button("Undo my last act", icon=":material/undo:"):
            undone = findings.undo(ws, who)
            st.toast(layout.plain(undone.sentence) if undone else "There is nothing of yours to undo.")
            st.rerun()


def show(place: int, found: Open) -> None:
    finding_view.example(found)
    with st.container(horizontal=True, vertical_alignment="center"):
        if found.replacement is not None:
            if st.button("Apply here", key=f"apply-{place}"):
                st.toast(finding_view.said(findings.apply(ws, [found.kind], who, [found.record.record_id], style)))
                st.rerun()
            with st.popover("Before and after"):
                finding_view.before_and_after(found)
        if st.button("Not a problem", key=f"fine-{place}"):
            findings.dismiss(ws, found, who)
            st.rerun()
        layout.link("Read the record", "pages/curate.py", {"record": found.record.record_id})


counts, new = findings.kinds(ws), findings.unchecked(ws)
picked = finding_view.choose_kind(counts, st.query_params.get("kind"), bool(new))
if picked is None and new:
    st.info(f"Nothing that was found is open. {count(new, 'record')} came in or changed since: check "
            f"{'it' if new == 1 else 'them'} to know that nothing is left.", icon=":material/search_check:")
    st.stop()
if picked is None:
    st.success("Nothing is open: every finding is settled, or below its threshold.", icon=":material/check:")
    st.stop()
st.subheader(picked.kind.title, anchor=False)
st.caption(picked.kind.explanation)
finding_view.threshold(ws, picked)
style = finding_view.choose_style(picked)
act(picked)
with st.container(horizontal=True, vertical_alignment="bottom"):
    order = st.segmented_control("Order", ["Surest first", "Least sure first"], default="Surest first", required=True)
    pages = max(1, -(-picked.open // SHOWN))
    page = st.number_input("Page", 1, pages, 1, width=120, key=f"page-{picked.kind.key}-{pages}") if pages > 1 else 1
for place, found in enumerate(findings.page(ws, picked.kind.key, SHOWN, (int(page) - 1) * SHOWN, order != "Surest first")):
    with st.container(gap="xsmall"):
        show(place, findings.styled(found, style))
