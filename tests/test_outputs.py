"""Nothing is answered or paid for twice: what earlier evaluations have is taken, whether they got to their end or not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pipeline import rundir
from studio import models, outputs, runs, snapshots, starts
from studio.candidates import Chosen
from studio.errors import StudioError
from studio.snapshots import Snapshot
from studio.starts import Decoding
from studio.workspace import Workspace
from tests import chat_server, children
from tests.tickets import freeze_forty

ANSWER = {"content": "We are sorry.", "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat_server.serving(tmp_path_factory.mktemp("server"), [{"match": {"userMessage": ""}, "response": ANSWER}]) as found:
        yield found


@pytest.fixture
def snapshot(ws: Workspace) -> Snapshot:
    return freeze_forty(ws)


def chosen(ws: Workspace, address: str, *systems: str | None) -> list[Chosen]:
    model = models.add_endpoint(ws, "Server", address, "small", price_in=1.0, price_out=1.0)
    return [Chosen(model, system) for system in systems]


def evaluated(ws: Workspace, snapshot: Snapshot, some: list[Chosen], decoding: Decoding = Decoding(),
              probes: bool = False) -> runs.Run:
    run = children.collected(ws, starts.evaluation(ws, snapshot, some, decoding, probes=probes))
    assert run.state == "done", run.result
    return run


def test_a_second_evaluation_asks_only_what_is_new_and_notes_the_nearest_training_examples(
        ws: Workspace, snapshot: Snapshot, address: str) -> None:
    first = evaluated(ws, snapshot, chosen(ws, address, None, "Be kind."))
    before = len(chat_server.asked(address))
    again = evaluated(ws, snapshot, chosen(ws, address, None, "Be kind.", "Be brief."))
    assert len(chat_server.asked(address)) - before == snapshot.test
    assert [run.result.data["reused"] for run in (first, again) if run.result] == [0, 2 * snapshot.test]
    assert ws.value("select count(*) from outputs where run_id = ? and reused", [again.run_id]) == 2 * snapshot.test
    assert not (ws.path(again.folder) / runs.KNOWN).exists()
    train = {item.record_id for item in snapshots.items(ws, snapshot, "train")}
    nearest = rundir.read_lines(ws.path(again.folder) / "nearest.jsonl")
    assert len(nearest) == snapshot.test
    assert all(len(line["train_ids"]) == 3 and set(line["train_ids"]) <= train for line in nearest)


@pytest.mark.slow
def test_more_samples_are_added_to_those_that_are_there(ws: Workspace, snapshot: Snapshot, address: str) -> None:
    some = chosen(ws, address, None, "Be kind.")
    evaluated(ws, snapshot, some, Decoding(temperature=0.5, samples=1))
    before = len(chat_server.asked(address))
    evaluated(ws, snapshot, some, Decoding(temperature=0.5, samples=3))
    assert len(chat_server.asked(address)) - before == 2 * 2 * snapshot.test


@pytest.mark.slow
def test_answers_of_a_run_that_did_not_end_are_taken(ws: Workspace, snapshot: Snapshot, address: str) -> None:
    some = chosen(ws, address, None, "Be kind.")
    run = evaluated(ws, snapshot, some)
    for table in ("outputs", "scores", "run_results"):
        with ws.transaction() as transaction:
            transaction.execute(f"delete from {table}")
    ended = ws.path(run.folder) / "result.json"
    ended.write_text(json.dumps(json.loads(ended.read_text()) | {"outcome": "stopped"}))
    before = len(chat_server.asked(address))
    evaluated(ws, snapshot, some)
    assert len(chat_server.asked(address)) == before


@pytest.mark.slow
def test_the_general_suite_is_asked_once_for_all_candidates_of_a_model_and_without_their_prompts(
        ws: Workspace, snapshot: Snapshot, address: str) -> None:
    before = len(chat_server.asked(address))
    run = evaluated(ws, snapshot, chosen(ws, address, None, "Be kind."), probes=True)
    new = chat_server.asked(address)[before:]
    suite = ws.value("select count(distinct item_id) from outputs where item_id like 'probe:%'")
    assert len(new) == 2 * snapshot.test + suite and sum("Be kind." in str(one["body"]) for one in new) == snapshot.test
    assert ws.value("select count(*) from outputs where run_id = ? and item_id like 'probe:%'", [run.run_id]) == 2 * suite


def test_how_likely_a_reference_was_is_only_taken_where_the_line_is_the_same(ws: Workspace, snapshot: Snapshot) -> None:
    item = snapshots.items(ws, snapshot, "test")[0].record_id
    row = {"run_id": "r", "candidate_id": "c", "item_id": item, "sample": 0, "text": "t", "new_tokens": 1, "seconds": 0.1,
           "finish": "stop", "answer_key": "k", "reused": False, "reference_nats": 5.0, "reference_tokens": 3}
    with ws.transaction() as transaction:
        transaction.insert("outputs", [row])
        transaction.insert("runs", [{"run_id": "r", "kind": "evaluate", "title": "t", "snapshot_id": snapshot.snapshot_id,
                                     "spec": "{}", "folder": "runs/r", "started_at": ws.now(), "group_id": ""}])
    same, other = outputs.known(ws, snapshot.snapshot_id, {"k"}), outputs.known(ws, "another", {"k"})
    assert [(one[0]["text"], one[0]["reference_nats"]) for one in (same, other)] == [("t", 5.0), ("t", None)]


def test_an_evaluation_of_one_or_of_the_same_twice_is_refused(ws: Workspace, snapshot: Snapshot) -> None:
    base = Chosen(models.get(ws, "starter"))
    with pytest.raises(StudioError, match="at least two"):
        starts.evaluation(ws, snapshot, [base])
    with pytest.raises(StudioError, match="are the same"):
        starts.evaluation(ws, snapshot, [base, base])
