"""Runs on a real Ray cluster of two nodes: they end as local ones do, and outlive what they run on."""

from __future__ import annotations

import json
import platform
import shutil
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
from pipeline.cluster.here import own_copy
from pipeline.spec_look import LookSpec
from pipeline.spec_place import Place
from pipeline.specs import CheckSpec
from tests import chat_server, children, synthesising
from tests.ray_cluster import RayCluster, free_port
from tests.test_dedupe import prepared, varied

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def placed(cluster: RayCluster, home: Path, scheme: str = "", **more: Any) -> Place:
    """On the cluster, with a storage for this test alone."""
    return Place(cluster="The farm", address=cluster.address, storage=f"{scheme}{cluster.storage}/{home.name}", **more)


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
    """A model that takes a quarter of a second for an example."""
    replies = synthesising.fixtures(24)
    with chat_server.serving(tmp_path_factory.mktemp("chat"), replies, faults={"latency": [240, 260]}) as found:
        yield found


def written(home: Path, place: Place, server: str, examples: int, run_id: str = "made") -> Path:
    """The folder of a synthesis by a slow model, one example at a time, to be started."""
    folder = children.prepared(home, synthesising.spec(server, examples, run_id, concurrency=1))
    spec_place.write(folder, place)
    return folder


def slots(folder: Path) -> list[str]:
    """The examples that are acknowledged: written down here."""
    return [row["slot"] for row in rundir.read_lines(folder / "examples.jsonl")]


def asked(server: str) -> Counter[str]:
    """How often the model was asked for each."""
    return Counter(one["body"]["messages"][-1]["content"] for one in chat_server.asked(server)
                   if one["body"])  # a request that a kill cut off has none


def notes(folder: Path) -> list[str]:
    return [row["sentence"] for row in rundir.read_lines(folder / "events.jsonl") if row["event"] == "note"]


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


@pytest.fixture(scope="module")
def checked_here(tmp_path_factory: pytest.TempPathFactory) -> tuple[rundir.Result, str]:
    """The end of a check on this machine, and its findings."""
    home = tmp_path_factory.mktemp("here")
    folder = checked(home, None)
    return children.finished(folder, home), (folder / "findings.jsonl").read_text()


def test_a_run_elsewhere_ends_as_a_local_one_and_leaves_no_text_there(
        ray_cluster: RayCluster, tmp_path: Path, checked_here: tuple[rundir.Result, str]) -> None:
    folder = checked(tmp_path, placed(ray_cluster, tmp_path))
    there, (here, findings) = children.finished(folder, tmp_path), checked_here
    assert (there.outcome, there.message, there.data | {"seconds": 0}) == ("done", here.message, here.data | {"seconds": 0})
    assert (folder / "findings.jsonl").read_text() == findings != ""
    assert left_on(ray_cluster.storage / tmp_path.name) == []


def test_a_ferry_that_is_killed_finds_its_job_again_with_a_url_as_storage(
        ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    before = asked(slow_server)
    folder = written(tmp_path, placed(ray_cluster, tmp_path, "file://"), slow_server, 8)
    ferry = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: len(slots(folder)) >= 2, folder)
    ferry.kill()
    ferry.wait()
    ended = children.finished(folder, tmp_path)
    jobs = json.loads((folder / "remote.json").read_text())["submitted"]
    assert (ended.outcome, ended.attempt, len(slots(folder)), jobs) == ("done", 2, 8, 1)
    assert (sum((asked(slow_server) - before).values()), left_on(ray_cluster.storage / tmp_path.name)) == (8, [])


