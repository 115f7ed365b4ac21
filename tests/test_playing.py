"""The playground's child: answers as they come, whatever dies or waits; the device is never held for nothing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import device, rundir
from pipeline.errors import PipelineError
from pipeline.generation.answer import Ask
from pipeline.generation.endpoint import EndpointModel
from pipeline.playing import Reply
from pipeline.rundir import Child
from pipeline.specs import Candidate, Decoding, Endpoint, PlayAsk, PlaySpec, TrainSpec, dumps
from tests import chat_server, children
from tests.conftest import STARTER
from tests.plays import BASE, KIND, ended, server, told, wanted
from tests.test_endpoint import item
from tests.test_evaluation import save_adapter_that_does_nothing

LONG = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen."
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "filtered"}, "response": {"content": "No", "finishReason": "content_filter"}},
    {"match": {"userMessage": "wrong key"}, "response": {"error": {"message": "sk-secret is wrong"}, "status": 401}},
    {"match": {"userMessage": "slow"}, "response": {"content": LONG}, "latency": 200, "chunkSize": 6},
    {"match": {"userMessage": ""}, "response": {
        "content": LONG, "usage": {"prompt_tokens": 40, "completion_tokens": 25, "total_tokens": 65}}, "chunkSize": 8},
]  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat_server.serving(tmp_path_factory.mktemp("server"), FIXTURES) as found:
        yield found


def folder_of(workspace: Path, sleeps: float = 60, ends: float = 900) -> Path:
    return children.prepared(workspace, PlaySpec(run_id="play", sleeps_after=sleeps, ends_after=ends))


@contextmanager
def playing(folder: Path, workspace: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that works on what is asked, until the end of the block."""
    process = children.begin_to_kill(folder, workspace)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def reply_to(folder: Path, clock: Any = time.time) -> Reply:
    ask = PlayAsk(reply="a-0", candidate=BASE, messages=({"role": "user", "content": "Hi"},))
    return Reply(Child(folder, clock), threading.RLock(), ask)


def test_text_that_a_decoder_changed_is_written_again_from_where_it_changed(tmp_path: Path) -> None:
    from pipeline.generation.answer import Heard

    reply = reply_to(tmp_path)
    for text in ("Hello", "Hello wor", "Hello world", "Hello, you"):
        reply._written_at = 0
        reply.hear(Heard(text), 1.0)
    assert [(row["at"], row["text"]) for row in rundir.read_lines(tmp_path / "pieces.jsonl")] == [
        (0, "Hello"), (5, " wor"), (9, "ld"), (5, ", you")]  # fmt: skip


def test_what_is_heard_between_two_pieces_is_written_at_the_end_and_nothing_after_it(tmp_path: Path) -> None:
    from pipeline.generation.answer import Heard

    reply = reply_to(tmp_path)
    reply.hear(Heard("a"), 0.1)
    reply.hear(Heard("ab", 2), 0.2)
    reply.end("stopped")
    reply.hear(Heard("abc"), 0.3)
    reply.end("stop")
    one = told(tmp_path)["a-0"]
    assert (one["text"], one["finish"], one["tokens"], one["seconds"], one["first_seconds"]) == ("ab", "stopped", 2, 0.2, 0.1)


def test_an_unexpected_error_is_told_by_its_kind_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reply = reply_to(tmp_path)
    reply.fail(KeyError("ana@mail.example"))
    assert "KeyError" in told(tmp_path)["a-0"]["problem"] and "ana" not in told(tmp_path)["a-0"]["problem"]


def test_an_endpoint_answers_aloud_with_its_tokens_and_costs(address: str) -> None:
    model = EndpointModel(Endpoint(base_url=address, model="small", price_in=1.0, price_out=4.0))
    heard = list(model.aloud(Ask(item("Where is my tent?")), Decoding()))
    grows = [one.text for one in heard]
    assert len(set(grows)) > 5 and all(LONG.startswith(text) for text in grows) and grows == sorted(grows, key=len)
    last = heard[-1]
    assert (last.text, last.new_tokens, last.prompt_tokens, last.finish) == (LONG, 25, 40, "stop")
    assert last.cost == pytest.approx((40 * 1.0 + 25 * 4.0) / 1e6)


