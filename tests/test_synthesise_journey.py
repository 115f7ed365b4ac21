"""Synthesise as a person uses it: a look at three, then all, as records in the label queue; the ledger knows what it cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio import models, records, runs
from studio.workspace import Workspace
from tests import chat_server
from tests.browser import chromium, fill, running, settled, shoot
from tests.synthesising import WORDS, case, fixtures
from tests.tickets import import_forty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()


def test_three_to_look_at_then_all_of_them_in_the_label_queue(tmp_path: Path, chromium_here: str) -> None:
    home = tmp_path / "ws"
    with chat_server.serving(tmp_path / "mock", fixtures(12)) as address:
        ws = Workspace(home)
        import_forty(ws)
        models.add_endpoint(ws, "Writer", address, "writer", price_in=1.0, price_out=2.0)
        ws.close()
        with running(home) as studio, chromium() as browser:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(f"{studio.url}/synthesise")
            settled(page)
            page.get_by_label("Scenarios, one a line").fill("\n".join(case(n) for n in range(12)))
            fill(page, "Examples of each combination", "1")
            page.get_by_text("What each example must pass").click()
            fill(page, "Twins from a likeness of", "0")
            expect(page.get_by_role("button", name="Write 12 examples")).to_be_visible(timeout=20_000)
            shoot(page, "synthesise-recipe")
            button(page, "Write three to look at")
            expect(page.get_by_text("This was a look")).to_be_visible(timeout=60_000)
            page.get_by_text("Recipe", exact=True).click()
            settled(page)
            button(page, "Write 12 examples")
            expect(page.get_by_text("12 of 12 examples were accepted.")).to_be_visible(timeout=90_000)
            settled(page)
            shoot(page, "synthesise-run")
            button(page, "Label them")
            expect(page.locator("h1")).to_have_text("Label", timeout=30_000)
            page.goto(f"{studio.url}/synthesise?view=Ledger")
            settled(page)
            expect(page.get_by_text("15 calls in all.")).to_be_visible(timeout=20_000)
            shoot(page, "synthesise-ledger")
    ws = Workspace(home)
    found = [run.result.message[:35] for run in runs.every(ws, "synthesize") if run.result]
    rows = ws.rows("""select json_extract_string(messages, '$[1].content') as q from record_versions v
                      join records r using (record_id) join imports i using (import_id) where i.synthetic""")
    questions = {row["q"] for row in rows}
    total = records.counts(ws).total
    ws.close()
    assert (found, total, len(questions), all(WORDS[0] in one for one in questions)) == (
        ["12 of 12 examples were accepted. 12", "3 of 3 examples were accepted. 3 ca"], 52, 12, True)  # fmt: skip
