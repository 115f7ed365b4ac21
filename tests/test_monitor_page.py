"""The Monitor page in each state: empty, with a log on its way, with figures, with an alert, with rows that were sent back."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import alerts, log_arrivals, models, production, targets, traffic, watching
from studio import workspace as folders
from studio.workspace import Workspace
from tests.logs import START, bring, lines, openai, rows
from tests.test_models_page import fill, press
from tests.test_pages import draw, home, words
from tests.tickets import filled

pytestmark = pytest.mark.heavy

__all__ = ["home"]


def shown(page: AppTest) -> str:
    assert not page.exception, page.exception
    return "\n".join([words(page), *(str(one.value) for one in page.info)]).replace("\\", "")


def logged(home: Path, up: float = 0.5) -> Workspace:
    ws = folders.open_workspace(home)
    bring(ws, lines(home / "a.jsonl", [*rows(300, up=up), "no JSON <script>alert(1)</script>"]))
    return ws


def test_an_empty_monitor_says_what_it_is_for_and_offers_the_ways_in(home: Path) -> None:
    page = draw("monitor")
    assert "See here what production says" in shown(page)
    labels = {button.label for button in page.button}
    assert {"Look at it", "Watch this folder", "Start receiving"} <= labels
    assert "openssl rand -hex 24" in shown(press(page, "Start receiving"))


def test_a_log_is_looked_at_read_and_said(home: Path) -> None:
    ws = folders.open_workspace(home)
    page = draw("monitor")
    fill(page, "Or a path on this machine", str(lines(home / "a.jsonl", [openai(n) for n in range(12)])))
    page = press(page, "Look at it")
    assert "It looks like **OpenAI-style request and response**" in shown(page)
    next(box for box in page.selectbox if box.label == "Latency").set_value("not in this log")
    page = page.run()
    token = str(page.query_params["log"])
    press(page, "Read it in")
    coming = log_arrivals.find(ws, token)
    assert coming is not None and coming.finished.wait(30)
    assert ws.value("select count(latency_s) from log_rows") == 0
    assert "12 rows, of which 12 are new" in shown(draw("monitor", log=token, view="Logs"))


def test_figures_stand_with_intervals_and_refused_lines_are_listed_as_text(home: Path) -> None:
    ws = logged(home, up=0.9)
    page = draw("monitor")
    said = shown(page)
    assert "300 answers from 01 Nov 2026" in said and "with 95 % intervals" in said
    up = ws.value("select count(*) from log_rows where rating = 1") / 300
    assert f"**{up:.2f} [" in said
    assert "Lines that were refused: 1" in [part.label for part in draw("monitor", view="Logs").expander]


def test_a_target_is_set_missed_alarmed_acknowledged_and_taken_back(home: Path) -> None:
    ws = logged(home)
    page = draw("monitor", view="Targets and alerts")
    next(box for box in page.selectbox if box.label == "Measure").set_value("thumbs")
    page.run()
    press(page, "Set this target")
    (alert,) = alerts.every(ws)
    production = shown(draw("monitor"))
    assert "**Alert:** Thumbs up: at least 0.8." in production and "**Retraining is suggested.**" in production
    page = draw("monitor", alert=alert.alert_id)
    assert "Rows that show it" in shown(page)
    fill(page, "Note", "new prompt on Monday")
    press(page, "I have seen it")
    assert "Seen by" in shown(draw("monitor", alert=alert.alert_id))
    page = draw("monitor", view="Targets and alerts")
    next(box for box in page.selectbox if box.label == "Measure").set_value("thumbs")
    page.run()
    press(page, "Take it back")
    assert targets.every(ws) == [] and not alerts.every(ws)[0].open


def test_rows_rated_down_are_sent_to_the_label_queue_and_the_check_is_offered_first(home: Path) -> None:
    ws = logged(home)
    page = draw("monitor")
    ids = traffic.thumbs_down(ws, START)
    page = press(page, f"Send {len(ids)} rows to the label queue")
    said = shown(page)
    assert f"{len(ids)} records are new" in said and "They are unchecked" in said
    assert [button.label for button in page.button if "Check them" in button.label or button.label == "Label them"] == [
        "Check them for personal data first", "Label them"]  # fmt: skip


def test_a_row_is_read_whole_as_text(home: Path) -> None:
    ws = folders.open_workspace(home)
    bring(ws, lines(home / "a.jsonl", [{"question": "<b>Where</b>?", "answer": "Here.", "timestamp": "2026-11-01T10:00:00Z"}]))
    row_id = ws.value("select row_id from log_rows")
    assert "&lt;b&gt;Where&lt;/b&gt;" in "".join(part.proto.body for part in draw("monitor", row=row_id).get("html"))
    assert "not here any more" in shown(draw("monitor", row="gone"))


def test_logs_without_a_time_say_so(home: Path) -> None:
    bring(folders.open_workspace(home), lines(home / "a.jsonl", [{"question": "Where is it?", "answer": "Here."}]))
    assert "have no time" in shown(draw("monitor"))


def test_the_model_in_production_leads_to_an_evaluation_beside_the_newest_tuned_one(home: Path) -> None:
    ws = logged(home)
    assert "No other model was tuned here yet." in shown(draw("monitor"))
    with ws.transaction() as transaction:
        models.add_adapter(ws, transaction, "t1", "tuned", models.bases(ws)[0].base, "runs/t1/adapter", "f", {})
    page = draw("monitor")
    assert "No model of this workspace is called support-v1" in shown(page)
    assert any(button.label == "Evaluate the newest tuned model beside it" for button in page.button)


def test_folders_are_watched_and_no_longer(home: Path, tmp_path: Path) -> None:
    ws = folders.open_workspace(home)
    page, folder = draw("monitor"), tmp_path / "production"
    folder.mkdir()
    fill(page, "Folder", str(folder))
    page = press(page, "Watch this folder")
    assert [one.path for one in watching.folders(ws)] == [str(folder)]
    press(page, "Stop watching")
    assert watching.folders(ws) == []


def test_a_webhook_that_is_no_address_is_refused_in_words(home: Path) -> None:
    logged(home)
    page = draw("monitor", view="Targets and alerts")
    fill(page, "Address, or the environment variable that holds it", "http://example.com")
    assert "begins with https" in shown(press(page, "Tell alerts there"))


def test_the_link_opens_evaluate_with_the_model_in_production_chosen_beside_the_newest_tuned_one(home: Path) -> None:
    ws = logged(home)
    filled(ws)
    ours = models.add_endpoint(ws, "Ours", "http://127.0.0.1:9/v1", "support-v1")
    page = draw("evaluate", **(production.comparison(ws) or {}))
    shown(page)
    further = next(box for box in page.multiselect if box.label.startswith("Further models"))
    judged = next(box for box in page.selectbox if box.label == "Model to judge")
    assert ([one.name for one in further.value], judged.value.name) == ([ours.name], models.tuned(ws)[0].name)