def test_what_an_endpoint_refuses_aloud_is_said_without_its_words(address: str) -> None:
    model = EndpointModel(Endpoint(base_url=address, model="small"), tries=0)
    with pytest.raises(PipelineError, match="refused the key") as found:
        list(model.aloud(Ask(item("wrong key")), Decoding()))
    assert "sk-secret" not in found.value.message + found.value.hint
    assert list(model.aloud(Ask(item("filtered")), Decoding()))[-1].finish == "filter"


def waiting(workspace: Path, name: str) -> Child:
    """A training run that waits for the device, as its process does."""
    folder = children.prepared(workspace, TrainSpec(run_id=name, base=STARTER, train_file="t", validation_file="v"))
    rundir.note_launch(folder, time.time())
    child = Child(folder).__enter__()
    child.say(device.QUEUED, sentence="Waiting")
    return child


def test_a_hold_is_only_taken_while_nobody_has_the_device_or_waits_for_it(tmp_path: Path) -> None:
    own = folder_of(tmp_path)
    hold = device.Hold(own, tmp_path)
    child = waiting(tmp_path, "train1")
    refused = hold.take()
    child.__exit__()
    taken = hold.take()
    with device.if_free(tmp_path) as free:
        kept = not free
    hold.give_back()
    with device.if_free(tmp_path) as free:
        assert (refused, taken, kept, free) == (False, True, True, True)
        assert not hold.take()


def test_what_is_at_work_is_known_by_its_kind(tmp_path: Path) -> None:
    own, child = folder_of(tmp_path), waiting(tmp_path, "train1")
    before = device.kinds_at_work(own)
    child.say("training", 1, 10)
    assert (before, device.kinds_at_work(own)) == (set(), {"train"})
    child.__exit__()
    assert device.kinds_at_work(own) == set()


@pytest.fixture(scope="module")
def evening(starter_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, rundir.Result]:
    """One child: two replies side by side, one too long a conversation, one reply that is stopped, then a stop of the run."""
    home = tmp_path_factory.mktemp("evening")
    (home / "models").symlink_to(starter_home / "models")
    folder = folder_of(home)
    for place, candidate in enumerate((BASE, KIND)):
        wanted(folder, f"a-{place}", "Where is my order? Answer with emojis 🎉", candidate)
    with playing(folder, home) as process:
        children.wait_until(lambda: ended(folder, "a-0", "a-1"), folder)
        wanted(folder, "b-0", "word " * 9_000)
        wanted(folder, "b-1", "Tell me a long story about a parcel.", tokens=2000)
        wanted(folder, "b-2", "Where is my order?", KIND)
        children.wait_until(lambda: bool(told(folder).get("b-1", {}).get("text")), folder)
        (folder / "stop-b-1").touch()
        children.wait_until(lambda: ended(folder, "b-0", "b-1", "b-2"), folder)
        wanted(folder, "c-0", "Tell me a long story about a parcel.", tokens=2000)
        children.wait_until(lambda: bool(told(folder).get("c-0", {}).get("text")), folder)
        rundir.ask_to_stop(folder)
        process.wait(30)
    found = rundir.result(folder)
    assert found is not None
    return folder, found


