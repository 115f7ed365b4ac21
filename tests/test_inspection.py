"""The check for leaks as a real child process: what it finds, what it measures, how it stops and what it leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import cards, foreign, inspections, intake, leaks, records, runs, snapshots
from studio.columns import Choices
from studio.errors import StudioError
from studio.records import Filter
from studio.runs import Meaning, Run
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.workspace import Workspace
from tests.children import wait_until
from tests.tickets import COLUMNS, write_csv

WORDS = "the blue parcel that I ordered last week for my mother has still not arrived at the door"


def import_leaky(ws: Workspace, tmp_path: Path) -> None:
    """Sixty tickets: every one asks something of its own, but ten ask nearly the same as another."""
    rows = [
        (f"T{n}", f"Order {n} " + " ".join(f"{word}{n}" for word in WORDS.split()), f"Answer {n}: it costs $4{n}.", "5", "late")
        for n in range(50)
    ]
    rows += [(f"N{n}", rows[n][1] + " please", f"Another answer {n}.", "5", "late") for n in range(10)]
    intake.import_file(ws, write_csv(tmp_path / "leaky.csv", rows), "leaky.csv", Choices(COLUMNS))


def ended(ws: Workspace, run_id: str) -> Run:
    wait_until(lambda: not runs.get(ws, run_id).moving, ws.path("runs/none"))
    runs.collect(ws)
    return runs.get(ws, run_id)


RECIPE = Recipe(0.2, 0.2, seed=3)


@pytest.fixture(scope="module")
def checked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace whose plan was checked by a real child, once for all tests."""
    home = tmp_path_factory.mktemp("checked")
    ws = Workspace(home / "ws")
    import_leaky(ws, home)
    assert ended(ws, inspections.of_plan(ws, RECIPE)).state == "done"
    ws.close()
    return home / "ws"


