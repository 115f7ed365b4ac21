"""Every page as each role sees it: it draws, notes nothing, and offers nothing that would be refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import people, team
from studio import workspace as folders
from studio.people import Person, Role
from studio.ui import layout, sign_in, sitemap
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.tickets import filled

pytestmark = pytest.mark.heavy

VIEWS = {"evaluate": ("Verdict", "Where", "Answers"), "snapshots": ("Lines", "Compare"), "label": ("Progress",),
         "people": ("People", "Audit trail", "Roles")}
READING = {"Check every byte", "Read the answers", "Back", "On", "Open the verdict", "Its training run"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Every stage of the loop once, a review half way, and somebody in each role."""
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    filled(Workspace(tmp_path / "ws")).close()
    ws = folders.open_workspace(tmp_path / "ws")
    for role in people.ROLES:
        team.give(ws, f"{role}@example.org", role, "test")
    return ws


def drawn(role: Role, path: str, view: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sign_in, "off", lambda: False)
    monkeypatch.setattr(sign_in, "person", lambda: Person(f"{role}@example.org"))
    page = AppTest.from_file(str(ROOT / path), default_timeout=60)
    if view:
        page.query_params["view"] = view
    return page.run()


@pytest.mark.parametrize(("text", "shown"), [
    ("*a* [b](c) <i> $x$", "\\*a\\* \\[b\\]\\(c\\) \\<i\\> \\$x\\$"), ("HTTPS://x.y", "HTTP:small[]S\\://x.y"),
    ("www.x.y", "www:small[].x.y"), ("ana@mail.example", "ana:small[]@mail.example"),
    (":material/home:", "\\::small[]material/home\\:"), ("a @ b: http", "a @ b\\: http")])
def test_no_link_icon_or_format_comes_of_a_text(text: str, shown: str) -> None:
    assert layout.plain(text) == shown


@pytest.mark.parametrize("role", ["owner", "labeller", "reviewer", "viewer"])
def test_a_page_that_is_open_to_a_role_draws_without_a_refusal(
        home: Workspace, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    said, offered = {}, set()
    rights = people.rights_of(home, f"{role}@example.org")
    places = [place for place in sitemap.PLACES if place.right in rights and (role != "owner" or place.url == "people")]
    for place in places:
        for view in VIEWS.get(place.url, ("",)):
            page = drawn(role, place.path, view, monkeypatch)
            said[place.title, view] = [one.value for one in page.error] + [one.message for one in page.exception]
            offered |= {button.label for button in page.button}
    assert ({where: words for where, words in said.items() if words}, team.trail(home)[0]) == ({}, 0)
    assert role == "owner" or offered <= READING | ({"Open the sessions"} if role == "reviewer" else set())
