"""`tunewright people` and `audit`: the People page. Who types has the workspace's folder, so no role is asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, cast

import typer

from studio import team
from studio.commands.frame import As, Limit, Out, Skip, Told, command, group, listed, verb, who, write
from studio.people import MAY, RIGHTS, ROLES, Role
from studio.workspace import Workspace

people, audit = group(), verb()
APPS = {"people": people, "audit": audit}


@command(people, "list")
def everybody(ws: Workspace) -> Told:
    """People and invited domains with their roles, owners first."""
    return listed("people", [asdict(one) for one in team.every(ws)], "address role who said_at seen_at",
                  "Nobody is invited: whoever reaches this studio may do everything.")  # fmt: skip


@command(people, "roles")
def roles(ws: Workspace) -> Told:
    """What each role may do."""
    rows = [{"role": role, "rights": [right for right in RIGHTS if right in MAY[role]]} for role in ROLES]
    return listed("roles", rows, "role rights")


@command(people, "give")
def give(
    ws: Workspace,
    role: Annotated[str, typer.Argument(help="owner, curator, labeller, reviewer or viewer.")],
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="E-mail addresses, or domains: example.org")],
    as_: As = "",
) -> Told:
    """Invite addresses or domains with a role, or change their role. It counts at once."""
    meant = team.invited(" ".join(addresses))
    for one in meant:
        team.give(ws, one.removeprefix("@") if one.startswith("@") else one, cast(Role, role), who(as_))
    return Told({"addresses": meant, "role": role}, [f"{one} is {role} now." for one in meant])


@command(people, "remove")
def remove(ws: Workspace, address: Annotated[str, typer.Argument(help="As `people list` has it.")], as_: As = "") -> Told:
    """Take an address's role away, at once, also where its domain is invited."""
    team.remove(ws, address, who(as_))
    return Told({"address": address}, [f"{address} has no role any more."])


@command(audit, "audit")
def trail(
    ws: Workspace,
    whose: Annotated[str, typer.Option("--who", help="Of this person.")] = "",
    act: Annotated[str, typer.Option(help="Of this kind.")] = "",
    outcome: Annotated[str, typer.Option(help="done, refused or failed.")] = "",
    limit: Limit = 50,
    skip: Skip = 0,
    out: Out = "",
) -> Told:
    """Who did what when, newest first; `--out` writes all of it as CSV. Exit status 1 where it differs from the journal."""
    total, found = team.trail(ws, whose, act, outcome, limit, skip)
    people_, acts = team.noted(ws)
    differing = team.differing(ws)
    told = listed("acts", [asdict(one) for one in found], "said_at who role act subject outcome", "Nothing is noted yet.")
    said = [f"{differing} acts differ between the database and the journal."] if differing else []
    written = str(write(out, team.trail_csv(ws, whose, act, outcome))) if out else None
    document = told.document | {"total": total, "who": people_, "kinds": acts, "differing": differing, "file": written}
    return Told(document, [*told.words, *said, *([f"Written: {written}"] if written else [])], status=int(bool(differing)))
