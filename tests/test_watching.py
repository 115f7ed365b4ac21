"""Folders that are watched: files that come, files that grow, files still being written, and what follows new rows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from studio import alerts, live, log_arrivals, logs, targets, watching, webhooks
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.logs import lines, rows


@pytest.fixture
def folder(ws: Workspace, tmp_path: Path) -> Path:
    found = tmp_path / "production"
    found.mkdir()
    watching.watch(ws, str(found), "ann")
    return found


def counted(ws: Workspace) -> int:
    return int(ws.value("select count(*) from log_rows"))


def rested(path: Path) -> Path:
    """As if it was written a while ago."""
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def test_a_file_that_comes_is_read_once(ws: Workspace, folder: Path) -> None:
    lines(folder / "a.jsonl", rows(20))
    assert [report.rows_added for report in watching.look(ws)] == [20]
    assert watching.look(ws) == []
    (seen,) = watching.folders(ws)
    assert (seen.files, seen.problems, logs.sources(ws)[0].who) == (1, (), "ann")


def test_a_file_that_grows_is_read_on_from_its_last_whole_line(ws: Workspace, folder: Path) -> None:
    path, found = folder / "a.jsonl", rows(10)
    lines(path, found[:4])
    whole = path.read_text()
    watching.look(ws)
    rest = lines(folder / "b.txt", found[4:]).read_text()
    (folder / "b.txt").unlink()
    path.write_text(whole + rest[:-40])
    assert sum(report.rows_in for report in watching.look(ws)) == 5
    path.write_text(whole + rest)
    assert sum(report.rows_in for report in watching.look(ws)) == 1
    assert counted(ws) == 10


def test_a_file_that_was_written_anew_is_read_from_its_beginning(ws: Workspace, folder: Path) -> None:
    lines(folder / "a.jsonl", rows(10))
    watching.look(ws)
    lines(folder / "a.jsonl", rows(12, seed=2))
    watching.look(ws)
    assert counted(ws) == 22


def test_a_table_is_read_when_it_rests(ws: Workspace, folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text("timestamp,prompt,answer\n2026-11-01 10:00:00,Where is it?,Here.\n")
    assert watching.look(ws) == []
    rested(path)
    assert [report.rows_added for report in watching.look(ws)] == [1]


def test_a_file_that_is_no_log_is_said_once_and_the_others_are_read(ws: Workspace, folder: Path) -> None:
    lines(folder / "a.jsonl", [{"colour": "red"}])
    lines(folder / "b.jsonl", rows(5))
    watching.look(ws)
    ((name, problem),) = watching.folders(ws)[0].problems
    assert (name, "no log of a model" in problem, counted(ws)) == ("a.jsonl", True, 5)


def test_new_rows_are_judged_and_told(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(webhooks, "tell", lambda ws, opened: told.extend(one.subject for one in opened))
    targets.say(ws, "thumbs", 0.8, "ann")
    lines(folder / "a.jsonl", rows(300, up=0.5))
    watching.look(ws)
    assert (told, [one.open for one in alerts.every(ws)]) == (["thumbs//"], [True])


def test_the_studios_thread_watches_by_itself(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0.05)
    watching.keep_up(ws)
    lines(folder / "a.jsonl", rows(7))
    deadline = time.monotonic() + 20
    while not counted(ws) and time.monotonic() < deadline:
        time.sleep(0.05)
    with logs.alone:  # it has finished with them
        assert counted(ws) == 7


def test_a_folder_that_cannot_be_watched_is_refused_in_words(ws: Workspace, folder: Path) -> None:
    for path in ("", "/no/such/folder", str(ws.root), str(folder)):
        with pytest.raises(StudioError):
            watching.watch(ws, path, "ann")
    watching.unwatch(ws, watching.folders(ws)[0], "ann")
    assert watching.folders(ws) == []


def test_an_uploaded_log_is_looked_at_corrected_and_read_and_its_file_goes(ws: Workspace, tmp_path: Path) -> None:
    log = lines(tmp_path / "a.jsonl", [{"q1": "Where is my parcel?", "q2": "On its way.", "prompt": "Be kind."}])
    coming = log_arrivals.receive(ws, "a.jsonl", log.read_bytes())
    assert (coming.state, counted(ws), log_arrivals.find(ws, coming.token)) == ("ready", 0, coming)
    log_arrivals.choose(coming, "question", "q1")
    log_arrivals.choose(coming, "answer", "q2")
    log_arrivals.begin(ws, coming, "ann")
    assert coming.finished.wait(30) and coming.state == "done"
    assert ws.rows("select question, answer from log_rows") == [{"question": "Where is my parcel?", "answer": "On its way."}]
    assert list(ws.root.glob("uploads/reading/*")) == [] and live.newest(ws) is None
