"""Endpoints: asked through the real client, answered by a server that nobody here wrote; what fails is said in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example
from pipeline.generation.answer import Answer, Ask
from pipeline.generation.endpoint import EndpointModel
from pipeline.specs import Candidate, ConnectSpec, Decoding, Endpoint, EvaluateSpec
from tests import chat_server, children

KEY = "sk-secret-1234"
FIXTURES = [
    {"match": {"userMessage": "filtered"}, "response": {"content": "", "finishReason": "content_filter"}},
    {"match": {"userMessage": "too long"}, "response": {"content": "Once upon", "finishReason": "length"}},
    {"match": {"userMessage": "wrong key"}, "response": {"error": {"message": f"{KEY} is wrong"}, "status": 401}},
    {"match": {"userMessage": "no model"}, "response": {"error": {"message": "no such model"}, "status": 404}},
    {"match": {"userMessage": "no money"},
     "response": {"error": {"message": "quota", "code": "insufficient_quota"}, "status": 429, "retryAfter": 0}},
    {"match": {"userMessage": "broken"}, "response": {"error": {"message": "oh"}, "status": 500}},
    {"match": {"userMessage": "busy", "sequenceIndex": 0},
     "response": {"error": {"message": "slow down"}, "status": 429, "retryAfter": 1}},
    {"match": {"userMessage": "busy"}, "response": {"content": "Now I can."}},
    {"match": {"userMessage": "Azure"}, "response": {"error": {"message": "no", "code": "content_filter"}, "status": 400}},
    {"match": {"userMessage": ""}, "response": {
        "content": " On its way. ", "usage": {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45}}},
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat_server.serving(tmp_path_factory.mktemp("server"), FIXTURES) as found:
        yield found


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_TEST_KEY", KEY)


def item(asked: str, name: str = "i1") -> Example:
    return Example(name, ({"role": "user", "content": asked}, {"role": "assistant", "content": "Yes.", "weight": 1}))


def endpoint(address: str, **more: Any) -> Endpoint:
    return Endpoint(base_url=address, model="small", key_env="TUNEWRIGHT_TEST_KEY", **more)


def ask(address: str, asked: str, **more: Any) -> Answer:
    return EndpointModel(endpoint(address, **more), tries=1).ask(Ask(item(asked)), Decoding())


def test_an_answer_comes_with_its_tokens_and_what_it_cost(address: str) -> None:
    found = ask(address, "Where is my tent?", price_in=1.0, price_out=4.0)
    assert (found.text, found.prompt_tokens, found.new_tokens, found.finish) == ("On its way.", 40, 5, "stop")
    assert found.cost == pytest.approx((40 * 1.0 + 5 * 4.0) / 1e6) and found.seconds > 0


def test_without_prices_nothing_is_said_of_costs(address: str) -> None:
    assert ask(address, "Where is my tent?").cost is None


@pytest.mark.parametrize(("asked", "finish"), [("filtered", "filter"), ("too long", "length"), ("Azure", "filter")])
def test_how_an_answer_ended_is_told(address: str, asked: str, finish: str) -> None:
    assert ask(address, asked).finish == finish


@pytest.mark.parametrize(("asked", "words"), [
    ("wrong key", "refused the key (401)"), ("no model", "does not know this address or the model small (404)"),
    ("no money", "is used up (429)"), ("broken", "failed (500)")])
def test_what_fails_is_said_without_a_word_of_the_server(address: str, asked: str, words: str) -> None:
    with pytest.raises(PipelineError) as found:
        ask(address, asked)
    told = found.value.message + found.value.hint
    assert words in told and KEY not in told and "such" not in told.replace("no such temperature", "")


def test_a_server_that_is_not_there_is_said_in_words() -> None:
    with pytest.raises(PipelineError, match=r"http://127.0.0.1:9/v1 cannot be reached"):
        EndpointModel(endpoint("http://127.0.0.1:9/v1"), tries=0).ask(Ask(item("a")), Decoding())


def test_a_key_that_is_not_set_is_asked_for_by_its_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNEWRIGHT_TEST_KEY")
    with pytest.raises(PipelineError, match="TUNEWRIGHT_TEST_KEY is not set"):
        EndpointModel(endpoint(address))


def test_openais_key_goes_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert EndpointModel(Endpoint(model="small")).client.api_key == KEY
    assert EndpointModel(Endpoint(model="small", base_url="http://127.0.0.1:9/v1")).client.api_key == "none"


def test_a_busy_server_is_asked_again_after_the_time_it_names(address: str) -> None:
    began = time.monotonic()
    assert ask(address, "busy").text == "Now I can." and time.monotonic() - began >= 1


def test_where_one_question_fails_the_answers_on_their_way_are_kept(address: str) -> None:
    asked = [Ask(item(words, f"i{n}")) for n, words in enumerate(("a", "b", "wrong key", "c", "d", "e"))]
    found, model = [], EndpointModel(endpoint(address, concurrency=2), tries=0)
    with pytest.raises(PipelineError, match="refused the key"):
        for answer in model.answers(asked, Decoding(), lambda: None):
            found.append(answer.item_id)
    assert {"i0", "i1"} <= set(found) and len(found) < 5  # where two come at once, one more is on its way


def test_a_stop_hands_out_what_is_on_its_way_and_asks_nothing_more(address: str) -> None:
    def stop() -> None:
        raise Stopped("stopped")

    found, model = [], EndpointModel(endpoint(address, concurrency=3))
    with pytest.raises(Stopped):
        for answer in model.answers([Ask(item("a", f"i{n}")) for n in range(20)], Decoding(), stop):
            found.append(answer.item_id)
    assert 1 <= len(found) <= 6


def test_only_what_the_api_knows_of_a_turn_is_sent(address: str) -> None:
    EndpointModel(endpoint(address)).ask(
        Ask(item("Just this"), 2), Decoding(max_new_tokens=9, temperature=0.5, top_p=0.9, samples=3))
    sent = next(row["body"] for row in reversed(chat_server.asked(address)) if "Just this" in str(row["body"]))
    assert sent["messages"] == [{"role": "user", "content": "Just this"}]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.5, 0.9, 9) and sent["seed"] >= 0


def evaluation(address: str) -> EvaluateSpec:
    server = endpoint(address, price_in=1.0, price_out=1.0)
    plain = Candidate(model_id="plain", name="Plain", endpoint=server)
    kind = Candidate(model_id="kind", name="Kind", endpoint=server, system="Be kind.")
    return EvaluateSpec(run_id="asked", items_file="items.jsonl", candidates=(plain, kind))


def test_a_resumed_evaluation_asks_only_what_has_no_answer(address: str, tmp_path: Path) -> None:
    children.write_examples(tmp_path / "items.jsonl", [(f"i{n}", f"resumed question {n}", "On its way.") for n in range(4)])
    folder = children.prepared(tmp_path, evaluation(address))
    with rundir.Child(folder) as child:
        for n in range(3):
            child.output({"candidate_id": "plain", "item_id": f"i{n}", "sample": 0, "text": "Kept.", "new_tokens": 1,
                          "prompt_tokens": 1, "seconds": 0.1, "finish": "stop", "answer_key": "", "reused": False, "cost": 0.1})
    ended = children.finished(folder, tmp_path)
    bodies = [str(row["body"]) for row in chat_server.asked(address) if "resumed question" in str(row["body"])]
    outputs = rundir.read_lines(folder / "outputs.jsonl")
    assert ended.outcome == "done" and len(outputs) == 8 and len(bodies) == 5
    assert sum("Be kind." in body for body in bodies) == 4
    assert [row["cost"] for row in outputs[3:]] == pytest.approx([45e-6] * 5)
    assert not [path for path in folder.iterdir() if path.is_file() and KEY in path.read_text()]


def test_a_connection_that_works_says_so_and_one_that_does_not_says_why(address: str, tmp_path: Path) -> None:
    works = children.prepared(tmp_path, ConnectSpec(run_id="works", model_id="m", endpoint=endpoint(address)))
    gone = ConnectSpec(run_id="gone", model_id="m", endpoint=endpoint("http://127.0.0.1:9/v1"))
    fails = children.prepared(tmp_path, gone)
    ended = children.finished(works, tmp_path), children.finished(fails, tmp_path)
    assert [one.outcome for one in ended] == ["done", "failed"]
    assert ended[0].message.startswith("small answers, after") and "cannot be reached" in ended[1].message
