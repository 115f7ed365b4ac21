"""Writing examples: everything arrives once, nothing is paid twice, and what cannot be done is said in one sentence."""

from __future__ import annotations

import json
import os
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import launch, rundir
from pipeline.errors import PipelineError
from pipeline.rundir import Child
from pipeline.specs import Candidate, Checks, Endpoint
from pipeline.synthesis import asking, engine, pace, structured
from tests import chat_server, children
from tests.synthesising import (
    FAULTS,
    LOOSE,
    RETRY_AFTER,
    accepted,
    asked_again,
    calls,
    case,
    finished,
    fixtures,
    killed_on_the_way,
    reply,
    spec,
    waited,
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat_server.serving(tmp_path_factory.mktemp("writer"), fixtures(40)) as found:
        yield found


@pytest.mark.slow
def test_through_faults_and_kills_every_example_arrives_once_and_nothing_written_is_asked_again(tmp_path: Path) -> None:
    moments = sorted(random.uniform(0.05, 0.95) for _ in range(3))
    with chat_server.serving(tmp_path / "mock", fixtures(200), faults=FAULTS) as address:
        killed = killed_on_the_way(tmp_path, spec(address, 200, concurrency=32), address, moments)
        ended = children.finished(killed.folder, tmp_path)
        again = asked_again(killed, address)
    found = accepted(killed.folder)
    assert (ended.outcome, len(found), set(found.values()), again) == ("done", 200, {1}, 0), moments
    assert ended.message.startswith("200 of 200 examples were accepted. ")
    assert min(waited(killed.folder, killed.times)) >= RETRY_AFTER


@pytest.mark.slow
def test_every_request_keeps_to_openais_published_document(tmp_path: Path) -> None:
    mended = {"match": {"userMessage": "could not be read"}, "response": {"content": json.dumps(reply(1))}}
    broken = {"match": {"userMessage": case(1)}, "response": {"content": "{I would rather not."}}
    judges = {"match": {"systemMessage": "You judge"}, "response": {"content": "Fine.\nScore: 5"}}
    plain = {"match": {"responseFormat": "json_object"}, "response": refusing()["response"]}
    log = tmp_path / "prism.log"
    with (
        chat_server.serving(tmp_path / "mock", [refusing(), plain, judges, mended, broken, *fixtures(6)]) as address,
        chat_server.checked(address, log) as prism,
    ):
        judge = Candidate(model_id="j", name="Judge", endpoint=Endpoint(base_url=prism, model="judge"))
        folder, ended = finished(tmp_path, spec(prism, 6, checks=LOOSE.model_copy(update={"judge": judge})))
        found = chat_server.violations(log)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{prism}/chat/completions", data=b'{"model": 7}')
        missed = not chat_server.violations(log)
    assert (ended.outcome, ended.data["accepted"], found, missed) == ("done", 6, [], False)
    assert {row["purpose"] for row in calls(folder)} == {"make", "repair", "judge"}


@pytest.mark.heavy
def test_the_reply_is_asked_for_in_the_schemas_form(address: str, tmp_path: Path) -> None:
    before = len(chat_server.asked(address))
    folder, ended = finished(tmp_path, spec(address, 12))
    bodies = [one["body"] for one in chat_server.asked(address)[before:]]
    assert (ended.data["accepted"], len(bodies), {body["response_format"]["type"] for body in bodies}) == (
        12,
        12,
        {"json_schema"},
    )
    assert bodies[0]["response_format"]["json_schema"]["strict"] is True
    assert [row["reply"] for row in calls(folder)] == [None] * 12  # texts go once the run is over


def refusing(status: int = 400) -> dict[str, Any]:
    error = {
        "message": "response_format json_schema is not supported",
        "type": "invalid_request_error",
        "param": "response_format",
    }
    return {"match": {"responseFormat": "json_schema"}, "response": {"error": error, "status": status}}


@pytest.mark.heavy
def test_a_server_without_structured_output_is_asked_in_words(tmp_path: Path) -> None:
    plain = {"match": {"responseFormat": "json_object"}, "response": refusing()["response"]}
    with chat_server.serving(tmp_path / "mock", [refusing(), plain, *fixtures(6)]) as address:
        folder, ended = finished(tmp_path, spec(address, 6))
        last = chat_server.asked(address)[-1]["body"]
    assert (ended.data["accepted"], "response_format" in last, "JSON schema" in last["messages"][-1]["content"]) == (
        6,
        False,
        True,
    )
    assert [row["outcome"] for row in calls(folder)][:3] == ["unstructured", "unstructured", "ok"]


@pytest.mark.heavy
def test_a_reply_that_cannot_be_read_is_repaired_or_set_aside(tmp_path: Path) -> None:
    mended = {"match": {"userMessage": "could not be read", "turnIndex": 1}, "response": {"content": json.dumps(reply(1))}}
    broken = [
        {"match": {"userMessage": f"case 000{n}", "turnIndex": 0}, "response": {"content": "I would rather not."}}
        for n in (1, 2)
    ]
    hopeless = {"match": {"userMessage": "case 0002", "turnIndex": 1}, "response": {"content": "No."}}
    with chat_server.serving(tmp_path / "mock", [mended, hopeless, *broken, *fixtures(1)]) as address:
        folder, ended = finished(
            tmp_path, spec(address, 2, tries=1, checks=Checks(languages=False, personal=False, twin_at=0.8))
        )
    assert ended.data["accepted"] == 2
    assert [row["purpose"] for row in calls(folder)].count("repair") == 1


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"error": {"message": "broken"}, "status": 500}, "5 calls in a row came to nothing (the server failed, 500)."),
        ({"error": {"message": "no sk-planted-secret"}, "status": 401}, "refused the key (401)."),
        ({"error": {"message": "no"}, "status": 403}, "refused the key (403)."),
        ({"error": {"message": "no"}, "status": 429, "retryAfter": 0}, "there are too many requests (429)."),
        ({"content": ""}, "5 calls in a row came to nothing (the answer was empty)."),
        ({"content": json.dumps(reply(7))}, "The model wrote the same text 5 times in a row."),
    ],
)
def test_a_server_of_which_nothing_can_be_had_ends_the_run_in_one_sentence(
    response: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with chat_server.serving(tmp_path / "mock", [{"match": {}, "response": response}]) as address:
        folder, ended = finished(tmp_path, spec(address, 40, concurrency=4))
    assert (ended.outcome, words in ended.message, "of 40 examples are there." in ended.message) == ("failed", True, True)
    assert "sk-planted-secret" not in (folder / "result.json").read_text() + rundir.log_tail(folder)
    assert len(calls(folder)) <= (12 if "429" in words else 5)  # what is refused as one too many costs nothing


def test_a_server_that_never_answers_ends_the_run_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(pace, "SHORTEST_REST", 0.01)
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    asked = spec(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", 3)
    folder = children.prepared(tmp_path, asked)
    with Child(folder) as child, pytest.raises(PipelineError, match=r"no answer in time\)\. 0 of 3 examples are there"):
        engine.run(child, asked, tmp_path)
    silent.close()


@pytest.mark.heavy
def test_what_the_gate_sets_aside_is_said_with_its_number_and_never_called_done(tmp_path: Path) -> None:
    short = [{"match": {"userMessage": "case 0003"}, "response": {"content": '{"question": "Hi", "answer": "Hello."}'}}]
    with chat_server.serving(tmp_path / "mock", [*short, *fixtures(5)]) as address:
        folder, ended = finished(
            tmp_path, spec(address, 5, tries=2, checks=Checks(shortest=10, languages=False, personal=False))
        )
    assert ended.message.startswith("4 of 5 examples were accepted; 1 were set aside: 1 too short.")
    rows = [row for row in rundir.read_lines(folder / "examples.jsonl") if row["state"] == "refused"]
    assert [(row["try"], row["reasons"]) for row in rows] == [(1, ["short"]), (2, ["short"])]


@pytest.mark.heavy
def test_a_judge_scores_each_example_and_low_ones_are_set_aside(tmp_path: Path) -> None:
    low = {
        "match": {"systemMessage": "You judge", "userMessage": "amber amber amber cedar"},
        "response": {"content": "Vague.\nScore: 2"},
    }
    good = {"match": {"systemMessage": "You judge"}, "response": {"content": "Fine.\nScore: 5"}}
    with chat_server.serving(tmp_path / "mock", [low, good, *fixtures(4)]) as address:
        judge = Candidate(model_id="j", name="Judge", endpoint=Endpoint(base_url=address, model="judge"))
        folder, ended = finished(
            tmp_path, spec(address, 4, tries=1, checks=Checks(languages=False, personal=False, judge=judge))
        )
    assert (ended.data["accepted"], ended.data["reasons"]) == (3, {"judge": 1})
    assert sorted(row["score"] for row in rundir.read_lines(folder / "examples.jsonl")) == [2, 5, 5, 5]


@pytest.mark.heavy
def test_a_budget_is_not_passed(address: str, tmp_path: Path) -> None:
    folder, ended = finished(tmp_path, spec(address, 40, budget=0.006))
    assert ended.outcome == "failed" and ended.message.startswith("It stopped before the budget of 0.006 was passed:")
    assert 0 < sum(row["cost"] for row in calls(folder)) <= 0.006


@pytest.mark.heavy
def test_what_a_server_refuses_does_not_count_against_the_budget(tmp_path: Path) -> None:
    plain = {"match": {"responseFormat": "json_object"}, "response": refusing()["response"]}
    with chat_server.serving(tmp_path / "mock", [refusing(), plain, *fixtures(6)]) as address:
        folder, ended = finished(tmp_path, spec(address, 6, budget=0.006))
    assert ended.data["accepted"] == 6 and sum(row["cost"] for row in calls(folder)) == pytest.approx(6 * 0.0002)


@pytest.mark.heavy
def test_a_run_can_be_paused_stopped_and_resumed(tmp_path: Path) -> None:
    with chat_server.serving(tmp_path / "mock", fixtures(30), "--chaos-latency", "100") as address:
        folder = children.prepared(tmp_path, spec(address, 30, concurrency=2))
        launch.start(folder, tmp_path)
        children.wait_until(lambda: len(accepted(folder)) >= 4, folder)
        (folder / "pause").touch()
        time.sleep(0.6)
        held = len(calls(folder))
        time.sleep(0.6)
        assert (len(calls(folder)), rundir.status(folder).phase) == (held, "paused")  # type: ignore[union-attr]
        rundir.ask_to_stop(folder)
        children.wait_until(lambda: rundir.result(folder) is not None and not rundir.is_alive(folder), folder)
        assert rundir.result(folder).outcome == "stopped"  # type: ignore[union-attr]
        (folder / "pause").unlink()
        ended = children.finished(folder, tmp_path)
    assert (ended.data["accepted"], set(accepted(folder).values())) == (30, {1})


def planted(folder: Path) -> set[str]:
    """Files of a run that hold the planted key or the planted customer."""
    words = (b"sk-planted", b"Karenina")
    return {path.name for path in folder.iterdir() if path.is_file() and any(word in path.read_bytes() for word in words)}


@pytest.mark.heavy
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_server_that_repeats_key_and_customer_in_its_refusal_is_not_quoted(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_PLANTED", "sk-planted-0123456789")
    error = {"message": "sk-planted-0123456789 asked: I am Anna Karenina", "code": "Karenina", "param": "sk-planted"}
    refusal = {"match": {}, "response": {"error": error, "status": status, "retryAfter": 0}}
    with chat_server.serving(tmp_path / "mock", [refusal]) as address:
        asked = spec(address, 12, shots=1)
        named = asked.model.endpoint.model_copy(update={"key_env": "TUNEWRIGHT_PLANTED"})  # type: ignore[union-attr]
        asked = asked.model_copy(update={"model": asked.model.model_copy(update={"endpoint": named})})
        folder = children.prepared(tmp_path, asked)
        children.write_examples(folder / "seeds.jsonl", [("s1", "I am Anna Karenina, where is my parcel?", "On its way.")])
        ended = children.finished(folder, tmp_path)
    assert (ended.outcome, planted(folder)) == ("failed", {"seeds.jsonl"})


@pytest.mark.heavy
def test_a_key_and_a_customer_are_nowhere_but_where_they_belong(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_PLANTED", "sk-planted-0123456789")
    asked = spec(address, 12)
    named = asked.model.endpoint.model_copy(update={"key_env": "TUNEWRIGHT_PLANTED"})  # type: ignore[union-attr]
    asked = asked.model_copy(update={"model": asked.model.model_copy(update={"endpoint": named}), "shots": 1})
    folder = children.prepared(tmp_path, asked)
    children.write_examples(folder / "seeds.jsonl", [("s1", "I am Anna Karenina, where is my parcel?", "On its way.")])
    ended = children.finished(folder, tmp_path)
    assert (ended.outcome, planted(folder)) == ("done", {"seeds.jsonl"})
    assert "sk-planted" not in os.popen(f"ps -ef | grep {asked.run_id}").read()


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ('{"question": "a", "answer": "b"}', "a"),
        ('```json\n{"question": "a", "answer": "b"}\n```', "a"),
        ('Here it is: {"question": "a", "answer": "b",} I hope it helps.', "a"),
        ('{"question": "a\nb", "answer": "b", "more": 1}', "a\nb"),
    ],
)
def test_what_is_safe_to_mend_is_mended(text: str, question: str) -> None:
    schema = {"type": "object", "properties": {"question": {"type": "string"}, "answer": {"type": "string"}}}
    assert structured.read(text, schema) == {"question": question, "answer": "b"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I would rather not.", "no JSON object"),
        ('{"question": "a"}', "“answer” is missing"),
        ('{"question": 3, "answer": "b"}', "“question” is no text"),
        ('["a", "b"]', "no JSON object"),
    ],
)
def test_nothing_is_made_up(text: str, why: str) -> None:
    schema = {"type": "object", "properties": {"question": {"type": "string"}, "answer": {"type": "string"}}}
    with pytest.raises(structured.Unreadable, match=why):
        structured.read(text, schema)
