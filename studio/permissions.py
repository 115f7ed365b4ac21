"""Permissions: what each noun needs of the person on whose behalf it is called.

`@needs(right)` stands on every public noun. A plain workspace (one person on a laptop, the command line, the studio's own work)
may do everything. A handle of a person (`Workspace.seen_by`) is asked at the outermost call, with the role as it is now; what
that noun calls in turn is its own business. An act is noted in the audit trail: in the transaction of the act where it has one;
so is one of a command, where the workspace has people.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from studio import audit, people
from studio.errors import StudioError
from studio.people import RIGHTS, Right
from studio.workspace import Transaction, Workspace

P = ParamSpec("P")
R = TypeVar("R")
Given = Mapping[str, Any]
Veil = Callable[[Workspace, Any, Given], Any]
ACTS: frozenset[Right] = frozenset(("label", "review", "curate", "run", "export", "own"))
SIGN_IN = "Load this page again, and sign in. What a desk had not stored yet stays in this browser until then."


class NotAllowed(StudioError):
    """Somebody's role does not reach; nothing was done and nothing shown."""


def needs(right: Right, looks: bool = False, veil: Veil | None = None
          ) -> Callable[[Callable[Concatenate[Workspace, P], R]], Callable[Concatenate[Workspace, P], R]]:
    """A noun that needs a right. `looks`: it changes nothing, so the trail does not note it although its right is one of acts.
    `veil` makes of what it returns, and of the arguments by name, what somebody sees who may not read personal data. Where the
    noun has a parameter `who`, that must be the person's own address."""
    noted = right in ACTS and not looks

    def around(noun: Callable[Concatenate[Workspace, P], R]) -> Callable[Concatenate[Workspace, P], R]:
        act = f"{noun.__module__.rpartition('.')[2]}.{noun.__name__}"
        parameters = tuple(inspect.signature(noun).parameters)

        @wraps(noun)
        def asked(ws: Workspace, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if ws.within or (ws.person is None and not (noted and audit.is_typed(ws))):
                return noun(ws, *args, **kwargs)
            given: dict[str, Any] = dict(zip(parameters[1:], args, strict=False)) | kwargs
            if ws.person is None:
                with audit.noted(ws, act, given):
                    return noun(ws, *args, **kwargs)
            if not noted:
                _ask(ws, right, given)
                found = noun(ws.inside(), *args, **kwargs)
                return found if veil is None or may(ws, "raw") else veil(ws.inside(), found, given)
            try:
                _ask(ws, right, given)
            except NotAllowed:
                audit.refused(ws, act, given)
                raise
            with audit.noted(ws, act, given):
                return noun(ws.inside(), *args, **kwargs)

        asked.needs = right  # type: ignore[attr-defined]  # for the table in the tests
        return asked

    return around


def of_one(veil: Veil) -> Veil:
    """A veil of a list, for a noun that returns one of it."""
    return lambda ws, found, given: veil(ws, [found], given)[0]


def may(ws: Workspace, right: Right) -> bool:
    """Whether the person of this handle has a right now: what a page draws depends on it."""
    return ws.person is None or right in people.rights_of(ws, ws.person.email)


def ask(read: Workspace | Transaction, right: Right) -> None:
    """Raises NotAllowed unless the person of this handle has a right now: for a class that reads, and for what is also called
    within a transaction (which only a noun opens)."""
    if isinstance(read, Workspace) and read.person is not None and not read.within:
        _ask(read, right, {})


def every(ws: Workspace) -> frozenset[Right]:
    """All rights of the person of this handle now."""
    return frozenset(RIGHTS) if ws.person is None else people.rights_of(ws, ws.person.email)


def why_not(ws: Workspace, right: Right) -> str:
    """Why the person of this handle lacks a right, and what to do about it."""
    return " ".join(_why(ws, ws.person.email, right)) if ws.person else ""


def _ask(ws: Workspace, right: Right, given: Given) -> None:
    person = ws.person
    assert person is not None
    if person.until is not None and ws.now() >= person.until:
        raise NotAllowed("Your session has expired.", SIGN_IN)
    rights = people.rights_of(ws, person.email)
    if right not in rights:
        raise NotAllowed(*_why(ws, person.email, right))
    if given.get("who") not in (None, "", person.email):
        raise NotAllowed("That would be stored under somebody else's name.", f"You are signed in as {person.email}.")


def _why(ws: Workspace, email: str, right: Right) -> tuple[str, str]:
    role = people.role_of(ws, email)
    if role is None:
        return "You are not, or no longer, invited to this workspace.", "Ask one of its owners for an invitation."
    if right == "read" and role == "reviewer":
        return ("A review session is still blind: until it is revealed, reviewers see no data and no results.",
                "Judge your pairs on the Review page; who opened the session ends it.")
    having = [other for other in people.ROLES if right in people.MAY[other]]
    return (f"Your role here is {role}: it does not let you {RIGHTS[right].split(';')[0]}.",
            f"Ask an owner of this workspace; it takes the role {' or '.join(having)}.")
