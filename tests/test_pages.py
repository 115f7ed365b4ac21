"""Each page alone under Streamlit's own test driver, on an empty and on a filled workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import reviews, runs
from studio import workspace as folders
from tests.conftest import ROOT
from tests.tickets import filled

PAGES = ("overview", "import_tickets", "curate", "freeze", "launch", "runs", "models", "evaluate", "review")
EMPTY_WORDS = {
    "overview": "Your own tickets",
    "import_tickets": "Nothing is changed until you press Import",
    "curate": "There are none yet",
    "freeze": "A snapshot needs records",
    "launch": "Training needs a frozen snapshot",
    "runs": "None was started yet",
    "models": "No model was tuned here yet",
    "evaluate": "No model was tuned yet",
    "review": "A review needs two models' answers",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


def draw(name: str, **query: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)
    for key, value in query.items():
        page.query_params[key] = value
    return page.run()


def words(page: AppTest) -> str:
    parts = [*page.title, *page.subheader, *page.markdown, *page.caption, *page.warning, *page.error, *page.success]
    return "\n".join(str(part.value) for part in parts)


@pytest.mark.parametrize("name", PAGES)
def test_on_an_empty_workspace_the_page_says_what_it_is_for(home: Path, name: str) -> None:
    page = draw(name)
    assert (list(page.exception), EMPTY_WORDS[name] in words(page)) == ([], True)


@pytest.mark.parametrize("name", PAGES)
def test_on_a_filled_workspace_the_page_draws_without_errors(home: Path, name: str) -> None:
    filled(folders.open_workspace(home))
    page = draw(name)
    assert (list(page.exception), list(page.error), len(page.title)) == ([], [], 1)


def test_overview_shows_the_latest_verdict_with_its_interval(home: Path) -> None:
    filled(folders.open_workspace(home))
    assert "ROUGE-L: better.** Base 0.20 [0.20, 0.20], tuned 0.49" in words(draw("overview"))


def test_the_sample_opens_with_one_press(home: Path) -> None:
    page = draw("import_tickets")
    next(button for button in page.button if button.label == "Import the sample").click()
    assert "**468 conversations** came in. 682 rows = 522 imported + 148 filtered + 12 refused + 0 already here" in words(page.run())


def test_refused_rows_are_shown_with_line_and_reason(home: Path) -> None:
    page = draw("import_tickets")
    next(button for button in page.button if button.label == "Import the sample").click()
    table = page.run().dataframe[0].value
    assert (len(table), list(table.columns), table.iloc[0]["reason"]) == (12, ["line", "reason", "begins with", "file"], "no answer")


def test_a_bulk_drop_and_its_undo(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("curate", show="Kept")
    page.button(key="bulk-drop").click().run()
    dropped = ws.value("select count(*) from current_records where decision = 'drop'")
    next(button for button in page.button if button.label == "Undo my last act").click().run()
    assert (dropped, ws.value("select count(*) from current_records where decision = 'drop'")) == (4, 1)


def test_freeze_shows_what_it_will_write_before_it_does(home: Path) -> None:
    filled(folders.open_workspace(home))
    assert "39 records → **31 train**, **4 validation**, **4 test**" in words(draw("freeze"))


def test_a_share_that_leaves_nothing_is_said_on_the_page_and_nothing_is_frozen(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("freeze")
    page.number_input[0].set_value(45)
    page.number_input[1].set_value(45)
    page.run()
    assert ("nothing is left to learn from" in words(page), len(ws.rows("select * from snapshots"))) == (True, 1)


def test_evaluate_says_when_answers_were_cut_off(home: Path) -> None:
    filled(folders.open_workspace(home))
    assert "token limit: base 1, tuned 0" in words(draw("evaluate"))


def test_review_tells_the_count_with_its_interval_after_the_reveal(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("review")
    blind = words(page)
    page.button(key="reveal").click().run()
    assert ("better in" in blind, "95 % interval" in words(page), reviews.sessions(ws)[0].revealed) == (False, True, True)


def test_a_lost_run_is_said_to_be_lost_and_can_be_resumed(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    (ws.path("runs/trained00001") / "result.json").unlink()
    (ws.path("runs/trained00001") / "launch.json").write_text('{"attempt": 1, "at": 0}')
    page = draw("runs", run="trained00001")
    assert (
        runs.get(ws, "trained00001").state,
        "gone without a word" in words(page),
        "Resume from what it saved" in [button.label for button in page.button],
    ) == ("lost", True, True)


@pytest.mark.parametrize(
    ("name", "key"), [("runs", "run"), ("freeze", "snapshot"), ("evaluate", "run"), ("review", "session"), ("launch", "base")]
)
def test_an_address_that_names_what_is_gone_still_draws(home: Path, name: str, key: str) -> None:
    filled(folders.open_workspace(home))
    assert list(draw(name, **{key: "gone"}).exception) == []


def test_the_router_turns_an_error_meant_for_people_into_words(home: Path) -> None:
    page = AppTest.from_file(str(ROOT / "studio" / "app.py"), default_timeout=30)
    home.write_text("a file where the folder should be")
    page.run()
    assert (list(page.exception), len(page.error)) == ([], 1)
