"""The playground on the screen: a conversation, its answers as they come, and what can be kept of them."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from studio import playground, plays
from studio.plays import Ask, Reply
from studio.ui import layout, session
from studio.ui.formats import ago, count, excerpt
from studio.workspace import Workspace

REDRAW_SECONDS = 0.4
EARLIER = 30
ENDS = {"stop": "", "length": "reached the longest answer", "filter": "held back by the server's filter",
        "stopped": "stopped", "cut": "cut off: its process died", "failed": "failed"}


def conversation(ws: Workspace, thread_id: str) -> list[Ask]:
    """All questions with their answers; the last one is drawn again and again while a reply is on its way."""
    asks = playground.thread(ws, thread_id)
    _head(asks[0])
    for one in asks[:-1]:
        _ask(ws, one)
    last = asks[-1]
    if last.open:
        layout.refresh_while(True, lambda: _live(ws, last.ask_id), REDRAW_SECONDS)
    else:
        _ask(ws, last)
    return asks


def earlier(ws: Workspace, here: str) -> None:
    """Conversations of everybody, the newest first, as links."""
    found = [one for one in plays.threads(ws, EARLIER) if one.thread_id != here]
    if not found:
        return
    with st.expander(f"Other conversations ({len(found)})" if here else f"Earlier conversations ({len(found)})",
                     icon=":material/history:"):
        for one in found:
            with st.container(gap="xxsmall"):
                layout.link(layout.plain(excerpt(one.question, 80)), "pages/playground.py", {"thread": one.thread_id})
                st.caption(layout.plain(f"{', '.join(one.names)} · {count(one.asks, 'question')} · {one.who}, "
                                        f"{ago(one.said_at, ws.now())}"))


def _head(first: Ask) -> None:
    """Who answers and how, which stays for the whole conversation."""
    with st.container(horizontal=True, vertical_alignment="center"):
        layout.go("New conversation", "pages/playground.py")
        warmth = first.decoding["temperature"]
        st.caption(layout.plain(" · ".join((
            ", ".join(one["name"] for one in first.candidates), f"temperature {warmth:g}" if warmth else "greedy",
            f"at most {count(first.decoding['max_new_tokens'], 'token')}"))), width="content")
    prompts = {one["name"]: one["system"] for one in first.candidates if one["system"]}
    if prompts:
        with st.expander("System prompts", icon=":material/tune:"):
            for name, text in prompts.items():
                st.html(_turn(name, html.escape(text), "tw-system"))


def _live(ws: Workspace, ask_id: str) -> None:
    one = playground.now(ws, ask_id)
    if not one.open:
        st.rerun()
    _draw(ws, one)


def _ask(ws: Workspace, one: Ask) -> None:
    """A question whose replies have ended, and what can be done with them."""
    _draw(ws, one)
    said = [reply for reply in one.replies if reply.said]
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Save as a test item", icon=":material/bookmark_add:", key=f"item-{one.ask_id}"):
            _item(ws, one, said)
        _review(ws, one)


def _draw(ws: Workspace, one: Ask) -> None:
    layout.conversation([{"role": "user", "content": one.question}])
    for column, reply in zip(st.columns(len(one.replies), gap="small"), one.replies, strict=True):
        with column, st.container(gap="xsmall"):
            st.html(_turn(reply.name, _said(reply), f"tw-reply tw-reply-{reply.kind}"))
            if reply.open and st.button("Stop", icon=":material/stop_circle:", key=f"stop-{reply.reply_id}",
                                        help="What it said so far stays."):
                playground.stop(ws, reply)
            if reply.finish:
                st.caption(layout.plain(_facts(reply)))
            if reply.problem:
                st.warning(layout.plain(reply.problem), icon=":material/error:")


def _said(reply: Reply) -> str:
    """The answer as it is there, as text and never as markup."""
    if reply.open:
        waits = reply.waits or ("" if reply.text or reply.begun else "Waits for its turn")
        note = f'<div class="tw-waits">{html.escape(waits)}…</div>' if waits else ""
        caret = '<span class="tw-caret" aria-hidden="true"></span>' if not waits else ""
        return html.escape(reply.text) + caret + note
    return html.escape(reply.text) if reply.text.strip() else "<em>nothing</em>"


def _turn(who: str, said: str, kind: str) -> str:
    return (f'<div class="tw-turn {kind}"><div class="tw-who">{html.escape(who)}</div>'
            f'<div class="tw-said">{said}</div></div>')


def _facts(reply: Reply) -> str:
    """How it ended, how long it took, how quick it was, what it cost."""
    parts = [ENDS[reply.finish]] if ENDS[reply.finish] else []
    if reply.seconds:
        parts.append(f"{count(reply.tokens, 'token')} in {reply.seconds:.1f} s" if reply.tokens else f"{reply.seconds:.1f} s")
    if reply.tokens and reply.seconds:
        parts.append(f"{reply.tokens / reply.seconds:.0f} tokens/s")
    if reply.first_seconds is not None:
        parts.append(f"first words after {reply.first_seconds:.1f} s")
    if reply.cost is not None:
        parts.append(f"{reply.cost:.6f} {reply.money}")
    return " · ".join(parts)


def _item(ws: Workspace, one: Ask, said: Sequence[Reply]) -> None:
    """The form of a test item: begin with an answer, or with none, and write what is expected."""
    names = {reply.candidate_id: reply.name for reply in one.replies}
    st.caption("Later snapshots hold it in their test part, never in train.")
    first = next((place for place, reply in enumerate(one.replies) if reply.said), 0)
    candidate_id = st.radio("Begin with the answer of", list(names), first, format_func=names.__getitem__,
                            key=f"from-{one.ask_id}")
    begun = next((reply.text for reply in said if reply.candidate_id == candidate_id), "")
    expected = st.text_area("The answer that is expected", begun, height=200, key=f"expected-{one.ask_id}-{candidate_id}")
    if st.button("Save test item", type="primary", key=f"save-{one.ask_id}", disabled=not expected.strip()):
        record_id = playground.save_as_item(ws, one.ask_id, candidate_id, expected, session.person())
        st.success("Saved. The next snapshot tests with it.", icon=":material/check_circle:")
        layout.link("Open its record", "pages/curate.py", {"record": record_id})


def _review(ws: Workspace, one: Ask) -> None:
    """Put a comparison on the list for a blind review, or take it off."""
    if one.saved:
        st.badge("Saved for review", icon=":material/check:", color="green")
        if st.button("Take it off", key=f"unsave-{one.ask_id}", type="tertiary"):
            playground.unsave(ws, one.ask_id, session.person(), ws.new_id())
            st.rerun()
    elif playground.is_comparison(ws, one) and st.button(
            "Save for review", icon=":material/compare_arrows:", key=f"review-{one.ask_id}",
            help="Others judge these answers blind on Review, without knowing whose they are."):
        playground.save_for_review(ws, one.ask_id, session.person(), ws.new_id())
        st.rerun()
