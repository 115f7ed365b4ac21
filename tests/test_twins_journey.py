"""Twins of the sample in a real browser: searched, read, moved with the dial, accepted by key, undone, settled by conflict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio import intake, records
from studio.workspace import Workspace
from tests.browser import Studio, settled, shoot, visiting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
TWINS = re.compile(r"^Accept: drop \d+ record")
PAGE = re.compile(r"^Accept all \d+ groups on this page")


def search(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/twins")
    settled(page)
    shoot(page, "16-twins-before")
    page.get_by_text("TF-IDF", exact=True).click()
    expect(page.get_by_text("it sees shared words, not meaning")).to_be_visible()
    page.get_by_role("button", name="Search for twins").click()
    expect(page.get_by_role("button", name=PAGE)).to_be_visible(timeout=180_000)
    settled(page)
    shoot(page, "17-twins-groups")


def read_a_card(page: Page) -> None:
    expect(page.locator(".tw-stays").first).to_contain_text("Customer:")
    expect(page.locator(".tw-twin ins").first).to_be_visible()
    page.get_by_role("radio", name="Most central", exact=True).click()
    settled(page)
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 560)")
    page.wait_for_timeout(400)
    shoot(page, "18-twins-card")


def press_by_key(page: Page, name: re.Pattern[str] | str) -> None:
    """Without a mouse: the button takes the focus and the Enter key."""
    page.get_by_role("button", name=name).first.press("Enter")


def accept_and_undo(page: Page) -> None:
    told = page.get_by_role("button", name=TWINS).first.text_content() or ""
    number = re.findall(r"\d+", told)[0]
    press_by_key(page, TWINS)
    expect(page.get_by_text(f"Dropped {number} record")).to_be_visible(timeout=30_000)
    settled(page)
    press_by_key(page, "Undo my last act")
    expect(page.get_by_text(re.compile(f"Undone: drop {number} twin"))).to_be_visible(timeout=30_000)
    settled(page)


def move_the_dial_by_key(page: Page) -> None:
    slider = page.get_by_role("slider").first
    before = slider.get_attribute("aria-valuenow") or ""
    slider.press("ArrowRight")
    settled(page)
    expect(slider).to_be_focused()
    expect(slider).not_to_have_attribute("aria-valuenow", before)


def look_at(page: Page, part: str, name: str) -> None:
    page.get_by_role("radio", name=part, exact=True).click()
    settled(page)
    shoot(page, name)


def test_the_sample_is_searched_for_twins_and_settled(tmp_path: Path, chromium_here: str) -> None:
    ws = Workspace(tmp_path / "ws")
    intake.import_sample(ws)
    ws.close()
    with visiting(tmp_path / "ws") as (studio, page):
        search(page, studio)
        read_a_card(page)
        accept_and_undo(page)
        move_the_dial_by_key(page)
        look_at(page, "Conflicts", "19-twins-conflicts")
        look_at(page, "Cost", "20-twins-cost")
        press_by_key(page, re.compile(r"^Accept all: drop \d+ records"))
        expect(page.get_by_text(re.compile(r"^Dropped \d+ records"))).to_be_visible(timeout=30_000)
        settled(page)
        look_at(page, "Groups", "21-twins-settled")
        expect(page.get_by_text("Nothing is open")).to_be_visible()
        assert not studio.has_torch()
    ws = Workspace(tmp_path / "ws")
    counted = records.counts(ws)
    ws.close()
    assert (counted.total, counted.drop > 90) == (468, True)
