"""The audit trail: who did what, when, under which role. No texts: an act's name, the ids of what it was done to.

The rows are decided like everything else: they are journaled, so a changed or missing one breaks the journal's chain. An act
and its row are stored in one transaction wherever the act has one. Who typed a command is in it too, where others have a role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from studio import people

if TYPE_CHECKING:
    from studio.workspace import Row, Transaction, Workspace

AGAIN = timedelta(minutes=1)
NAMED = ("address", "role", "run_id", "run", "session_id", "set_id", "snapshot_id", "snapshot", "model_id",
         "model", "group_id", "card_id", "alert_id", "kind", "decision", "side", "split", "evaluation_id", "import_id",
         "source_id")
MANY = ("record_ids", "item_ids", "row_ids", "card_ids")
_PLAIN = r"[\w.@+-]{1,80}"


@dataclass
class Pending:
    """An act that goes on. `idle`: it opened a transaction and stored nothing in it."""

    row: Row | None
    idle: bool = False


_pending: ContextVar[Pending | None] = ContextVar("pending act", default=None)
SHELL = "shell"
"""The role of who typed a command: whoever may log in to the machine owns the workspace."""
_typing: ContextVar[str] = ContextVar("who typed a command", default="")


@dataclass(frozen=True)
class Noted:
    """One act. `subject` names ids; `outcome` is "done", "failed" (it raised) or "refused" (the role does not reach)."""

    said_at: datetime
    who: str
    role: str
    act: str
    subject: str
    outcome: str


def subject(given: Mapping[str, Any], login: str = "") -> str:
    """What an act was done to: ids and names of kinds, never a text. Records are only counted: the act's own row names them,
    and goes with them when somebody is forgotten. Of a command (by `login`) also under which other name it was done."""
    parts = ["1 record"] if isinstance(given.get("record_id"), str) else []
    for name in NAMED:
        value = given.get(name)
        value = getattr(value, f"{name}_id", value)
        if isinstance(value, str) and re.fullmatch(_PLAIN, value, re.ASCII):
            parts.append(f"{name.removesuffix('_id')} {value}")
    for name in MANY:
        if isinstance(many := given.get(name), Sized):
            parts.append(f"{len(many):,} {name.removesuffix('_ids')}" + "s" * (len(many) != 1))
    if login and (who := str(given.get("who") or login)) != login and re.fullmatch(_PLAIN, who, re.ASCII):
        parts.append(f"as {who}")
    return " · ".join(parts)


@contextmanager
def typed_by(login: str) -> Iterator[None]:
    """What is done meanwhile on a plain workspace is done by who typed a command, under the machine's name for them."""
    token = _typing.set(login)
    try:
        yield
    finally:
        _typing.reset(token)


def is_typed(ws: Workspace) -> bool:
    """Whether an act on this plain workspace is one of a command, and others have a role here who may want to know of it."""
    return bool(_typing.get()) and not people.nobody(ws)


@contextmanager
def noted(ws: Workspace, act: str, given: Mapping[str, Any]) -> Iterator[None]:
    """Note the act that is done meanwhile: in the first transaction that stores something, else when it ends. What stored
    nothing although it could have (a deck that was dealt already, a press that came twice) was no act."""
    login = "" if ws.person else _typing.get()
    about = subject(given, login)
    pending = Pending(_row(ws, act, about, "done", login))
    tokens = _pending.set(pending), _typing.set("")  # what the noun calls in turn is part of this act
    try:
        yield
    except Exception:
        pending.row = None  # or it would go in with the next row, as done
        write(ws, act, about, "failed", login)
        raise
    finally:
        _pending.reset(tokens[0])
        _typing.reset(tokens[1])
    if pending.row and not pending.idle:
        write(ws, act, about, "done", login)


def join(transaction: Transaction) -> None:
    """Called before a transaction commits: the act that it is part of goes in with it."""
    pending = _pending.get()
    if pending is None or pending.row is None:
        return
    if transaction.wrote:
        row, pending.row = pending.row, None
        transaction.decided("audit", [row])
    else:
        pending.idle = True


def refused(ws: Workspace, act: str, given: Mapping[str, Any]) -> None:
    """Note an act that a role does not allow, the same one at most once a minute: a page that asks again and again must not
    fill the trail."""
    last = ws.row("select max(said_at) as at from audit where who = ? and act = ? and outcome = 'refused'",
                  [ws.person.email if ws.person else "", act])
    if last is None or last["at"] is None or last["at"] < ws.now() - AGAIN:
        write(ws, act, subject(given), "refused")


def write(ws: Workspace, act: str, about: str, outcome: str, login: str = "") -> None:
    """One row of its own."""
    with ws.transaction() as transaction:
        transaction.decided("audit", [_row(ws, act, about, outcome, login)])


def _row(ws: Workspace, act: str, about: str, outcome: str, login: str = "") -> Row:
    who = ws.person.email if ws.person else login
    role = SHELL if login else people.role_of(ws, who) or ""
    return {"act_id": ws.new_id(), "seq": 0, "who": who, "role": role, "act": act, "subject": about, "outcome": outcome,
            "said_at": ws.now()}
