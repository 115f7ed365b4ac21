"""Who somebody is, who is invited in which role, and who becomes the first owner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from streamlit import config

from studio import identity, people, team
from studio.errors import StudioError
from studio.people import Person
from studio.ui import sign_in
from studio.workspace import Workspace
from tests.commands import refused, told

OLGA = Person("olga@example.org")
CLAIMS = {"email": "Olga@Example.org", "email_verified": True, "name": "Olga", "iat": 1_700_000_000}
SECRET = "the secret of the proxy"


def test_only_the_address_that_the_environment_names_becomes_the_first_owner(
        ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert team.sign_in(ws, OLGA) is None
    monkeypatch.setenv("TUNEWRIGHT_OWNER", " Olga@example.org ")
    assert (team.sign_in(ws, Person("eve@example.org")), team.sign_in(ws, OLGA)) == (None, "owner")


def test_where_people_are_the_environment_makes_no_owner(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    team.give(ws, "anna@example.org", "owner", "test")
    monkeypatch.setenv("TUNEWRIGHT_OWNER", "olga@example.org")
    assert team.sign_in(ws, OLGA) is None


def test_a_domain_invites_all_its_addresses_and_a_word_on_one_stands_before_it(ws: Workspace) -> None:
    team.give(ws, "example.org", "viewer", "test")
    team.give(ws, "anna@example.org", "curator", "test")
    team.remove(ws, "bo@example.org", "test")
    said = [people.role_of(ws, f"{name}@{domain}") for name, domain in (
        ("anyone", "example.org"), ("anna", "example.org"), ("bo", "example.org"), ("eve", "mail.example.org"),
        ("eve", "notexample.org"))]
    assert said == ["viewer", "curator", None, None, None]


def test_the_last_owner_stays_and_a_domain_owns_nothing(ws: Workspace) -> None:
    team.give(ws, "olga@example.org", "owner", "test")
    for act in (lambda: team.remove(ws, "olga@example.org", "test"),
                lambda: team.give(ws, "olga@example.org", "viewer", "test"),
                lambda: team.give(ws, "example.org", "owner", "test")):
        with pytest.raises(StudioError):
            act()
    assert people.role_of(ws, "olga@example.org") == "owner"


def test_a_list_of_invitations_is_read_as_people_write_it() -> None:
    assert team.invited(" Anna@example.org;bo@example.org,\nexample.com @acme.org anna@example.org") == [
        "anna@example.org", "bo@example.org", "@example.com", "@acme.org"]
    with pytest.raises(StudioError, match="neither"):
        team.invited("anna")


def test_two_addresses_that_look_alike_are_never_one_person() -> None:
    kelvin = "\u212aate@example.org"  # whose K is a k in lower case
    for strange in (kelvin, "kate@example.org\u00a0", "olgа@example.org", "straße@example.org", "a b@c.org", "a@b@c.org", ""):
        with pytest.raises(StudioError):
            people.address(strange)


def test_a_verified_claim_is_a_person_until_the_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_SESSION_HOURS", "2")
    assert identity.of_claims(CLAIMS) == Person("olga@example.org", "Olga", datetime(2023, 11, 15, 0, 13, 20))


@pytest.mark.parametrize("claims", [
    {"email_verified": False}, {"email_verified": None}, {"email_verified": 1}, {"email_verified": "yes"}, {"email": None},
    {"email": ["olga@example.org"]}, {"iat": None}, {"iat": True}], ids=str)
def test_a_claim_that_is_not_verified_names_nobody(claims: Mapping[str, object]) -> None:
    with pytest.raises(StudioError):
        identity.of_claims(CLAIMS | claims)


@pytest.mark.parametrize(("headers", "named"), [
    ({"X-Email": ["olga@example.org"], "X-Tunewright-Proxy": [SECRET]}, OLGA),
    ({"X-Email": ["olga@example.org"]}, None),
    ({"X-Email": ["olga@example.org"], "X-Tunewright-Proxy": ["guessed"]}, None),
    ({"X-Email": ["olga@example.org"], "X-Tunewright-Proxy": [SECRET, "guessed"]}, None),
    ({"X-Email": ["eve@example.org", "olga@example.org"], "X-Tunewright-Proxy": [SECRET]}, None),
    ({"X-Email": ["olga@example.org,eve@example.org"], "X-Tunewright-Proxy": [SECRET]}, None),
    ({"X-Email": [""], "X-Tunewright-Proxy": [SECRET]}, None),
    ({"X-Tunewright-Proxy": [SECRET]}, None)], ids=range(8))
def test_a_header_counts_only_once_and_beside_the_proxys_secret(
        headers: dict[str, list[str]], named: Person | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_TRUSTED_HEADER", "X-Email")
    monkeypatch.setenv("TUNEWRIGHT_PROXY_SECRET", SECRET)
    assert identity.of_headers(lambda name: headers.get(name, [])) == named


@pytest.mark.parametrize("secret", ["", "short", "long enough, but é", "long enough, with its end of line\n"])
def test_a_trusted_header_without_a_secret_stops_the_studio(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_TRUSTED_HEADER", "X-Email")
    monkeypatch.setenv("TUNEWRIGHT_PROXY_SECRET", secret)
    with pytest.raises(StudioError, match="TUNEWRIGHT_PROXY_SECRET"):
        identity.behind_proxy()


def test_a_workspace_with_people_is_closed_where_nobody_can_sign_in(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "providers", list)
    assert sign_in.seen(ws) is ws  # one person's studio, as ever
    team.give(ws, "olga@example.org", "owner", "test")
    with pytest.raises(StudioError, match="without a way to sign in"):
        sign_in.seen(ws)
    monkeypatch.setenv("TUNEWRIGHT_LOGIN", "off")
    assert sign_in.seen(ws) is ws


def test_secrets_that_cannot_be_read_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth\nclient_id = ")
    monkeypatch.setattr(config, "get_option", lambda name: [str(broken)])
    with pytest.raises(StudioError, match="cannot be read"):
        sign_in.providers()


def test_what_a_command_does_is_in_the_trail_once_people_have_roles_and_looking_is_not(ws: Workspace) -> None:
    told(ws, "prompts", "save", "Kind", stdin="Be kind.")
    told(ws, "people", "give", "owner", "ann@example.org")
    told(ws, "prompts", "save", "Brief", "--as", "ben@example.org", stdin="Be brief.")
    told(ws, "people", "list")
    refused(ws, "prompts", "delete", "Nobody's")
    found = told(ws, "audit")
    assert [(one["who"], one["role"], one["act"], one["subject"], one["outcome"]) for one in found["acts"]] == [
        ("ann", "shell", "prompts.delete", "", "failed"), ("ann", "shell", "prompts.save", "as ben@example.org", "done")]
    assert found["differing"] == 0
