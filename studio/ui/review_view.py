"""A review session on the screen: the desk while it is blind, what its organiser may see and do, the list of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import streamlit as st

from studio import review_stats, reviews
from studio.components import review
from studio.reviews import Session
from studio.ui import layout, review_after, review_result, session
from studio.ui.formats import ago, count, share
from studio.workspace import Workspace

MORE = 20


def listed(ws: Workspace, held: Sequence[Session]) -> None:
    """Every session: how far it is, with a link to it."""
    for one in held:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container(gap="xxsmall"):
                badge = ":gray-badge[revealed]" if one.revealed else ":blue-badge[blind]"
                st.markdown(f"**{layout.plain(title(one))}** {badge}")
                st.caption(f"Opened by {layout.plain(one.who)} {ago(one.started_at, ws.now())} · {count(one.items, 'pair')} · "
                           f"{count(one.done, 'verdict')} of {count(one.people, 'person', 'people')}")
            layout.link("Read the result" if one.revealed else "Judge", "pages/review.py", {"session": one.session_id})


def title(one: Session) -> str:
    return one.name or f"Session {one.session_id[:6]}"


def draw(ws: Workspace, held: Session) -> None:
    """One session: blind, or revealed."""
    st.subheader(title(held), anchor=False)
    layout.link("All sessions", "pages/review.py")
    if held.revealed:
        review_result.draw(ws, held, session.person())
        review_after.draw(ws, held)
        return
    who = session.person()
    reviews.join(ws, held.session_id, who)
    review.draw(ws, held, who)
    layout.hidden_note()
    layout.fragment(lambda: _more(ws, held, who))
    if held.who == who:
        layout.fragment(lambda: _organiser(ws, held, who))
    else:
        st.caption(f"{layout.plain(held.who)} opened this session and ends it; until then nobody is told whose is whose.")


def _more(ws: Workspace, held: Session, who: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(f"Give me {MORE} more", icon=":material/add:", help="Pairs of this session that you have not had yet."):
            before = reviews.progress(ws, held.session_id, who).cards
            reviews.join(ws, held.session_id, who, MORE)
            if reviews.progress(ws, held.session_id, who).cards == before:
                st.toast("You have had every pair of this session.")
            else:
                st.rerun(scope="app")


def _organiser(ws: Workspace, held: Session, who: str) -> None:
    """How far people are and whether it is enough, without saying for whom; the link; the look; the end."""
    if not st.toggle("For you, who opened this session", key="organiser"):
        return
    with st.container(border=True):
        now = reviews.get(ws, held.session_id)
        found = review_stats.result(reviews.unnamed(ws, held.session_id), now.settings, now.candidates, now.same, None)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{share(now.done, now.cards)} cards of {count(now.people, 'person', 'people')} are judged. "
                        + review_stats.evidence(found))
            st.button("Count again", icon=":material/refresh:")
        named = "signs in" if ws.person else "enters a name at the foot of the navigation"
        st.caption(f"Send this address to others; each of them {named}.")
        st.code(_address(held.session_id), language=None)
        if reviews.looked(ws, held.session_id, who):
            st.caption("You have looked at the result: what you judged since then does not count.")
            review_result.draw(ws, now, who)
        elif st.button("Look at the result so far", icon=":material/visibility:",
                       help="It says who leads. What you judge yourself from then on does not count."):
            reviews.look(ws, held.session_id, who)
            st.rerun(scope="fragment")
        if st.button("End and reveal", icon=":material/lock_open:", key="reveal",
                     help="From then on the session takes no more verdicts. Pairs that nobody judged stay out of the count."):
            reviews.reveal(ws, held.session_id, who)
            st.rerun(scope="app")


def _address(session_id: str) -> str:
    """Where this page is, as this browser reached it, without anybody's name."""
    here = urlsplit(st.context.url or "http://127.0.0.1:8501/review")
    return f"{here.scheme}://{here.netloc}{here.path}?{urlencode(session.here({'session': session_id}))}"
