"""Launch and Runs in a real browser: dials, presets, the truth before the start, learning step by step, a group compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline import rundir
from studio import groups, presets, runs
from studio.dials import Dials
from studio.workspace import Workspace
from tests.browser import Studio, chromium, fill, settled, shoot
from tests.tickets import freeze_forty
from tests.training_runs import FOUND, PART, looked, searched, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def filled(home: Path) -> None:
    """A snapshot, a preview of the standard dials and one of short examples, a training run and a group of four."""
    ws = Workspace(home)
    snapshot = freeze_forty(ws)
    looked(ws, snapshot)
    looked(ws, snapshot, Dials(max_tokens=64), FOUND | {"train": PART | {"too_long": ["r1", "r2"]}}, "looked000002")
    trained(ws, snapshot)
    searched(ws, snapshot)
    ws.close()


def shoot_at(page: Page, text: str, name: str) -> None:
    """Pictures of the part of the page that begins with these words."""
    page.get_by_text(text, exact=True).first.evaluate("node => node.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(300)
    shoot(page, name)


def launch(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/launch")
    settled(page)
    expect(page.get_by_text("It fits.")).to_be_visible(timeout=30_000)
    shoot(page, "30-launch")
    shoot_at(page, "What follows from these dials", "31-launch-follows")
    shoot_at(page, "Before the start, the truth", "32-launch-truth")
    shoot_at(page, "What will be learned", "33-launch-learned")
    learned = page.locator("ins.tw-learned", has_text="Hello! We are sorry.")
    expect(learned).to_have_css("text-decoration-line", "underline")
    page.get_by_text("Advanced", exact=True).click()
    settled(page)
    shoot_at(page, "Advanced", "34-launch-advanced")


def refuse(page: Page) -> None:
    fill(page, "Longest example, tokens", "64")
    expect(page.get_by_text("2 examples of train are longer than 64 tokens, so answers would be cut.").first).to_be_visible()
    page.get_by_role("button", name="Start training", exact=True).click()
    settled(page)
    expect(page.locator("h1")).to_have_text("Launch")
    shoot_at(page, "Start", "35-launch-refused")


def keep_a_preset(page: Page) -> None:
    page.get_by_role("button", name="Save as a preset").click()
    page.get_by_label("Name", exact=True).fill("Short ones")
    page.get_by_label("Name", exact=True).press("Enter")
    page.get_by_role("button", name="Save these dials", exact=True).click()
    settled(page)
    expect(page.get_by_label("Longest example, tokens", exact=True)).to_have_count(1)
    expect(page.get_by_label("Longest example, tokens", exact=True)).to_have_value("64")


def watch(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/runs?run=trained00009")
    settled(page)
    expect(page.get_by_text("Is the loss still falling?")).to_be_visible(timeout=30_000)
    shoot(page, "36-runs-training")
    shoot_at(page, "Does it learn to answer like the desk?", "37-runs-samples")
    expect(page.locator(".tw-steps .tw-turn").first).to_have_text("Step 60Hello! We are sorry that it is late.")
    expect(page.locator(".tw-steps b")).to_have_count(0)


def compare(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/runs?group=group0000001")
    settled(page)
    expect(page.get_by_text("Best: 1e-4 · rank 16 · 3 epochs")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Which dials learn best?")).to_be_visible(timeout=30_000)
    shoot(page, "38-runs-group")


def test_from_the_dials_to_the_best_run_of_a_group(tmp_path: Path, chromium_here: str) -> None:
    home = tmp_path / "ws"
    filled(home)
    studio = Studio(home)
    studio.start()
    try:
        with chromium() as browser:
            page = browser.new_context().new_page()
            launch(page, studio)
            refuse(page)
            keep_a_preset(page)
            watch(page, studio)
            compare(page, studio)
    finally:
        studio.kill()
    ws = Workspace(home)
    try:
        assert [one.dials.max_tokens for one in presets.every(ws) if not one.built_in] == [64]
    finally:
        ws.close()


def start_a_group(page: Page) -> None:
    fill(page, "Epochs", "1")
    settled(page)
    page.get_by_text("Try several values, as a group of runs").click()
    ranks = page.get_by_role("combobox", name="Ranks")
    expect(ranks).to_be_visible()
    page.wait_for_timeout(500)
    ranks.press_sequentially("8", delay=100)
    page.wait_for_timeout(500)
    ranks.press("Enter")
    page.wait_for_timeout(500)
    ranks.press("Tab")
    settled(page)
    page.get_by_role("button", name="Start 2 runs as a group", exact=True).click()
    expect(page.locator("h1")).to_have_text("Runs", timeout=30_000)


def test_a_real_look_and_a_group_of_two_real_runs_that_take_turns(with_starter: Path, chromium_here: str) -> None:
    ws = Workspace(with_starter)
    freeze_forty(ws)
    ws.close()
    studio = Studio(with_starter)
    studio.start()
    try:
        with chromium() as browser:
            page = browser.new_context().new_page()
            page.goto(f"{studio.url}/launch")
            settled(page)
            page.get_by_role("button", name="Look before you start", exact=True).click()
            expect(page.get_by_text("It fits.")).to_be_visible(timeout=120_000)
            settled(page)
            shoot_at(page, "Before the start, the truth", "39-launch-real-look")
            expect(page.locator("ins.tw-learned", has_text="Hello! We are sorry that your").first).to_be_visible()
            start_a_group(page)
            expect(page.get_by_text("1 run waiting, in this order")).to_be_visible(timeout=60_000)
            for _ in range(240):
                if any('"recipe"' in path.read_text() for path in (with_starter / "runs").glob("*/events.jsonl")):
                    break
                page.wait_for_timeout(500)
            shoot(page, "40-runs-group-moving")
            assert not studio.has_torch()
    finally:
        studio.kill()
        for spec in (with_starter / "runs").glob("*/spec.json"):
            rundir.ask_to_stop(spec.parent)
    ws = Workspace(with_starter)
    try:
        members = groups.members(ws, groups.every(ws)[0].group_id)
        begun = {one.dials.rank: bool(runs.events(ws, one.run).recipe) for one in members}
        assert begun == {8: True, 16: False}
    finally:
        ws.close()
