"""The door: who may not come in sees one page that says what to do; who is in sees their name and the way out."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import Page

from studio import folders, identity, people, permissions, team
from studio.errors import StudioError
from studio.people import Person
from studio.ui import layout, sign_in, sitemap
from studio.workspace import Workspace, utc_now

_TOLD = "signed in"


def known() -> bool:
    """Whether it is known who is here, where that is asked at all; else the door with a way in is drawn."""
    if sign_in.off():
        return True
    try:
        found = sign_in.person()
    except StudioError as refused:
        return _door("This sign-in does not count", f"{refused.message} {refused.hint}", leave=True)
    if found is None:
        return _stranger()
    if found.until is not None and utc_now() >= found.until:
        return _door("Your session has expired", "Nothing that you stored is lost. Sign in again to go on.", again=True)
    return True


def invited(mine: list[str]) -> bool:
    """Whether any of several workspaces is for who is here; `mine` are those that are."""
    found = sign_in.person()
    if found is None or mine or not folders.names():
        return True
    return _door("You are not invited", f"You are signed in as {found.email}. Ask an owner of the workspace that you want to "
                 "work in to invite this address, then load the page again.", leave=True)


def enter(ws: Workspace) -> bool:
    """Whether somebody who is known may come into this workspace; who may not sees one page that says what to do."""
    found = sign_in.person()
    if found is None:
        sign_in.seen(ws)
        return True
    if st.session_state.get(_TOLD) != (ws.root, found):
        team.sign_in(ws, found)
        st.session_state[_TOLD] = ws.root, found
    return True if people.role_of(ws, found.email) is not None else _uninvited(ws, found)


def page(ws: Workspace, chosen: Page) -> None:
    """The page, or why it is not for who is here."""
    place = sitemap.of(chosen)
    if sitemap.reaches(place.path):
        chosen.run()
        return
    st.title(place.title, anchor=False)
    if ws.person is None:
        st.info("Nobody signs in to this studio: whoever reaches it may do everything. Inviting people begins with a provider "
                "or a proxy that says who somebody is; docs/people.md tells how.", icon=":material/group:")
        return
    st.info(f"**This page is not for your role.** {permissions.why_not(ws, place.right)}", icon=":material/lock:")
    layout.link("Back to Overview", "pages/overview.py")


def foot(ws: Workspace) -> None:
    """At the foot of the navigation: who is signed in, in which role, and the way out."""
    found = ws.person
    assert found is not None
    with st.sidebar:
        st.caption(f"Signed in as **{layout.plain(found.name or found.email)}**  \n{layout.plain(found.email)} · "
                   f"{people.role_of(ws, found.email)}")
        if not identity.behind_proxy():
            st.button("Sign out", icon=":material/logout:", on_click=st.logout, key="sign-out")


def _stranger() -> bool:
    if identity.behind_proxy():
        return _door("Nobody is signed in", "This studio is reached through a proxy that says who you are, and it did not. "
                     "Open the address that your team gave you, not this machine's own.")
    return _door("Sign in", "This studio is for people who were invited. Sign in with the account of your team.", again=True)


def _uninvited(ws: Workspace, found: Person) -> bool:
    if people.nobody(ws):
        return _door("This workspace has no owner yet", f"You are signed in as {found.email}. Whoever runs the server starts "
                     f"it with {team.OWNER}={found.email} to make you its owner; you invite the others then.", leave=True)
    return _door("You are not invited", f"You are signed in as {found.email}. Ask an owner of this workspace to invite this "
                 "address, then load the page again.", leave=True)


def _door(title: str, words: str, again: bool = False, leave: bool = False) -> bool:
    """One page, with a way in or out."""
    st.navigation(sitemap.unseen(), position="hidden")
    with st.container(width=560, key="door"):
        st.title(title, anchor=False)
        st.markdown(layout.plain(words))
        for name in sign_in.providers() if again else ():
            st.button(f"Sign in with {name.capitalize()}" if name else "Sign in", type="primary", icon=":material/login:",
                      on_click=st.login, args=(name,) if name else (), key=f"sign-in-{name}")
        if leave and not identity.behind_proxy():
            st.button("Sign in as somebody else", icon=":material/logout:", on_click=st.logout, key="leave")
    return False
