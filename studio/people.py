"""People: who signed in, which role each address has in this workspace, and what a role may do.

A role is said of an e-mail address or of all addresses of a domain ("@example.org"); the newest word on an address counts, an
empty one takes it away, and a word on the address itself stands before one on its domain. Nothing is held in memory longer than
until the next word, so a change counts at once, also for somebody who is signed in.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from studio.errors import StudioError

if TYPE_CHECKING:
    from studio.workspace import Workspace

Role = Literal["owner", "curator", "labeller", "reviewer", "viewer"]
Right = Literal["open", "read", "raw", "label", "review", "curate", "run", "export", "own"]
ROLES: tuple[Role, ...] = get_args(Role)

# What each right is, in the words of the page and of docs/people.md.
RIGHTS: Mapping[Right, str] = {
    "open": "open the studio, see where the work stands and who works on it",
    "read": "see data, snapshots, runs, models and results; personal data is masked",
    "raw": "read texts as they came, personal data included",
    "label": "label, skip, mark, comment, keep and drop on the label desk, and take back what they did",
    "review": "judge blind pairs in review sessions",
    "curate": "import, clean, edit, settle, write, freeze; open and reveal review sessions",
    "run": "start and stop runs, add models, prompts and scores, ask models, serve them here",
    "export": "take data, models and reports out: as files, to a hub, to a service that tunes",
    "own": "invite people and give roles, read the audit trail, forget a customer, name folders, services and addresses",
}
MAY: Mapping[Role, frozenset[Right]] = {
    "owner": frozenset(RIGHTS),
    "curator": frozenset(RIGHTS) - {"own"},
    "labeller": frozenset(("open", "read", "raw", "label")),
    "reviewer": frozenset(("open", "read", "review")),
    "viewer": frozenset(("open", "read")),
}


@dataclass(frozen=True)
class Person:
    """Somebody who signed in: the verified e-mail address, which is the name that their acts are stored under, the name to
    greet them by, and when this sign-in ends (UTC; None: with the proxy's)."""

    email: str
    name: str = ""
    until: datetime | None = None


def address(text: str) -> str:
    """An e-mail address as it is kept: trimmed, in lower case. Raises StudioError for what is none. Letters beyond ASCII are
    refused, because two addresses that look alike must never be one person."""
    found = text.strip(" \t\r\n").lower() if text.isascii() else ""  # the Kelvin sign K is a k in lower case
    if not re.fullmatch(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*", found) or len(found) > 200:
        raise StudioError("That is no e-mail address that can sign in here.",
                          "It looks like anna@example.org, in plain letters.")
    return found


def role_of(ws: Workspace, email: str) -> Role | None:
    """The role of an address now, None for who is not invited or was removed."""
    said = _said(ws)
    role = said.get(email, said.get("@" + email.rpartition("@")[2], ""))
    return role if role in ROLES else None


def rights_of(ws: Workspace, email: str) -> frozenset[Right]:
    """What an address may do now. A reviewer sees no data and no results while any review session is blind: whoever has seen a
    model's answers or figures elsewhere knows them again on the desk."""
    role = role_of(ws, email)
    if role is None:
        return frozenset()
    return MAY[role] - {"read"} if role == "reviewer" and blind(ws) else MAY[role]


def blind(ws: Workspace) -> bool:
    """Whether a review session is not revealed yet."""
    return ws.row("""select 1 from review_sessions s where not exists
                     (from review_reveals v where v.session_id = s.session_id) limit 1""") is not None


def nobody(ws: Workspace) -> bool:
    """Whether nobody was ever invited here: the workspace of one person, as it begins."""
    return not _said(ws)


def changed(ws: Workspace) -> None:
    """To be called after a word on somebody's role was stored."""
    _generation[ws.core] = _generation.get(ws.core, 0) + 1


def _said(ws: Workspace) -> Mapping[str, str]:
    """Address → role, as said last. What was read before the newest change is never used: it bears an older number."""
    number = _generation.get(ws.core, 0)
    known = _known.get(ws.core)
    if known is None or known[0] != number:
        rows = ws.rows("select address, arg_max(role, seq) as role from people group by address")
        known = _known[ws.core] = number, {row["address"]: row["role"] for row in rows}
    return known[1]


_generation: weakref.WeakKeyDictionary[Workspace, int] = weakref.WeakKeyDictionary()
_known: weakref.WeakKeyDictionary[Workspace, tuple[int, dict[str, str]]] = weakref.WeakKeyDictionary()
