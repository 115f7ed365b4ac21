"""Snapshots never change: same input and seed, same bytes; every changed byte is found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from studio import intake, record_table, records, snapshots
from studio.columns import Choices
from studio.errors import StudioError
from studio.records import Filter
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.workspace import Workspace
from tests.tickets import COLUMNS, freeze_forty, import_forty, write_csv


def files(ws: Workspace, snapshot: Snapshot) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(ws.path(snapshot.folder).iterdir())}


def test_two_workspaces_freeze_the_same_file_to_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        ws = Workspace(tmp_path / name)
        found.append(files(ws, freeze_forty(ws)))
        ws.close()
    assert found[0] == found[1]


def test_records_that_came_in_another_order_freeze_to_the_same_lines(tmp_path: Path) -> None:
    rows = [(f"T{n}", f"question {n} here", f"answer {n} here", "5", "x") for n in range(30)]
    found = []
    for name, order in (("one", [rows[:15], rows[15:]]), ("two", [rows[15:], rows[:15]])):
        ws = Workspace(tmp_path / name)
        for place, part in enumerate(order):
            path = write_csv(tmp_path / f"{part[0][0]}.csv", part)
            intake.import_file(ws, path, f"{place}.csv", Choices(COLUMNS))
        found.append(files(ws, snapshots.freeze(ws, "s", Recipe())))
        ws.close()
    assert found[0] == found[1]


def test_another_seed_gives_another_split(ws: Workspace) -> None:
    import_forty(ws)
    one, two = snapshots.freeze(ws, "a", Recipe(seed=1)), snapshots.freeze(ws, "b", Recipe(seed=2))
    assert files(ws, one)["test.jsonl"] != files(ws, two)["test.jsonl"]


def test_the_lines_are_chat_messages_with_the_records_id(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    line = json.loads(files(ws, snapshot)["train.jsonl"].splitlines()[0])
    assert (sorted(line), [turn["role"] for turn in line["messages"]]) == (["id", "messages"], ["system", "user", "assistant"])


def test_the_manifest_holds_the_hash_of_every_line(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    frozen = files(ws, snapshot)
    lines = [hashlib.sha256(line).hexdigest() for split in SPLITS for line in frozen[f"{split}.jsonl"].splitlines()]
    assert [line["sha256"] for line in snapshot.manifest["lines"]] == lines


def test_the_parts_have_the_sizes_that_were_asked_for(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    assert (snapshot.train, snapshot.validation, snapshot.test) == (20, 6, 12)


@pytest.mark.parametrize("name", ["train.jsonl", "validation.jsonl", "test.jsonl"])
def test_one_changed_byte_is_found(ws: Workspace, name: str) -> None:
    snapshot = freeze_forty(ws)
    path = ws.path(snapshot.folder) / name
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudioError, match="was changed"):
        snapshots.verify(ws, snapshot)


def test_a_missing_file_is_found(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    (ws.path(snapshot.folder) / "test.jsonl").unlink()
    with pytest.raises(StudioError, match="is gone"):
        snapshots.verify(ws, snapshot)


def test_records_that_ask_the_same_never_stand_on_both_sides(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"Question {n % 20}  here", f"answer {n}", "5", "x") for n in range(60)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS))
    snapshot = snapshots.freeze(ws, "s", Recipe())
    asked = {split: {item.messages[1]["content"] for item in snapshots.items(ws, snapshot, split)} for split in SPLITS}
    assert not (asked["train"] & asked["test"] or asked["train"] & asked["validation"] or asked["validation"] & asked["test"])


def test_records_that_are_the_same_word_for_word_are_frozen_once(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"question {n % 30} here", "the same answer", "5", "x") for n in range(33)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS))
    assert snapshots.plan(ws, Recipe()).identical == 3


def test_dropped_records_are_left_out(ws: Workspace) -> None:
    import_forty(ws)
    dropped = records.page(ws, Filter(tag="late"), 40)
    record_table.decide_matching(ws, Filter(tag="late"), "drop", "ann")
    snapshot = snapshots.freeze(ws, "s", Recipe())
    frozen = {item.record_id for split in SPLITS for item in snapshots.items(ws, snapshot, split)}
    assert (len(frozen), frozen & {record.record_id for record in dropped}) == (30, set())


def test_a_later_edit_does_not_reach_into_a_frozen_snapshot(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    before = files(ws, snapshot)
    record = records.page(ws, Filter(), 1)[0]
    records.edit(ws, record.record_id, [*record.messages[:-1], {"role": "assistant", "content": "New."}], "ann")
    assert (files(ws, snapshot), snapshots.verify(ws, snapshot)) == (before, None)


def test_freezing_the_same_again_finds_the_same_snapshot(ws: Workspace) -> None:
    first = freeze_forty(ws)
    again = snapshots.freeze(ws, "Again", Recipe(sizes=(20, 6, 12)))
    assert (again.snapshot_id, len(snapshots.every(ws))) == (first.snapshot_id, 1)


def test_too_few_records_are_refused_with_the_numbers(ws: Workspace) -> None:
    import_forty(ws)
    with pytest.raises(StudioError, match="28 of 100 for train"):
        snapshots.plan(ws, Recipe(sizes=(100, 6, 6)))


@pytest.mark.parametrize("recipe", [Recipe(0, 0.1), Recipe(0.1, 1.0), Recipe(0.5, 0.45), Recipe(sizes=(0, 1, 1))])
def test_a_recipe_that_leaves_nothing_to_learn_is_refused(ws: Workspace, recipe: Recipe) -> None:
    import_forty(ws)
    with pytest.raises(StudioError):
        snapshots.plan(ws, recipe)
