"""Calls that go wrong in less usual ways: a server that goes and comes back, that fails at one prompt, or that ignores what it
was asked for; what a kill leaves behind; a judge beside; a local model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipeline import launch, rundir
from pipeline.rundir import Child
from pipeline.specs import Candidate, Endpoint
from pipeline.synthesis import engine, plan, prompts
from tests import chat_server, children
from tests.line import Line
from tests.synthesising import LOOSE, accepted, calls, case, finished, fixtures, reply, spec


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat_server.serving(tmp_path_factory.mktemp("writer"), fixtures(40)) as found:
        yield found


@pytest.mark.slow
def test_a_server_that_is_away_for_some_seconds_is_waited_for(tmp_path: Path) -> None:
    with chat_server.serving(tmp_path / "mock", fixtures(120), "--chaos-latency", "100") as address:
        line = Line(int(urlsplit(address).port or 0))
        folder = children.prepared(tmp_path, spec(f"{line.url}/v1", 120, concurrency=8))
        launch.start(folder, tmp_path)
        children.wait_until(lambda: len(accepted(folder)) >= 20, folder)
        line.cut()
        children.wait_until(lambda: sum(row["outcome"] == "dropped" for row in calls(folder)) >= 9, folder)
        line.mend()
        children.wait_until(lambda: rundir.result(folder) is not None and not rundir.is_alive(folder), folder)
        line.close()
    ended = rundir.result(folder)
    assert ended is not None and (ended.outcome, ended.data["accepted"]) == ("done", 120)
    assert sum(row["outcome"] == "dropped" for row in calls(folder)) <= 2 * (8 + 2) + 5  # not one call a moment all the while


@pytest.mark.heavy
@pytest.mark.parametrize("status", [400, 500])
def test_a_prompt_that_a_server_fails_at_is_set_aside_and_the_others_are_written(status: int, tmp_path: Path) -> None:
    bad = {"match": {"userMessage": case(3)}, "response": {"error": {"message": "too long"}, "status": status}}
    with chat_server.serving(tmp_path / "mock", [bad, *fixtures(6)]) as address:
        _, ended = finished(tmp_path, spec(address, 6, tries=1))
    assert (ended.outcome, ended.data["accepted"], ended.data["reasons"]) == ("done", 5, {"nothing": 1})
    assert ended.message.startswith("5 of 6 examples were accepted; 1 were set aside: 1 without an answer.")


@pytest.mark.heavy
def test_a_server_that_ignores_the_form_is_asked_in_words_and_so_is_it_after_a_kill(tmp_path: Path) -> None:
    chats = [{"match": {"responseFormat": form}, "response": {"content": "Sure! Here you are."}}
             for form in ("json_schema", "json_object")]  # fmt: skip
    with chat_server.serving(tmp_path / "mock", [*chats, *fixtures(6)]) as address:
        folder, ended = finished(tmp_path, spec(address, 6))
        forms = [one["body"].get("response_format", {}).get("type") for one in chat_server.asked(address)]
        (folder / "examples.jsonl").unlink()
        (folder / "calls.jsonl").unlink()
        children.finished(folder, tmp_path)
        later = [one["body"].get("response_format") for one in chat_server.asked(address)[len(forms) :]]
    assert (ended.outcome, ended.data["accepted"], set(later), len(later)) == ("done", 6, {None}, 6)
    assert forms[:4] == ["json_schema", "json_schema", "json_object", "json_object"] and set(forms[4:]) == {None}


@pytest.mark.heavy
def test_a_setting_that_a_server_refuses_is_left_out(tmp_path: Path) -> None:
    error = {"message": "Only the default is supported.", "type": "invalid_request_error", "param": "temperature"}
    # the mock cannot look at settings: it refuses once, as such a server refuses the first call
    once = {"match": {"userMessage": case(0), "sequenceIndex": 0}, "response": {"error": error, "status": 400}}
    with chat_server.serving(tmp_path / "mock", [once, *fixtures(3)]) as address:
        folder, ended = finished(tmp_path, spec(address, 3))
        bodies = [one["body"] for one in chat_server.asked(address)]
    assert ended.data["accepted"] == 3 and [row["outcome"] for row in calls(folder)].count("unstructured") == 1
    assert ["temperature" in body for body in bodies] == [True, False, False, False]


@pytest.mark.heavy
def test_a_model_that_cannot_be_read_at_all_ends_the_run(tmp_path: Path) -> None:
    chats = [{"match": {"userMessage": case(n)}, "response": {"content": f'{{"number": {n}'}} for n in range(40)]
    again = {"match": {"userMessage": "could not be read"}, "response": {"content": "{"}}
    with chat_server.serving(tmp_path / "mock", [again, *chats]) as address:
        folder, ended = finished(tmp_path, spec(address, 40, concurrency=32, tries=3))
    assert ended.outcome == "failed" and "10 replies in a row could not be read" in ended.message
    assert "0 of 40 examples are there." in ended.message and len(calls(folder)) == 2 * engine.UNREADABLE


def unfinished(tmp_path: Path, address: str, rows: list[dict[str, Any]], **more: Any) -> tuple[Path, list[Any]]:
    """A run folder as a kill leaves it: calls are written, their examples are not."""
    asked = spec(address, 4, **more)
    folder, slots = children.prepared(tmp_path, asked), plan.slots(asked)
    with Child(folder) as child:
        for n, row in enumerate(rows):
            child.call({"call": f"c{n}", "slot": slots[n].key, "try": 1, "purpose": "make", "at": 1.0, "seconds": 0.1,
                        "prompt_tokens": 100, "new_tokens": 50, "cost": 0.1, "outcome": "ok", "prompt_sha256": "abc",
                        "reply": None} | row)  # fmt: skip
    return folder, slots


@pytest.mark.heavy
def test_what_a_kill_leaves_behind_is_followed_up_and_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    again = {"match": {"userMessage": "could not be read"}, "response": {"content": json.dumps(reply(1))}}
    with chat_server.serving(tmp_path / "mock", [again, *fixtures(4)]) as address:
        rows = [{"reply": json.dumps(reply(0))}, {"reply": "{I would rather not."}, {"outcome": "cut"}]
        folder, slots = unfinished(tmp_path, address, rows, tries=1)
        ended = children.finished(folder, tmp_path)
        bodies = [one["body"]["messages"] for one in chat_server.asked(address)]
    found = {row["slot"]: row for row in rundir.read_lines(folder / "examples.jsonl")}
    assert [found[slot.key]["state"] for slot in slots] == ["accepted", "accepted", "refused", "accepted"]
    assert [found[slot.key]["prompt_sha256"] for slot in slots[:3]] == ["abc"] * 3
    assert (ended.data["reasons"], ended.data["calls"], len(bodies)) == ({"cut": 1}, 5, 2)
    repair = next(turns for turns in bodies if "could not be read" in turns[-1]["content"])
    assert list(repair[:2]) == list(prompts.render(spec(address, 4), slots[1], [])) and len(repair) == 4


@pytest.mark.heavy
def test_a_judge_is_asked_once_more_for_a_score_and_never_more_at_a_time_than_it_takes(tmp_path: Path) -> None:
    first = {"match": {"systemMessage": "You judge", "turnIndex": 0, "userMessage": "amber amber amber"},
             "response": {"content": "Lovely."}}  # fmt: skip
    scores = {"match": {"systemMessage": "You judge"}, "response": {"content": "Fine.\nScore: 5"}}
    with chat_server.serving(tmp_path / "mock", [first, scores, *fixtures(8)], "--chaos-latency", "50") as address:
        judge = Candidate(model_id="j", name="Judge", endpoint=Endpoint(base_url=address, model="judge", concurrency=1))
        folder, ended = finished(tmp_path, spec(address, 8, tries=1, checks=LOOSE.model_copy(update={"judge": judge})))
    asked = sorted((row for row in calls(folder) if row["purpose"] == "judge"), key=lambda row: row["at"])
    assert (ended.data["accepted"], len(asked)) == (8, 16)
    assert all(before["at"] + before["seconds"] <= after["at"] + 0.01 for before, after in pairwise(asked))


@pytest.mark.slow
def test_a_local_model_writes_several_at_once(with_starter: Path) -> None:
    local = Candidate(model_id="starter", name="Starter", base={"kind": "starter", "ref": "", "name": "Starter"})
    asked = spec("http://x/v1", 4, tries=1, max_new_tokens=24).model_copy(update={"model": local})
    folder, ended = finished(with_starter, asked)
    begun = sorted(row["at"] for row in calls(folder))
    assert (ended.outcome, ended.data["wanted"], ended.data["calls"]) == ("done", 4, 4)
    assert begun[1] - begun[0] > 0.5 > begun[3] - begun[1]