@pytest.mark.slow
def test_two_replies_of_a_local_model_come_side_by_side_and_whole_characters_only(evening: tuple[Path, rundir.Result]) -> None:
    lines = [row for row in rundir.read_lines(evening[0] / "pieces.jsonl") if "at" in row and row["reply"][0] == "a"]
    turns = [row["reply"] for row in lines]
    both = told(evening[0])
    assert turns[: len(turns) // 2].count("a-0") > 1 and turns[: len(turns) // 2].count("a-1") > 1
    assert not [row for row in lines if "\ufffd" in row["text"]] and "🎉" in both["a-0"]["text"]
    assert both["a-0"]["prompt_tokens"] != both["a-1"]["prompt_tokens"]
    assert both["a-0"]["finish"] in ("stop", "length") and both["a-0"]["tokens"] / both["a-0"]["seconds"] > 1


@pytest.mark.slow
def test_a_conversation_that_is_too_long_is_refused_in_words(evening: tuple[Path, rundir.Result]) -> None:
    assert "the model reads 8,192 at once" in told(evening[0])["b-0"]["problem"]


@pytest.mark.slow
def test_a_reply_is_stopped_alone_and_keeps_its_text(evening: tuple[Path, rundir.Result]) -> None:
    replies = told(evening[0])
    assert replies["b-1"]["finish"] == "stopped" and replies["b-1"]["text"]
    assert replies["b-2"]["finish"] in ("stop", "length")


@pytest.mark.slow
def test_a_stop_of_the_run_ends_all_replies_and_says_so(evening: tuple[Path, rundir.Result]) -> None:
    assert (evening[1].outcome, told(evening[0])["c-0"]["finish"]) == ("stopped", "stopped")


@pytest.mark.slow
def test_base_and_tuned_answer_side_by_side_and_a_third_model_takes_the_place_of_one(with_starter: Path) -> None:
    folder = folder_of(with_starter, ends=1)
    tuned = BASE.model_copy(update={"candidate_id": "tuned", "adapter": save_adapter_that_does_nothing(with_starter)})
    third = BASE.model_copy(update={"candidate_id": "third", "method": "lora"})
    for place, candidate in enumerate((BASE, tuned, third)):
        wanted(folder, f"a-{place}", "Where is my order?", candidate, tokens=30)
    done = children.finished(folder, with_starter)
    assert (done.outcome, done.data) == ("done", {"replies": 3}) and "quiet" in done.message
    found, turns = told(folder), [row["reply"] for row in rundir.read_lines(folder / "pieces.jsonl") if "at" in row]
    assert found["a-0"]["text"] == found["a-1"]["text"] and found["a-2"]["finish"] in ("stop", "length")
    assert turns.index("a-1") < len(turns) - turns[::-1].index("a-0") - 1 < turns.index("a-2")


@pytest.mark.slow
def test_an_answer_that_is_cut_in_the_middle_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = {"index": 0, "delta": {"content": "On"}}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    piece = b"data: " + json.dumps(chunk).encode()

    def cut_off() -> None:
        taken, _ = server.accept()
        taken.recv(65_536)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        taken.sendall(head + b"%x\r\n" % (len(piece) + 2) + piece + b"\n\n\r\n")
        taken.close()

    monkeypatch.setenv("TUNEWRIGHT_TEST_KEY", "sk-any")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=cut_off)
        thread.start()
        where = Endpoint(base_url=f"http://127.0.0.1:{server.getsockname()[1]}/v1", model="m", key_env="TUNEWRIGHT_TEST_KEY")
        with pytest.raises(PipelineError, match="broke off in the middle of an answer"):
            list(EndpointModel(where, tries=0).aloud(Ask(item("Where is my tent?")), Decoding()))
        thread.join()


@pytest.mark.slow
def test_aloud_a_model_says_what_it_says_in_an_evaluation(starter_home: Path) -> None:
    from pipeline.generation import aloud, local

    model, ask = local.load(BASE, starter_home, lambda said: None), Ask(item("How do I send my tent back?"))
    for decoding in (Decoding(max_new_tokens=30), Decoding(max_new_tokens=30, temperature=0.8)):
        heard, answer = list(aloud.answer(model, ask, decoding)), next(model.answers([ask], decoding))
        assert (heard[-1].text, heard[-1].new_tokens, heard[-1].finish) == (answer.text, answer.new_tokens, answer.finish)
    model.takes_memory = False
    alone = list(aloud.answer(model, ask, Decoding(max_new_tokens=30)))
    assert alone[-1].text == next(model.answers([ask], Decoding(max_new_tokens=30))).text and len(alone) > 20
    stopped = aloud.answer(model, ask, Decoding(max_new_tokens=300))
    next(stopped)
    stopped.close()
    deadline = time.time() + 20
    while any(thread.name == "aloud" for thread in threading.enumerate()):
        assert time.time() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_kill_9_keeps_what_was_said_calls_it_cut_off_and_the_next_question_works(with_starter: Path) -> None:
    folder = folder_of(with_starter, ends=2)
    wanted(folder, "a-0", "Tell me a long story about a parcel.", tokens=2000)
    wanted(folder, "b-0", "Where is my order?", KIND)
    process = children.begin_to_kill(folder, with_starter)
    children.wait_until(lambda: len(told(folder).get("a-0", {}).get("text", "")) > 20, folder)
    wanted(folder, "c-0", "And when does it come?")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = told(folder)["a-0"]["text"]
    with (folder / "pieces.jsonl").open("a") as file:
        file.write('{"reply": "a-0", "at": 3, "te')
    children.finished(folder, with_starter)
    after = told(folder)
    assert (after["a-0"]["finish"], after["a-0"]["text"]) == ("cut", before)
    assert after["c-0"]["finish"] in ("stop", "length") and after["c-0"]["text"]


