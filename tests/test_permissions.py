"""Every noun says which right it needs, and a person gets what their role has: no more, no less, as it is now."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from studio import audit, label_sets, labels, marks, people, permissions, records, runs, team
from studio.errors import StudioError
from studio.people import ROLES, Person, Role
from studio.permissions import NotAllowed
from studio.records import Filter
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.tickets import import_forty

TABLE = ROOT / "tests" / "nouns.txt"
BELOW = ("audit", "held", "masking", "people", "permissions", "seen")
"""What the nouns' rights are made of, and the door for who is logged in on this machine: these ask nobody."""
DOORS = ("team.sign_in", "team.lets_in", "team.begin")
"""Called for somebody who has no role yet."""
MAY = {
    "owner": "open read raw label review curate run export own",
    "curator": "open read raw label review curate run export",
    "labeller": "open read raw label",
    "reviewer": "open read review",
    "viewer": "open read",
}


def written() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every public function of studio/ whose first parameter is a workspace."""
    for path in sorted((ROOT / "studio").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.args.args:
                kind = node.args.args[0].annotation
                if kind is not None and "Workspace" in ast.unparse(kind) and path.stem not in BELOW:
                    yield f"{path.stem}.{node.name}", node


def declared() -> dict[str, str]:
    """Noun → right, as tests/nouns.txt has it."""
    return {noun: right for right, noun in (line.split() for line in TABLE.read_text().splitlines())}


def nouns() -> dict[str, Callable[..., Any]]:
    found = {}
    for name in declared():
        module, _, function = name.partition(".")
        found[name] = getattr(importlib.import_module(f"studio.{module}"), function)
    return {name: noun for name, noun in found.items() if hasattr(noun, "needs")}


def invite(ws: Workspace, **roles: Role) -> None:
    for name, role in roles.items():
        team.give(ws, f"{name}@example.org", role, "test")


def seen(ws: Workspace, name: str, until: datetime | None = None) -> Workspace:
    return ws.seen_by(Person(f"{name}@example.org", until=until))


def forty(ws: Workspace) -> list[str]:
    import_forty(ws)
    return [record.record_id for record in records.page(ws, Filter(), 40)]


def test_every_public_noun_asks_for_a_right_before_it_does_anything() -> None:
    silent = []
    for name, node in written():
        decorated = any("needs(" in ast.unparse(one) for one in node.decorator_list)
        first = node.body[1] if isinstance(node.body[0], ast.Expr) and len(node.body) > 1 else node.body[0]
        if not decorated and not ast.unparse(first).startswith("ask(") and name not in DOORS:
            silent.append(name)
    assert silent == []


def test_no_page_steps_round_the_person_it_is_drawn_for() -> None:
    drawn = [path for folder in ("pages", "studio/ui", "studio/components") for path in (ROOT / folder).glob("*.py")]
    around = {node.attr for path in drawn for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not around & {"core", "inside", "__wrapped__", "_core"}


def test_the_table_of_nouns_and_rights_is_what_the_nouns_say() -> None:
    said = {}
    for name, node in written():
        for one in node.decorator_list:
            if isinstance(one, ast.Call) and ast.unparse(one.func) == "needs":
                said[name] = ast.literal_eval(one.args[0])
    assert said == declared()


def test_what_each_role_may_is_what_the_documentation_says() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "people.md").read_text().splitlines() if line.startswith("| `")]
    told = {role: {row[1].strip().strip("`") for row in rows if row[place].strip() == "yes"}
            for place, role in enumerate(ROLES, start=3)}
    assert told == {role: set(rights.split()) for role, rights in MAY.items()}
    assert told == {role: set(people.MAY[role]) for role in ROLES}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reaches_exactly_the_nouns_of_its_rights(ws: Workspace, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "write", lambda *given: None)
    monkeypatch.setattr(audit, "refused", lambda *given: None)
    invite(ws, anna=role)
    handle, wrong = seen(ws, "anna"), []
    for name, noun in nouns().items():
        try:
            noun(handle, no_such_parameter=1)  # what gets so far is let in, and does nothing
        except NotAllowed:
            reached = False
        except TypeError:
            reached = True
        if reached != (declared()[name] in MAY[role].split()):
            wrong.append(name)
    assert (wrong, len(nouns()) > 500) == ([], True)


def test_a_plain_workspace_and_what_a_noun_calls_are_not_asked(ws: Workspace) -> None:
    import_forty(ws)
    assert len(records.every(ws, [])) == 0 and ws.person is None
    invite(ws, vera="viewer")
    assert runs.proven(seen(ws, "vera")) == []  # asks for rows of its own and of other nouns


def test_a_handle_is_its_workspace_for_every_cache(ws: Workspace) -> None:
    handle = seen(ws, "anna")
    assert (handle == ws, hash(handle) == hash(ws), handle.core is ws, seen(ws, "anna") is handle, {ws: 1}[handle]) == (
        True, True, True, True, 1)


def test_a_change_of_role_and_a_removal_count_at_the_next_call(ws: Workspace) -> None:
    invite(ws, olga="owner", anna="labeller")
    handle = seen(ws, "anna")
    assert permissions.may(handle, "label")
    team.give(seen(ws, "olga"), "anna@example.org", "viewer", "olga@example.org")
    assert (permissions.may(handle, "label"), permissions.may(handle, "read")) == (False, True)
    team.remove(seen(ws, "olga"), "anna@example.org", "olga@example.org")
    with pytest.raises(NotAllowed, match="no longer, invited"):
        records.counts(handle)


def test_nobody_acts_under_the_name_of_somebody_else(ws: Workspace) -> None:
    ids = forty(ws)
    invite(ws, anna="labeller")
    with pytest.raises(NotAllowed, match="somebody else's name"):
        marks.put(seen(ws, "anna"), ids[0], "flag", "", "bo@example.org", "press1")
    marks.put(seen(ws, "anna"), ids[0], "flag", "", "anna@example.org", "press2")
    assert [mark.who for mark in marks.of(ws, ids[:1])[ids[0]]] == ["anna@example.org"]


def test_a_domain_invites_nobody_of_a_domain_that_holds_its_name(ws: Workspace) -> None:
    team.give(ws, "example.org", "viewer", "test")
    domains = ("example.org", "example.org.evil.net", "sub.example.org", "evilexample.org")
    assert [people.role_of(ws, f"anna@{domain}") for domain in domains] == ["viewer", None, None, None]


def test_an_expired_session_is_refused_in_words_also_where_it_is_open(ws: Workspace) -> None:
    invite(ws, anna="owner")
    handle = seen(ws, "anna", until=ws.now() - timedelta(seconds=1))
    with pytest.raises(NotAllowed, match="session has expired"):
        records.counts(handle)


def test_an_act_is_noted_with_ids_and_without_texts(ws: Workspace) -> None:
    ids = forty(ws)
    invite(ws, anna="labeller")
    marks.put(seen(ws, "anna"), ids[0], "comment", "The customer Jane Roe shouts.", "anna@example.org", "press1")
    total, [one] = team.trail(ws, "anna@example.org")
    assert (total, one.role, one.act, one.subject, one.outcome) == (
        1, "labeller", "marks.put", "1 record · kind comment", "done")


def test_an_act_and_its_row_are_stored_together_or_not_at_all(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = forty(ws)
    invite(ws, anna="labeller")
    monkeypatch.setattr(audit, "join", lambda transaction: transaction.execute("insert into no_such_table values (1)"))
    with pytest.raises(Exception, match="no_such_table"):
        marks.put(seen(ws, "anna"), ids[0], "flag", "", "anna@example.org", "press1")
    monkeypatch.undo()
    assert marks.of(ws, ids[:1]).get(ids[0], []) == []


def test_what_stored_nothing_and_what_only_looked_are_no_acts(ws: Workspace) -> None:
    ids = forty(ws)
    invite(ws, anna="labeller")
    chosen = label_sets.save(ws, label_sets.starter_sets(ws)[0], "test")
    handle = seen(ws, "anna")
    labels.undo(handle, chosen.set_id, "anna@example.org", "press1")  # there is nothing to take back
    labels.of_records(handle, chosen.set_id, ids[:1])
    labels.skip(handle, chosen.set_id, ids[0], "anna@example.org", "press2")
    assert [one.act for one in team.trail(ws)[1]] == ["labels.skip"]


def test_what_is_refused_is_noted_once_a_minute(ws: Workspace) -> None:
    invite(ws, vera="viewer")
    for _ in range(3):
        with pytest.raises(NotAllowed):
            records.decide(seen(ws, "vera"), ["r1"], "drop", "vera@example.org")
    assert [(one.act, one.outcome) for one in team.trail(ws)[1]] == [("records.decide", "refused")]


def test_the_trail_leaves_as_a_file_without_formulas(ws: Workspace) -> None:
    invite(ws, olga="owner")
    team.give(seen(ws, "olga"), "=cmd@example.org", "viewer", "olga@example.org")
    ws.core._connection.execute("update audit set subject = '=1+1'")  # as if somebody had put one in
    assert "'=1+1" in team.trail_csv(seen(ws, "olga"))


def test_a_row_changed_behind_the_studios_back_differs_from_the_journal(ws: Workspace) -> None:
    invite(ws, olga="owner", anna="viewer")
    team.remove(seen(ws, "olga"), "anna@example.org", "olga@example.org")
    assert team.differing(ws) == 0
    ws.core._connection.execute("update audit set who = 'mallory@example.org'")
    assert team.differing(ws) == 2  # the row that is there, and the one that should be


def test_a_journal_whose_line_was_changed_is_said_aloud(ws: Workspace) -> None:
    invite(ws, olga="owner", anna="viewer")
    path = ws.path("journal.jsonl")
    path.write_text(path.read_text().replace("anna@example.org", "evil@example.org"))
    with pytest.raises(StudioError, match="chain is broken"):
        team.differing(ws)


def test_people_and_their_acts_come_back_from_the_journal(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    invite(ws, olga="owner")
    team.give(seen(ws, "olga"), "example.com", "viewer", "olga@example.org")
    ws.close()
    (tmp_path / "ws" / "studio.duckdb").unlink()
    ws = Workspace(tmp_path / "ws")
    assert [(one.address, one.role) for one in team.every(ws)] == [("olga@example.org", "owner"), ("@example.com", "viewer")]
    assert [one.act for one in team.trail(ws)[1]] == ["team.give"]
    ws.close()
