"""What goes out comes back the same; what comes from elsewhere is checked whole before anything is kept."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from studio import adoption, cards, comparison, intake, manifests, records, runs, snapshot_exports, snapshots
from studio.columns import Choices
from studio.errors import StudioError
from studio.records import Filter
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.workspace import Workspace
from tests import children, hub
from tests.tickets import COLUMNS, freeze_forty, import_forty, write_csv

THREADS = [
    {"messages": [turn for k in range(1 + n % 3) for turn in (
        {"role": "user", "content": f"Frage {n}.{k}: wo ist, \"mein\" Paket;\nNummer {n}?"},
        {"role": "assistant", "content": f"Antwort {n}.{k}\n\nmit Absatz, €{n}"})]}
    for n in range(30)
]  # fmt: skip


@pytest.fixture
def threads(ws: Workspace, tmp_path: Path) -> tuple[Workspace, Snapshot]:
    """Thirty conversations of one to three questions."""
    path = tmp_path / "threads.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in THREADS), encoding="utf-8")
    preview = intake.preview(ws, path)
    intake.import_file(ws, path, path.name, preview.choices)
    return ws, snapshots.freeze(ws, "Threads", Recipe())


def frozen_talk(ws: Workspace, snapshot: Snapshot) -> list[list[dict[str, str]]]:
    return sorted((item.messages for item in snapshots.items(ws, snapshot, "train")), key=str)


def brought_in(folder: Path, path: Path) -> list[list[dict[str, str]]]:
    """What the Import page's readers make of a file, with the choices they guess."""
    other = Workspace(folder)
    choices = intake.preview(other, path).choices
    intake.import_file(other, path, path.name, choices)
    found = [record.messages for record in records.page(other, Filter(), 1000)]
    other.close()
    return sorted(found, key=str)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


WAYS: dict[str, Callable[[Workspace, Snapshot], str | bytes]] = {
    "jsonl": lambda ws, snapshot: snapshot_exports.chat(ws, snapshot, "train"),
    "parquet": lambda ws, snapshot: snapshot_exports.table(ws, snapshot, "train"),
    "csv": lambda ws, snapshot: snapshot_exports.sheet(ws, snapshot, "train"),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_what_was_exported_comes_back_as_the_same_conversations(
    threads: tuple[Workspace, Snapshot], tmp_path: Path, way: str
) -> None:
    ws, snapshot = threads
    path = written(tmp_path / f"out.{way}", WAYS[way](ws, snapshot))
    assert brought_in(tmp_path / "other", path) == frozen_talk(ws, snapshot)


@pytest.mark.parametrize("way", list(WAYS))
def test_single_questions_come_back_too(ws: Workspace, tmp_path: Path, way: str) -> None:
    snapshot = freeze_forty(ws)
    path = written(tmp_path / f"out.{way}", WAYS[way](ws, snapshot))
    assert brought_in(tmp_path / "other", path) == frozen_talk(ws, snapshot)


def test_every_answer_has_a_weight_and_earlier_ones_weigh_nothing_where_asked(threads: tuple[Workspace, Snapshot]) -> None:
    ws, snapshot = threads
    lines = {
        last: [json.loads(line)["messages"] for line in snapshot_exports.chat(ws, snapshot, "train", last).splitlines()]
        for last in (False, True)
    }
    weights = {last: [[turn["weight"] for turn in talk[2::2]] for talk in found] for last, found in lines.items()}
    assert all(set(one) == {1} for one in weights[False])
    assert all(one == [0] * (len(one) - 1) + [1] for one in weights[True])


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"question {n} here", f'=HYPERLINK("http://evil/{n}")', "5", "x") for n in range(20)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS))
    text = snapshot_exports.sheet(ws, snapshots.freeze(ws, "s", Recipe()), "train")
    assert (text.count("'=HYPERLINK"), text.count(",=HYPERLINK")) == (16, 0)


