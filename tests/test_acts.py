"""Acts: undo without end over every kind of thing a person did, and the history of a record."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

from studio import acts, adjudicate, duplicate_groups, findings, label_sets, labels, marks, records
from studio.workspace import Workspace
from tests.checks import found, recorded_check
from tests.label_cases import MOOD, ids, mood, moods, say
from tests.recorded_twins import asked, import_tickets, recorded_search


def everything(ws: Workspace) -> str:
    """Ann's day on the first record, one act of each kind; returns the set."""
    label_set = mood(ws)
    first = ids(ws, 1)[0]
    recorded_check(ws, [found(first, "email", start=0, end_=3)])
    say(ws, label_set, "ann", "good")
    marks.put(ws, first, "flag", "", "ann", "flag")
    records.decide(ws, [first], "drop", "ann", "drop")
    records.decide(ws, [first], "keep", "ann", "keep")
    findings.dismiss(ws, findings.page(ws, "email", 1)[0], "ann")
    record = records.get(ws, first)
    records.edit(ws, first, [*record.messages[:-1], {"role": "assistant", "content": "Soon."}], "ann", "edit")
    adjudicate.settle(ws, label_set.set_id, first, {"mood": "odd"}, "ann", "settle")
    labels.skip(ws, label_set.set_id, first, "ann", "skip")
    return label_set.set_id


def test_undo_walks_back_through_every_kind_of_act_and_then_finds_nothing(ws: Workspace) -> None:
    everything(ws)
    first = ids(ws, 1)[0]
    said = []
    for press in range(9):
        undone = acts.undo(ws, "ann", f"u{press}")
        said.append(undone.sentence.replace(first, "it") if undone else "nothing")
    assert said == [
        "Undone: skip it",
        "Undone: settle it",
        "Undone: edit it",
        "Undone: not a problem (E-mail address)",
        "Undone: keep it",
        "Undone: drop it",
        "Undone: flag it",
        "Undone: label it",
        "nothing",
    ]


def test_after_all_is_undone_everything_is_as_it_was(ws: Workspace) -> None:
    set_id = everything(ws)
    first = ids(ws, 1)[0]
    for press in range(8):
        acts.undo(ws, "ann", f"u{press}")
    now = records.get(ws, first)
    assert (now.decision, now.answer.startswith("Hello!"), marks.of(ws, [first]), labels.final(ws, set_id)) == (
        "undecided",
        True,
        {},
        {},
    )


def test_undo_reaches_back_to_yesterday_and_through_a_restart(tmp_path: Path) -> None:
    clock = [datetime(2026, 1, 1, 12)]
    ws = Workspace(tmp_path / "ws", now=lambda: clock[0])
    label_set = mood(ws)
    (first,) = say(ws, label_set, "ann", "good")
    ws.close()
    clock[0] += timedelta(days=1)
    ws = Workspace(tmp_path / "ws", now=lambda: clock[0])
    undone = acts.undo(ws, "ann", "u1")
    left = moods(ws, label_set, first)
    ws.close()
    assert (undone and undone.record_id, left) == (first, {})


def test_an_undo_that_is_sent_again_takes_back_one_act_of_any_kind(ws: Workspace) -> None:
    label_set = mood(ws)
    (first,) = say(ws, label_set, "ann", "good")
    records.decide(ws, [first], "drop", "ann")
    for _ in range(3):
        acts.undo(ws, "ann", "u1")
    assert (records.get(ws, first).decision, moods(ws, label_set, first)) == ("undecided", {"ann": "good"})


def test_two_tabs_that_send_the_same_undo_take_back_one_act(ws: Workspace) -> None:
    label_set = mood(ws)
    (first,) = say(ws, label_set, "ann", "good")
    records.decide(ws, [first], "drop", "ann")
    threads = [threading.Thread(target=acts.undo, args=(ws, "ann", "u1")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert moods(ws, label_set, first) == {"ann": "good"}


def test_undo_takes_back_no_twins_between_other_acts_and_only_once_a_press(ws: Workspace) -> None:
    record_ids = import_tickets(ws, [asked(1), asked(2)])
    recorded_search(ws, record_ids, {}, [(0, 1, 0.9)])
    group = duplicate_groups.listing(ws, "question", 10)[1][0]
    marks.put(ws, record_ids[0], "flag", "", "ann", "m1")
    duplicate_groups.dismiss(ws, "question", group, "ann")
    records.decide(ws, record_ids[:1], "drop", "ann")
    said = [undone.sentence if (undone := acts.undo(ws, "ann", press)) else "" for press in ("u1", "u2", "u2", "u3")]
    assert said == [f"Undone: drop {record_ids[0]}", "Undone: no twins", "", f"Undone: flag {record_ids[0]}"]


def test_undo_leaves_what_others_did_alone(ws: Workspace) -> None:
    label_set = mood(ws, needed=2)
    (first,) = say(ws, label_set, "ann", "good")
    say(ws, label_set, "bob", "bad")
    acts.undo(ws, "ann", "u1")
    assert (moods(ws, label_set, first), acts.undo(ws, "ann", "u2")) == ({"bob": "bad"}, None)


def test_undo_after_a_new_act_takes_back_the_new_one_first(ws: Workspace) -> None:
    label_set = mood(ws)
    first, second = say(ws, label_set, "ann", "good", "bad")
    acts.undo(ws, "ann", "u1")
    labels.answer(ws, label_set.set_id, second, {"mood": "odd"}, "ann", "new")
    acts.undo(ws, "ann", "u2")
    acts.undo(ws, "ann", "u3")
    assert (moods(ws, label_set, first), moods(ws, label_set, second)) == ({}, {})


def test_the_history_of_a_record_tells_everything_in_order_and_what_still_stands(ws: Workspace) -> None:
    everything(ws)
    acts.undo(ws, "ann", "u1")
    told = acts.history(ws, ids(ws, 1)[0])
    assert [(act.who, act.sentence, act.standing) for act in told] == [
        ("import", "came in as wording 1", False),
        ("ann", "labelled it in Mood: Good", True),
        ("ann", "flagged it", True),
        ("ann", "dropped it", False),
        ("ann", "kept it", True),
        ("ann", "called no problem: email", True),
        ("ann", "edited it: wording 2", True),
        ("ann", "settled Mood: odd", True),
        ("ann", "skipped it in Mood", False),
        ("ann", "took a label back in Mood", False),
    ]


def test_the_history_says_what_a_set_no_longer_offers(ws: Workspace) -> None:
    label_set = mood(ws)
    say(ws, label_set, "ann", "odd")
    newer = MOOD | {"fields": [MOOD["fields"][0] | {"options": [{"value": "good"}]}]}
    label_sets.save(ws, newer, "ann", label_set.set_id)
    assert acts.history(ws, ids(ws, 1)[0])[-1].sentence == "labelled it in Mood: odd (no longer offered)"