@pytest.fixture
def checked(checked_once: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(checked_once, tmp_path / "checked")
    ws = Workspace(tmp_path / "checked")
    yield ws
    ws.close()


def found(ws: Workspace, recipe: Recipe = RECIPE) -> leaks.Checked:
    seen = leaks.of_plan(ws, snapshots.plan(ws, recipe).sha256)
    assert seen is not None
    return seen


def asked(ws: Workspace, record_id: str) -> str:
    return records.get(ws, record_id).question.removesuffix(" please")


def test_every_near_twin_across_the_split_is_found_with_its_twin_and_freezing_waits_for_a_word(checked: Workspace) -> None:
    planned, seen = snapshots.plan(checked, RECIPE), found(checked)
    train = {asked(checked, piece.record_id) for piece in planned.splits["train"]}
    leaking = {piece.record_id for name in ("validation", "test") for piece in planned.splits[name]
               if asked(checked, piece.record_id) in train}  # fmt: skip
    assert ({leak.item_id for leak in seen.leaks}, {leak.kind for leak in seen.leaks}, len(leaking) > 1) == (
        leaking, {"near"}, True)  # fmt: skip
    assert all(asked(checked, leak.item_id) == asked(checked, leak.train_id) for leak in seen.leaks)
    with pytest.raises(StudioError, match="nobody has decided"):
        snapshots.freeze(checked, "s", RECIPE)


def test_the_texts_written_for_the_check_are_gone_once_it_is_collected(checked: Workspace) -> None:
    folder = checked.path(runs.every(checked, "inspect")[0].folder)
    left = {path.name for path in folder.iterdir()}
    assert (left & {f"{split}.jsonl" for split in SPLITS}, "Order" in (folder / "matches.jsonl").read_text()) == (set(), False)


def test_quarantined_lines_stay_out_accepted_ones_are_kept_and_noted(checked: Workspace) -> None:
    plan, seen = snapshots.plan(checked, RECIPE), found(checked)
    out, let_in = seen.leaks[0], [leak.item_id for leak in seen.leaks[1:]]
    leaks.decide(checked, plan.sha256, [out.item_id], "quarantine", "ann")
    leaks.decide(checked, plan.sha256, let_in, "accept", "bob")
    snapshot = snapshots.freeze(checked, "s", RECIPE)
    lines = snapshots.lines_of(checked, snapshot, [out.item_id, *let_in])
    card = cards.get(checked, snapshot.snapshot_id)
    noted = {leak.item_id for leak in leaks.of_snapshot(checked, snapshot.snapshot_id)}
    assert (set(lines), noted) == (set(let_in), set(let_in))
    assert [line["id"] for line in snapshot.manifest["quarantined"]] == [out.item_id]
    assert card and card.leaks and (card.leaks["quarantined"], card.leaks["accepted"], card.leaks["accepted_by"]) == (
        1, len(let_in), ["bob"])  # fmt: skip


def test_what_was_found_belongs_to_that_plan_alone(checked: Workspace) -> None:
    other_seed = leaks.of_plan(checked, snapshots.plan(checked, Recipe(0.2, 0.2, seed=4)).sha256)
    records.decide(checked, [records.page(checked, Filter(), 1)[0].record_id], "drop", "ann")
    other_records = leaks.of_plan(checked, snapshots.plan(checked, RECIPE).sha256)
    assert (other_seed, other_records) == (None, None)


def test_decisions_come_back_from_the_journal(checked: Workspace) -> None:
    plan, seen = snapshots.plan(checked, RECIPE).sha256, found(checked)
    leaks.decide(checked, plan, [seen.leaks[0].item_id], "accept", "ann")
    with checked.transaction() as transaction:  # as a damaged write-ahead log would
        transaction.execute("delete from leak_decisions")
        transaction.execute("delete from journaled")
    checked.close()
    again = Workspace(checked.root)
    said = leaks.decisions(again, plan)
    again.close()
    assert said == {seen.leaks[0].item_id: "accept"}


def test_the_check_measures_what_the_card_says(checked: Workspace) -> None:
    measures = found(checked).data["measures"]
    counted = (measures["lines"], measures["languages"], measures["changes_daily"]["prices"], measures["distinct_answers"])
    assert counted == (60, {"en": 60}, 50, 60)
    assert (measures["tokens"]["by"], sum(measures["tokens"]["counts"])) == ("estimate", 60)


def test_a_snapshot_frozen_without_a_check_can_be_checked_later(ws: Workspace, tmp_path: Path) -> None:
    import_leaky(ws, tmp_path)
    snapshot = snapshots.freeze(ws, "s", RECIPE)
    before = cards.get(ws, snapshot.snapshot_id)
    ended(ws, inspections.of_snapshot(ws, snapshot))
    card = cards.get(ws, snapshot.snapshot_id)
    assert before and card and card.leaks and card.measures
    assert (before.leaks, card.leaks["later"] > 0, len(leaks.of_snapshot(ws, snapshot.snapshot_id))) == (
        None, True, card.leaks["later"])  # fmt: skip


def foreign_file(ws: Workspace, snapshot: Snapshot, path: Path) -> None:
    """Line 1 asks what train asks, 2 nearly so, 3 something else, 4 is no JSON, 5 asks what train asks, as messages."""
    train = [item.messages[1]["content"] for item in snapshots.items(ws, snapshot, "train")]
    lines = [
        json.dumps({"question": train[0], "answer": "a"}),
        json.dumps({"prompt": train[1] + " please", "completion": "b"}),
        json.dumps({"text": "What is the capital of France and how far away is it?"}),
        "not json",
        json.dumps({"messages": [{"role": "user", "content": train[2]}, {"role": "assistant", "content": "=1+1"}]}),
    ]
    path.write_text("\n".join(lines) + "\n")


def test_a_foreign_file_is_held_against_train_line_by_line(ws: Workspace, tmp_path: Path) -> None:
    import_leaky(ws, tmp_path)
    snapshot = snapshots.freeze(ws, "s", RECIPE)
    foreign_file(ws, snapshot, tmp_path / "theirs.jsonl")
    run = ended(ws, foreign.start(ws, snapshot, str(tmp_path / "theirs.jsonl"), 0.8))
    known = foreign.known(ws, run)
    assert run.result and run.result.message.startswith("3 of 4 lines resemble")
    assert sorted((one.line, one.kind) for one in known) == [(1, "exact"), (2, "near"), (5, "exact")]
    assert all(one.question.removesuffix(" please") == one.train_question.removesuffix(" please") for one in known)
    assert (leaks.of_snapshot(ws, snapshot.snapshot_id), (tmp_path / "theirs.jsonl").exists()) == ([], True)


@pytest.mark.heavy
def test_by_meaning_without_a_model_the_same_rare_words_in_another_order_are_seen(ws: Workspace, tmp_path: Path) -> None:
    import_leaky(ws, tmp_path)
    snapshot = snapshots.freeze(ws, "s", RECIPE)
    words = snapshots.items(ws, snapshot, "train")[0].messages[1]["content"].split()
    turned = [word for start in range(len(words) - 4, -4, -4) for word in words[max(0, start) : start + 4]]
    (tmp_path / "turned.jsonl").write_text(json.dumps({"question": " ".join(turned)}) + "\n")
    kinds = []
    for meaning in (None, Meaning(kind="tfidf")):
        run = ended(ws, foreign.start(ws, snapshot, str(tmp_path / "turned.jsonl"), 0.8, meaning))
        kinds.append([one.kind for one in foreign.known(ws, run)])
    assert kinds == [[], ["meaning"]]


def test_a_file_without_questions_is_said_to_be_so(ws: Workspace, tmp_path: Path) -> None:
    import_leaky(ws, tmp_path)
    snapshot = snapshots.freeze(ws, "s", RECIPE)
    (tmp_path / "odd.jsonl").write_text('{"number": 4}\n[1]\n')
    run = ended(ws, foreign.start(ws, snapshot, str(tmp_path / "odd.jsonl"), 0.8))
    assert run.result and (run.state, "holds no question" in run.result.message) == ("failed", True)


@pytest.mark.heavy
def test_a_stopped_check_says_nothing_and_can_be_resumed(ws: Workspace, tmp_path: Path) -> None:
    import_leaky(ws, tmp_path)
    run_id = inspections.of_plan(ws, RECIPE)
    runs.stop(ws, run_id)
    stopped = ended(ws, run_id)
    plan = snapshots.plan(ws, RECIPE).sha256
    nothing = leaks.of_plan(ws, plan)
    runs.resume(ws, run_id)
    done = ended(ws, run_id)
    assert (stopped.state, nothing, done.state, leaks.of_plan(ws, plan) is None) == ("stopped", None, "done", False)
