"""The team: owners invite addresses and domains with a role, change roles, remove people, and read the audit trail."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio import audit, exports, people
from studio.audit import Noted
from studio.errors import StudioError
from studio.people import ROLES, Person, Role
from studio.permissions import needs
from studio.workspace import Transaction, Workspace

OWNER = "TUNEWRIGHT_OWNER"


@dataclass(frozen=True)
class Member:
    """Somebody, or a whole domain ("@example.org"), with the role that they have now. `who` gave it; `through` names the domain
    that invited somebody who has no word of their own. `seen_at` is when they signed in last."""

    address: str
    role: Role
    who: str
    said_at: datetime
    seen_at: datetime | None = None
    through: str = ""


@needs("own", looks=True)
def every(ws: Workspace) -> list[Member]:
    """People and invited domains, owners first."""
    newest = ws.rows("from people qualify row_number() over (partition by address order by seq desc) = 1")
    said = {row["address"]: row for row in newest}
    seen = {row["who"]: row["at"] for row in
            ws.rows("select who, max(said_at) as at from audit where act = 'sign in' and outcome = 'done' group by who")}
    found = []
    for address in {*said, *seen}:
        domain = "" if address in said else "@" + address.rpartition("@")[2]
        row = said.get(domain or address)
        role = people.role_of(ws, address)
        if row is not None and role is not None:
            found.append(Member(address, role, row["who"], row["said_at"], seen.get(address), domain))
    return sorted(found, key=lambda one: (ROLES.index(one.role), one.address))


def invited(text: str) -> list[str]:
    """The addresses and domains in a text, parted by blanks, commas, semicolons or lines; domains with an @ in front. Raises
    StudioError for what is neither."""
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    found = []
    for word in words:
        local, _, domain = word.rpartition("@")
        if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", domain):
            raise StudioError(f"{word[:80]} is neither an e-mail address nor a domain.",
                              "Write anna@example.org for one person, example.org for everybody there.")
        found.append(people.address(word) if local else f"@{domain.lower()}")
    return list(dict.fromkeys(found))


@needs("own")
def give(ws: Workspace, address: str, role: Role, who: str) -> None:
    """Give an address, or all of a domain, a role; what it had before ends now. Raises StudioError for the last owner's."""
    [address] = invited(address) or [""]
    if role not in ROLES:
        raise StudioError(f"There is no role {role}.", f"Roles are {', '.join(ROLES)}.")
    if address.startswith("@") and role == "owner":
        raise StudioError("A whole domain cannot own a workspace.", "Invite owners one by one.")
    _say(ws, address, role, who)


@needs("own")
def remove(ws: Workspace, address: str, who: str) -> None:
    """Take an address's role away, now, also where its domain is invited. Raises StudioError for the last owner."""
    _say(ws, address, "", who)


@needs("own", looks=True)
def trail(ws: Workspace, whose: str = "", act: str = "", outcome: str = "", limit: int = 50, skip: int = 0
          ) -> tuple[int, list[Noted]]:
    """How many acts there are of this person, kind and outcome (empty: all), and a page of them, the newest first."""
    wanted = "where (? = '' or who = ?) and (? = '' or act = ?) and (? = '' or outcome = ?)"
    chosen = [part for word in (whose, act, outcome) for part in (word, word)]
    found = ws.rows(f"""select said_at, who, role, act, subject, outcome from audit {wanted}
                        order by seq desc limit ? offset ?""", [*chosen, limit, skip])
    return int(ws.value(f"select count(*) from audit {wanted}", chosen)), [Noted(**row) for row in found]


@needs("own", looks=True)
def noted(ws: Workspace) -> tuple[list[str], list[str]]:
    """Who is in the trail, and which acts."""
    return tuple([str(row["v"]) for row in ws.rows(f"select distinct {column} as v from audit order by v")]
                 for column in ("who", "act"))  # type: ignore[return-value]


@needs("own")
def trail_csv(ws: Workspace, whose: str = "", act: str = "", outcome: str = "") -> str:
    """The trail as a file; no cell of it is a formula."""
    rows: Sequence[Noted] = trail(ws, whose, act, outcome, 1_000_000)[1]
    return exports.csv_text([_cells(one) for one in rows])


@needs("own", looks=True)
def differing(ws: Workspace) -> int:
    """Acts of which the database says something else than the journal, whose lines are chained by their hashes. Raises
    StudioError where that chain is broken."""
    with ws.transaction():  # nobody writes meanwhile
        entries, whole = ws.journal.look()
    if not whole:
        raise StudioError("The journal's chain is broken: a line was changed, taken out or added outside the studio.",
                          "Keep a copy of the workspace's folder as it is, and compare it with a backup.")
    written = {(entry.row["act_id"], entry.row["who"], entry.row["act"], entry.row["subject"], entry.row["outcome"])
               for entry in entries if entry.table == "audit"}
    stored = {tuple(row.values()) for row in ws.rows("select act_id, who, act, subject, outcome from audit")}
    return len(written ^ stored)


def lets_in(ws: Workspace, email: str) -> bool:
    """Whether an address has a role here, or would become the owner of a workspace that has none."""
    return people.role_of(ws.core, email) is not None or (people.nobody(ws.core) and email == _named())


def begin(ws: Workspace, email: str) -> None:
    """Whoever made a workspace owns it; nothing where somebody does already."""
    with ws.core.transaction() as transaction:
        if not transaction.rows("select 1 from people limit 1"):
            _store(transaction, ws.core, email, "owner", email)
    people.changed(ws.core)


def sign_in(ws: Workspace, person: Person) -> Role | None:
    """Somebody signed in: note it, and say their role, None for who is not invited. In a workspace where nobody was ever
    invited, the address that the environment names becomes its owner, and nobody else anything."""
    core = ws.core
    with core.transaction() as transaction:
        if not transaction.rows("select 1 from people limit 1") and person.email == _named():
            _store(transaction, core, person.email, "owner", OWNER)
    people.changed(core)
    role = people.role_of(core, person.email)
    if role is None:
        audit.refused(core.seen_by(person), "sign in", {})
    else:
        audit.write(core.seen_by(person), "sign in", "", "done")
    return role


def _named() -> str:
    return os.environ.get(OWNER, "").strip().lower()


def _say(ws: Workspace, address: str, role: str, who: str) -> None:
    with ws.transaction() as transaction:
        rows = transaction.rows("select address, arg_max(role, seq) as role from people group by address")
        owners = {row["address"] for row in rows if row["role"] == "owner"}
        if owners == {address} and role != "owner":
            raise StudioError("A workspace keeps at least one owner.", "Make somebody else an owner first.")
        _store(transaction, ws, address, role, who)
    people.changed(ws)


def _store(transaction: Transaction, ws: Workspace, address: str, role: str, who: str) -> None:
    transaction.decided("people", [{"press_id": ws.new_id(), "seq": 0, "address": address, "role": role, "who": who,
                                    "said_at": ws.now()}])


def _cells(one: Noted) -> dict[str, Any]:
    return {"when (UTC)": one.said_at.isoformat(sep=" ", timespec="seconds"), "who": one.who, "role": one.role, "act": one.act,
            "subject": one.subject, "outcome": one.outcome}
