"""Findings on the screen: the newest check, kinds with their counts, places marked in the text, before and after.

Text from data is escaped here and never run.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from studio import findings, leaving, runs, starts, word_diff
from studio.findings import GROUPS, Applied, Gate, KindCount, Open, Style
from studio.runs import Run
from studio.ui import layout, place_view, session
from studio.ui.formats import ago, count
from studio.workspace import Workspace

GROUP_NAMES = {"privacy": "Privacy", "cleaning": "Cleaning", "quality": "Quality"}
AROUND = 160
"""Characters shown before and after a marked place."""

LONG = 6_000
"""A marked place longer than this is shown by its two ends."""



def newest_check(ws: Workspace) -> None:
    """What was checked when, what is new since, and the buttons that start a check; a moving one with its progress."""
    every = runs.every(ws, "check")
    if every and every[0].moving:
        layout.live_run(ws, every[0].run_id, lambda run: _moving(ws, run))
        return
    if every and every[0].resumable:
        layout.run_end(ws, every[0])
    done, new = runs.latest_check(ws), findings.unchecked(ws)
    with place_view.there(ws, "check"), st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Names", icon=":material/person_search:"):
            model = st.text_input("spaCy model that finds names", placeholder="en_core_web_lg", key="names-model",
                                  bind="query-params", help="One that is installed here, or the folder it lies in; nothing is "
                                  "downloaded. Without one, names are found by the customer's own columns and by greetings.")
        if done is None:
            _start(ws, "Check all records", True, model, "About 2,000 records a second; no service is asked.")
        else:
            if new:
                _start(ws, f"Check {count(new, 'new or changed record')}", True, model)
            _start(ws, "Check all again", False, model)
        if done is not None and done.result:
            st.caption(layout.plain(f"{done.result.message[:-1]}, {ago(done.started_at, ws.now())}."), width="content")
    if done is not None and new:
        st.caption(f":material/info: {count(new, 'record')} came in or changed since and {'was' if new == 1 else 'were'} "
                   "not checked as now worded.")


def _start(ws: Workspace, label: str, only_new: bool, names_model: str, hint: str | None = None) -> None:
    if st.button(label, type="primary" if only_new else "secondary", help=hint, icon=":material/search_check:"):
        with st.spinner("Writing the records out for the check…"), layout.guarded():
            starts.check(ws, only_new, names_model=names_model)
            st.rerun()


def _moving(ws: Workspace, run: Run) -> None:
    layout.progress(run)
    if run.moving and st.button("Stop, keeping what it has", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
        runs.stop(ws, run.run_id)
        st.toast("Asked to stop.")


def answer_worth(run: Run | None) -> None:
    """Whether the answers are worth training on, with the evidence: aloud when they are not."""
    said = run.result.data.get("answer_worth") if run and run.result else None
    if not said or run is None or run.result is None:
        return
    if len(said) == 1:
        st.caption(f":material/info: {layout.plain(said[0][0])}")
        return
    evidence = "\n".join(f"- {layout.plain(sentence)}" for sentence, _ in said[1:])
    if run.result.data.get("worth_training", True):
        with st.expander(layout.plain(said[0][0]), icon=":material/verified:"):
            st.markdown(evidence)
    else:
        st.warning(f"**{layout.plain(said[0][0])}**\n\n{evidence}", icon=":material/warning:")


def choose_kind(counts: Sequence[KindCount], chosen: str | None, unread: bool = False) -> KindCount | None:
    """The kinds under their three headings, each a button with its count; the chosen one, or the first that has findings.
    `unread`: some records were not checked as they are, so that nothing is known to be absent."""
    there = [one for one in counts if one.seen]
    picked = next((one for one in there if one.kind.key == chosen), next((one for one in there if one.open), None))
    for column, group in zip(st.columns(3, gap="medium"), GROUPS, strict=True):
        with column, st.container(gap="xsmall"):
            st.markdown(f"**{GROUP_NAMES[group]}**")
            of_group = [one for one in counts if one.kind.group == group]
            with st.container(horizontal=True, gap="xsmall"):
                for one in of_group:
                    if one.seen and st.button(f"{one.kind.title} · {one.open:,}", key=f"kind-{one.kind.key}",
                                              type="primary" if one == picked else "secondary"):
                        st.query_params["kind"] = one.kind.key
                        st.rerun()
            absent = [_inside(one.kind.title) for one in of_group if not one.seen]
            if absent:
                st.caption(f"{'None so far' if unread else 'Not found'}: {', '.join(absent)}.")
    return picked


def threshold(ws: Workspace, one: KindCount) -> None:
    """The slider of a kind; what it counts changes at once, nothing is checked again."""
    key = f"threshold-{one.kind.key}-{one.threshold}"

    def moved() -> None:
        with layout.guarded():
            findings.set_threshold(ws, one.kind.key, round(float(st.session_state[key]), 2), session.person())

    st.slider("Count findings from this score on", 0.0, 1.0, one.threshold, 0.05, key=key, on_change=moved, width=460,
              help=f"How sure the check is, 0 to 1. It begins at {one.kind.threshold}.")
    st.caption(f"{one.open:,} of {count(one.seen, 'finding')} count, in {count(one.records, 'record')}.")


def choose_style(one: KindCount) -> Style:
    """What takes the place of personal data; of no matter for other kinds."""
    if one.kind.group != "privacy" or not one.fixable:
        return "placeholder"
    words: dict[Style, str] = {"placeholder": "Placeholders, [NAME_1]", "surrogate": "Made-up values"}
    picked = st.segmented_control("Replace with", list(words), default="placeholder", required=True, key="style",
                                  bind="query-params", format_func=words.__getitem__,
                                  help="The same person or number becomes the same all through a conversation, in either way.")
    return picked or "placeholder"


def said(applied: Applied) -> str:
    """What became of a fix, for a toast."""
    left = f" {count(applied.left, 'record')} stayed: nothing to learn from would be left." if applied.left else ""
    return f"Changed {count(applied.changed, 'record')}. Undo takes it back.{left}"


def passed(gate: Gate) -> bool:
    """The question before records leave Curate: nothing where all is settled, else a warning, a link and a box to tick."""
    if gate.clear:
        return True
    st.warning(leaving.sentence(gate), icon=":material/privacy_tip:")
    with st.container(horizontal=True, vertical_alignment="center"):
        layout.link("Show them" if gate.ever_checked else "Check them", "pages/clean.py")
        return st.checkbox("I know, and want to freeze all the same", key="accept-open")


def example(found: Open) -> None:
    """One finding: where it is, how sure the check is and why, the place marked in its text, and what it becomes.

    Where a whole answer is meant, the customer's question stands above it.
    """
    where = (f"{layout.ROLE_NAMES[found.record.messages[found.turn]['role']]}, turn {found.turn + 1}" if found.turn >= 0
             else "Whole record, last answer")
    about_answer = found.start >= found.end and found.text == found.record.answer
    asked = (f'<div class="tw-said tw-asked">{html.escape(_short(found.record.question, 2 * AROUND, 0))}</div>'
             if about_answer else "")
    st.html(f'<div class="tw-turn tw-finding"><div class="tw-who">{html.escape(where)} · score {found.score:.2f} · '
            f'{html.escape(found.evidence)}</div>{asked}<div class="tw-said">{marked(found)}</div></div>')


def marked(found: Open) -> str:
    """HTML of the text around a finding, escaped, the place in `<mark>` and what it becomes behind it."""
    text, start, end = found.text, found.start, found.end
    if found.turn < 0 or start >= end:
        return html.escape(_short(text, 2 * AROUND, 0))
    before, after = text[:start], text[end:]
    lead = "…" + before[-AROUND:].lstrip() if len(before) > AROUND else before
    rest = after[:AROUND].rstrip() + "…" if len(after) > AROUND else after
    becomes = ""
    if found.replacement is not None:
        new = _short(found.replacement, AROUND, 0)
        becomes = f' <span class="tw-becomes">→ {html.escape(new) if new.strip() else "removed"}</span> '
    return (f"{html.escape(lead)}<mark>{html.escape(_short(text[start:end], 2 * AROUND, AROUND))}</mark>{becomes}"
            f"{html.escape(rest)}")


def before_and_after(found: Open) -> None:
    """The whole turn as it is and as it would be, differences marked by word."""
    before, after = findings.preview(found)
    gone, new = word_diff.differences(before, after)
    st.html(f'<div class="tw-turn"><div class="tw-who">Before</div><div class="tw-said">{gone}</div></div>'
            f'<div class="tw-turn"><div class="tw-who">After</div><div class="tw-said">{new}</div></div>')


def _inside(title: str) -> str:
    """A title inside a sentence: `Phone number` → `phone number`, but `IP address` stays."""
    first = title.split()[0]
    return title if len(first) > 1 and first.isupper() else title[0].lower() + title[1:]


def _short(text: str, head: int, tail: int) -> str:
    """A long text by its two ends."""
    if len(text) <= head + tail + 20:
        return text
    return f"{text[:head].rstrip()} … {text[len(text) - tail:].lstrip() if tail else ''}".rstrip()
