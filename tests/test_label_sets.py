"""Label sets: validated in plain sentences, changed by new versions, never deleted; old answers stay readable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio import label_sets, labels
from studio.errors import StudioError
from studio.label_sets import Shown
from studio.workspace import Workspace
from tests.label_cases import EVERYTHING, MOOD, forty_records, ids, mood, unsaved

OPTIONS = MOOD["fields"][0]["options"]
TURNS = [{"role": "user", "content": "My tent is late."}, {"role": "assistant", "content": "It comes today."}]


def with_field(**changes: Any) -> dict[str, Any]:
    return MOOD | {"fields": [MOOD["fields"][0] | changes]}


def test_a_set_reads_back_as_it_was_saved(ws: Workspace) -> None:
    saved = label_sets.save(ws, EVERYTHING, "ann")
    assert (label_sets.get(ws, saved.set_id), saved.needed, saved.field("mood").options[0].title) == (saved, 2, "Good")


def test_what_was_saved_can_be_saved_again_and_stays_the_version_it_is(ws: Workspace) -> None:
    saved = label_sets.save(ws, EVERYTHING, "ann")
    again = label_sets.save(ws, label_sets.definition_of(saved), "bob", saved.set_id)
    assert (again, ws.value("select count(*) from label_sets")) == (saved, 1)


def test_a_change_is_a_new_version_and_the_old_one_can_still_be_read(ws: Workspace) -> None:
    first = label_sets.save(ws, MOOD, "ann")
    second = label_sets.save(ws, MOOD | {"name": "Temper"}, "bob", first.set_id)
    assert (second.version, label_sets.get(ws, first.set_id, 1).name, label_sets.get(ws, first.set_id).name) == (
        2,
        "Mood",
        "Temper",
    )


def test_an_archived_set_is_not_offered_but_still_there(ws: Workspace) -> None:
    saved = label_sets.save(ws, MOOD, "ann")
    label_sets.archive(ws, saved.set_id, "ann")
    assert (label_sets.every(ws), [one.name for one in label_sets.every(ws, archived=True)]) == ([], ["Mood"])


def test_an_archived_set_can_be_taken_into_use_again(ws: Workspace) -> None:
    saved = label_sets.save(ws, MOOD, "ann")
    label_sets.archive(ws, saved.set_id, "ann")
    label_sets.archive(ws, saved.set_id, "ann", archived=False)
    assert [one.name for one in label_sets.every(ws)] == ["Mood"]


def test_sets_come_back_from_the_journal(tmp_path: Path) -> None:
    first = Workspace(tmp_path / "ws")
    saved = label_sets.save(first, EVERYTHING, "ann")
    first.close()
    (tmp_path / "ws" / "studio.duckdb").unlink()
    second = Workspace(tmp_path / "ws")
    found = label_sets.get(second, saved.set_id)
    second.close()
    assert found == saved


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        (MOOD | {"name": " "}, "needs a name"),
        (MOOD | {"needed": 0}, "between 1 and 20 answers, not 0"),
        (MOOD | {"overlap": 1.5}, "between 0 and 1"),
        (MOOD | {"fields": []}, "at least one field"),
        (MOOD | {"fields": MOOD["fields"] * 2}, "Two fields have the same key: mood"),
        (with_field(key="The mood"), "The field key The mood cannot be used"),
        (with_field(kind="colour"), "of no kind we know"),
        (with_field(options=[]), "Mood has no options"),
        (with_field(options=OPTIONS * 2), "Two options of Mood have the same value: good"),
        (with_field(options=[{"value": "a", "key": "1"}, {"value": "b", "key": "1"}]), "have the same key: 1"),
        (with_field(options=[{"value": "a", "key": "10"}]), "The key 10 of a is not a single key"),
        (with_field(options=[{"value": "a", "colour": "red"}]), "The colour red of a is not written as #rrggbb"),
        (with_field(kind="scale", low=5, high=1), "from a whole number up to a higher one"),
    ],
)
def test_a_definition_that_cannot_be_asked_is_refused_in_a_sentence(definition: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudioError, match=sentence):
        label_sets.parse(definition)


def test_a_refused_definition_stores_nothing(ws: Workspace) -> None:
    with pytest.raises(StudioError):
        label_sets.save(ws, MOOD | {"name": ""}, "ann")
    assert label_sets.every(ws, archived=True) == []


def test_two_sets_of_one_name_are_refused(ws: Workspace) -> None:
    label_sets.save(ws, MOOD, "ann")
    with pytest.raises(StudioError, match="There is a label set called mood already"):
        label_sets.save(ws, MOOD | {"name": "mood"}, "bob")


def test_a_field_does_not_change_its_kind(ws: Workspace) -> None:
    saved = label_sets.save(ws, MOOD, "ann")
    with pytest.raises(StudioError, match="was of another kind"):
        label_sets.save(ws, MOOD | {"fields": [{"key": "mood", "kind": "text"}]}, "ann", saved.set_id)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({}, "Mood needs an answer"),
        ({"mood": "great", "stars": 3}, "Mood has no option great"),
        ({"mood": "good", "stars": 6}, "Stars is a whole number from 1 to 5, not 6"),
        ({"mood": "good", "stars": True}, "Stars is a whole number"),
        ({"mood": "good", "stars": 3, "faults": ["late", "slow"]}, "Faults has no option slow"),
        ({"mood": "good", "stars": 3, "faults": "late"}, "Faults takes a list"),
        ({"mood": "good", "stars": 3, "note": "x" * 10_001}, "at most 10,000 characters"),
        ({"mood": "good", "stars": 3, "tone": "warm"}, "has no field called tone"),
        ({"mood": "good", "stars": 3, "marks": [{"turn": 5, "start": 0, "end": 1, "value": "thing"}]}, "marks turn 6"),
        ({"mood": "good", "stars": 3, "marks": [{"turn": 0, "start": 3, "end": 99, "value": "thing"}]}, "outside turn 1"),
        ({"mood": "good", "stars": 3, "marks": [{"turn": 0, "start": 3, "end": 3, "value": "thing"}]}, "outside turn 1"),
        ({"mood": "good", "stars": 3, "marks": [{"turn": 0, "start": 0, "end": 2, "value": "x"}]}, "Marks has no option x"),
        ({"mood": "good", "stars": 3, "marks": ["My"]}, "takes marks with a turn"),
    ],
)
def test_an_answer_that_the_set_does_not_allow_is_refused_in_a_sentence(answer: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudioError, match=sentence):
        label_sets.check(unsaved(EVERYTHING), answer, TURNS)


def test_a_refused_answer_stores_nothing(ws: Workspace) -> None:
    label_set = mood(ws)
    with pytest.raises(StudioError):
        labels.answer(ws, label_set.set_id, ids(ws, 1)[0], {"mood": "great"}, "ann", "press")
    assert ws.value("select count(*) from labels") == 0


def test_an_answer_is_stored_without_its_empty_parts_and_in_the_order_of_the_set() -> None:
    given = {"note": "", "marks": [{"turn": 0, "start": 3, "end": 7, "value": "thing"}], "faults": ["rude", "late"],
             "stars": 2, "mood": "bad"}  # fmt: skip
    assert label_sets.check(unsaved(EVERYTHING), given, TURNS) == {
        "mood": "bad",
        "faults": ["late", "rude"],
        "stars": 2,
        "marks": [{"turn": 0, "start": 3, "end": 7, "value": "thing"}],
    }


def test_an_old_answer_is_shown_in_its_own_words_and_marked_where_it_is_no_longer_offered() -> None:
    old, new = unsaved(MOOD), unsaved(with_field(options=[{"value": "good", "title": "Fine"}]))
    assert [label_sets.shown(old, new, {"mood": value})[0] for value in ("good", "bad")] == [
        Shown("mood", "Mood", "Good", True),
        Shown("mood", "Mood", "Bad", False),
    ]


def test_the_ready_sets_can_be_saved_and_the_intents_are_the_records_tags(ws: Workspace) -> None:
    forty_records(ws)
    saved = [label_sets.save(ws, definition, "ann") for definition in label_sets.starter_sets(ws)]
    assert ([one.name for one in saved], sorted(option.value for option in saved[0].field("intent").options)) == (
        ["Intent", "Quality", "Sentiment"],
        ["colour", "fit", "late", "torn"],
    )


def test_a_set_that_is_not_there_is_said_in_a_sentence(ws: Workspace) -> None:
    mood(ws)
    with pytest.raises(StudioError, match="no such label set"):
        label_sets.get(ws, "nowhere")
