"""Several workspaces on one server: each by its name, and nothing of one in another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline import device
from studio import folders, label_sets, people, queues, records, team
from studio.errors import StudioError
from studio.people import Person
from studio.permissions import NotAllowed
from studio.queues import QueueFilter
from studio.records import Filter
from studio.ui import sign_in
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.test_label_chaos import MOODS
from tests.tickets import import_forty


@pytest.fixture(scope="module")
def forty_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ws = Workspace(tmp_path_factory.mktemp("forty") / "ws")
    import_forty(ws)
    ws.close()
    return ws.root / "studio.duckdb"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path, forty_records: Path) -> Path:
    """A folder with the workspaces `empty` and `full`, of which the second has forty records."""
    monkeypatch.setenv("STUDIO_WORKSPACES", str(tmp_path / "all"))
    for name, database in (("empty", empty_database), ("full", forty_records)):
        (tmp_path / "all" / name).mkdir(parents=True)
        shutil.copy(database, tmp_path / "all" / name)
    return tmp_path / "all"


def test_a_workspace_is_chosen_by_its_name(two: Path) -> None:
    assert (folders.names(), folders.chosen("full").root) == (["empty", "full"], two / "full")


@pytest.mark.parametrize("name", ["../full", "full/../empty", "/etc", "fullest", ".", "full/"])
def test_no_other_name_leads_to_a_folder(two: Path, name: str) -> None:
    with pytest.raises(StudioError, match="There is no workspace"):
        folders.chosen(name)


def test_without_a_name_the_only_one_is_meant_and_of_several_none(
        two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudioError, match="several workspaces"):
        folders.chosen()
    monkeypatch.setenv("STUDIO_WORKSPACES", str(tmp_path / "new"))
    assert (folders.chosen().root, folders.names()) == (tmp_path / "new" / "main", ["main"])


def test_a_new_one_is_made_beside_and_is_empty(two: Path) -> None:
    made = folders.chosen(folders.make(folders.chosen("full"), "Returns Desk"))
    assert (made.root, records.counts(made).total) == (two / "returns-desk", 0)
    assert folders.names() == ["empty", "full", "returns-desk"]


@pytest.mark.parametrize("name", ["", "full", "../x", "a/b", "ö", "-x", "x" * 41])
def test_a_name_that_cannot_be_used_makes_nothing(two: Path, name: str) -> None:
    with pytest.raises(StudioError):
        folders.make(folders.chosen("full"), name)
    assert sorted(os.listdir(two)) == ["empty", "full"]


def test_ids_of_one_reach_nothing_of_another(two: Path) -> None:
    full, empty = folders.chosen("full"), folders.chosen("empty")
    made = label_sets.save(full, MOODS, "ann")
    assert len(queues.window(full, QueueFilter(made.set_id), "oldest", "ann", "s", 30)) == 30
    one = records.page(full, Filter(), 1)[0].record_id
    for reach in (lambda: label_sets.get(empty, made.set_id), lambda: records.get(empty, one),
                  lambda: queues.window(empty, QueueFilter(made.set_id), "oldest", "ann", "s", 30)):
        with pytest.raises(StudioError):
            reach()


def test_links_say_which_workspace_they_are_meant_in(two: Path) -> None:
    assert folders.address(folders.name_of(folders.chosen("full")), "/monitor?alert=a") == "/monitor?alert=a&workspace=full"
    assert folders.address("", "/monitor?alert=a") == "/monitor?alert=a"


def test_the_workspaces_of_one_server_share_the_device(two: Path, tmp_path: Path) -> None:
    assert {device._lock_of(two / name) for name in ("full", "empty")} == {two / ".device.lock"}
    assert device._lock_of(tmp_path / "alone") == tmp_path / "alone" / "runs" / "device.lock"


@pytest.fixture
def anna(two: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who is signed in: an owner of `full`, of whom `empty`, which is Tom's, never heard."""
    team.give(folders.chosen("full"), "anna@example.org", "owner", "test")
    team.give(folders.chosen("empty"), "tom@example.org", "owner", "test")
    monkeypatch.setattr(sign_in, "off", lambda: False)
    monkeypatch.setattr(sign_in, "person", lambda: Person("anna@example.org"))
    return "anna@example.org"


def everything(app: AppTest) -> str:
    """All that a page says, its links among it."""
    return words(app) + "".join(str(one.proto) for one in (*app.get("html"), *app.sidebar.get("html")))


def test_who_signed_in_is_led_to_their_own_workspace_and_hears_of_no_other(two: Path, anna: str) -> None:
    found = drawn()
    assert (found.query_params["workspace"], "40 records" in words(found)) == ("full", True)
    assert "empty" not in everything(found)


def test_a_forged_name_in_the_address_leads_nowhere_and_says_no_more_than_one_that_is_none(two: Path, anna: str) -> None:
    forged, none = everything(drawn(workspace="empty")), everything(drawn(workspace="nothing"))
    assert (forged == none, "There is no workspace of the name" in forged, "workspace=full" in forged) == (True, True, True)
    assert team.trail(folders.chosen("empty"))[0] == 0  # whoever was not let in left nothing there


def test_a_role_in_one_workspace_gives_nothing_in_another_and_who_makes_one_owns_it(two: Path, anna: str) -> None:
    person = Person(anna)
    with pytest.raises(NotAllowed, match="not, or no longer, invited"):
        records.counts(folders.chosen("empty").seen_by(person))
    made = folders.chosen(folders.make(folders.chosen("full").seen_by(person), "fresh"))
    assert (people.role_of(made, anna), people.role_of(made, "tom@example.org")) == ("owner", None)


def test_a_workspace_that_cannot_be_opened_keeps_nobody_out_of_theirs(two: Path, anna: str) -> None:
    (two / "broken").mkdir()
    (two / "broken" / "studio.duckdb").write_text("no database")
    found = drawn()
    assert ("40 records" in words(found), [one.value for one in found.error]) == (True, [])


def drawn(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "studio" / "app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def words(app: AppTest) -> str:
    return "\n".join(str(one.value) for one in (*app.main.markdown, *app.main.error, *app.main.caption))


def test_a_page_shows_the_workspace_of_its_address(two: Path) -> None:
    found = drawn(workspace="full")
    assert ("40 records" in words(found), found.query_params["workspace"], list(found.exception)) == (True, "full", [])


def test_a_page_without_one_asks_which_and_shows_nothing_of_any(two: Path) -> None:
    found = drawn()
    assert ([one.value for one in found.title], "40 records" in words(found)) == (["Choose a workspace"], False)


def test_an_address_with_a_name_that_is_none_shows_nothing_of_any(two: Path) -> None:
    found = words(drawn(workspace="[fuller](https://example.com)"))
    assert ("There is no workspace of the name" in found, "fuller" in found, "40 records" in found) == (True, False, False)


def test_another_workspace_in_the_address_begins_anew(two: Path) -> None:
    found = drawn(workspace="full")
    found.session_state["held"] = "something of full"
    found.query_params["workspace"] = "empty"
    found.run()
    said = "".join(str(one.value) for one in found.subheader)
    assert ("held" in found.session_state, "Your own tickets" in said) == (False, True)


def test_one_workspace_alone_has_no_name_in_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    found = drawn()
    assert ("workspace" in found.query_params, list(found.exception)) == (False, [])


def test_the_database_of_a_workspace_is_its_own(two: Path) -> None:
    full: Workspace = folders.chosen("full")
    assert (records.counts(full).total, records.counts(folders.chosen("empty")).total) == (40, 0)