def test_at_a_url_nothing_that_workers_fetched_stays_on_a_node_but_base_models(ray_cluster: RayCluster, tmp_path: Path) -> None:
    place, folder = placed(ray_cluster, tmp_path, "file://", workers=2), prepared(tmp_path, "near", varied(60), chunk_texts=20)
    spec_place.write(folder, place)
    copy = own_copy(f"{place.storage}/{spec_place.workspace_id(tmp_path)}")
    for fetched in ("runs/trained/adapter", "models/base"):  # by a worker of another node, which knows nothing of the end
        (copy / fetched).mkdir(parents=True)
    ended, deadline = children.finished(folder, tmp_path), time.time() + children.PATIENCE_SECONDS
    while (copy / "runs").exists() and time.time() < deadline:
        time.sleep(0.05)
    assert (ended.outcome, [path.name for path in copy.iterdir()]) == ("done", ["models"])
    shutil.rmtree(copy)


def test_a_stop_reaches_the_job_and_resume_goes_on_from_its_examples(
        ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    folder = written(tmp_path, placed(ray_cluster, tmp_path), slow_server, 12)
    launch.start(folder, tmp_path)
    children.wait_until(lambda: len(slots(folder)) >= 2, folder)
    rundir.ask_to_stop(folder)
    stopped = over(folder)
    known = slots(folder)
    assert (stopped.outcome, len(known) < 12) == ("stopped", True)
    ended = children.finished(folder, tmp_path)
    assert (ended.outcome, len(slots(folder)), slots(folder)[: len(known)]) == ("done", 12, known)
    assert left_on(ray_cluster.storage / tmp_path.name) == []


def test_a_job_that_hangs_is_ended_all_the_same(ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    folder = written(tmp_path, placed(ray_cluster, tmp_path), slow_server, 24)
    launch.start(folder, tmp_path)
    children.wait_until(lambda: len(slots(folder)) >= 1, folder)
    job = next(one for one in ray_cluster.processes() if "pipeline.cluster.job" in one.cmdline())
    job.send_signal(signal.SIGSTOP)
    rundir.ask_to_stop(folder)
    assert (over(folder).outcome, len(slots(folder)) < 24) == ("stopped", True)


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


def test_a_look_says_what_each_node_has_and_what_it_lacks(ray_cluster: RayCluster, tmp_path: Path) -> None:
    place = placed(ray_cluster, tmp_path, gpus=4)
    Path(place.storage).mkdir()
    spec = LookSpec(run_id="look1", place=place, packages=("ray", "numpy"), keys=("SOME_API_KEY",))
    folder = children.prepared(tmp_path, spec)
    ended = children.finished(folder, tmp_path)
    nodes = ended.data["nodes"]
    assert [(node["head"], node["cpus"], node["python"], node["reads"], node["writes"]) for node in sorted(
        nodes, key=lambda node: not node["head"])] == [
        (True, 1, platform.python_version(), "", ""), (False, 2, platform.python_version(), "", "")]
    assert ended.data["problems"] == ["Every node: the variable SOME_API_KEY is not set.",
                                      "No node has 4 GPUs; the largest has 0."]
    assert (left_on(Path(place.storage)), ended.message) == ([], "2 nodes, 3 CPUs. 2 things are missing.")


def test_a_node_and_the_head_are_killed_and_the_run_loses_no_example_and_ends_by_itself(
        ray_cluster: RayCluster, tmp_path: Path, slow_server: str) -> None:
    before = asked(slow_server)
    folder = written(tmp_path, placed(ray_cluster, tmp_path, cpus=2), slow_server, 16)
    launch.start(folder, tmp_path)
    children.wait_until(lambda: len(slots(folder)) >= 3, folder)
    known = slots(folder)
    ray_cluster.kill_worker_node()
    children.wait_until(lambda: len(notes(folder)) == 1, folder)
    ray_cluster.kill_head()
    ray_cluster.start_head(cpus=2)
    ended = over(folder)
    ray_cluster.add_worker_node()
    assert (ended.outcome, len(slots(folder)), len(set(slots(folder))), slots(folder)[: len(known)]) == ("done", 16, 16, known)
    assert notes(folder) == [f"The job on The farm died: {why}. It is done again from where it was." for why in (
        "its node died", "the cluster's head was begun anew and no longer knows it")]
    assert sum((asked(slow_server) - before).values()) <= 16 + 1
