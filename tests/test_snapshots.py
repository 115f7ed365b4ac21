"""Snapshots never change: same input and seed, same bytes; every changed byte is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from studio import cards, intake, leaks, manifests, models, record_table, records, runs, snapshots, starts
from studio.columns import Choices
from studio.errors import StudioError
from studio.records import Filter
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.workspace import Workspace
from tests.children import wait_until
from tests.inspections import recorded_inspection
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


@pytest.mark.heavy
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
    manifest = json.loads(frozen["manifest.json"])
    assert [line["sha256"] for line in manifest["lines"]] == lines


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


def on_one_side(ws: Workspace, recipe: Recipe, same: str) -> bool:
    """Whether the records of each value of a column of the workspace lie on one side, over twelve seeds."""
    of = {row["record_id"]: row["value"] for row in ws.rows(f"select record_id, {same} as value from records")}
    for seed in range(12):
        planned = snapshots.plan(ws, replace(recipe, seed=seed))
        sides: dict[str, set[str]] = {}
        for split in SPLITS:
            for piece in planned.splits[split]:
                sides.setdefault(of[piece.record_id], set()).add(split)
        if any(len(names) > 1 for names in sides.values()):
            return False
    return True


def test_records_of_one_ticket_stay_together_where_asked(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n // 3}", f"question {n} here", f"answer {n}", "5", "x") for n in range(60)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS, join=False))
    assert len({row["external_id"] for row in ws.rows("select external_id from records")}) == 20
    assert (on_one_side(ws, Recipe(), "external_id"), on_one_side(ws, Recipe(threads=False), "external_id")) == (True, False)


def test_the_same_ticket_number_at_another_desk_is_another_ticket(ws: Workspace, tmp_path: Path) -> None:
    for desk in ("one", "two"):
        rows = [(f"T{n}", f"{desk} asks {n} here", f"answer {n}", "5", "x") for n in range(30)]
        intake.import_file(ws, write_csv(tmp_path / f"{desk}.csv", rows), f"{desk}.csv", Choices(COLUMNS, desk=desk))
    assert snapshots.plan(ws, Recipe()).ties["thread"] == 0


def test_records_of_one_customer_stay_together_where_asked(ws: Workspace, tmp_path: Path) -> None:
    header = ("ticket", "message", "answer", "rating", "topic", "mail")
    rows = [(f"T{n}", f"question {n} here", f"answer {n}", "5", "x", f"Ana{n // 3}@mail.example") for n in range(60)]
    path = write_csv(tmp_path / "f.csv", rows, header)
    intake.import_file(ws, path, "f.csv", Choices(replace(COLUMNS, email="mail")))
    people = "(select email from record_people p where p.record_id = records.record_id)"
    assert (on_one_side(ws, Recipe(customers=True), people), on_one_side(ws, Recipe(), people)) == (True, False)


def test_twin_groups_stay_together_where_asked(ws: Workspace) -> None:
    import_forty(ws)
    ids = [record.record_id for record in records.page(ws, Filter(), 40)]
    groups = [{"side": "question", "group_id": min(ids[n : n + 4]), "record_id": name, "similarity": 0.9}
              for n in range(0, 40, 4) for name in ids[n : n + 4]]  # fmt: skip
    with ws.transaction() as transaction:
        transaction.insert("duplicate_groups", groups)
    group = "(select group_id from duplicate_groups g where g.record_id = records.record_id)"
    assert (on_one_side(ws, Recipe(), group), on_one_side(ws, Recipe(twins=False), group)) == (True, False)


def test_who_hangs_together_with_a_repeat_hangs_together_with_what_it_repeats(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"question {n} here", f"answer {n}", "5", "x") for n in range(30)]
    rows += [(f"R{n}", f"question {n} here", f"answer {n}", "5", "x") for n in range(30)]
    rows += [(f"R{n}", f"and one more thing {n}", f"another answer {n}", "5", "x") for n in range(30)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS, join=False))
    planned = snapshots.plan(ws, Recipe())
    said = {row["record_id"]: json.loads(row["messages"])[1]["content"].split()[-1 if "thing" in row["messages"] else 1]
            for row in ws.rows("select record_id, messages from record_versions")}  # fmt: skip
    sides: dict[str, set[str]] = {}
    for split in SPLITS:
        for piece in planned.splits[split]:
            sides.setdefault(said[piece.record_id], set()).add(split)
    assert (planned.identical, {len(names) for names in sides.values()}) == (30, {1})


def test_planning_again_reads_no_text_and_makes_no_second_plan(ws: Workspace) -> None:
    import_forty(ws)
    first = snapshots.plan(ws, Recipe())
    with ws.transaction() as transaction:
        transaction.execute("delete from record_versions")
    assert snapshots.plan(ws, Recipe()) is first
    assert snapshots.plan(ws, Recipe(seed=5)).sha256 != first.sha256


def of_the_first_format(ws: Workspace) -> Snapshot:
    """A snapshot as the first Tunewright froze it."""
    snapshot = freeze_forty(ws)
    manifest = json.loads(files(ws, snapshot)["manifest.json"])
    old = {key: manifest[key] for key in ("counts", "eligible", "identical_left_out", "left_over", "files", "lines")}
    recipe = {"validation_share": 0.1, "test_share": 0.1, "seed": 1234, "only_kept": False, "sizes": [20, 6, 12]}
    text = manifests.text(old | {"format": "tunewright-snapshot/1", "recipe": recipe})
    name = manifests.snapshot_id(text)
    shutil.copytree(ws.path(snapshot.folder), ws.path(f"snapshots/{name}"))
    path = ws.path(f"snapshots/{name}/manifest.json")
    path.chmod(0o644)
    path.write_text(text)
    row = {"snapshot_id": name, "name": "Old", "manifest": text, "folder": f"snapshots/{name}", "frozen_at": ws.now()}
    with ws.transaction() as transaction:
        transaction.insert("snapshots", [row | {"train": 20, "validation": 6, "test": 12}])
    return snapshots.get(ws, name)


def test_a_record_that_goes_while_it_is_written_is_a_sentence_and_leaves_no_file(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    pieces = snapshots.plan(ws, Recipe()).splits["train"]
    with ws.transaction() as transaction:
        transaction.execute("delete from record_versions where record_id = ?", [pieces[-1].record_id])
    (tmp_path / "out").mkdir()
    with pytest.raises(StudioError, match=f"Record {pieces[-1].record_id} is gone"):
        snapshots.write_lines(ws, pieces, tmp_path / "out" / "train.jsonl")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_snapshot_of_the_first_format_still_opens_and_verifies(ws: Workspace) -> None:
    found = of_the_first_format(ws)
    snapshots.verify(ws, found)
    assert (cards.get(ws, found.snapshot_id), len(snapshots.items(ws, found, "train"))) == (None, 20)


@pytest.mark.slow
def test_a_snapshot_of_the_first_format_can_be_trained_on(with_starter: Path) -> None:
    ws = Workspace(with_starter)
    run_id = starts.training(ws, of_the_first_format(ws), models.get(ws, models.STARTER_ID), starts.Dials())
    wait_until(lambda: bool(runs.curve(ws, runs.get(ws, run_id))[0]), ws.path(f"runs/{run_id}"))
    runs.stop(ws, run_id)
    wait_until(lambda: not runs.get(ws, run_id).moving, ws.path("runs/none"))
    spec = runs.get(ws, run_id).spec
    ws.close()
    assert spec["template_sha256"] == ""


def test_too_few_records_are_refused_with_the_numbers(ws: Workspace) -> None:
    import_forty(ws)
    with pytest.raises(StudioError, match="28 of 100 for train"):
        snapshots.plan(ws, Recipe(sizes=(100, 6, 6)))


@pytest.mark.parametrize("recipe", [Recipe(0, 0.1), Recipe(0.1, 1.0), Recipe(0.5, 0.45), Recipe(sizes=(0, 1, 1))])
def test_a_recipe_that_leaves_nothing_to_learn_is_refused(ws: Workspace, recipe: Recipe) -> None:
    import_forty(ws)
    with pytest.raises(StudioError):
        snapshots.plan(ws, recipe)


def test_of_somebody_forgotten_nothing_stays_in_the_manifest_the_leaks_or_the_hashes(ws: Workspace) -> None:
    import_forty(ws)
    found = recorded_inspection(ws, Recipe(), leaking=2)
    plan = snapshots.plan(ws, Recipe()).sha256
    leaks.decide(ws, plan, found[:1], "quarantine", "ann")
    leaks.decide(ws, plan, found[1:], "accept", "ann")
    snapshot = snapshots.freeze(ws, "s", Recipe())
    gone = [*found, snapshots.items(ws, snapshot, "train")[3].record_id]
    snapshots.forget_lines(ws, gone)
    with ws.transaction() as transaction:
        snapshots.forget(ws, transaction, gone)
    after = snapshots.get(ws, snapshot.snapshot_id)
    snapshots.verify(ws, after)
    texts = b"".join(files(ws, after).values()).decode()
    tables = ("leaks", "leak_decisions", "snapshot_items", "wording_keys")
    left = [row for table in tables for row in ws.rows(f"select * from {table}") if set(map(str, row.values())) & set(gone)]
    assert ([name for name in gone if name in texts], left, after.manifest["forgotten"]) == ([], [], 2)
    shown = snapshots.items(ws, after, "train")[5]
    assert snapshots.lines_of(ws, after, [shown.record_id]) == {shown.record_id: shown}
