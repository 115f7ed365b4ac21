"""Drift checks of the app: begun on logs, run by a real child, read back, told, and forgotten."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import rundir
from studio import alerts, customers, drifts, forgetting, runs, traffic
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.children import collected, wait_until
from tests.drifting import END, bring, frozen, questions
from tests.test_pages import draw, words

TOPIC = "subscription"
pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def drifted_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace: 200 questions this week, 60 of them of a topic that neither the snapshot nor earlier weeks have."""
    folder = tmp_path_factory.mktemp("drifted")
    ws = Workspace(folder / "ws")
    snapshot = frozen(ws, questions(400, 1, but=TOPIC))
    new = [f"{text} Karla Quint" for text in questions(60, 3, only=TOPIC)]
    bring(ws, folder, [questions(140, 2, but=TOPIC) + new, *(questions(130, 4 + back, but=TOPIC) for back in range(3))])
    collected(ws, drifts.start(ws, snapshot, weeks=3))
    ws.close()
    return ws.root


@pytest.fixture
def drifted(tmp_path: Path, drifted_home: Path) -> Iterator[Workspace]:
    found = Workspace(Path(shutil.copytree(drifted_home, tmp_path / "ws")))
    yield found
    found.close()


def newest(ws: Workspace) -> drifts.Found:
    found = drifts.newest(ws)
    assert found is not None
    return found


def test_a_check_finds_the_new_topic_and_shows_questions_of_it(drifted: Workspace) -> None:
    found = newest(drifted)
    shown = [row["question"] for row in traffic.every(drifted, found.row_ids[:10])]
    assert found.drifted and found.topics[0].kind == "new" and all("box" in text for text in shown)


def test_it_is_held_against_the_training_data_and_the_weeks_before(drifted: Workspace) -> None:
    assert [(part.what, part.against, part.drifted) for part in newest(drifted).parts] == [
        ("questions", "training", True), ("questions", "before", True), ("answers", "before", False)]


def test_no_copy_of_a_text_stays_in_the_run_folder(drifted: Workspace) -> None:
    folder = drifted.path(runs.get(drifted, newest(drifted).run_id).folder)
    kept = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert not (folder / "texts.parquet").exists() and "trail box for" not in kept


def test_drift_opens_one_alert_with_its_rows(drifted: Workspace) -> None:
    for _ in range(2):
        drifts.keep_up(drifted)
    found = newest(drifted)
    assert [(one.kind, one.sentence, one.row_ids) for one in alerts.every(drifted)] == [
        ("drift", found.sentence, found.row_ids[:20])]


def test_a_week_later_it_is_checked_again_by_itself_and_the_alert_is_over(drifted: Workspace) -> None:
    drifts.keep_up(drifted)
    later = [questions(200, 30 + back, but=TOPIC) for back in range(2)]
    with drifted.transaction() as transaction:  # as if the odd week had never been
        transaction.execute("delete from log_rows where happened_at > ?", [END - timedelta(days=6, hours=23)])
    bring(drifted, drifted.root.parent, later, moved=timedelta(days=7))
    drifts.keep_up(drifted)
    collected(drifted, runs.every(drifted, "drift")[0].run_id)
    drifts.keep_up(drifted)
    assert (len(runs.every(drifted, "drift")), newest(drifted).drifted, alerts.every(drifted)[0].open) == (2, False, False)


def test_forgetting_takes_rows_and_names_out_of_what_was_found(drifted: Workspace) -> None:
    found = newest(drifted)
    hers = {row["row_id"] for row in drifted.rows("select row_id from log_rows where question ilike '%Karla Quint%'")}
    assert hers & set(found.row_ids) and "quint" in str(found.topics)
    record_id = drifted.value("select min(record_id) from record_now")
    forgetting.forget(drifted, customers.Customer((), ("Karla Quint",), ("karla quint",), (), ()), [record_id], "eve")
    kept = drifted.path(runs.get(drifted, found.run_id).folder) / "result.json"
    left = str(newest(drifted).data) + kept.read_text()
    assert not any(row_id in left for row_id in hers) and "quint" not in left.lower()


def test_too_few_questions_are_said(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, tmp_path, [questions(5, 1)])
    with pytest.raises(StudioError, match="Only 5 questions"):
        drifts.start(ws)


def test_nothing_to_compare_with_is_said(ws: Workspace, tmp_path: Path) -> None:
    bring(ws, tmp_path, [questions(50, 1)])
    with pytest.raises(StudioError, match="nothing to compare with"):
        drifts.start(ws)


def test_a_check_that_was_killed_goes_on_and_says_the_same(drifted: Workspace) -> None:
    run_id = drifts.start(drifted, weeks=3)
    folder = drifted.path(f"runs/{run_id}")
    wait_until(lambda: rundir.status(folder) is not None, folder)
    os.kill(int(drifted_pid(folder)), signal.SIGKILL)
    wait_until(lambda: runs.get(drifted, run_id).state == "lost", folder)
    runs.resume(drifted, run_id)
    assert collected(drifted, run_id).state == "done" and newest(drifted).drifted


def drifted_pid(folder: Path) -> str:
    """The process whose arguments name the folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder.resolve()).encode() in path.read_bytes():
                return path.parent.name
        except OSError:
            continue
    raise AssertionError("no child works on it")


def test_vectors_of_a_chosen_way_of_meaning_are_taken(drifted: Workspace) -> None:
    run = collected(drifted, drifts.start(drifted, weeks=1, meaning=runs.Meaning(kind="tfidf")))
    assert (run.state, newest(drifted).run_id, newest(drifted).drifted) == ("done", run.run_id, True)


def test_the_runs_page_leads_to_what_a_check_found(drifted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    root, run_id = drifted.root, newest(drifted).run_id
    drifted.close()
    monkeypatch.setenv("STUDIO_WORKSPACE", str(root))
    page = draw("runs", run=run_id)
    assert not page.exception and "Open what drifted" in [button.label for button in page.button]


def test_every_number_opens_to_its_rows(drifted: Workspace) -> None:
    found = newest(drifted)
    names = ["topic-0", "unlike-0", "language-en", "refusals", "topic-99", "nonsense"]
    assert [len(drifts.rows_of(found, name)[1]) > 0 for name in names] == [True, True, True, False, False, False]


def test_the_page_says_what_drifted_and_sends_its_rows(drifted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = newest(drifted).sentence
    root = drifted.root
    drifted.close()
    monkeypatch.setenv("STUDIO_WORKSPACE", str(root))
    page = draw("monitor", view="Drift")
    said = words(page).replace("\\", "")
    assert not page.exception and sentence in said and any("to the label queue" in button.label for button in page.button)
