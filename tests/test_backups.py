"""Backups: one moment of a workspace in use, whole and verified; restored byte by byte; by a schedule; whom they still hold."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import spec_place
from pipeline.cluster.remote import Remote
from studio import backups, customers, forgetting, journal, moment, records
from studio.errors import StudioError
from studio.records import Filter
from studio.workspace import Workspace, counts_of
from tests.commands import run, told
from tests.tickets import freeze_forty, import_forty, recorded_evaluation, recorded_training


def digests(root: Path) -> dict[str, str]:
    """Every file of a closed workspace but its database, which a copy writes anew, and its lock."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*"))
            if path.is_file() and not path.name.startswith(("studio.duckdb", "workspace.", "alive.lock", "device.lock"))}


def contents(root: Path) -> dict[str, list[str]]:
    """Every row of every table, as text, in no order."""
    ws = Workspace(root)
    tables = [row["name"] for row in ws.rows("select table_name as name from duckdb_tables() where not internal")]
    found = {name: sorted(map(str, ws.rows(f"select * from {name}"))) for name in tables}
    ws.close()
    return found


@pytest.fixture(scope="module")
def worked_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with records, decisions, a snapshot, a training and an evaluation."""
    ws = Workspace(tmp_path_factory.mktemp("worked") / "ws")
    snapshot = freeze_forty(ws)
    recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    records.decide(ws, [one.record_id for one in records.page(ws, Filter(), 4)], "keep", "ann")
    ws.path("forty.csv").unlink()
    ws.close()
    return ws.root


@pytest.fixture
def worked(tmp_path: Path, worked_home: Path) -> Iterator[Workspace]:
    """A copy of it, open."""
    found = Workspace(Path(shutil.copytree(worked_home, tmp_path / "ws")))
    yield found
    found.close()


def test_a_restored_workspace_has_every_row_and_every_byte(worked: Workspace, tmp_path: Path) -> None:
    made = backups.backup(worked, tmp_path / "away", "ann")
    backups.restore(made.path, tmp_path / "back")
    with worked.transaction() as transaction:
        transaction.execute("delete from backups")  # the note of the backup is younger than what it holds
    worked.close()
    assert (digests(tmp_path / "back"), contents(tmp_path / "back")) == (digests(worked.root), contents(worked.root))


def test_what_is_said_while_the_database_is_copied_is_not_in_it_and_waits_for_nothing(
        worked: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = records.page(worked, Filter(), 1)[0].record_id
    said, written = worked.journal.last, moment._written_once

    def meanwhile(root: Path, models: bool) -> object:
        thread = threading.Thread(target=records.decide, args=(worked, [one], "drop", "ben"))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        return written(root, models)

    monkeypatch.setattr(moment, "_written_once", meanwhile)
    made = backups.backup(worked, tmp_path / "away", "ann")
    manifest = backups.restore(made.path, tmp_path / "back")
    assert worked.journal.last[0] > said[0]
    assert ((manifest.journal, manifest.sha), journal.Journal(tmp_path / "back" / "journal.jsonl").last) == (said, said)
    back = Workspace(tmp_path / "back")
    assert records.get(back, one).decision != "drop"
    back.close()


def test_a_backup_taken_while_eight_people_decide_holds_exactly_the_acts_of_its_moment(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    ids, over = [one.record_id for one in records.page(ws, Filter(), 40)], threading.Event()

    def decides(who: str) -> None:
        while not over.is_set():
            for record_id in ids[:10]:
                records.decide(ws, [record_id], "keep" if len(who) % 2 else "drop", who)

    people = [threading.Thread(target=decides, args=("ann" + "x" * n,)) for n in range(8)]
    for person in people:
        person.start()
    try:
        made = [backups.backup(ws, tmp_path / "away", "ann") for _ in range(2)]
    finally:
        over.set()
        for person in people:
            person.join()
    for one in made:
        back = Path(backups.restore(one.path, tmp_path / one.backup_id) and tmp_path / one.backup_id)
        opened = Workspace(back)
        seqs = {row["seq"] for row in opened.rows("select seq from decisions union select seq from curation_batches")}
        opened.close()
        here = {row["seq"] for row in ws.rows("select seq from decisions union select seq from curation_batches")}
        assert seqs == {seq for seq in here if seq <= one.journal}


def test_the_lines_of_a_run_folder_are_whole_ones_also_where_the_child_is_in_the_middle_of_one(
        worked: Workspace, tmp_path: Path) -> None:
    folder = worked.path("runs/moving")
    folder.mkdir()
    (folder / "outputs.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n{"id": "c", "te')
    (folder / ".status.json.1.tmp").write_text("half")
    made = backups.backup(worked, tmp_path / "away", "ann")
    backups.restore(made.path, tmp_path / "back")
    assert [path.name for path in (tmp_path / "back" / "runs" / "moving").iterdir()] == ["outputs.jsonl"]
    assert (tmp_path / "back" / "runs" / "moving" / "outputs.jsonl").read_text() == '{"id": "a"}\n{"id": "b"}\n'


def test_base_models_and_exports_stay_out_unless_they_are_asked_for(worked: Workspace, tmp_path: Path) -> None:
    worked.path("models/small").mkdir(parents=True)
    worked.path("models/small/config.json").write_text("{}")
    without = backups.verify(backups.backup(worked, tmp_path / "away", "ann").path)
    with_models = backups.verify(backups.backup(worked, tmp_path / "away", "ann", models=True).path)
    assert set(with_models.files) - set(without.files) == {"models/small/config.json"}


def test_nothing_is_left_beside_and_the_file_is_its_owners_alone(worked: Workspace, tmp_path: Path) -> None:
    made = backups.backup(worked, tmp_path / "away", "ann")
    assert [path.name for path in (tmp_path / "away").iterdir()] == [Path(made.path).name]
    assert (list(worked.root.glob(".*")), Path(made.path).stat().st_mode & 0o777) == ([], 0o600)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_changed_byte_is_found_and_nothing_is_restored(worked: Workspace, tmp_path: Path, at: float) -> None:
    path = Path(backups.backup(worked, tmp_path / "away", "ann").path)
    with tarfile.open(path) as tar:
        inside = [member for member in tar if member.size]
    member = inside[int(at * len(inside))]
    with path.open("rb+") as file:
        file.seek(member.offset_data)
        first = file.read(1)
        file.seek(member.offset_data)
        file.write(bytes([first[0] ^ 1]))
    with pytest.raises(StudioError, match="damaged"):
        backups.restore(path, tmp_path / "back")
    assert sorted(one.name for one in tmp_path.iterdir() if "back" in one.name) == []


def test_an_archive_that_was_cut_off_is_no_backup(worked: Workspace, tmp_path: Path) -> None:
    path = Path(backups.backup(worked, tmp_path / "away", "ann").path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StudioError, match="damaged"):
        backups.verify(path)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside-of-everything", "runs/../../outside"])
def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        tar.addfile(info)
    with pytest.raises(StudioError, match="has no place in it"):
        backups.restore(tmp_path / "evil.tar", tmp_path / "back" / "ws")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "evil.tar"]


def test_a_manifest_that_counts_other_rows_is_refused(worked: Workspace, tmp_path: Path) -> None:
    made = backups.backup(worked, tmp_path / "away", "ann")
    backups.archives.unpack(Path(made.path), tmp_path / "open")
    manifest = backups.verify(made.path)
    fewer = manifest.tables | {"records": 39}
    with pytest.raises(StudioError, match="not the one that was packed: records"):
        backups._equals(tmp_path / "open", backups.Manifest(**(vars(manifest) | {"tables": fewer})))


def test_a_folder_that_is_not_empty_stays_as_it_is(worked: Workspace, tmp_path: Path) -> None:
    made = backups.backup(worked, tmp_path / "away", "ann")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(StudioError, match="not empty"):
        backups.restore(made.path, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep me"


def test_a_backup_inside_the_workspace_is_refused(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="inside the workspace"):
        backups.backup(ws, ws.root / "backups", "ann")


def test_a_full_disk_is_said_and_leaves_nothing(worked: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(archive: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups.archives, "verify", full)
    with pytest.raises(StudioError, match="No space left on device"):
        backups.backup(worked, tmp_path / "away", "ann")
    assert (list((tmp_path / "away").iterdir()), list(worked.root.glob(".*")), backups.every(worked)) == ([], [], [])


def test_what_a_process_left_that_died_in_a_backup_goes_with_the_next_one(worked: Workspace, tmp_path: Path) -> None:
    worked.path(".backup-dead/runs").mkdir(parents=True)
    worked.path(".backup-dead/runs/spec.json").write_text("{}")
    backups.backup(worked, tmp_path / "away", "ann")
    assert not worked.path(".backup-dead").exists()


def test_while_somebody_is_being_forgotten_no_backup_is_taken(ws: Workspace, tmp_path: Path) -> None:
    ws.path("forgetting.json").write_text("{}")
    with pytest.raises(StudioError, match="being forgotten"):
        backups.backup(ws, tmp_path / "away", "ann")


def test_backups_from_before_a_forgetting_are_listed_and_later_ones_hold_nothing_of_them(
        worked: Workspace, tmp_path: Path) -> None:
    before = backups.backup(worked, tmp_path / "away", "ann")
    done = forgetting.forget(worked, customers.find(worked, "T7"), customers.find(worked, "T7").own, "ann")
    after = backups.backup(worked, tmp_path / "away", "ann")
    assert [one.backup_id for one in forgetting.in_backups(worked, done)] == [before.backup_id]
    word = b"My tent has the wrong colour."
    assert (word in Path(before.path).read_bytes(), word in Path(after.path).read_bytes()) == (True, False)
    Path(before.path).unlink()
    assert forgetting.in_backups(worked, done) == []


def test_the_commands_back_up_check_and_restore(worked: Workspace, tmp_path: Path) -> None:
    said = told(worked, "backup", str(tmp_path / "away"))["backup"]
    checked = told(worked, "restore", said["path"], "--check")
    back = told(worked, "restore", said["path"], str(tmp_path / "back"))
    again = run(worked, "restore", said["path"], str(tmp_path / "back"))
    assert (said["files"], checked["rows"], back["folder"]) == (checked["files"], back["rows"], str(tmp_path / "back"))
    assert (again.status, "is not empty" in again.err) == (1, True)


def finish(ws: Workspace) -> None:
    for thread in threading.enumerate():
        if thread.name == "backup":
            thread.join(30)


def test_the_schedule_takes_one_when_it_is_due_and_keeps_the_newest(worked: Workspace, tmp_path: Path) -> None:
    clock = worked.now()
    worked.now = lambda: clock
    by_hand = backups.backup(worked, tmp_path / "away", "ann")
    clock += timedelta(minutes=1)
    backups.every_hours(worked, str(tmp_path / "away"), 6, 2, "ann")
    for hours in (0, 1, 5, 1, 6, 6):  # due at 0, 6, 13 and 19 hours
        clock += timedelta(hours=hours)
        backups.keep_up(worked)
        finish(worked)
    own = [one for one in backups.every(worked) if one.scheduled]
    assert (len(own), [one.there for one in own]) == (4, [True, True, False, False])
    assert by_hand.there and backups.every(worked)[-1].backup_id == by_hand.backup_id


def test_a_plan_is_for_the_folder_it_was_said_in_so_a_restored_copy_takes_none(worked: Workspace, tmp_path: Path) -> None:
    backups.every_hours(worked, str(tmp_path / "away"), 6, 1, "ann")
    made = backups.backup(worked, tmp_path / "away", "ann")
    backups.restore(made.path, tmp_path / "back")
    back = Workspace(tmp_path / "back")
    backups.keep_up(back)
    assert (backups.plan(back), backups.due(back), backups.plan(worked) is not None) == (None, None, True)
    back.close()


def test_a_restored_copy_deletes_no_backup_of_the_folder_it_came_from(worked: Workspace, tmp_path: Path) -> None:
    backups.every_hours(worked, str(tmp_path / "away"), 6, 3, "ann")
    backups.keep_up(worked)
    finish(worked)
    backups.restore(backups.backup(worked, tmp_path / "away", "ann").path, tmp_path / "back")
    back = Workspace(tmp_path / "back")
    clock = back.now() + timedelta(hours=7)
    back.now = lambda: clock
    backups.every_hours(back, str(tmp_path / "away"), 6, 1, "ben")
    backups.keep_up(back)
    finish(back)
    found = [(one.scheduled, one.there) for one in backups.every(back)]
    back.close()
    assert found == [(True, True), (True, True)]


def test_a_restored_copy_shares_nothing_on_a_cluster_with_the_workspace_it_came_from(worked: Workspace, tmp_path: Path) -> None:
    elsewhere = worked.path("runs/elsewhere")
    elsewhere.mkdir()
    spec_place.write(elsewhere, spec_place.Place(cluster="lab", address="http://head:8265", storage="/shared"))
    Remote(elsewhere).wish("tunewright-its-job", 1)
    Remote(elsewhere).begin()
    spec_place.note_storage(worked.root, "/shared")
    said = told(worked, "backup", str(tmp_path / "away"))["backup"]
    back = told(worked, "restore", said["path"], str(tmp_path / "back"))
    job = Remote(tmp_path / "back" / "runs" / "elsewhere")
    assert back["left_on_storages"] == [f"/shared/{spec_place.workspace_id(worked.root)}"]
    assert spec_place.workspace_id(tmp_path / "back") != spec_place.workspace_id(worked.root)
    assert (spec_place.used_storages(tmp_path / "back"), job.left, job.submission) == ([], False, "")
    assert Remote(elsewhere).submission == "tunewright-its-job"


def test_a_scheduled_backup_that_fails_is_written_down_and_tried_again_in_an_hour(worked: Workspace, tmp_path: Path) -> None:
    backups.every_hours(worked, str(tmp_path / "away"), 24, 3, "ann")
    (tmp_path / "away").rmdir()
    (tmp_path / "away").write_text("a file where the folder was")
    backups.keep_up(worked)
    finish(worked)
    failed, due = backups.every(worked)[0], backups.due(worked)
    assert (failed.scheduled, "Nothing can be written" in failed.problem, backups.newest(worked)) == (True, True, None)
    assert due is not None and due - failed.taken_at == timedelta(hours=1)


def test_a_decision_between_two_backups_is_in_the_second_alone(worked: Workspace, tmp_path: Path) -> None:
    first = backups.backup(worked, tmp_path / "away", "ann")
    records.decide(worked, [records.page(worked, Filter(), 1)[0].record_id], "drop", "ann")
    second = backups.backup(worked, tmp_path / "away", "ann")
    found = [backups.verify(one.path).tables["decisions"] for one in (first, second)]
    assert found[1] == found[0] + 1


def test_the_copied_database_stands_alone_and_counts_what_the_manifest_says(worked: Workspace, tmp_path: Path) -> None:
    made = backups.backup(worked, tmp_path / "away", "ann")
    manifest = backups.archives.unpack(Path(made.path), tmp_path / "open")
    assert not [name for name in manifest.files if name.endswith(".wal")]
    assert counts_of(tmp_path / "open" / "studio.duckdb") == manifest.tables
    assert json.loads((tmp_path / "open" / "journal.jsonl").read_text().splitlines()[-1])["n"] == manifest.journal
