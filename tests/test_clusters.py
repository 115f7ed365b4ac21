"""Clusters under a name, where runs are put, and what goes with a run's copies on a storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import device, rundir, spec_place
from pipeline.cluster import here, needs
from pipeline.cluster.remote import Remote
from pipeline.cluster.storage import Storage
from pipeline.errors import PipelineError
from pipeline.spec_look import LookSpec
from pipeline.spec_place import Place
from pipeline.specs import BaseSource, CheckSpec, DedupeSpec, Meaning, TrainSpec, dumps
from studio import clusters, elsewhere, runs
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.ray_cluster import free_port

ADDRESS = "http://head.example:8265"


@pytest.fixture
def farm(ws: Workspace, tmp_path: Path) -> clusters.Cluster:
    return clusters.add(ws, "The farm", ADDRESS, str(tmp_path / "storage"), "anna", workers=2, cpus=4, gpus=1)


def stored(ws: Workspace, run_id: str, place: Place | None = None) -> Path:
    """A check that was never launched: its row and its folder."""
    spec = CheckSpec(run_id=run_id, records=1, to_check=1)
    with elsewhere.at(place), ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "Check", "")
    folder = ws.path(f"runs/{run_id}")
    rundir.prepare(folder, dumps(spec))
    elsewhere.put_down(folder, runs.get(ws, run_id).place)
    return folder


def looked_at(ws: Workspace, cluster: clusters.Cluster, **found: Any) -> None:
    """A look that is done."""
    spec = LookSpec(run_id="look1", place=cluster.place)
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "Look", "")
    rundir.prepare(ws.path("runs/look1"), dumps(spec))
    rundir.note_launch(ws.path("runs/look1"), 0)
    with rundir.Child(ws.path("runs/look1")) as child:
        child.finish("done", "2 nodes.", data={"nodes": [], "jobs": [], "problems": []} | found)


def test_a_cluster_is_kept_under_its_name_and_the_newest_word_counts(ws: Workspace, farm: clusters.Cluster) -> None:
    clusters.add(ws, "The farm", ADDRESS + "/", "s3://bucket/tw", "ben")
    assert clusters.every(ws) == [clusters.Cluster("The farm", ADDRESS, "s3://bucket/tw")]
    clusters.remove(ws, "The farm", "ben")
    assert clusters.every(ws) == []


@pytest.mark.parametrize("storage", ["memory://x", "relative/folder", "https://bucket/x", "s3://key:secret@bucket/x", ""])
def test_a_storage_that_two_machines_do_not_share_is_refused(ws: Workspace, storage: str) -> None:
    with pytest.raises(StudioError) as refused:
        clusters.add(ws, "Farm", ADDRESS, storage, "anna")
    assert "secret" not in refused.value.message and clusters.every(ws) == []


def test_what_is_begun_within_a_place_runs_there_and_what_cannot_stays_here(ws: Workspace, farm: clusters.Cluster) -> None:
    with runs.at(farm.place):
        assert (elsewhere.chosen("train"), elsewhere.chosen("play")) == (farm.place, None)
    folder = stored(ws, "run1", farm.place)
    assert (spec_place.of(folder), runs.get(ws, "run1").where) == (farm.place, "The farm (2 workers, 4 CPUs, 1 GPU each)")
    assert (spec_place.of(stored(ws, "run2")), runs.get(ws, "run2").where) == (None, "")


def test_a_run_that_is_resumed_looks_for_its_cluster_where_it_is_now(ws: Workspace, farm: clusters.Cluster) -> None:
    folder = stored(ws, "run1", farm.place)
    clusters.add(ws, "The farm", "http://moved.example:8265", farm.storage, "ben")
    elsewhere.follow_address(ws, folder)
    moved = spec_place.of(folder)
    clusters.add(ws, "The farm", "http://other.example:8265", "/another/storage", "ben")
    elsewhere.follow_address(ws, folder)
    assert moved == farm.place.model_copy(update={"address": "http://moved.example:8265"}) == spec_place.of(folder)


def test_a_number_that_no_cluster_gives_is_named(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="cpus: input should be greater than 0"):
        clusters.add(ws, "Farm", ADDRESS, "/x", "anna", cpus=0)


def test_a_run_elsewhere_is_not_waited_for_by_one_here(ws: Workspace, farm: clusters.Cluster) -> None:
    there, own = stored(ws, "run1", farm.place), stored(ws, "run2")
    for now, folder in enumerate((there, own)):
        rundir.note_launch(folder, now)
    with rundir.Child(there):
        assert device.started_before(own, lambda spec: True) == []


def test_what_a_cluster_cannot_give_is_said_before_a_run_is_submitted(ws: Workspace, farm: clusters.Cluster) -> None:
    looked_at(ws, farm, nodes=[{"cpus": 2, "gpus": 1}, {"cpus": 4, "gpus": 0}],
              problems=["worker2: the package torch is missing (here 2.9.0)."])
    assert clusters.warnings(ws, farm.place) == [
        "worker2: the package torch is missing (here 2.9.0).", "2 workers need 8 CPUs; the cluster has 6.",
        "2 workers need 2 GPUs; the cluster has 1."]
    assert clusters.warnings(ws, clusters.place(farm, 1, 8, 0))[1:] == ["No node has 8 CPUs; the largest has 4."]


def test_forgetting_deletes_the_copies_on_a_storage_and_keeps_base_models(ws: Workspace, farm: clusters.Cluster) -> None:
    storage = Path(farm.storage) / spec_place.workspace_id(ws.root)
    for name in ("runs/run1/records.jsonl", "snapshots/s1/train.jsonl", "models/base/config.json"):
        (storage / name).parent.mkdir(parents=True)
        (storage / name).write_text("Anna")
    spec_place.note_storage(ws.root, farm.storage)
    runs.forget_copies(ws)
    assert [str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file()] == ["models/base/config.json"]
    assert elsewhere.storages(ws) == []


def test_nobody_is_forgotten_by_half_while_a_storage_is_away(ws: Workspace) -> None:
    spec_place.note_storage(ws.root, "nosuch://bucket/x")
    with pytest.raises(StudioError, match="Copies of texts on a cluster's storage could not be deleted: The storage nosuch"):
        runs.forget_copies(ws)
    clusters.storage_is_gone(ws, "nosuch://bucket/x")
    runs.forget_copies(ws)


def test_a_run_brings_its_files_its_base_and_what_lies_outside(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "potion").mkdir()
    (ws.root / "train.jsonl").touch()
    base = BaseSource(kind="hub", ref="a/b", name="B")
    train = TrainSpec(run_id="r", base=base, train_file="train.jsonl", validation_file="no")
    assert [need.relative for need in needs.of(train, ws.root)] == ["train.jsonl"]
    twins = DedupeSpec(run_id="r", records=1, side="both", meaning=Meaning(kind="model2vec", ref=str(tmp_path / "potion")))
    told = json.loads(needs.told(twins, ws.root))["meaning"]["ref"]
    assert told.startswith("outside/") and told.endswith("-potion")


def test_a_ferry_that_died_before_its_last_word_says_it_when_it_is_resumed(tmp_path: Path) -> None:
    remote = Remote(tmp_path)
    remote.end({"outcome": "done"}, attempt=1)
    assert remote.home_but_unsaid(tmp_path) == {"outcome": "done"}
    (tmp_path / "result.json").write_text('{"attempt": 1}')
    assert Remote(tmp_path).home_but_unsaid(tmp_path) is None


def test_a_job_knows_whether_it_directs_workers_or_does_the_work_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (Place(cluster="f", address=ADDRESS, storage="/x", workers=workers) for workers in (1, 2))
    assert (here.current(), here.spread("check", two), here.spread("train", one), here.spread("train", two)) == (
        None, None, None, two)
    monkeypatch.setenv(here.PLACE, two.model_dump_json())
    assert here.current() == two


def test_a_storage_by_url_shows_whole_files_and_no_parts(tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path}/store")
    storage.write("runs/a/x.jsonl", b"one\ntwo\n")
    (tmp_path / "store/runs/a/.y.1.part").touch()
    assert (list(storage.files("runs")), storage.read("runs/a/x.jsonl", 4), storage.read("gone")) == (
        ["a/x.jsonl"], b"two\n", None)
    storage.remove("runs")
    assert storage.names("") == []


def test_a_storage_whose_package_is_missing_is_said_in_one_sentence() -> None:
    with pytest.raises(PipelineError, match=r"The storage nosuch://x needs a package for nosuch:// that is not installed\."):
        Storage("nosuch://x")


def test_a_cluster_that_does_not_answer_fails_its_look_in_words(ws: Workspace, tmp_path: Path) -> None:
    port = free_port()
    from pipeline.cluster.jobs import Jobs, Unreachable

    with pytest.raises(Unreachable, match=rf"The cluster f cannot be reached at http://127.0.0.1:{port} \(ConnectionError\)\."):
        Jobs(Place(cluster="f", address=f"http://127.0.0.1:{port}", storage="/x")).check()
