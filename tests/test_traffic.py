"""The circle: rows of production become records once, privacy first; who asks for it is forgotten in logs too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import rundir
from pipeline.spec_live import ReceiveSpec
from studio import (
    alerts,
    customers,
    findings,
    forgetting,
    intake,
    label_sets,
    live,
    logs,
    models,
    planning,
    production,
    queues,
    records,
    runs,
    targets,
    traffic,
)
from studio.queues import QueueFilter
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.logs import START, bring, lines, openai, rows

ANA = "ana.karenina@mail.example"


@pytest.fixture
def logged(ws: Workspace, tmp_path: Path) -> Workspace:
    bring(ws, lines(tmp_path / "a.jsonl", [*rows(30, up=0.5), openai(1, thumbs="down")]))
    return ws


def test_texts_are_those_of_a_time_and_a_model_and_have_a_question(logged: Workspace, tmp_path: Path) -> None:
    bring(logged, lines(tmp_path / "b.jsonl", [{"timestamp": "2026-11-01T00:10:00Z", "latency_s": 1, "model": "support-v1"}]))
    found = traffic.texts(logged, START, START + timedelta(hours=2), "support-v1")
    assert [row["question"] for row in found] == ["Where is parcel 1-0?", "Where is parcel 1-1?", "Where is parcel 1-2?"]
    assert set(found[0]) == {"row_id", "at", "question", "answer", "model"}


def test_a_row_becomes_a_record_once_with_its_whole_conversation(logged: Workspace) -> None:
    ids = traffic.thumbs_down(logged, START)
    first, second = (traffic.to_queue(logged, ids, "rated down", "ann") for _ in range(2))
    assert (first.new, second.new, second.already) == (len(ids), 0, len(ids))
    (source,) = intake.imports(logged)
    assert (source.source_name, source.conversations) == ("From production", len(ids))
    whole = next(row for row in traffic.every(logged, ids) if row["request_id"] == "chatcmpl-1")
    record = records.get(logged, whole["record_id"])
    assert [turn["role"] for turn in record.messages] == ["system", "user", "assistant"]
    assert (record.tags, record.decision, record.external_id) == ("rated down", "undecided", "chatcmpl-1")


def test_rows_without_an_answer_are_said_and_not_taken(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, lines(tmp_path / "a.jsonl", [{"question": "Where is it?", "answer": "", "latency_s": 1}]))
    ids = [row["row_id"] for row in ws.rows("select row_id from log_rows")]
    assert traffic.to_queue(ws, ids, "drifted", "ann") == traffic.Queued(0, 0, 1)
    assert intake.imports(ws) == []


def test_they_are_unchecked_and_the_label_queue_is_narrowed_to_them_by_their_import(logged: Workspace) -> None:
    intake.import_sample(logged)
    ids = traffic.thumbs_down(logged, START)
    traffic.to_queue(logged, ids, "rated down", "ann")
    made = label_sets.save(logged, label_sets.starter_sets(logged)[0], "ann")
    assert queues.size(logged, QueueFilter(made.set_id, import_id=traffic.IMPORT_ID), "ann") == len(ids)
    assert findings.unchecked(logged) == records.counts(logged).total


def test_no_snapshot_takes_what_a_model_said_before_somebody_kept_or_rewrote_it(logged: Workspace) -> None:
    ids = [row["row_id"] for row in logged.rows("select row_id from log_rows order by row_id")]
    traffic.to_queue(logged, ids, "rated down", "ann")
    here = sorted(row["record_id"] for row in traffic.every(logged, ids))
    records.decide(logged, here[:12], "keep", "ann")
    turns = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "A better answer."}]
    records.edit(logged, here[12], turns, "ann")
    plan = planning.plan(logged, Recipe())
    taken = {piece.record_id for split in plan.splits.values() for piece in split}
    assert taken == set(here[:13])


def test_the_model_in_production_is_the_most_seen_or_the_one_that_was_chosen(logged: Workspace, tmp_path: Path) -> None:
    assert production.chosen(logged) == "support-v1"
    bring(logged, lines(tmp_path / "b.jsonl", rows(5, model="support-v2")))
    production.choose(logged, "support-v2", "ann")
    assert production.chosen(logged) == "support-v2"
    endpoint = models.add_endpoint(logged, "Ours", "http://127.0.0.1:9/v1", "support-v2")
    assert production.entry(logged, "support-v2") == endpoint
    assert production.comparison(logged) is None
    with logged.transaction() as transaction:
        models.add_adapter(logged, transaction, "t1", "tuned", models.bases(logged)[0].base, "runs/t1/adapter", "f", {})
    assert production.comparison(logged) == {"view": "Start", "model": "t1", "against": endpoint.model_id}


def forget(ws: Workspace, words: str) -> None:
    customer = customers.find(ws, words)
    forgetting.forget(ws, customer, [*customer.own, *customer.mentions], "ann")


def test_a_customer_is_forgotten_in_rows_records_received_files_alerts_and_listed_lines(ws: Workspace, tmp_path: Path) -> None:
    targets.say(ws, "thumbs", 0.8, "ann")
    theirs = {"request_id": "theirs", "question": f"I am {ANA}, where is it?", "answer": "Here.", "thumbs": "down",
              "timestamp": "2026-11-01T23:59:00Z"}  # fmt: skip
    bring(ws, lines(tmp_path / "a.jsonl", [*rows(200, up=0.3), theirs, f"no JSON of {ANA}"]))
    (alert,) = alerts.review(ws)
    alerts.acknowledge(ws, alert.alert_id, f"{ANA} called", "ann")
    traffic.to_queue(ws, alert.row_ids[:2], "rated down", "ann")
    spec = ReceiveSpec(run_id="r1")
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "Receiving logs", "")
    rundir.prepare(ws.path("runs/r1"), runs.dumps(spec))
    lines(ws.path("runs/r1/received-001-000001.jsonl"), [{"request_id": "x", "question": f"{ANA} again", "answer": "Here."}])
    lines(ws.path("runs/r1/unread-001-000002.jsonl"), [{"colour": ANA}])
    assert customers.sentences(ws, customers.find(ws, ANA), [])[-1] == "1 rows of production logs that name them."
    forget(ws, ANA)
    assert ws.value("select count(*) from log_rows") == 200
    (now,) = alerts.every(ws)
    assert len(now.row_ids) == len(alert.row_ids) - 1
    assert ws.value("select count(*) from log_queued") == 1
    left = [path for path in ws.root.rglob("*") if path.is_file() and ANA.encode() in path.read_bytes()]
    assert left == []


def test_somebody_who_is_in_logs_alone_is_forgotten_and_not_brought_back(ws: Workspace, tmp_path: Path) -> None:
    row = {"question": "Where is it?", "answer": "Here.", "user_email": ANA, "timestamp": "2026-11-01T10:00:00Z"}
    bring(ws, lines(tmp_path / "a.jsonl", [row, row | {"user_email": "bob@mail.example"}]))
    forget(ws, ANA)
    assert ws.rows("select person from log_rows") == [{"person": "bob@mail.example"}]
    report = bring(ws, lines(tmp_path / "b.jsonl", [row, row | {"question": "And now?", "user_email": "bob@mail.example"}]))
    assert (report.rows_added, report.rows_refused) == (1, 1)
    assert logs.refused(ws, report.source_id) == [{"line": 1, "reason": "its customer was forgotten", "excerpt": ""}]
    assert live.newest(ws) is not None