def test_the_zip_is_a_folder_that_names_its_parts_for_datasets(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    with zipfile.ZipFile(io.BytesIO(snapshot_exports.zipped(ws, snapshot))) as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        readme = archive.read(f"{snapshot.snapshot_id}/README.md").decode()
        files = [archive.read(f"{snapshot.snapshot_id}/data/{split}.parquet") for split in SPLITS]
    tables = [parquet.read_table(io.BytesIO(file)) for file in files]
    assert names == {"README.md", "manifest.json", *(f"data/{split}.parquet" for split in SPLITS)}
    head = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train.parquet\n"
    assert readme.startswith(head)
    assert [table.num_rows for table in tables] == [20, 6, 12] and tables[0].column_names == ["id", "messages"]


def test_without_a_token_nothing_is_pushed_and_the_sentence_says_why(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(StudioError, match="HF_TOKEN is not set"):
        snapshot_exports.push(ws, freeze_forty(ws), "me/tickets")


def test_a_name_that_is_none_is_refused(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(StudioError, match="not the name of a data set"):
        snapshot_exports.push(ws, freeze_forty(ws), "../tickets")


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that load models in this process leave it offline, and children have its environment."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.heavy
@pytest.mark.usefixtures("online")
def test_a_hub_that_cannot_be_reached_is_a_sentence_without_the_token(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    run = children.collected(ws, snapshot_exports.push(ws, freeze_forty(ws), "me/tickets"))
    told = "".join(path.read_text() for path in ws.path(run.folder).iterdir() if path.is_file())
    assert (run.state, "could not be reached" in told, "hf_secret" in told) == ("failed", True, False)


@pytest.mark.heavy
@pytest.mark.usefixtures("online")
def test_what_is_to_be_private_never_goes_into_a_data_set_that_everybody_sees(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with hub.serving() as (address, asked):
        monkeypatch.setenv("HF_ENDPOINT", address)
        run = children.collected(ws, snapshot_exports.push(ws, freeze_forty(ws), "me/public"))
    assert run.result and "there already, for everybody to see" in run.result.message
    assert [path for path, _ in asked if "upload" in path or "commit" in path] == []


@pytest.mark.heavy
@pytest.mark.usefixtures("online")
def test_a_push_that_failed_keeps_its_lines_to_go_on_until_somebody_is_forgotten(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    run = children.collected(ws, snapshot_exports.push(ws, freeze_forty(ws), "me/tickets"))
    before = ws.path(f"{run.folder}/dataset/data/train.parquet").is_file()
    runs.forget_copies(ws)
    runs.resume(ws, run.run_id)
    again = children.collected(ws, run.run_id)
    assert (before, ws.path(f"{run.folder}/dataset").exists()) == (True, False)
    assert again.result and "The folder that was to go is gone." in again.result.message


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A snapshot's folder, as another workspace froze it."""
    other = Workspace(tmp_path / "other")
    snapshot = freeze_forty(other)
    folder = tmp_path / "copied"
    shutil.copytree(other.path(snapshot.folder), folder)
    other.close()
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def test_a_folder_from_elsewhere_becomes_the_same_snapshot(ws: Workspace, elsewhere: Path) -> None:
    snapshot = adoption.adopt(ws, elsewhere, "Theirs")
    snapshots.verify(ws, snapshot)
    card = cards.get(ws, snapshot.snapshot_id)
    assert (snapshot.name, snapshot.train, len(snapshots.items(ws, snapshot, "test"))) == ("Theirs", 20, 12)
    assert snapshot.snapshot_id == manifests.snapshot_id((elsewhere / "manifest.json").read_text())
    assert card and (card.known_here, card.leaks) == (False, None)


def test_adopted_twice_it_is_one_snapshot(ws: Workspace, elsewhere: Path) -> None:
    adoption.adopt(ws, elsewhere)
    adoption.adopt(ws, elsewhere)
    assert snapshots.frozen(ws) == 1


def spoil_line(folder: Path) -> None:
    path = folder / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Hello", b"Hallo", 1))


def spoil_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def spoil_counts(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["lines"] = manifest["lines"][1:]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def spoil_conversation(folder: Path) -> None:
    """Everything adds up, but a line is no conversation."""
    path = folder / "test.jsonl"
    lines = path.read_text().splitlines()
    broken = json.dumps({"id": json.loads(lines[0])["id"], "messages": [{"role": "user", "content": "?"}]})
    text = "\n".join([broken, *lines[1:]]) + "\n"
    path.write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    from studio.wording_keys import sha256

    manifest["files"]["test.jsonl"]["sha256"] = sha256(text)
    first = next(line for line in manifest["lines"] if line["split"] == "test")
    first["sha256"] = sha256(broken)
    (folder / "manifest.json").write_text(manifests.text(manifest))


@pytest.mark.parametrize(
    "spoil", [spoil_line, spoil_manifest, spoil_counts, spoil_conversation, lambda folder: (folder / "test.jsonl").unlink()]
)
def test_a_bad_folder_leaves_nothing_behind(ws: Workspace, elsewhere: Path, spoil: Callable[[Path], None]) -> None:
    spoil(elsewhere)
    with pytest.raises(StudioError):
        adoption.adopt(ws, elsewhere)
    left = [path.name for path in ws.path("snapshots").iterdir()] if ws.path("snapshots").exists() else []
    assert (left, snapshots.frozen(ws), ws.value("select count(*) from snapshot_items")) == ([], 0, 0)


def test_two_snapshots_differ_by_what_came_went_was_edited_and_moved(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    before = snapshots.freeze(ws, "before", Recipe(seed=1))
    train = [item.record_id for item in snapshots.items(ws, before, "train")]
    records.decide(ws, train[:2], "drop", "ann")
    kept = records.get(ws, train[2])
    records.edit(ws, kept.record_id, [*kept.messages[:-1], {"role": "assistant", "content": "New."}], "ann")
    rows = [(f"X{n}", f"another question {n}", f"another answer {n}", "5", "x") for n in range(3)]
    intake.import_file(ws, write_csv(tmp_path / "x.csv", rows), "x.csv", replace(Choices(COLUMNS), desk="x"))
    after = snapshots.freeze(ws, "after", Recipe(seed=2))
    counted = comparison.counts(ws, before.snapshot_id, after.snapshot_id)
    edited = comparison.changes(ws, before.snapshot_id, after.snapshot_id, "edited", 10)
    assert (counted["added"], counted["removed"], counted["edited"]) == (3, 2, 1)
    assert [(one.record_id, one.version_before, one.version_after) for one in edited] == [(kept.record_id, 1, 2)]
    where = {split: {item.record_id for item in snapshots.items(ws, after, split)} for split in SPLITS}
    moved = comparison.changes(ws, before.snapshot_id, after.snapshot_id, "moved", 1000)
    assert len(moved) == counted["moved"] > 0 and all(one.record_id in where[one.after] for one in moved)  # type: ignore[index]
