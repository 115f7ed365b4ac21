"""A walk through Monitor in a real browser: a log comes in, a target is missed, its rows go back to the people who label."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import label_sets, targets
from studio.workspace import Workspace
from tests.browser import settled, shoot, visiting
from tests.logs import lines, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
EVIL = "<img src=x onerror=alert(1)> **Not bold**"


def test_a_log_comes_in_a_target_is_missed_and_its_rows_go_to_the_label_queue(tmp_path: Path, chromium_here: str) -> None:
    ws = Workspace(tmp_path / "ws")
    targets.say(ws, "thumbs", 0.8, "ann", hours=200)
    label_sets.save(ws, label_sets.starter_sets(ws)[0], "ann")
    ws.close()
    found = rows(500, up=0.85, hours=144) + rows(400, up=0.5, slow=0.2, model="support-v2", seed=2, hours=144)
    log = lines(tmp_path / "november.jsonl", [*[row | {"question": f"{EVIL} {row['question']}"} for row in found], "no JSON"])
    with visiting(tmp_path / "ws") as (studio, page):
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.goto(f"{studio.url}/monitor")
        settled(page)
        page.locator('input[type="file"]').set_input_files(str(log))
        page.get_by_text("What stands where").wait_for()
        page.get_by_role("button", name="Read it in").click()
        page.get_by_text("900 are new").wait_for()
        page.get_by_role("button", name="See production").click()
        page.get_by_text("Retraining is suggested.").wait_for()
        page.get_by_text("The next model against this one").wait_for()
        settled(page)
        shoot(page, "monitor")
        page.get_by_role("button", name="What shows it").click()
        page.get_by_text("Rows that show it").wait_for()
        settled(page)
        shoot(page, "monitor-alert")
        page.get_by_role("button", name="to the label queue").click()
        page.get_by_text("20 records are new").wait_for()
        page.get_by_role("button", name="Label them").click()
        page.wait_for_url("**/label?*import=From*production*")
        page.get_by_text("1 filter").wait_for()
        page.get_by_text("**Not bold**").first.wait_for()
        assert not page.get_by_test_id("stException").count() and not page.locator("img[src=x]").count()
