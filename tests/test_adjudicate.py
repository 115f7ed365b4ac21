"""Adjudication: disagreements as a queue with every answer, and the settled answer."""

from __future__ import annotations

import pytest

from studio import adjudicate, label_sets, labels
from studio.errors import StudioError
from studio.label_sets import LabelSet
from studio.workspace import Workspace
from tests.label_cases import EVERYTHING, forty_records, ids, mood, say


def three_people(ws: Workspace) -> LabelSet:
    """The first record agreed on, the second two against one, the third three ways, the fourth answered once."""
    label_set = mood(ws, needed=3)
    say(ws, label_set, "ann", "good", "good", "good", "good")
    say(ws, label_set, "bob", "good", "good", "bad")
    say(ws, label_set, "eve", "good", "bad", "odd")
    return label_set


def test_disagreements_wait_in_order_with_every_answer_and_who_gave_it(ws: Workspace) -> None:
    label_set = three_people(ws)
    found = adjudicate.queue(ws, label_set.set_id, 10)
    assert [(one.record_id, [(label.who, label.answer["mood"]) for label in one.answers], one.fields) for one in found] == [
        (ids(ws)[1], [("ann", "good"), ("bob", "good"), ("eve", "bad")], ("mood",)),
        (ids(ws)[2], [("ann", "good"), ("bob", "bad"), ("eve", "odd")], ("mood",)),
    ]


def test_the_majority_is_told_where_there_is_one(ws: Workspace) -> None:
    label_set = three_people(ws)
    assert [one.majority for one in adjudicate.queue(ws, label_set.set_id, 10)] == [{"mood": "good"}, None]


def test_only_ties_are_shown_on_demand(ws: Workspace) -> None:
    label_set = three_people(ws)
    assert [one.record_id for one in adjudicate.queue(ws, label_set.set_id, 1, only_ties=True)] == [ids(ws)[2]]


def test_the_queue_goes_on_behind_a_record(ws: Workspace) -> None:
    label_set = three_people(ws)
    first = adjudicate.queue(ws, label_set.set_id, 1)[0].record_id
    assert [one.record_id for one in adjudicate.queue(ws, label_set.set_id, 5, after=first)] == [ids(ws)[2]]


def test_names_can_be_hidden(ws: Workspace) -> None:
    label_set = three_people(ws)
    found = adjudicate.get(ws, label_set.set_id, ids(ws)[2], named=False)
    assert [(label.who, label.answer["mood"]) for label in found.answers] == [("A", "good"), ("B", "bad"), ("C", "odd")]


def test_a_settled_record_leaves_the_queue_and_everybodys_answers_stay(ws: Workspace) -> None:
    label_set = three_people(ws)
    third = ids(ws)[2]
    adjudicate.settle(ws, label_set.set_id, third, {"mood": "bad"}, "dan", "a1")
    waiting = [one.record_id for one in adjudicate.queue(ws, label_set.set_id, 10)]
    assert (waiting, len(adjudicate.get(ws, label_set.set_id, third).answers), adjudicate.count(ws, label_set.set_id)) == (
        [ids(ws)[1]],
        3,
        1,
    )


def test_a_settled_answer_counts(ws: Workspace) -> None:
    label_set = three_people(ws)
    third = ids(ws)[2]
    adjudicate.settle(ws, label_set.set_id, third, {"mood": "bad"}, "dan", "a1")
    assert (labels.final(ws, label_set.set_id)[third], adjudicate.settled(ws, label_set.set_id)[0].who) == (
        {"mood": "bad"},
        "dan",
    )


def test_what_was_settled_can_be_taken_back(ws: Workspace) -> None:
    label_set = three_people(ws)
    third = ids(ws)[2]
    adjudicate.settle(ws, label_set.set_id, third, {"mood": "bad"}, "dan", "a1")
    adjudicate.settle(ws, label_set.set_id, third, {"mood": "odd"}, "dan", "a2")
    adjudicate.undo(ws, "dan", "u1")
    once = labels.final(ws, label_set.set_id)[third]
    adjudicate.undo(ws, "dan", "u2")
    still = third in labels.final(ws, label_set.set_id)
    assert (once, still, adjudicate.undo(ws, "dan", "u3")) == ({"mood": "bad"}, False, None)


def test_a_press_that_is_sent_again_settles_once(ws: Workspace) -> None:
    label_set = three_people(ws)
    for _ in range(2):
        adjudicate.settle(ws, label_set.set_id, ids(ws)[2], {"mood": "bad"}, "dan", "a1")
    assert ws.value("select count(*) from adjudications") == 1


def test_an_answer_that_the_set_does_not_allow_settles_nothing(ws: Workspace) -> None:
    label_set = three_people(ws)
    with pytest.raises(StudioError, match="no option great"):
        adjudicate.settle(ws, label_set.set_id, ids(ws)[2], {"mood": "great"}, "dan", "a1")
    assert adjudicate.settled(ws, label_set.set_id) == []


def test_texts_and_marks_on_them_are_no_disagreement(ws: Workspace) -> None:
    mood(ws)
    label_set = label_sets.save(ws, EVERYTHING, "ann")
    first = ids(ws, 1)[0]
    for who in ("ann", "bob"):
        labels.answer(ws, label_set.set_id, first, {"mood": "good", "stars": 3, "note": f"says {who}"}, who, who)
    assert adjudicate.count(ws, label_set.set_id) == 0


def test_marks_of_people_are_laid_over_each_other(ws: Workspace) -> None:
    forty_records(ws)
    label_set = label_sets.save(ws, EVERYTHING, "ann")
    for who, end in (("ann", 9), ("bob", 5)):
        span = {"turn": 0, "start": 3, "end": end, "value": "thing"}
        labels.answer(ws, label_set.set_id, ids(ws, 1)[0], {"mood": "good", "stars": 3, "marks": [span]}, who, who)
    told = adjudicate.overlaps(ws, label_set.set_id)
    assert [(one.field, one.records, one.f1.value) for one in told] == [("marks", 1, 0.5)]


def test_agreement_is_told_for_each_field_that_can_be_compared(ws: Workspace) -> None:
    mood(ws)
    label_set = label_sets.save(ws, EVERYTHING, "ann")
    for place, record_id in enumerate(ids(ws, 12)):
        for who, stars in (("ann", 1 + place % 5), ("bob", 1 + (place + (place == 3)) % 5)):
            answer = {"mood": "good" if place % 2 else "bad", "stars": stars, "faults": ["late"] if place > 6 else []}
            labels.answer(ws, label_set.set_id, record_id, answer, who, f"{who}-{place}")
    told = adjudicate.agreements(ws, label_set.set_id)
    assert [(one.field, one.level, one.records, round(one.raw.value, 3)) for one in told] == [
        ("mood", "nominal", 12, 1.0),
        ("faults", "nominal", 12, 1.0),
        ("stars", "ordinal", 12, 0.917),
    ]
