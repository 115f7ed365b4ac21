"""Who is here and which workspace is open: all that a browser session holds."""

from __future__ import annotations

import gc
import getpass
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from studio import permissions
from studio import workspace as folders
from studio.people import Right
from studio.ui import sign_in
from studio.workspace import Workspace

_PERSON = "person"


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
    """The workspace of this app, opened once a process, as who is here sees it. Raises StudioError when another process has it,
    or where people must sign in and nobody did."""
    return sign_in.seen(folders.open_workspace(folders.default_folder()))


def may(right: Right) -> bool:
    """Whether who is here has a right now: what they may not do is not drawn."""
    return permissions.may(workspace(), right)


def within(views: Mapping[str, Right]) -> list[str]:
    """The views of a page that are for who is here."""
    rights = permissions.every(workspace())
    return [view for view, right in views.items() if right in rights]


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
