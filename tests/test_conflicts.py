"""Conflicts: questions that are twins and were answered differently."""

from __future__ import annotations

from studio import conflicts, duplicate_groups, records
from studio.conflicts import Conflict
from studio.workspace import Workspace
from tests.recorded_twins import asked, import_tickets, recorded_search


def listed(ws: Workspace, low: float = conflicts.LOW) -> list[Conflict]:
    return conflicts.listing(ws, 10, low=low)[1]


def dropped(ws: Workspace, ids: list[str]) -> list[int]:
    return [place for place, record in enumerate(records.every(ws, ids)) if record.decision == "drop"]


def copies(ws: Workspace) -> list[str]:
    """One question four times: three times yes (rated 3, 4, 2), once no (rated 5)."""
    ids = import_tickets(ws, [asked(1, "3", answer="Yes."), asked(1, "4", answer="Yes."), asked(1, "5", answer="No."),
                              asked(1, "2", answer="Yes.")])  # fmt: skip
    recorded_search(ws, ids, {1: 0, 2: 0, 3: 0})
    return ids


def test_copies_of_a_question_with_other_answers_conflict(ws: Workspace) -> None:
    ids = copies(ws)
    answers = [(ids.index(a.record.record_id), a.given, a.falls) for a in listed(ws)[0].answers]
    assert answers == [(1, 3, 1), (2, 1, 3)]


def test_copies_of_a_question_with_one_answer_do_not(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(1, answer="Yes."), asked(1, answer="Yes."), asked(1, "3", answer="Yes.")])
    recorded_search(ws, ids, {1: 0, 2: 0})
    assert conflicts.listing(ws, 10) == (0, [])


def test_near_questions_conflict_where_their_answers_have_little_in_common(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n, "3") for n in range(4)])
    recorded_search(ws, ids, pairs=[(0, 1, 0.9, 0.1), (2, 3, 0.9, 0.8)])
    seen = [sorted(ids.index(a.record.record_id) for a in c.answers) for c in listed(ws)]
    assert seen == [[0, 1]]


def test_how_much_answers_must_differ_is_up_to_the_person(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n, "3") for n in range(4)])
    recorded_search(ws, ids, pairs=[(0, 1, 0.9, 0.1), (2, 3, 0.9, 0.8)])
    assert [len(listed(ws, low)) for low in (0.05, 0.5, 0.9)] == [0, 1, 2]


def test_keeping_one_answer_drops_the_others_and_undo_takes_it_back(ws: Workspace) -> None:
    ids = copies(ws)
    conflict = listed(ws)[0]
    fell = conflicts.keep_answer(ws, conflict, conflict.answers[1], "ann")
    then = (dropped(ws, ids), listed(ws))
    undone = duplicate_groups.undo(ws, "ann")
    assert (fell, then, undone and undone.sentence, dropped(ws, ids)) == (
        3, ([0, 1, 3], []), "Undone: keep one answer, drop 3 others", [])  # fmt: skip


def test_a_question_that_is_only_alike_by_way_of_a_third_keeps_its_answer(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n, str(5 - n), answer=f"Answer {n}.") for n in range(3)])
    recorded_search(ws, ids, pairs=[(0, 1, 0.9, 0.0), (1, 2, 0.9, 0.0)])
    conflict = listed(ws)[0]
    conflicts.keep_answer(ws, conflict, conflict.answers[0], "ann")
    assert dropped(ws, ids) == [1]


def test_what_would_fall_says_how_much_of_it_was_marked_keep(ws: Workspace) -> None:
    ids = copies(ws)
    records.decide(ws, [ids[0], ids[2]], "keep", "ann")
    assert [(a.falls, a.marked) for a in listed(ws)[0].answers] == [(1, 1), (3, 1)]


def test_all_right_settles_the_conflict_but_not_the_twins(ws: Workspace) -> None:
    copies(ws)
    conflicts.all_right(ws, listed(ws)[0], "ann")
    assert (listed(ws), duplicate_groups.tally(ws, "question").open) == ([], 1)


def test_undo_asks_about_a_conflict_again(ws: Workspace) -> None:
    copies(ws)
    before = listed(ws)
    conflicts.all_right(ws, before[0], "ann")
    undone = duplicate_groups.undo(ws, "ann")
    assert (undone and undone.sentence, listed(ws)) == ("Undone: all answers are right", before)


def test_no_twins_settles_a_conflict_as_well(ws: Workspace) -> None:
    copies(ws)
    duplicate_groups.dismiss(ws, "question", listed(ws)[0].group, "ann")
    assert listed(ws) == []


def test_answers_beyond_those_shown_are_counted(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(1, "3", answer=f"Answer {n}.") for n in range(9)])
    recorded_search(ws, ids, {n: 0 for n in range(9)})
    conflict = listed(ws)[0]
    assert (len(conflict.answers), conflict.more) == (6, 3)
