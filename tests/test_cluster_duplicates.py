"""The search for duplicates in steps, and on a cluster: the copies and pairs are those of one machine, whatever dies."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rundir, specs
from pipeline.cluster import here
from pipeline.cluster.far_shelf import FarShelf
from pipeline.dedupe import candidates, engine, every
from pipeline.dedupe.sharded.parts import Search, Sizes
from pipeline.dedupe.sharded.search import Steps
from pipeline.dedupe.sharded.shelf import Shelf, Told
from pipeline.rundir import Child
from pipeline.spec_place import Place
from pipeline.specs import Meaning
from tests import children
from tests.ray_cluster import RayCluster
from tests.test_dedupe import PLAIN, WILD, prepared, varied

SMALL = Sizes(texts=25, band=40, pairs=150, shingles=200)
PATTERN = st.builds("please send order {} again to {} street today because it never came here at all {}".format,
                    st.integers(0, 40), st.sampled_from("ab"), st.sampled_from(("", "now", "thanks")))
ANSWERS = ("Yes.", "No, it is on its way to you.", "")


def in_order(work: Any, jobs: Sequence[tuple[Any, ...]]) -> Iterable[Told]:
    return (work(*job) for job in jobs)


def in_steps(folder: Path, do: Any = in_order, shelf: type[Shelf] = Shelf) -> dict[str, Any]:
    """The search of a run folder, its steps done one after the other; what it says of near pairs."""
    name = ".work" if shelf is FarShelf else "work"
    spec, kept = specs.read(folder), shelf(folder / name, folder / "texts.parquet")
    parts = pq.ParquetFile(kept.texts()).num_row_groups
    steps = Steps(Child(folder), Search(kept, parts, spec.near_floor, spec.side == "both", SMALL), do)
    steps.read(spec.records)
    near, told = steps.near()
    steps.tell(near, [], folder / "copies.parquet", folder / "pairs.parquet")
    return told


def tables(folder: Path) -> tuple[list[Any], list[Any]]:
    return tuple(pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("copies", "pairs"))  # type: ignore[return-value]


@settings(deadline=None, max_examples=15)
@given(st.lists(WILD | PLAIN, max_size=12), st.lists(PATTERN, max_size=70), st.sampled_from((0, 50_000)), st.booleans(),
       st.randoms(use_true_random=False))
def test_steps_find_the_copies_and_pairs_of_the_local_engine_and_leave_out_as_many(
        wild: list[str], alike: list[str], most: int, both: bool, dice: Any) -> None:
    said = [*wild, *alike, *alike[:3]]
    dice.shuffle(said)
    others = None if both else [ANSWERS[n % 3] for n in range(len(said))]
    home = Path(tempfile.mkdtemp())
    with mock.patch.object(every, "MOST_TEXTS", most), mock.patch.object(candidates, "PAIRS_A_BAND", 1):
        local, sharded = (prepared(home, name, said, others, workers=1, chunk_texts=9) for name in ("local", "sharded"))
        data = engine.run(Child(local), specs.read(local), home)
        told = in_steps(sharded)
        assert told == {key: data[key] for key in told}
        assert tables(sharded) == tables(local)
    shutil.rmtree(home)


def test_a_crowd_in_several_ranges_is_bounded_as_it_is_in_one(tmp_path: Path) -> None:
    said = [f"please send order {n} again to my street today because it never came here" for n in range(120)]
    local, sharded = (prepared(tmp_path, name, said, workers=1, chunk_texts=50) for name in ("local", "sharded"))
    with mock.patch.object(every, "MOST_TEXTS", 0), mock.patch.object(candidates, "PAIRS_A_BAND", 1):
        data = engine.run(Child(local), specs.read(local), tmp_path)
        told = in_steps(sharded)
    assert (told["crowded"], told["uncompared"] > 0, told["near_left_out"] > 0) == (120, True, True)
    assert (told, tables(sharded)) == ({key: data[key] for key in told}, tables(local))


def test_what_earlier_steps_kept_is_not_done_again(tmp_path: Path) -> None:
    folder, done = prepared(tmp_path, "again", varied(60), chunk_texts=20), []

    def until(last: int) -> Any:
        def do(work: Any, jobs: Sequence[tuple[Any, ...]]) -> Iterable[Told]:
            for job in jobs:
                if len(done) == last:
                    raise KeyboardInterrupt
                done.append(job[1])
                yield work(*job)

        return do

    with mock.patch.object(every, "MOST_TEXTS", 0):
        for last in (2, 9, 40, -1):
            try:
                in_steps(folder, do=until(last))
            except KeyboardInterrupt:
                continue
    assert (len(done), len(tables(folder)[1]) > 3) == (len(set(done)), True)


def test_at_a_url_a_node_fetches_what_it_lacks_and_nothing_is_left_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                         ) -> None:
    storage = tmp_path / "storage"
    local = prepared(tmp_path, "far", varied(60), [ANSWERS[n % 3] for n in range(60)], chunk_texts=20)
    engine.run(Child(local), specs.read(local), tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "node"))
    monkeypatch.setenv(here.HOME, f"file://{storage}")
    shutil.copytree(local, storage / "runs" / "far")
    folder = here.fetched("runs/far")
    seen = FarShelf(folder / ".work", folder / "texts.parquet")

    def on_bare_nodes(work: Any, jobs: Sequence[tuple[Any, ...]]) -> Iterable[Told]:
        for job in jobs:
            shutil.rmtree(seen.folder, ignore_errors=True)
            seen.file.unlink(missing_ok=True)
            yield work(*job)

    in_steps(folder, on_bare_nodes, FarShelf)
    assert tables(folder) == tables(local)
    seen.clear()
    assert not (storage / "runs" / "far" / "work").exists()
    here.fetched("models/base").mkdir(parents=True)
    here.fetched("snapshots").mkdir()
    here.clear(f"file://{storage}", "far", others=True)
    assert sorted(path.name for path in here.root().glob("[!.]*") if path.is_dir()) == ["models", "runs", "snapshots"]
    assert not folder.exists() and not (here.root() / "runs" / "far").exists()
    here.clear(f"file://{storage}", "far", others=False)
    assert [path.name for path in here.root().iterdir()] == ["models"]


# On a cluster -----------------------------------------------------------------------------------------------------------

@pytest.fixture
def elsewhere(ray_cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayCluster:
    """Children of this test are drivers on the cluster, with two workers."""
    place = Place(cluster="two", address=ray_cluster.address, storage=str(tmp_path), workers=2)
    monkeypatch.setenv(here.PLACE, place.model_dump_json())
    monkeypatch.setenv(here.HOME, str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{ray_cluster.gcs_port}")
    return ray_cluster


def at_home(folder: Path, home: Path) -> dict[str, Any]:
    """The same search on this machine, in this process."""
    own = home / "runs" / f"{folder.name}-home"
    shutil.copytree(folder, own)
    with mock.patch.dict(os.environ):
        del os.environ[here.PLACE]
        return engine.run(Child(own), specs.read(own), home) | {"tables": tables(own)}


def workers_at_work() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["name"]) if (one.info["name"] or "").startswith("ray::_alone")]


@pytest.mark.slow
@pytest.mark.alone
def test_on_a_cluster_a_killed_worker_and_a_stop_change_no_pair(elsewhere: RayCluster, tmp_path: Path) -> None:
    folder = prepared(tmp_path, "near", varied(6_000), [ANSWERS[n % 3] for n in range(6_000)], chunk_texts=100)
    local = at_home(folder, tmp_path)
    child = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: len(list((folder / "work").glob("part-*"))) > 3 and bool(workers_at_work()), folder)
    workers_at_work()[0].send_signal(signal.SIGKILL)
    children.wait_until(lambda: len(list((folder / "work").glob("part-*"))) > 10, folder)
    rundir.ask_to_stop(folder)
    child.wait(timeout=60)
    stopped, kept = rundir.result(folder), len(list((folder / "work").iterdir()))
    rundir.take_back_stop(folder)
    ended = children.finished(folder, tmp_path)
    assert (stopped and stopped.outcome, kept > 10, ended.outcome, ended.data["workers"]) == ("stopped", True, "done", 2)
    assert tables(folder) == local["tables"]
    assert {key: ended.data[key] for key in local.keys() - {"tables", "seconds"}} == {
        key: local[key] for key in local.keys() - {"tables", "seconds"}}
    assert not (folder / "work").exists()


@pytest.mark.slow
@pytest.mark.alone
def test_on_a_cluster_twins_by_meaning_are_those_of_one_machine(elsewhere: RayCluster, tmp_path: Path) -> None:
    folder = prepared(tmp_path, "meaning", varied(60), meaning=Meaning())
    local, ended = at_home(folder, tmp_path), children.finished(folder, tmp_path)
    assert (ended.outcome, len(tables(folder)[1]) > 5) == ("done", True)
    assert [(row["kind"], row["a"], row["b"], pytest.approx(row["similarity"], abs=1e-5)) for row in tables(folder)[1]] == [
        (row["kind"], row["a"], row["b"], row["similarity"]) for row in local["tables"][1]]