@pytest.mark.slow
def test_the_device_is_given_back_to_a_run_that_waits_and_after_a_while(with_starter: Path) -> None:
    folder = folder_of(with_starter, sleeps=2)
    wanted(folder, "a-0", "Where is my order?", tokens=60)

    def is_free() -> bool:
        with device.if_free(with_starter) as free:
            return free

    with playing(folder, with_starter):
        children.wait_until(lambda: bool(told(folder).get("a-0", {}).get("text")), folder)
        assert not is_free()
        training = waiting(with_starter, "train1")
        wanted(folder, "b-0", "And when does it come?")
        children.wait_until(lambda: ended(folder, "a-0") and is_free(), folder)
        children.wait_until(lambda: "to end; ask an endpoint meanwhile" in told(folder)["b-0"]["waits"], folder)
        assert not told(folder)["b-0"]["text"]
        training.__exit__()
        children.wait_until(lambda: ended(folder, "b-0"), folder)
        assert not is_free()
        children.wait_until(is_free, folder)


@pytest.mark.slow
def test_while_a_training_computes_an_endpoint_answers_and_a_local_model_says_what_it_waits_for(
    with_starter: Path, address: str
) -> None:
    folder = folder_of(with_starter)
    wanted(folder, "a-0", "Where is my order?")
    wanted(folder, "a-1", "Where is my order?", server(address))
    training = waiting(with_starter, "train1")
    with (with_starter / "runs" / "device.lock").open("a") as file, playing(folder, with_starter):
        fcntl.flock(file, fcntl.LOCK_EX)
        training.say("training", 1, 10)
        children.wait_until(lambda: ended(folder, "a-1"), folder)
        children.wait_until(lambda: bool(told(folder).get("a-0", {}).get("waits")), folder)
        waits = told(folder)["a-0"]["waits"]
    training.__exit__()
    assert waits == "Waits for the training to end; ask an endpoint meanwhile." and told(folder)["a-1"]["text"] == LONG


@pytest.mark.heavy
def test_endpoints_answer_at_once_each_in_its_own_time_and_one_that_fails_ends_alone(tmp_path: Path, address: str) -> None:
    folder = folder_of(tmp_path, ends=1)
    wanted(folder, "a-0", "slow please", server(address))
    wanted(folder, "a-1", "quick please", server(address))
    wanted(folder, "a-2", "quick please", server("http://127.0.0.1:9/v1"))
    children.finished(folder, tmp_path)
    order = [row["reply"] for row in rundir.read_lines(folder / "pieces.jsonl") if "finish" in row]
    slow = [row for row in rundir.read_lines(folder / "pieces.jsonl") if row["reply"] == "a-0" and "at" in row]
    assert order.index("a-1") < order.index("a-0") and len(slow) > 5
    assert told(folder)["a-0"]["text"] == told(folder)["a-1"]["text"] == LONG
    assert "cannot be reached" in told(folder)["a-2"]["problem"] and "resume" not in told(folder)["a-2"]["problem"].lower()


@pytest.mark.heavy
def test_a_silent_server_is_stopped_at_once(tmp_path: Path, address: str) -> None:
    folder = folder_of(tmp_path)
    wanted(folder, "a-0", "slow please", server(address))
    with playing(folder, tmp_path):
        children.wait_until(lambda: "a-0" in told(folder), folder)
        (folder / "stop-a-0").touch()
        children.wait_until(lambda: ended(folder, "a-0"), folder)
    assert told(folder)["a-0"]["finish"] == "stopped" and len(told(folder)["a-0"]["text"]) < len(LONG)


def test_an_ask_holds_the_candidate_and_no_key() -> None:
    candidate = Candidate(model_id="m", name="M", endpoint=Endpoint(model="small", key_env="TUNEWRIGHT_KEY"))
    line = PlayAsk(reply="a-0", candidate=candidate, messages=({"role": "user", "content": "Hi"},)).model_dump()
    assert PlayAsk.model_validate(json.loads(json.dumps(line))).candidate == candidate and "sk-" not in dumps(
        PlaySpec(run_id="p"))  # fmt: skip
