"""One walk through the verdict with a mouse and a keyboard: every view, a slice acted on, a report taken along."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import settled, shoot, visiting
from tests.evaluated import RUN
from tests.test_report import HOSTILE, Tags

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def hostile_home(tmp_path: Path, evaluated_home: Path) -> Path:
    """Three candidates' answers, one of them markup that would run if anybody let it."""
    from studio.workspace import Workspace

    home = Path(shutil.copytree(evaluated_home, tmp_path / "ws"))
    ws = Workspace(home)
    with ws.transaction() as transaction:
        transaction.execute("update outputs set text = ? where candidate_id = 'starter'", [HOSTILE])
        transaction.execute("update runs set title = ? where run_id = ?", [f"{HOSTILE} against its base", RUN])
    ws.close()
    return home


def view(page: Page, name: str) -> Page:
    page.get_by_role("radio", name=name, exact=True).click()
    return settled(page)


def test_a_person_reads_the_verdict_acts_on_a_slice_and_takes_the_report_along(hostile_home: Path, chromium_here: str) -> None:
    with visiting(hostile_home) as (studio, page):
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.goto(f"{studio.url}/evaluate")
        settled(page).get_by_text("The tuned model is better than the prompted base model").first.wait_for()
        shoot(page, "evaluate-verdict")
        view(page, "Where").get_by_text("slices by tag", exact=False).first.wait_for()
        shoot(page, "evaluate-where")
        page.get_by_role("button", name="Read the answers").click()
        settled(page).get_by_text("1–", exact=False).first.wait_for()
        assert "view=Answers" in page.url and "by=Tag" in page.url
        view(page, "Answers").locator(".tw-answers").first.get_by_text(HOSTILE).first.wait_for()
        shoot(page, "evaluate-answers")
        page.goto(f"{studio.url}/evaluate?view=Answers")
        settled(page).get_by_text("1–10 of 60 items").wait_for()
        page.keyboard.press("ArrowRight")
        page.get_by_text("11–20 of 60 items").wait_for()
        for name in ("Cost", "Compare", "Start"):
            view(page, name)
            assert not page.get_by_test_id("stException").count()
            shoot(page, f"evaluate-{name.lower()}")
        view(page, "Report").get_by_label("Losses and wins as texts, each", exact=True).fill("2")
        page.keyboard.press("Enter")
        settled(page).get_by_text("will hold texts of customers").wait_for()
        shoot(page, "evaluate-report")
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Download as HTML").click()
        tags = Tags(waiting.value.path().read_text(encoding="utf-8"))
        assert ("script" in tags.names, HOSTILE in tags.words, "svg" in tags.names) == (False, True, True)
