"""Never pay twice: wherever an answer is lost or the run is killed, the server has one file and one job in the end. Its own
journal is the proof."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from pipeline import rundir
from pipeline.errors import PipelineError, Stopped
from tests import children, managed
from tests.managed import ONCE, server, started
from tests.spoiling import Proxy, Spoil

__all__ = ["server", "started"]
JOBS, FILES = "/fine_tuning/jobs", "/files"


@pytest.mark.heavy
@pytest.mark.parametrize("path", [FILES, JOBS])
@pytest.mark.parametrize("status", [None, 500, 200])
def test_what_was_made_although_its_answer_was_lost_is_found_and_not_asked_for_again(
    path: str, status: int | None, server: str, tmp_path: Path
) -> None:
    with Proxy(server, Spoil("POST", path, status=status, body=b"<html>Bad gateway</html>")) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        ended = managed.run(folder, tmp_path, wanted)
    assert (managed.made(server), len(proxy.asked("POST", path))) == (ONCE, 1)
    assert ended["job_id"] == managed.get(server, "/fine_tuning/jobs")[0]["id"]
    assert (managed.remote(folder)["job"]["reused"], ended["files"]["train"]["reused"]) == (path == JOBS, path == FILES)


@pytest.mark.heavy
@pytest.mark.parametrize("status", [None, 503, 429])
def test_what_was_not_made_is_asked_for_again_after_it_was_looked_for(status: int | None, server: str, tmp_path: Path) -> None:
    spoils = [Spoil("POST", path, passed=False, status=status, times=2) for path in (FILES, JOBS)]
    with Proxy(server, *spoils) as proxy:
        wanted = managed.spec(proxy.url)
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    asked, looked = proxy.asked("POST", JOBS), [at for at in proxy.asked("GET", JOBS)]
    between = [sum(before < at < after for at in looked) for before, after in pairwise(asked)]
    assert (managed.made(server), len(asked)) == (ONCE, 3)
    assert min(between) >= (1 if status == 429 else 3)


@pytest.mark.heavy
def test_a_service_that_asks_for_a_second_gets_it(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("POST", JOBS, passed=False, status=429, headers={"Retry-After": "1"})) as proxy:
        wanted = managed.spec(proxy.url)
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    first, second = proxy.asked("POST", JOBS)
    assert second - first >= 1 and managed.made(server) == ONCE


@pytest.mark.heavy
def test_a_job_that_is_made_long_after_its_answer_was_lost_is_waited_for(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("POST", JOBS, status=None, late=0.4)) as proxy:
        wanted = managed.spec(proxy.url, poll_seconds=0.15)  # so it looks for 0.6 seconds
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    assert (managed.made(server), len(proxy.asked("POST", JOBS))) == (ONCE, 1)


@pytest.mark.heavy
def test_looks_that_fail_or_make_no_sense_never_count_as_finding_nothing(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("POST", JOBS, status=None)) as proxy:
        proxy.spoils.append(Spoil("GET", JOBS, untouched=True))  # the look before anything was asked
        proxy.spoils += [Spoil("GET", JOBS, status=status, body=body) for status, body in (
            (500, b"{}"), (200, b"<html>"), (200, b"{}"), (200, b'{"data": null}'), (429, b"{}"), (None, b""))]  # fmt: skip
        wanted = managed.spec(proxy.url)
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    assert (managed.made(server), len(proxy.asked("POST", JOBS)), sum(one.times for one in proxy.spoils)) == (ONCE, 1, 0)


@pytest.mark.heavy
def test_a_service_that_keeps_no_metadata_still_gets_one_job(server: str, tmp_path: Path) -> None:
    refusal = b'{"detail": [{"loc": ["body", "metadata"], "msg": "extra fields not permitted"}]}'
    with Proxy(server, Spoil("POST", JOBS, passed=False, status=422, body=refusal), Spoil("POST", JOBS, status=None)) as proxy:
        wanted = managed.spec(proxy.url)
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    job = managed.get(server, "/fine_tuning/jobs")[0]
    assert (managed.made(server), "metadata" in job, job["method"]["type"]) == (ONCE, False, "supervised")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("path", "passed"), [(FILES, True), (FILES, False), (JOBS, False), (JOBS, True)],
    ids=["after the upload", "before the upload", "between upload and create", "right after create"],
)  # fmt: skip
def test_a_killed_child_leaves_one_file_and_one_job(path: str, passed: bool, server: str, tmp_path: Path) -> None:
    spoil = Spoil("POST", path, passed=passed, held=True)
    with Proxy(server, spoil) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        child = children.begin_to_kill(folder, tmp_path)
        assert spoil.came.wait(30)
        child.kill()
        child.wait()
        spoil.release.set()
        ended = children.finished(folder, tmp_path)
    assert (ended.outcome, managed.made(server)) == ("done", ONCE), ended
    assert ended.message.startswith("ft:gpt-4o-mini:aimock:")
    assert managed.remote(folder)["job"]["reused"] == (path == JOBS and passed)


@pytest.mark.heavy
def test_a_run_stopped_while_a_job_may_have_been_made_looks_for_it_when_resumed(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("POST", JOBS, status=None)) as proxy:
        wanted = managed.spec(proxy.url, poll_seconds=15)
        folder = managed.prepared(tmp_path, wanted)
        managed.when(proxy.spoils[0].came.is_set, lambda: rundir.ask_to_stop(folder))
        with pytest.raises(Stopped, match="there may be one; resume looks"):
            managed.run(folder, tmp_path, wanted)
        rundir.take_back_stop(folder)
        managed.run(folder, tmp_path, managed.spec(proxy.url))
    assert (managed.made(server), len(proxy.asked("POST", JOBS))) == (ONCE, 1)


@pytest.mark.heavy
def test_a_wish_that_lies_in_the_future_of_a_clock_set_back_is_not_waited_for(server: str, tmp_path: Path) -> None:
    wanted = managed.spec(server)
    folder = managed.prepared(tmp_path, wanted)
    (folder / "remote.json").write_text('{"files": {}, "asked": {"job": {"first": 4e9, "last": 4e9}}}')
    managed.run(folder, tmp_path, wanted)
    assert managed.made(server) == ONCE


@pytest.mark.heavy
def test_a_run_without_its_folder_finds_its_file_and_its_job_again(server: str, tmp_path: Path) -> None:
    wanted = managed.spec(server)
    folder = managed.prepared(tmp_path, wanted)
    first = managed.run(folder, tmp_path, wanted)
    (folder / "remote.json").unlink()
    again = managed.run(folder, tmp_path, wanted)
    assert (managed.made(server), again["job_id"], again["model"]) == (ONCE, first["job_id"], first["model"])


@pytest.mark.heavy
def test_another_run_of_the_same_lines_uploads_nothing_but_asks_for_its_own_job(server: str, tmp_path: Path) -> None:
    for run_id in ("run-1", "run-2"):
        wanted = managed.spec(server, run_id)
        ended = managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    assert (managed.made(server), ended["files"]["train"]["reused"]) == ((1, 2, 1, 2), True)
    assert {job["metadata"]["tunewright_run"] for job in managed.get(server, "/fine_tuning/jobs")} == {"run-1", "run-2"}


@pytest.mark.heavy
def test_a_service_that_never_takes_the_job_ends_the_run_in_words(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("POST", JOBS, passed=False, status=500, times=99)) as proxy:
        wanted = managed.spec(proxy.url, poll_seconds=0.01)
        folder = managed.prepared(tmp_path, wanted)
        with pytest.raises(PipelineError, match="did not take the job, asked 8 times"):
            managed.run(folder, tmp_path, wanted)
    assert (managed.made(server), len(proxy.asked("POST", JOBS))) == ((1, 0, 1, 0), 8)
