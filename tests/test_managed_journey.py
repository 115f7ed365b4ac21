"""Tuning at a service as a person does it: look, send, watch, evaluate; each request is held to OpenAI's document."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from studio import ledger, models, runs, services
from studio.workspace import Workspace
from tests import chat_server, managed
from tests.browser import chromium, running, settled, shoot
from tests.tickets import freeze_forty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
REPLY = {"match": {"userMessage": ""}, "response": {"content": "Hello! We are sorry. Please send it back."}}


def whole_contract(folder: Path) -> Path:
    """Both cut documents as one: what is tuned is asked at the same address."""
    tuning, chat = (yaml.safe_load(path.read_text()) for path in (chat_server.FINE_TUNING, chat_server.CONTRACT))
    tuning["paths"] |= chat["paths"]
    for kind, parts in chat["components"].items():
        tuning["components"][kind] = parts | tuning["components"].get(kind, {})
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(tuning))
    return path


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()


def test_from_a_snapshot_to_an_evaluated_model_of_a_service(
    tmp_path: Path, chromium_here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_TEST_KEY", "sk-secret-of-the-tests")
    log, home = tmp_path / "prism.log", tmp_path / "ws"
    with (
        chat_server.serving(tmp_path / "mock", [REPLY]) as server,
        chat_server.checked(server, log, whole_contract(tmp_path)) as address,
    ):
        ws = Workspace(home)
        freeze_forty(ws)
        services.add(ws, "Mock", "openai", address, "TUNEWRIGHT_TEST_KEY", "ann")
        ws.close()
        with running(home) as studio, chromium() as browser:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(f"{studio.url}/launch?where=A+service&service=Mock")
            settled(page)
            button(page, "Look before you start")
            expect(page.get_by_text("The service takes these lines")).to_be_visible(timeout=60_000)
            expect(page.get_by_role("button", name="Send 26 lines and tune")).to_be_disabled()
            page.get_by_text("Before the click").evaluate("heading => heading.scrollIntoView()")
            shoot(page, "launch-service")
            page.get_by_text("I know, and send it to Mock all the same").click()
            button(page, "Send 26 lines and tune")
            expect(page.locator("h1")).to_have_text("Runs", timeout=30_000)
            expect(page.get_by_role("button", name="Evaluate this model")).to_be_visible(timeout=90_000)
            settled(page)
            shoot(page, "runs-service")
            button(page, "Evaluate this model")
            expect(page.get_by_text("Who answers")).to_be_visible(timeout=30_000)
            page.get_by_text("Also ask the general suite").click()
            settled(page)
            button(page, "Start evaluation")
            expect(page.locator('[class*="st-key-tw-verdict-"]').first).to_be_visible(timeout=90_000)
        assert chat_server.violations(log) == []
        assert managed.made(server) == (2, 1, 2, 1)
    ws = Workspace(home)
    runs.collect(ws)
    [run] = runs.every(ws, "managed")
    tuned = models.get(ws, run.run_id)
    answered = {row["candidate_id"] for row in ws.rows("select distinct candidate_id from outputs")}
    billed = [row.prompt_tokens for row in ledger.by_run(ws) if row.kind == "managed"]
    texts = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.suffix in (".json", ".jsonl", ".txt"))
    ws.close()
    assert run.result
    assert (tuned.base["model"], tuned.model_id in answered, len(answered)) == (run.result.data["model"], True, 3)
    assert (billed, "sk-secret" in texts) == ([run.result.data["trained_tokens"]], False)
