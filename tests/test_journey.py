"""The whole loop in a real browser: from an upload to the last review verdict, through two deaths of the studio."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline import rundir
from studio import intake, record_table, reviews, runs
from studio.records import Filter
from studio.workspace import Workspace
from tests.browser import Studio, chromium, fill, settled, shoot, visiting
from tests.reviewing import press
from tests.tickets import forty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def open_page(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    expect(page.locator("h1")).to_have_text(name, timeout=30_000)
    settled(page)


def wait_for_verdicts(page: Page, done: int, of: int) -> None:
    expect(page.get_by_test_id("review-progress")).to_have_text(f"{done} of {of} judged", timeout=20_000)
    expect(page.get_by_test_id("review-saved")).to_have_text("Saved", timeout=20_000)


def bring_in(page: Page, studio: Studio, csv: Path) -> None:
    page.goto(studio.url)
    settled(page)
    shoot(page, "01-overview-empty")
    button(page, "Import your file")
    settled(page)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(csv)
    expect(page.get_by_text("Check the columns")).to_be_visible(timeout=30_000)
    settled(page)
    shoot(page, "02-import-preview")
    fill(page, "Lowest rating to import", "1")
    button(page, "Import 40 conversations")
    expect(page.get_by_text("2 refused rows")).to_be_visible(timeout=30_000)
    settled(page)
    shoot(page, "03-import-done")


def check(page: Page) -> None:
    open_page(page, "Clean")
    button(page, "Check all records")
    expect(page.get_by_text(re.compile(r"Checked 39 records"))).to_be_visible(timeout=120_000)
    settled(page)
    shoot(page, "04b-clean")


def curate(page: Page) -> None:
    open_page(page, "Curate")
    expect(page.get_by_test_id("desk-card")).to_contain_text("Customer", timeout=30_000)
    shoot(page, "04-curate")
    for key in "kkdks":
        page.keyboard.press(key)
    page.keyboard.press("u")
    expect(page.get_by_test_id("desk-progress")).to_have_text("2 kept · 1 dropped · 37 undecided", timeout=20_000)
    page.keyboard.press("e")
    page.get_by_test_id("desk-field-2").fill("Hello! We are sorry. A new one is on its way.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("desk-saved")).to_have_text("Saved", timeout=20_000)


def freeze_and_launch(page: Page) -> None:
    open_page(page, "Freeze")
    fill(page, "Test, %", "25")
    button(page, "Check for leaks")
    expect(page.get_by_text(re.compile(r"none of \d+ lines of validation and test resembles"))).to_be_visible(timeout=60_000)
    settled(page)
    shoot(page, "05-freeze")
    button(page, "Freeze snapshot")
    expect(page.locator("h1")).to_have_text("Snapshots", timeout=30_000)
    expect(page.get_by_text("Train on it")).to_be_visible(timeout=30_000)
    settled(page)
    shoot(page, "05b-snapshot")
    button(page, "Train on it")
    expect(page.locator("h1")).to_have_text("Launch", timeout=30_000)
    settled(page)
    fill(page, "Epochs", "3")
    fill(page, "Learning rate", "0.001")
    shoot(page, "06-launch")
    button(page, "Start training")
    expect(page.locator("h1")).to_have_text("Runs", timeout=30_000)


def watch_training_through_a_death_of_the_studio(page: Page, studio: Studio) -> None:
    expect(page.get_by_text(re.compile(r"Training, loss"))).to_be_visible(timeout=180_000)
    expect(page.get_by_text("Is the loss still falling?")).to_be_visible(timeout=60_000)
    shoot(page, "07-runs-training")
    address = page.url
    studio.kill()
    studio.start()
    page.goto(address)
    settled(page)
    expect(page.get_by_text(re.compile(r"Trained: validation loss"))).to_be_visible(timeout=300_000)
    settled(page)
    shoot(page, "08-runs-done")
    open_page(page, "Models")
    shoot(page, "09-models")


def evaluate(page: Page) -> None:
    button(page, "Evaluate it")
    expect(page.locator("h1")).to_have_text("Evaluate", timeout=30_000)
    settled(page)
    page.get_by_text("Also ask the general suite").click()
    page.get_by_text("How answers are made", exact=True).click()
    fill(page, "Longest answer, tokens", "24")
    button(page, "Start evaluation")
    expect(page.get_by_text("How much better, and how sure are we?")).to_be_visible(timeout=300_000)
    settled(page)
    shoot(page, "10-evaluate")


def review(page: Page, studio: Studio, frames: list[str]) -> int:
    button(page, "Review the answers blind")
    expect(page.locator("h1")).to_have_text("Review", timeout=30_000)
    settled(page)
    frames.clear()
    button(page, "Open the session")
    expect(page.get_by_test_id("review-progress")).to_contain_text("0 of ", timeout=30_000)
    of = int((page.get_by_test_id("review-progress").text_content() or "").split()[2])
    settled(page)
    shoot(page, "11-review-blind")
    press(page, "1", "t", "m")
    page.get_by_test_id("review-note-field").fill("Both miss the point.")
    page.keyboard.press("Escape")
    press(page, "b")
    wait_for_verdicts(page, 3, of)
    studio.kill()
    press(page, "2")
    expect(page.get_by_test_id("review-progress")).to_have_text(f"4 of {of} judged")
    expect(page.get_by_test_id("review-saved")).to_contain_text("1 ")
    studio.start()
    page.reload()
    settled(page)
    wait_for_verdicts(page, 4, of)
    for done in range(5, of + 1):
        press(page, "1")
        wait_for_verdicts(page, done, of)
    expect(page.get_by_text("You have judged all your pairs")).to_be_visible()
    return of


def test_from_an_upload_to_the_last_verdict(with_starter: Path, chromium_here: str) -> None:
    csv = forty(with_starter.parent / "forty.csv")
    csv.write_text(csv.read_text() + "T90,,an answer,4,x\nT91,short\n")
    studio = Studio(with_starter)
    studio.start()
    frames: list[str] = []
    try:
        with chromium() as browser:
            page = browser.new_context().new_page()
            page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
            bring_in(page, studio, csv)
            curate(page)
            check(page)
            freeze_and_launch(page)
            watch_training_through_a_death_of_the_studio(page, studio)
            evaluate(page)
            judged = review(page, studio, frames)
            page.get_by_text("For you, who opened this session").click()
            button(page, "End and reveal")
            expect(page.get_by_text("Can these verdicts be trusted?")).to_be_visible(timeout=30_000)
            settled(page)
            shoot(page, "12-review-revealed")
            open_page(page, "Overview")
            shoot(page, "13-overview-full")
            assert not studio.has_torch()
    finally:
        studio.kill()
        for spec in (with_starter / "runs").glob("*/spec.json"):
            rundir.ask_to_stop(spec.parent)
    ws = Workspace(with_starter)
    try:
        session = reviews.sessions(ws)[0]
        notes = [one.note for one in reviews.standing(ws, session.session_id) if one.note]
        train, validation = runs.curve(ws, next(run for run in runs.every(ws, "train")))
        assert (session.done, notes) == (judged, ["Both miss the point."])
        assert validation[-1]["loss"] < validation[0]["loss"] - 0.5 and len(train) == 21
    finally:
        ws.close()


def test_the_first_page_is_drawn_without_torch(tmp_path: Path, chromium_here: str) -> None:
    with visiting(tmp_path / "ws") as (studio, page):
        page.goto(studio.url)
        settled(page)
        assert (page.locator("h1").text_content(), studio.has_torch()) == ("Overview", False)


def test_a_spec_never_holds_a_key(tmp_path: Path) -> None:
    from pipeline import specs

    text = json.dumps(specs.TrainSpec.model_json_schema()) + json.dumps(specs.EvaluateSpec.model_json_schema())
    assert not [word for word in ("api_key", "token\"", "secret", "password") if word in text]


def test_the_sample_is_checked_and_mended(tmp_path: Path, chromium_here: str) -> None:
    ws = Workspace(tmp_path / "ws")
    intake.import_sample(ws)
    ws.close()
    with visiting(tmp_path / "ws") as (studio, page):
        page.goto(f"{studio.url}/clean?kind=email")
        settled(page)
        button(page, "Check all records")
        expect(page.locator("mark").first).to_be_visible(timeout=120_000)
        settled(page)
        shoot(page, "14-clean-sample")
        page.get_by_role("button", name=re.compile(r"^Apply to these \d+ records")).click()
        again = page.get_by_role("button", name=re.compile(r"^Check \d+ new or changed records"))
        expect(again).to_be_visible(timeout=60_000)
        settled(page)
        shoot(page, "15-clean-applied")
    ws = Workspace(tmp_path / "ws")
    mended = record_table.matching(ws, Filter(text="[EMAIL_1]"))
    ws.close()
    assert mended > 0
