"""A walk through the playground in a real browser: the starter model and a server answer side by side, and go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from studio import intake, models, pins, playground
from studio.workspace import Workspace
from tests import chat_server
from tests.browser import settled, shoot, visiting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
EVIL = "<img src=x onerror=alert(1)> **Not bold.** A tent comes in 3 to 5 days, and you get a mail with a link to follow it."
FIXTURES = [{"match": {"userMessage": ""}, "response": {"content": EVIL}, "latency": 250, "chunkSize": 4}]


def test_a_person_compares_follows_up_and_keeps_what_is_good(
    with_starter: Path, tmp_path: Path, chromium_here: str
) -> None:
    with chat_server.serving(tmp_path / "server", FIXTURES) as address:
        ws = Workspace(with_starter)
        intake.import_sample(ws)
        models.add_endpoint(ws, "Our server", address, "small", price_in=1.0, price_out=2.0)
        ws.close()
        with visiting(with_starter) as (studio, page):
            page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
            page.goto(f"{studio.url}/playground")
            settled(page)
            shoot(page, "playground-new")
            page.get_by_role("combobox", name="Who answers").first.click()
            page.get_by_role("option", name="Our server").click()
            page.keyboard.press("Escape")
            page.get_by_role("radio", name="Hostile").click()
            page.get_by_text("Stays calm and kind").wait_for()
            settled(page).get_by_role("button", name="Ask", exact=True).click()
            page.get_by_role("button", name="Stop").first.wait_for()
            left, right = page.locator(".tw-reply").nth(0), page.locator(".tw-reply").nth(1)
            page.wait_for_function("""() => [...document.querySelectorAll('.tw-reply .tw-said')].some(
                one => one.querySelector('.tw-caret') && one.innerText.length > 3)""", timeout=60_000)
            shoot(page, "playground-streaming")
            page.get_by_text("tokens/s").first.wait_for(timeout=120_000)
            page.get_by_role("button", name="Save for review").wait_for(timeout=120_000)
            expect(right).to_contain_text(EVIL)
            expect(left).to_have_text(re.compile(r"[\s\S]{20,}"))
            assert not page.locator(".tw-reply img").count() and not page.get_by_test_id("stException").count()
            page.get_by_role("button", name="Save for review").click()
            page.get_by_text("Saved for review").wait_for()
            settled(page).get_by_role("button", name="Save as a test item").click()
            page.get_by_role("radiogroup").get_by_text("Our server", exact=True).click()
            page.get_by_label("The answer that is expected").wait_for()
            settled(page)
            shoot(page, "playground-item")
            page.get_by_role("button", name="Save test item").click()
            page.get_by_text("The next snapshot tests with it").wait_for()
            page.keyboard.press("Escape")
            page.get_by_label("Question", exact=True).fill("And to Norway?")
            page.get_by_role("button", name="Ask", exact=True).click()
            page.get_by_text("And to Norway?").first.wait_for()
            page.get_by_role("button", name="Stop").first.click(timeout=60_000)
            page.locator(".tw-reply").nth(3).wait_for()
            page.get_by_label("Question", exact=True).wait_for(timeout=120_000)
            settled(page)
            shoot(page, "playground-done")
            page.get_by_role("button", name="New conversation").click()
            page.get_by_text("Earlier conversations (1)").wait_for()
            assert not studio.has_torch()
        ws = Workspace(with_starter)
        saved, tied = playground.saved(ws), pins.every(ws)
        playground.rest(ws)
        ws.close()
        assert [len(one.answers) for one in saved] == [2] and list(tied.values()) == ["test"]
