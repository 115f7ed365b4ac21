"""Runs on a real Ray cluster of two nodes: they end as local ones do, and outlive what they run on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import launch, rundir, spec_place
from pipeline.spec_place import Place
from pipeline.specs import Candidate, CheckSpec, Decoding, Endpoint, EvaluateSpec
from tests import chat_server, children
from tests.ray_cluster import RayCluster, free_port

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def placed(cluster: RayCluster, **more: Any) -> Place:
    return Place(**({"cluster": "The farm", "address": cluster.address, "storage": str(cluster.storage)} | more))


def checked(home: Path, place: Place | None, run_id: str = "check1", records: int = 40, **more: Any) -> Path:
    """The folder of a check of records, to be started."""
    spec = CheckSpec(run_id=run_id, records=records, to_check=records, workers=1, **more)
    folder = children.prepared(home, spec)
    lines = [{"id": f"r{n}", "people": [], "own": [], "look": True, "messages": [
        {"role": "user", "content": f"My order {n} is late, write to anna{n}@mail.example"},
        {"role": "assistant", "content": f"Parcel {n} is on its way."}]} for n in range(records)]
    (folder / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    if place:
        spec_place.write(folder, place)
    return folder


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model that takes a third of a second for an answer."""
    answer = [{"match": {"userMessage": ""}, "response": {"content": "On its way."}}]
    with chat_server.serving(tmp_path_factory.mktemp("chat"), answer, faults={"latency": [300, 350]}) as found:
        yield found


def evaluated(home: Path, place: Place, server: str, items: int = 24) -> Path:
    """The folder of an evaluation of a slow endpoint, one question at a time, to be started."""
    children.write_examples(home / "items.jsonl", [(f"i{n}", f"Where is parcel {n}?", "On its way.") for n in range(items)])
    endpoint = Candidate(model_id="slow", name="Slow", endpoint=Endpoint(base_url=server, model="slow", concurrency=1))
    spec = EvaluateSpec(run_id="evaluation", items_file="items.jsonl", candidates=(endpoint,), metrics=("exact_match",),
                        decoding=Decoding(max_new_tokens=8), likelihood=False)
    folder = children.prepared(home, spec)
    spec_place.write(folder, place)
    return folder


def answered(folder: Path) -> list[str]:
    return [row["item_id"] for row in rundir.read_lines(folder / "outputs.jsonl")]


def asked(server: str) -> Counter[str]:
    return Counter(one["body"]["messages"][-1]["content"] for one in chat_server.asked(server))


def over(folder: Path) -> rundir.Result:
    """The end of a run that was started before."""
    deadline = time.time() + children.PATIENCE_SECONDS
    while (ended := rundir.result(folder)) is None or rundir.is_alive(folder):
        assert time.time() < deadline, rundir.log_tail(folder)
        time.sleep(0.05)
    return ended


def left_on(storage: Path) -> list[str]:
    return [str(path) for path in storage.rglob("*") if path.is_file() and "models" not in path.parts
            and path.name != ".put.json"]


@pytest.mark.parametrize("storage", ["{folder}", "file://{folder}/by-url"])
def test_a_run_elsewhere_ends_as_a_local_one_and_leaves_no_text_there(
        ray_cluster: RayCluster, tmp_path: Path, storage: str) -> None:
    place = placed(ray_cluster, storage=storage.format(folder=ray_cluster.storage))
    there = children.finished(checked(tmp_path, place, "there"), tmp_path)
    here = children.finished(checked(tmp_path, None, "here"), tmp_path)
    found = [(tmp_path / f"runs/{name}/findings.jsonl").read_text() for name in ("there", "here")]
    assert (there.outcome, there.message, there.data | {"seconds": 0}) == ("done", here.message, here.data | {"seconds": 0})
    assert (found[0] == found[1] != "", left_on(ray_cluster.storage)) == (True, [])


def test_a_node_that_is_killed_takes_no_answer_with_it_and_the_run_ends_by_itself(
        ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    folder = evaluated(tmp_path, placed(ray_cluster, cpus=2), slow_server)
    launch.start(folder, tmp_path)
    children.wait_until(lambda: len(answered(folder)) >= 4, folder)
    known = answered(folder)
    ray_cluster.kill_worker_node()
    ray_cluster.add_worker_node()
    ended = over(folder)
    notes = [row["sentence"] for row in rundir.read_lines(folder / "events.jsonl") if row["event"] == "note"]
    assert (ended.outcome, len(answered(folder)), answered(folder)[: len(known)]) == ("done", 24, known)
    assert notes == ["The job on The farm died: its node died. It is done again from where it was."]
    assert max(asked(slow_server)[f"Where is parcel {name[1:]}?"] for name in known) == 1


def test_a_ferry_that_is_killed_finds_its_job_again(ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    before = asked(slow_server)
    folder = evaluated(tmp_path, placed(ray_cluster), slow_server, items=12)
    ferry = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: len(answered(folder)) >= 2, folder)
    ferry.kill()
    ferry.wait()
    ended = children.finished(folder, tmp_path)
    again = asked(slow_server) - before
    jobs = json.loads((folder / "remote.json").read_text())["submitted"]
    assert (ended.outcome, ended.attempt, len(answered(folder)), max(again.values()), jobs) == ("done", 2, 12, 1, 1)


def test_a_stop_reaches_the_job_and_resume_goes_on_from_its_answers(
        ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    folder = evaluated(tmp_path, placed(ray_cluster), slow_server, items=16)
    launch.start(folder, tmp_path)
    children.wait_until(lambda: len(answered(folder)) >= 2, folder)
    rundir.ask_to_stop(folder)
    stopped = over(folder)
    known = answered(folder)
    assert (stopped.outcome, len(known) < 16, left_on(ray_cluster.storage)) == ("stopped", True, [])
    ended = children.finished(folder, tmp_path)
    assert (ended.outcome, len(answered(folder)), answered(folder)[: len(known)]) == ("done", 16, known)


def test_a_job_that_hangs_is_ended_all_the_same(ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    folder = evaluated(tmp_path, placed(ray_cluster), slow_server)
    launch.start(folder, tmp_path)
    children.wait_until(lambda: len(answered(folder)) >= 1, folder)
    job = next(one for one in ray_cluster.processes() if "pipeline.cluster.job" in one.cmdline())
    job.send_signal(signal.SIGSTOP)
    rundir.ask_to_stop(folder)
    assert (over(folder).outcome, len(answered(folder)) < 24) == ("stopped", True)


def test_a_cluster_that_cannot_be_reached_is_said_in_one_sentence(tmp_path: Path) -> None:
    place = Place(cluster="The farm", address=f"http://127.0.0.1:{free_port()}", storage=str(tmp_path / "storage"))
    ended = children.finished(checked(tmp_path, place), tmp_path)
    assert (ended.outcome, ended.message) == (
        "failed", f"The cluster The farm cannot be reached at {place.address} (ConnectionError).")


def test_a_node_with_another_python_says_so(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-m", "pipeline.cluster.job", str(tmp_path), "run1", "--python", "3.99"],
                          capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout.split(" has ")[1]) == (3, (
        f"Python {sys.version_info[0]}.{sys.version_info[1]}, the studio 3.99.\tStart Ray there from an environment with "
        "Python 3.99.\n"))
