"""A walk through Deploy in a real browser: a tiny model is exported, served, asked something, and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from studio.workspace import Workspace
from tests import tiny
from tests.browser import settled, shoot, visiting
from tests.tickets import freeze_forty, recorded_training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_tuned_model_is_exported_served_chatted_with_and_stopped(tmp_path: Path, chromium_here: str) -> None:
    ws = Workspace(tmp_path / "ws")
    base = tiny.made(ws.root).base
    (ws.root / tiny.ADAPTER).rename(tmp_path / "adapter")
    (ws.root / "runs" / "tiny").rmdir()
    recorded_training(ws, freeze_forty(ws), "tiny", base)
    (ws.root / tiny.ADAPTER).rmdir()
    (tmp_path / "adapter").rename(ws.root / tiny.ADAPTER)
    ws.close()
    with visiting(tmp_path / "ws") as (studio, page):
        page.set_default_timeout(60_000)
        page.goto(f"{studio.url}/deploy")
        settled(page).get_by_role("button", name="Export", exact=True).click()
        page.get_by_role("button", name="Stop, keeping what is whole").wait_for()
        settled(page).get_by_role("button", name="Serve it", exact=True).click()  # both load at once
        page.get_by_text("Anywhere with a graphics card and vLLM, this serves it:").wait_for()
        page.get_by_text("served, not proven").wait_for()
        expect(page.get_by_text("Without a server only the files are compared")).to_have_count(0, timeout=60_000)
        settled(page)
        shoot(page, "deploy-serving")
        page.get_by_role("button", name="Chat with it now").click()
        expect(page.locator("h1")).to_have_text("Playground", timeout=60_000)
        settled(page).get_by_label("Question", exact=True).fill("Where is my tent?")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_text("first words after").wait_for()
        page.goto(f"{studio.url}/deploy")
        settled(page).get_by_role("button", name="Stop serving").click()
        page.get_by_role("button", name="Serve it there again").wait_for()
        assert not page.get_by_test_id("stException").count()
