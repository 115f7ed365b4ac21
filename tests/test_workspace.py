"""One process, one file, nothing acknowledged is ever lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from studio import records, workspace
from studio.errors import StudioError
from studio.migrations import STEPS
from studio.records import Filter
from studio.workspace import Cancelled, Workspace
from tests.conftest import ROOT
from tests.tickets import import_forty

HOLDER = """
import sys, time, pathlib
from studio.migrations import STEPS
from studio.workspace import Workspace
ws = Workspace(pathlib.Path(sys.argv[1]))
print('open', flush=True)
time.sleep(60)
"""
DECIDER = """
import sys, pathlib
from studio import records
from studio.records import Filter
from studio.migrations import STEPS
from studio.workspace import Workspace
ws = Workspace(pathlib.Path(sys.argv[1]))
for n in range(10_000):
    for record in records.page(ws, Filter(), 40):
        press = f"{sys.argv[2]}-{n}-{record.record_id}"
        records.decide(ws, [record.record_id], ("keep", "drop")[n % 2], "ann", batch_id=press)
        print(press, flush=True)
"""


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def presses(ws: Workspace) -> set[str]:
    return {row["batch_id"] for row in ws.rows("select batch_id from decisions")}


def test_a_second_process_gets_one_clear_sentence(tmp_path: Path) -> None:
    holder = child(HOLDER, str(tmp_path / "ws"))
    assert holder.stdout is not None and holder.stdout.readline() == "open\n"
    try:
        with pytest.raises(StudioError, match="already has the workspace"):
            Workspace(tmp_path / "ws")
    finally:
        holder.kill()
        holder.wait()


def test_a_workspace_that_was_killed_opens_again(tmp_path: Path) -> None:
    holder = child(HOLDER, str(tmp_path / "ws"))
    assert holder.stdout is not None and holder.stdout.readline() == "open\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    Workspace(tmp_path / "ws").close()


@pytest.mark.heavy
def test_kill_9_in_the_middle_of_deciding_loses_no_acknowledged_press(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    import_forty(ws)
    ws.close()
    acknowledged: set[str] = set()
    for attempt in range(4):
        process = child(DECIDER, str(tmp_path / "ws"), str(attempt))
        assert process.stdout is not None
        acknowledged |= {process.stdout.readline().strip() for _ in range(15 + 10 * attempt)}
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait()
    ws = Workspace(tmp_path / "ws")
    missing = acknowledged - presses(ws)
    ws.close()
    assert (missing, len(acknowledged) >= 100) == (set(), True)


def test_decisions_that_the_database_lost_come_back_from_the_journal(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    import_forty(ws)
    records.decide(ws, [record.record_id for record in records.page(ws, Filter(), 5)], "drop", "ann", batch_id="b")
    ws.close()
    database = duckdb.connect(str(tmp_path / "ws" / "studio.duckdb"))
    for table in ("decisions", "curation_batches", "journaled"):
        database.execute(f"delete from {table}")
    database.close()
    ws = Workspace(tmp_path / "ws")
    found = records.counts(ws).drop, bool(ws.warnings)
    ws.close()
    assert found == (5, True)


def test_a_write_that_breaks_leaves_nothing_behind(ws: Workspace) -> None:
    import_forty(ws)
    with pytest.raises(ZeroDivisionError), ws.transaction() as transaction:
        transaction.decided(
            "curation_batches", [{"batch_id": "b", "seq": 0, "who": "ann", "what": "x", "undoes": None, "said_at": ws.now()}]
        )
        raise ZeroDivisionError
    assert (ws.value("select count(*) from curation_batches"), ws.root.joinpath("journal.jsonl").exists()) == (0, False)


def test_each_migration_is_recorded(ws: Workspace) -> None:
    assert [(row["number"], row["name"]) for row in ws.rows("select number, name from migrations order by number")] == [
        (number, name) for number, name, _ in STEPS
    ]


def test_a_workspace_of_the_first_schema_keeps_its_records_and_decisions(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    database = duckdb.connect(str(tmp_path / "ws" / "studio.duckdb"))
    database.execute("create table migrations (number integer primary key, name varchar, applied_at timestamp)")
    database.execute("create table journaled (n bigint primary key)")
    database.execute(STEPS[0][2])
    database.execute("insert into migrations values (1, 'first tables', now()::timestamp)")
    database.execute("insert into records values ('r1', 'i1', 2, 'T1', 4, 'late', 1), ('r2', 'i1', 3, 'T2', null, null, 2)")
    turns = json.dumps([{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "On its way."}])
    for record_id, version in (("r1", 1), ("r1", 2), ("r2", 1)):
        row = [record_id, version, turns]
        database.execute("insert into record_versions values (?, ?, ?, 'ann', null, now()::timestamp)", row)
    for seq, decision in ((1, "drop"), (2, "keep")):
        row = [f"d{seq}", seq, decision]
        database.execute("insert into decisions values (?, ?, 'r1', ?, 'ann', 'b', now()::timestamp)", row)
    database.close()
    ws = Workspace(tmp_path / "ws")
    found = [(record.record_id, record.version, record.decision, record.rating) for record in records.page(ws, Filter(), 5)]
    ws.close()
    assert found == [("r1", 2, "keep", 4.0), ("r2", 1, "undecided", None)]


def test_a_workspace_of_a_newer_version_is_refused_in_words(tmp_path: Path) -> None:
    Workspace(tmp_path / "ws").close()
    database = duckdb.connect(str(tmp_path / "ws" / "studio.duckdb"))
    database.execute("insert into migrations values (99, 'later', now()::timestamp)")
    database.close()
    with pytest.raises(StudioError, match="newer Tunewright"):
        Workspace(tmp_path / "ws")


def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "studio.duckdb").write_bytes(b"this is not a database at all" * 400)
    with pytest.raises(StudioError) as caught:
        Workspace(tmp_path / "ws")
    assert caught.value.hint


def test_a_damaged_journal_is_said_aloud_and_set_aside(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    import_forty(ws)
    ids = [record.record_id for record in records.page(ws, Filter(), 3)]
    for record_id in ids:
        records.decide(ws, [record_id], "keep", "ann")
    ws.close()
    path = tmp_path / "ws" / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace('"keep"', '"drop"')
    path.write_text("".join(lines))
    ws = Workspace(tmp_path / "ws")
    found = ["damaged at line 3" in warning for warning in ws.warnings], records.counts(ws).keep
    ws.close()
    assert found == ([True], 3)


def test_a_journal_line_cut_short_by_a_crash_is_taken_off(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    import_forty(ws)
    records.decide(ws, [records.page(ws, Filter(), 1)[0].record_id], "keep", "ann")
    ws.close()
    path = tmp_path / "ws" / "journal.jsonl"
    whole = path.read_text()
    path.write_text(whole + json.dumps({"n": 3})[:5])
    ws = Workspace(tmp_path / "ws")
    found = path.read_text(), ws.warnings
    ws.close()
    assert found == (whole, [])


def test_the_database_is_written_anew_while_others_read_and_they_see_everything(ws: Workspace) -> None:
    import_forty(ws)
    seen: set[int] = set()
    end = threading.Event()

    def read() -> None:
        while not end.is_set():
            seen.add(int(ws.value("select count(*) from records")))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(3):
        ws.rewrite()
    end.set()
    for reader in readers:
        reader.join()
    assert (seen, records.counts(ws).total) == ({40}, 40)


def test_rewriting_is_refused_while_files_are_on_their_way_in(ws: Workspace) -> None:
    side = ws.side("uploads/waiting/x/side.duckdb")
    with pytest.raises(StudioError, match="on their way in"):
        ws.rewrite()
    side.close()


def test_notes_of_blocks_that_are_gone_are_forgotten_while_others_read_and_write(
        ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import_forty(ws)
    ids, seen, end = [record.record_id for record in records.page(ws, Filter(), 40)], set[int](), threading.Event()
    for record_id in ids[:20]:
        records.decide(ws, [record_id], "keep", "ann", f"press-{record_id}")
    monkeypatch.setattr(workspace, "MOST_NOTES", 1)
    before = notes(ws)

    def others() -> None:
        while not end.is_set():
            seen.add(int(ws.value("select count(*) from records")))
            ws.sweep()

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(others) for _ in range(3)]
        for record_id in ids[20:]:
            records.decide(ws, [record_id], "keep", "ann", f"press-{record_id}")
        end.set()
        for one in working:
            one.result(60)
    ws.sweep()
    limit = ws.value("select current_setting('memory_limit')")
    assert (notes(ws) < before, seen, records.counts(ws).keep, limit, list(ws.root.glob("*.tmp/*"))) == \
        (True, {40}, 40, "953.6 MiB", [])


def test_notes_stay_while_files_or_people_read_and_are_forgotten_while_files_wait(
        ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import_forty(ws)
    monkeypatch.setattr(workspace, "MOST_NOTES", 1)
    side = ws.side("uploads/waiting/x/side.duckdb")
    side.execute("create table side.read as select range as n from range(1000)")
    before = notes(ws)
    with ThreadPoolExecutor(1) as other, ws._gate.reading():
        other.submit(ws.sweep).result(60)
    with ThreadPoolExecutor(1) as other:
        reading = other.submit(side.execute, "create table side.more as select sum(range) from range(1000000000000)")
        try:
            while not side.busy:
                time.sleep(0.01)
            ws.sweep()
            during = notes(ws)
        finally:
            while not reading.done():  # a statement that has not begun yet does not hear it
                side.cancel()
                time.sleep(0.01)
        with pytest.raises(Cancelled):
            reading.result(60)
    ws.sweep()
    assert (during >= before, notes(ws) < before, list(ws.root.glob("*.tmp/*"))) == (True, True, [])
    side.close()


def notes(ws: Workspace) -> int:
    return int(ws.value("select sum(approximate_size) from duckdb_eviction_queues()"))


def test_a_deleted_row_leaves_the_file_when_it_is_written_anew(ws: Workspace) -> None:
    import_forty(ws)
    with ws.transaction() as transaction:
        transaction.execute("delete from records")
    ws.rewrite()
    ws.close()
    assert b"T39" not in (ws.root / "studio.duckdb").read_bytes()
