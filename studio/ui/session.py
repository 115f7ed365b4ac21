"""Who is here and which workspace is open: all that a browser session holds."""

from __future__ import annotations

import gc
import getpass
import html
from collections.abc import Mapping, Sequence
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from studio import folders, permissions, team
from studio.errors import StudioError
from studio.people import Right
from studio.ui import sign_in
from studio.workspace import Workspace

_PERSON, _WORKSPACE = "person", "workspace"


def turn_to(key: str, value: str) -> None:
    """Let the control with this key show another value at the next draw, which begins now. (A control that was drawn already
    takes none, and neither does the address of one that is bound to it.)"""
    st.session_state[f"next-{key}"] = value
    st.rerun()


def turned(key: str) -> None:
    """To be called before such a control is drawn."""
    if (value := st.session_state.pop(f"next-{key}", None)) is not None:
        st.session_state[key] = value


def workspace() -> Workspace:
    """The workspace that this session is in, opened once a process, as who is here sees it. Raises StudioError when another
    process has it, or where people must sign in and nobody did."""
    return sign_in.seen(core())


def core() -> Workspace:
    """The same without anybody's eyes: for the studio's own work."""
    return folders.chosen(str(st.session_state.get(_WORKSPACE, "")))


def may(right: Right) -> bool:
    """Whether who is here has a right now: what they may not do is not drawn."""
    return permissions.may(workspace(), right)


def within(views: Mapping[str, Right]) -> list[str]:
    """The views of a page that are for who is here."""
    rights = permissions.every(workspace())
    return [view for view, right in views.items() if right in rights]


def mine() -> list[str]:
    """The workspaces of this server that are for who is here, by name. One that cannot be opened is for nobody, and the others
    are as they were."""
    return [name for name in folders.names() if _is_mine(name)]


def _is_mine(name: str) -> bool:
    if (who := sign_in.person()) is None:
        return True
    try:
        return team.lets_in(folders.chosen(name), who.email)
    except StudioError:
        return False


def enter(known: list[str]) -> None:
    """Which of several workspaces (`known`: those that are for who is here) this session is in: the one that its address names,
    or the only one; where it names none of them, the page is a list of all and no more. Nothing that was held of one goes over
    into another."""
    wanted, here = st.query_params.get(_WORKSPACE, ""), str(st.session_state.get(_WORKSPACE, ""))
    if wanted and here and wanted != here:
        for key in [one for one in st.session_state if one != _PERSON]:
            del st.session_state[key]
    name = wanted or here or (known[0] if len(known) == 1 else "")
    if known and name not in known:
        st.title("Choose a workspace", anchor=False)
        if name:
            st.error("**There is no workspace of the name in this address.**", icon=":material/error:")
        _links(known, "")
        st.stop()
    if len(known) > 1:
        with st.sidebar, st.expander(f"Workspace: {name}"):
            _links(known, name)
    if known:
        st.session_state[_WORKSPACE] = name
        if wanted != name:
            st.query_params[_WORKSPACE] = name


def here(query: Mapping[str, str] | None = None) -> dict[str, str]:
    """What an address of this studio says behind its path, with the workspace that the session is in."""
    name = st.session_state.get(_WORKSPACE, "")
    return dict(query or {}) | ({_WORKSPACE: str(name)} if name else {})


def address(path: str) -> str:
    """A page's address with the workspace that the session is in."""
    return folders.address(str(st.session_state.get(_WORKSPACE, "")), path)


def _links(known: Sequence[str], name: str) -> None:
    """Links, not a list to pick from: another workspace begins with a page of its own."""
    rows = (f'<a class="tw-place{" tw-here" if one == name else ""}" href="./?{_WORKSPACE}={quote(one)}"'
            f'{" aria-current=page" if one == name else ""}>{html.escape(one)}</a>' for one in known)
    st.html(f'<nav aria-label="Workspaces">{"".join(rows)}</nav>')


def person() -> str:
    """The name that decisions and verdicts are stored under; of somebody who signed in, their address."""
    if (found := workspace().person) is not None:
        return found.email
    return str(st.session_state.get(_PERSON) or _login())


def zone() -> ZoneInfo | None:
    """The time zone of the reader's browser, None where it is not known here."""
    try:
        return ZoneInfo(st.context.timezone or "")
    except (ZoneInfoNotFoundError, ValueError):
        return None


def ask_person() -> None:
    """The small field at the foot of the navigation."""
    with st.sidebar:
        st.text_input("You are", value=_login(), key=_PERSON, max_chars=60, bind="query-params",
                      help="Decisions and verdicts are stored under this name. Undo takes back your own newest act.")


def settle_memory() -> None:
    """Streamlit collects garbage after every run; freezing what the imports made takes 75 ms off each key press."""
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no user database in some containers
        return "me"
