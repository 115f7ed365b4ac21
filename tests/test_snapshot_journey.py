"""From a plan to a card in a real browser: leaks side by side and quarantined, the snapshot read, an old address led on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio import intake, snapshots
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.browser import settled, shoot, visiting
from tests.checks import recorded_check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def read_every_view(page: Page) -> None:
    for view in ("Lines", "Compare", "Export", "Test file"):
        page.get_by_test_id("stMain").get_by_role("radio", name=view, exact=True).click()
        page.wait_for_timeout(500)
        settled(page)
        shoot(page, f"17-snapshot-{view.replace(' ', '-').lower()}")


def hold_a_file_against_train(page: Page, folder: Path) -> None:
    lines = [{"question": "Can I get one invoice for three orders?"}, {"prompt": "Who won the cup in 1998?"}]
    (folder / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(folder / "theirs.jsonl")
    page.wait_for_timeout(1_000)
    settled(page)
    page.get_by_role("button", name="Hold it against train", exact=True).click()
    expect(page.get_by_text(re.compile("1 of 2 lines resembles one of the"))).to_be_visible(timeout=60_000)
    settled(page)
    shoot(page, "17-snapshot-test-file")


def test_the_sample_is_checked_for_leaks_frozen_and_read(tmp_path: Path, chromium_here: str) -> None:
    ws = Workspace(tmp_path / "ws")
    intake.import_sample(ws)
    recorded_check(ws, [])
    snapshots.freeze(ws, "Earlier, unchecked", Recipe(seed=5))
    ws.close()
    with visiting(tmp_path / "ws") as (studio, page):
        page.goto(f"{studio.url}/freeze")
        settled(page)
        page.get_by_role("button", name="Check for leaks", exact=True).click()
        found = page.get_by_text(re.compile(r"\d+ lines of validation and test resemble train"))
        expect(found).to_be_visible(timeout=60_000)
        settled(page)
        shoot(page, "16-freeze-leaks")
        page.get_by_role("button", name=re.compile(r"^Quarantine all \d+ open")).click()
        decided = page.get_by_text(re.compile(r"Checked for leaks: \d+ lines quarantined, 0 accepted"))
        expect(decided).to_be_visible(timeout=30_000)
        settled(page)
        page.get_by_role("button", name="Freeze snapshot", exact=True).click()
        expect(page.locator("h1")).to_have_text("Snapshots", timeout=30_000)
        expect(page.get_by_text("Enough examples for this kind of task?")).to_be_visible(timeout=30_000)
        settled(page)
        shoot(page, "17-snapshot")
        read_every_view(page)
        hold_a_file_against_train(page, tmp_path)
        made = re.search(r"snapshot=(\w+)", page.url)
        assert made
        page.goto(f"{studio.url}/freeze?snapshot={made.group(1)}")
        expect(page.locator("h1")).to_have_text("Snapshots", timeout=30_000)
        assert not studio.has_torch()
    ws = Workspace(tmp_path / "ws")
    quarantined = len(snapshots.get(ws, made.group(1)).manifest["quarantined"])
    ws.close()
    assert quarantined > 0
