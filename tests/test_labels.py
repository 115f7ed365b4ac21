"""Labels and marks: one press is stored once, nothing acknowledged is lost, and the newest word of a person counts."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from studio import acts, adjudicate, label_sets, labels, marks, records
from studio.errors import StudioError
from studio.labels import Given
from studio.marks import Mark
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.label_cases import EVERYTHING, MOOD, ids, mood, moods, say

LABELLER = """
import sys, pathlib
from studio import labels, records
from studio.records import Filter
from studio.workspace import Workspace
ws = Workspace(pathlib.Path(sys.argv[1]))
for n in range(10_000):
    for record in records.page(ws, Filter(), 40):
        press = f"{sys.argv[3]}-{n}-{record.record_id}"
        labels.answer(ws, sys.argv[2], record.record_id, {"mood": ("good", "bad")[n % 2]}, "ann", press)
        print(press, flush=True)
"""


def test_an_answer_is_read_back_with_its_versions(ws: Workspace) -> None:
    label_set = mood(ws)
    (first,) = say(ws, label_set, "ann", "good")
    label = labels.of_records(ws, label_set.set_id, [first])[first][0]
    assert (label.who, label.answer, label.set_version, label.record_version) == ("ann", {"mood": "good"}, 1, 1)


def test_a_press_that_is_sent_again_is_stored_once(ws: Workspace) -> None:
    label_set = mood(ws)
    for _ in range(3):
        labels.answer(ws, label_set.set_id, ids(ws, 1)[0], {"mood": "good"}, "ann", "press")
    assert ws.value("select count(*) from labels") == 1


def test_two_tabs_that_send_the_same_press_at_the_same_moment_store_it_once(ws: Workspace) -> None:
    label_set = mood(ws)
    first = ids(ws, 1)[0]
    gate = threading.Barrier(8)

    def press() -> None:
        gate.wait()
        labels.answer(ws, label_set.set_id, first, {"mood": "good"}, "ann", "press")

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (ws.value("select count(*) from labels"), ws.value("select count(*) from label_now")) == (1, 1)


def test_a_later_answer_of_the_same_person_takes_the_place_of_the_earlier(ws: Workspace) -> None:
    label_set = mood(ws)
    say(ws, label_set, "ann", "good")
    say(ws, label_set, "bob", "bad")
    (first,) = say(ws, label_set, "ann", "odd")
    assert moods(ws, label_set, first) == {"ann": "odd", "bob": "bad"}


def test_taking_back_brings_the_earlier_answer_back_and_then_none(ws: Workspace) -> None:
    label_set = mood(ws)
    say(ws, label_set, "ann", "good")
    (first,) = say(ws, label_set, "ann", "odd")
    seen = []
    for press in ("u1", "u2", "u3"):
        undone = labels.undo(ws, label_set.set_id, "ann", press)
        seen.append((moods(ws, label_set, first), bool(undone)))
    assert seen == [({"ann": "good"}, True), ({}, True), ({}, False)]


def test_a_taking_back_that_is_sent_again_takes_back_once(ws: Workspace) -> None:
    label_set = mood(ws)
    first, second = say(ws, label_set, "ann", "good", "bad")
    for _ in range(2):
        labels.undo(ws, label_set.set_id, "ann", "u1")
    assert (moods(ws, label_set, first), moods(ws, label_set, second)) == ({"ann": "good"}, {})


def test_nobody_takes_back_what_somebody_else_said(ws: Workspace) -> None:
    label_set = mood(ws)
    say(ws, label_set, "ann", "good")
    assert labels.undo(ws, label_set.set_id, "bob", "u1") is None


def test_many_answers_are_one_act(ws: Workspace) -> None:
    label_set = mood(ws)
    given = [Given(record_id, {"mood": "good"}) for record_id in ids(ws)]
    stored = labels.answer_many(ws, label_set.set_id, given, "ann", "bulk")
    undone = labels.undo(ws, label_set.set_id, "ann", "u1")
    left = ws.value("select count(*) from label_now where state = 'answered'")
    assert (stored, undone and undone.sentence, left) == (40, "Undone: label 40 records", 0)


def test_one_wrong_answer_among_many_stores_none(ws: Workspace) -> None:
    label_set = mood(ws)
    first, second = ids(ws, 2)
    with pytest.raises(StudioError, match="no option great"):
        labels.answer_many(ws, label_set.set_id, [Given(first, {"mood": "good"}), Given(second, {"mood": "great"})], "ann", "b")
    assert ws.value("select count(*) from labels") == 0


def test_an_answer_given_under_an_older_version_of_the_set_is_taken_under_it(ws: Workspace) -> None:
    label_set = mood(ws)
    newer = MOOD | {"fields": [MOOD["fields"][0] | {"options": [{"value": "good"}]}]}
    label_sets.save(ws, newer, "ann", label_set.set_id)
    labels.answer(ws, label_set.set_id, ids(ws, 1)[0], {"mood": "odd"}, "ann", "press", set_version=1)
    assert moods(ws, label_set, ids(ws, 1)[0]) == {"ann": "odd"}


def test_marks_on_the_text_are_checked_against_the_wording_that_was_read(ws: Workspace) -> None:
    mood(ws)
    label_set = label_sets.save(ws, EVERYTHING, "ann")
    record = records.get(ws, ids(ws, 1)[0])
    records.edit(ws, record.record_id, [{"role": "user", "content": "Eh?"}, *record.messages[1:]], "eve")
    answer = {"mood": "good", "stars": 3, "marks": [{"turn": 0, "start": 3, "end": 9, "value": "thing"}]}
    labels.answer(ws, label_set.set_id, record.record_id, answer, "ann", "p1", record_version=1)
    with pytest.raises(StudioError, match="outside turn 1"):
        labels.answer(ws, label_set.set_id, record.record_id, answer, "ann", "p2")


def test_a_record_that_is_not_there_is_said_in_a_sentence(ws: Workspace) -> None:
    label_set = mood(ws)
    with pytest.raises(StudioError, match="There is no record nowhere"):
        labels.answer(ws, label_set.set_id, "nowhere", {"mood": "good"}, "ann", "press")


@pytest.mark.heavy
def test_kill_9_in_the_middle_of_labelling_loses_no_acknowledged_press_and_doubles_none(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    label_set = mood(ws)
    ws.close()
    acknowledged: set[str] = set()
    for attempt in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", LABELLER, str(tmp_path / "ws"), label_set.set_id, str(attempt)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        acknowledged |= {process.stdout.readline().strip() for _ in range(40 + 40 * attempt)}
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait()
    ws = Workspace(tmp_path / "ws")
    stored = [row["label_id"] for row in ws.rows("select label_id from labels")]
    current = ws.value("select count(*) from label_now")
    ws.close()
    assert (acknowledged - set(stored), len(stored) == len(set(stored)), len(acknowledged) >= 120, current) == (
        set(),
        True,
        True,
        40,
    )


def test_labels_that_the_database_lost_come_back_from_the_journal_with_what_stands(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    label_set = mood(ws)
    first, second, third = say(ws, label_set, "ann", "good", "bad", "odd")
    say(ws, label_set, "ann", "bad")
    labels.skip(ws, label_set.set_id, second, "bob", "s1")
    labels.undo(ws, label_set.set_id, "ann", "u1")
    labels.undo(ws, label_set.set_id, "ann", "u2")
    before = labels.of_records(ws, label_set.set_id, [first, second, third])
    ws.close()
    database = duckdb.connect(str(tmp_path / "ws" / "studio.duckdb"))
    for table in ("labels", "label_now", "journaled"):
        database.execute(f"delete from {table}")
    database.close()
    ws = Workspace(tmp_path / "ws")
    after = labels.of_records(ws, label_set.set_id, [first, second, third])
    ws.close()
    assert (after, sorted(after)) == (before, sorted([first, second]))


def test_what_counts_is_the_majority_and_a_tie_counts_for_nothing(ws: Workspace) -> None:
    label_set = mood(ws, needed=3)
    for who, values in (("ann", ("good", "good", "odd")), ("bob", ("good", "bad")), ("eve", ("bad",))):
        say(ws, label_set, who, *values)
    first, second, third = ids(ws, 3)
    final = labels.final(ws, label_set.set_id)
    assert (final.get(first), final.get(second), final.get(third)) == ({"mood": "good"}, None, {"mood": "odd"})


def test_what_was_settled_counts_before_the_majority(ws: Workspace) -> None:
    label_set = mood(ws, needed=2)
    (first,) = say(ws, label_set, "ann", "good")
    say(ws, label_set, "bob", "good")
    adjudicate.settle(ws, label_set.set_id, first, {"mood": "odd"}, "eve", "a1")
    assert labels.final(ws, label_set.set_id) == {first: {"mood": "odd"}}


def test_a_majority_is_taken_field_by_field(ws: Workspace) -> None:
    label_set = label_sets.save(ws, EVERYTHING, "ann")
    answers = [
        {"mood": "good", "stars": 1, "note": "first"},
        {"mood": "good", "stars": 2},
        {"mood": "bad", "stars": 2, "note": "last"},
    ]
    assert labels.majority(label_set, answers) == {"mood": "good", "stars": 2, "note": "last"}


def test_an_export_has_a_row_an_answer_and_what_counts_beside_it(ws: Workspace) -> None:
    label_set = mood(ws, needed=2)
    say(ws, label_set, "ann", "good")
    say(ws, label_set, "bob", "good")
    rows = labels.export(ws, label_set.set_id)
    assert [(row["external_id"], row["who"], row["mood"], row["final_mood"], row["seconds"]) for row in rows] == [
        ("T0", "ann", "good", "good", 2.0),
        ("T0", "bob", "good", "good", 2.0),
    ]


def test_a_mark_stands_until_it_is_taken_off(ws: Workspace) -> None:
    mood(ws)
    first = ids(ws, 1)[0]
    marks.put(ws, first, "flag", "", "ann", "m1")
    marks.put(ws, first, "tag", "warm", "ann", "m2")
    marks.put(ws, first, "rating", "2", "ann", "m3")
    marks.put(ws, first, "rating", "4", "ann", "m4")
    marks.put(ws, first, "flag", "", "ann", "m5", standing=False)
    assert marks.of(ws, [first]) == {first: [Mark(first, "tag", "warm", "ann"), Mark(first, "rating", "4", "ann")]}


def test_anybody_may_take_a_tag_off(ws: Workspace) -> None:
    mood(ws)
    first = ids(ws, 1)[0]
    marks.put(ws, first, "tag", "warm", "ann", "m1")
    marks.put(ws, first, "tag", "warm", "bob", "m2", standing=False)
    assert marks.of(ws, [first]) == {}


def test_many_marks_are_one_act_and_one_undo(ws: Workspace) -> None:
    mood(ws)
    found = ids(ws, 5)
    marks.put(ws, found[4], "tag", "warm", "ann", "m1")
    done = marks.put_many(ws, found[:4], "tag", "warm", "ann", "m2"), marks.put_many(ws, found[:4], "tag", "warm", "ann", "m2")
    undone = acts.undo(ws, "ann", "u1")
    assert (done, undone and undone.sentence, list(marks.of(ws, found))) == ((4, 0), "Undone: tag on 4 records", found[4:])


def test_a_mark_from_before_there_were_acts_of_many_is_undone_alone(ws: Workspace) -> None:
    mood(ws)
    found = ids(ws, 2)
    marks.put_many(ws, found, "tag", "warm", "ann", "m1")
    with ws.transaction() as transaction:
        transaction.execute("update record_marks set batch_id = null")
    acts.undo(ws, "ann", "u1")
    assert list(marks.of(ws, found)) == found[:1]


def test_the_newest_standing_act_is_found_behind_a_hundred_thousand_newer_ones(ws: Workspace) -> None:
    label_set = mood(ws)
    first = say(ws, label_set, "ann", "good")[0]
    with ws.transaction() as transaction:
        transaction.execute("""insert into labels select 'x' || n, n + 1000, 'x' || n, ?, 1, 'r01', 1, '{}', 'skipped', null,
            null, null, 'bob', ? from range(100000) t(n)""", [label_set.set_id, ws.now()])  # fmt: skip
    undone = acts.undo(ws, "ann", "u1")
    assert undone and undone.record_id == first


def test_a_mark_that_is_sent_again_is_stored_once(ws: Workspace) -> None:
    mood(ws)
    for _ in range(2):
        marks.put(ws, ids(ws, 1)[0], "comment", "Read this", "ann", "m1")
    assert ws.value("select count(*) from record_marks") == 1


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [("rating", "6", "from 1 to 5"), ("tag", " ", "The tag is empty"), ("comment", "x" * 10_001, "too long for a comment")],
)
def test_a_mark_that_says_nothing_is_refused_in_a_sentence(ws: Workspace, kind: str, value: str, sentence: str) -> None:
    mood(ws)
    with pytest.raises(StudioError, match=sentence):
        marks.put(ws, ids(ws, 1)[0], kind, value, "ann", "m1")  # type: ignore[arg-type]
