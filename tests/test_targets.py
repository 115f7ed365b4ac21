"""Figures of production with their intervals, targets that are only missed when the numbers say so, alerts that open once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from studio import alerts, intervals, live, targets
from studio.errors import StudioError
from studio.live import MEASURES, Figure
from studio.targets import Z99, Target, decide
from studio.verdicts import wilson
from studio.workspace import Workspace
from tests.logs import START, bring, lines, rows


def target(measure: str = "thumbs", bound: float = 0.8, least: int = 100) -> Target:
    return Target("t1", measure, bound, "", "", least, 24.0, "ann", START)  # type: ignore[arg-type]


def test_the_picture_has_the_figures_that_the_rows_have(ws: Workspace, tmp_path: Path) -> None:
    found = rows(400)
    bring(ws, lines(tmp_path / "a.jsonl", found))
    picture = live.picture(ws, None)
    assert picture is not None
    figures, up = picture.everything.figures, sum(row["thumbs"] == "up" for row in found)
    assert (figures["thumbs"].value, figures["thumbs"].n) == (up / 400, 400)
    assert (figures["thumbs"].low, figures["thumbs"].high) == (wilson(up, 400).low, wilson(up, 400).high)
    ordered = sorted(row["latency_s"] for row in found)
    assert (figures["latency_p50"].value, figures["latency_p95"].value) == (ordered[199], ordered[379])
    plain = intervals.mean(np.array([row["cost"] * 1000 for row in found]))
    assert figures["cost"].value == pytest.approx(float(plain.value))
    assert (figures["cost"].low, figures["cost"].high) == pytest.approx([float(one) for one in plain.bounds()])


def test_the_interval_of_a_quantile_covers_it_in_about_19_of_20_cases() -> None:
    dice, z, missed = np.random.default_rng(3), intervals.Z, 0
    for _ in range(2_000):
        taken = np.sort(dice.exponential(1.0, 150))
        bounds = wilson(0.95 * 150, 150, z)  # type: ignore[arg-type]
        low, high = taken[math.ceil(bounds.low * 150) - 1], taken[min(150, math.ceil(bounds.high * 150)) - 1]
        missed += not low <= -math.log(0.05) <= high
    assert missed / 2_000 <= 0.07


def test_groups_come_by_time_by_model_and_by_slice(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, lines(tmp_path / "a.jsonl", rows(200, hours=96) + rows(100, model="support-v2", hours=96)))
    picture = live.picture(ws, None)
    assert picture is not None and picture.hours == 24
    assert [(one.name, one.rows) for one in picture.by_model] == [("support-v1", 200), ("support-v2", 100)]
    assert {one.name for one in picture.by_slice} == {"returns", "orders"}
    assert [one.at for one in picture.by_time] == [START + timedelta(days=day) for day in range(4)]
    assert sum(one.rows for one in picture.by_model_and_time["support-v2"]) == 100


def test_the_last_day_alone_is_shown_by_the_hour(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, lines(tmp_path / "a.jsonl", rows(480, hours=48)))
    picture = live.picture(ws, 1.0)
    assert picture is not None and (picture.hours, len(picture.by_time)) == (1, 25)


def test_the_picture_is_remembered_until_the_logs_are_others(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, lines(tmp_path / "a.jsonl", rows(20)))
    first = live.picture(ws, None)
    assert live.picture(ws, None) is first
    bring(ws, lines(tmp_path / "b.jsonl", rows(20, seed=2)))
    again = live.picture(ws, None)
    assert again is not None and again.everything.rows == 40


@pytest.mark.parametrize(
    ("figure", "state"),
    [
        (Figure(0.70, 0.62, 0.77, 300), "missed"),
        (Figure(0.79, 0.72, 0.85, 300), "unsure"),
        (Figure(0.90, 0.85, 0.94, 300), "met"),
        (Figure(0.10, 0.02, 0.30, 99), "too_few"),
        (Figure(math.nan, 0.0, 1.0, 0), "too_few"),
    ],
)
def test_a_target_is_missed_when_its_whole_interval_lies_on_the_wrong_side_of_enough_rows(figure: Figure, state: str) -> None:
    assert decide(target(), figure) == state


def test_noise_does_not_alarm_a_model_exactly_as_good_as_wanted() -> None:
    dice = np.random.default_rng(5)
    found = [wilson(int(dice.binomial(n, 0.8)), n, Z99) for n in (100, 400, 2_000) for _ in range(2_000)]
    states = [decide(target(), Figure(one.value, one.low, one.high, 100)) for one in found]
    assert states.count("missed") / len(states) <= 0.01


def test_a_share_of_thumbs_that_fell_by_ten_points_is_found_among_a_thousand_rows() -> None:
    dice = np.random.default_rng(6)
    found = [wilson(int(dice.binomial(1_000, 0.7)), 1_000, Z99) for _ in range(500)]
    assert np.mean([decide(target(), Figure(one.value, one.low, one.high, 1_000)) == "missed" for one in found]) > 0.99


def test_a_target_that_makes_no_sense_is_refused_in_words(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="never be met"):
        targets.say(ws, "thumbs", 80, "ann")
    with pytest.raises(StudioError, match="20 rows"):
        targets.say(ws, "latency_p95", 2, "ann", least=3)


def test_the_newest_bound_of_a_subject_counts_and_can_be_taken_back(ws: Workspace) -> None:
    targets.say(ws, "latency_p95", 2.0, "ann")
    targets.say(ws, "latency_p95", 3.0, "bob")
    targets.say(ws, "latency_p95", 1.0, "ann", model="support-v2")
    assert [(one.bound, one.model, one.who) for one in targets.every(ws)] == [(3.0, "", "bob"), (1.0, "support-v2", "ann")]
    targets.say(ws, "latency_p95", None, "ann")
    assert [one.model for one in targets.every(ws)] == ["support-v2"]


def test_a_missed_target_opens_one_alert_with_the_rows_that_show_it_and_ends_when_it_is_met(
    ws: Workspace, tmp_path: Path
) -> None:
    targets.say(ws, "latency_p95", 2.0, "ann")
    bring(ws, lines(tmp_path / "a.jsonl", rows(400, slow=0.2)))
    (opened,) = alerts.review(ws)
    assert "Latency p95: at most 2 s. It is" in opened.sentence and opened.evidence["rows"] == 400
    slowest = ws.value("select row_id from log_rows order by latency_s desc, row_id limit 1")
    assert (opened.row_ids[0], len(opened.row_ids), alerts.review(ws)) == (slowest, 20, [])
    bring(ws, lines(tmp_path / "b.jsonl", rows(3_000, slow=0.0, seed=2, start=START + timedelta(days=2))))
    assert alerts.review(ws) == []
    assert [one.open for one in alerts.every(ws)] == [False]


def test_an_alert_is_acknowledged_by_a_person_and_stays_open(ws: Workspace, tmp_path: Path) -> None:
    targets.say(ws, "thumbs", 0.8, "ann")
    bring(ws, lines(tmp_path / "a.jsonl", rows(400, up=0.5)))
    (opened,) = alerts.review(ws)
    alerts.acknowledge(ws, opened.alert_id, "the new prompt", "bob")
    (now,) = alerts.every(ws)
    assert (now.open, now.seen_by, now.note) == (True, "bob", "the new prompt")
    assert '"alert_words"' in (ws.root / "journal.jsonl").read_text()


def test_thumbs_suggest_another_training_and_latency_does_not(ws: Workspace, tmp_path: Path) -> None:
    targets.say(ws, "latency_p95", 1.0, "ann")
    bring(ws, lines(tmp_path / "a.jsonl", rows(400, up=0.5)))
    alerts.review(ws)
    assert alerts.retrain(ws) == ""
    targets.say(ws, "thumbs", 0.8, "ann")
    alerts.review(ws)
    assert alerts.retrain(ws).startswith("Thumbs up: at least 0.8. It is 0.")


@dataclass(frozen=True)
class Found:
    """What drift says."""

    drifted: bool
    sentence: str
    row_ids: tuple[str, ...]


def test_drift_opens_an_alert_that_ends_when_it_is_found_no_more(ws: Workspace) -> None:
    (opened,) = alerts.about_drift(ws, Found(True, "A new topic: returns abroad.", ("r1", "r2")))
    assert (opened.kind, opened.row_ids, alerts.about_drift(ws, Found(True, "Still.", ()))) == ("drift", ("r1", "r2"), [])
    assert alerts.retrain(ws) == "A new topic: returns abroad."
    alerts.about_drift(ws, Found(False, "", ()))
    assert alerts.retrain(ws) == ""


def test_every_measure_can_be_judged_with_no_rows_at_all(ws: Workspace) -> None:
    for measure in MEASURES:
        targets.say(ws, measure, 0.5, "ann")
    assert [one.state for one in (targets.judge(ws, each, datetime(2026, 1, 1)) for each in targets.every(ws))] == [
        "too_few"
    ] * 5
