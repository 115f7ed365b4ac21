"""Duplicate groups as people read them: what counts, in which order, when a group is settled, and what undo gives back."""

from __future__ import annotations

import pytest

from studio import duplicate_groups, records
from studio.duplicate_groups import Group, Tally
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.recorded_twins import asked, chain, import_tickets, recorded_search

SIDE = "question"


def groups(ws: Workspace, state: str = "open", order: str = "size") -> list[Group]:
    return duplicate_groups.listing(ws, SIDE, 10, order=order, state=state)[1]  # type: ignore[arg-type]


def two_groups(ws: Workspace) -> list[str]:
    """Three copies of one question, rated alike; two near ones, rated 1 and 5; one alone."""
    ids = import_tickets(ws, [*(asked(7, "4") for _ in range(3)), asked(1, "1"), asked(2, "5"), asked(3)])
    recorded_search(ws, ids, {1: 0, 2: 0}, [(3, 4, 0.9)])
    return ids


def test_a_group_says_its_members_its_wordings_and_how_its_ratings_spread(ws: Workspace) -> None:
    two_groups(ws)
    found = [(g.members, g.standing, g.texts, round(g.similarity, 2), g.spread) for g in groups(ws)]
    assert found == [(3, 3, 1, 1.0, 0.0), (2, 2, 2, 0.9, 4.0)]


def test_groups_are_counted_with_the_records_they_hold_beyond_one(ws: Workspace) -> None:
    two_groups(ws)
    assert duplicate_groups.tally(ws, SIDE) == Tally(open=2, settled=0, dismissed=0, members=5, waiting=3)


@pytest.mark.parametrize(("order", "first"), [("size", 3), ("similarity", 3), ("spread", 2)])
def test_groups_come_in_the_order_asked_for(ws: Workspace, order: str, first: int) -> None:
    two_groups(ws)
    assert groups(ws, order=order)[0].members == first


def test_pages_follow_each_other_without_a_gap(ws: Workspace) -> None:
    two_groups(ws)
    pages = [duplicate_groups.listing(ws, SIDE, 1, skip)[1] for skip in (0, 1, 2)]
    assert [len(page) for page in pages] == [1, 1, 0] and pages[0] != pages[1]


def test_a_search_that_found_nothing_has_no_groups(ws: Workspace) -> None:
    recorded_search(ws, import_tickets(ws, [asked(0), asked(1)]))
    assert (duplicate_groups.tally(ws, SIDE).groups, groups(ws)) == (0, [])


def test_a_group_is_settled_when_one_member_is_left(ws: Workspace) -> None:
    ids = two_groups(ws)
    records.decide(ws, ids[1:3], "drop", "ann")
    assert [(g.members, g.standing) for g in groups(ws, "settled")] == [(3, 1)]


def test_a_chain_is_settled_when_its_middle_is_dropped_as_its_ends_are_unlike(ws: Workspace) -> None:
    ids = chain(ws)
    records.decide(ws, [ids[1]], "drop", "ann")
    assert [(g.members, g.standing) for g in groups(ws, "settled")] == [(3, 2)]


def test_a_record_that_was_reworded_since_the_search_does_not_count(ws: Workspace) -> None:
    ids = two_groups(ws)
    messages = [{"role": "user", "content": "Something else"}, {"role": "assistant", "content": "Yes."}]
    records.edit(ws, ids[4], messages, "ann")
    assert [(g.members, g.standing, g.reworded) for g in groups(ws, "settled")] == [(2, 1, 1)]


def test_no_twins_takes_a_group_off_the_list_and_undo_brings_it_back(ws: Workspace) -> None:
    two_groups(ws)
    before = groups(ws)
    duplicate_groups.dismiss(ws, SIDE, before[0], "ann")
    without = (groups(ws), [g.group_id for g in groups(ws, "dismissed")])
    undone = duplicate_groups.undo(ws, "ann")
    assert (without, undone and undone.sentence, groups(ws)) == (
        (before[1:], [before[0].group_id]), "Undone: no twins", before)  # fmt: skip


def test_a_dismissed_group_can_be_asked_about_again(ws: Workspace) -> None:
    two_groups(ws)
    before = groups(ws)
    duplicate_groups.dismiss(ws, SIDE, before[0], "ann")
    duplicate_groups.take_back(ws, SIDE, groups(ws, "dismissed")[0], "bob")
    assert groups(ws) == before


def test_a_dismissed_group_returns_when_another_record_joins_it(ws: Workspace) -> None:
    ids = two_groups(ws)
    duplicate_groups.dismiss(ws, SIDE, groups(ws)[1], "ann")
    recorded_search(ws, ids, {1: 0, 2: 0}, [(3, 4, 0.9), (4, 5, 0.8)])
    assert [(g.members, g.state) for g in groups(ws)] == [(3, "open"), (3, "open")]


def test_undo_takes_back_the_newest_of_drops_and_dismissals(ws: Workspace) -> None:
    ids = two_groups(ws)
    duplicate_groups.dismiss(ws, SIDE, groups(ws)[1], "ann")
    records.decide(ws, [ids[1]], "drop", "ann")
    said = [undone.sentence if undone else None for undone in (duplicate_groups.undo(ws, "ann") for _ in range(3))]
    assert said == [f"Undone: drop {ids[1]}", "Undone: no twins", None]


def test_undo_leaves_what_others_said(ws: Workspace) -> None:
    two_groups(ws)
    duplicate_groups.dismiss(ws, SIDE, groups(ws)[1], "bob")
    assert (duplicate_groups.undo(ws, "ann"), len(groups(ws))) == (None, 1)


def test_a_dismissal_survives_in_the_journal(ws: Workspace) -> None:
    two_groups(ws)
    duplicate_groups.dismiss(ws, SIDE, groups(ws)[0], "ann")
    assert '"duplicate_dismissals"' in ws.path("journal.jsonl").read_text()


def test_members_come_with_their_texts_and_the_file_they_came_from(ws: Workspace) -> None:
    ids = two_groups(ws)
    found = duplicate_groups.members(ws, SIDE, [ids[4], ids[5], ids[1]])
    assert [(m.record.record_id, m.copy_of, m.source) for m in found] == [
        (ids[4], ids[4], "desk.csv"), (ids[1], ids[0], "desk.csv")]  # fmt: skip


def test_the_pairs_of_a_group_and_how_alike_two_of_its_wordings_are(ws: Workspace) -> None:
    ids = chain(ws)
    found = duplicate_groups.pairs(ws, SIDE, groups(ws)[0].group_id)
    alike = duplicate_groups.likeness(ws, SIDE, [(ids[1], ids[0]), (ids[0], ids[2])])
    assert ([round(pair.similarity, 2) for pair in found], list(alike)) == ([0.9, 0.85], [(ids[1], ids[0])])


def test_a_pair_below_the_threshold_holds_nothing_together(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(0), asked(1)])
    recorded_search(ws, ids, pairs=[(0, 1, 0.7)])
    assert duplicate_groups.tally(ws, SIDE).groups == 0


def test_a_pair_at_the_threshold_counts(ws: Workspace) -> None:
    recorded_search(ws, import_tickets(ws, [asked(0), asked(1)]), pairs=[(0, 1, 0.8)])
    assert duplicate_groups.tally(ws, SIDE).open == 1


def test_the_dial_counts_what_falls_at_each_threshold_from_stored_pairs(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n) for n in range(6)])
    recorded_search(ws, ids, {1: 0}, [(2, 3, 0.96), (4, 5, 0.92)])
    steps = {step.threshold: step.fall for step in duplicate_groups.steps(ws, SIDE, "near")}
    assert (len(steps), steps[0.5]) == (26, 3)
    assert [steps[level] for level in (0.92, 0.94, 0.96, 0.98, 1.0)] == [3, 2, 2, 1, 1]


def test_the_dial_does_not_count_what_was_dropped(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n) for n in range(4)])
    recorded_search(ws, ids, {1: 0}, [(2, 3, 0.98)])
    records.decide(ws, [ids[3]], "drop", "ann")
    assert {step.fall for step in duplicate_groups.steps(ws, SIDE, "near")} == {1}


def test_the_stamp_changes_with_every_word_said_and_every_import(ws: Workspace) -> None:
    ids = two_groups(ws)
    seen = [duplicate_groups.stamp(ws)]
    records.decide(ws, ids[:1], "drop", "ann")
    seen.append(duplicate_groups.stamp(ws))
    duplicate_groups.dismiss(ws, SIDE, groups(ws)[0], "ann")
    seen.append(duplicate_groups.stamp(ws))
    import_tickets(ws, [asked(9)], "more.csv")
    seen += [duplicate_groups.stamp(ws), duplicate_groups.stamp(ws)]
    assert (len(set(seen)), seen[3] == seen[4]) == (4, True)


def test_one_group_by_its_id(ws: Workspace) -> None:
    two_groups(ws)
    first = groups(ws)[0]
    assert duplicate_groups.get(ws, SIDE, first.group_id) == first


@pytest.mark.parametrize(("side", "words"), [("question", "not there any more"), ("nowhere", "no side called nowhere")])
def test_a_group_or_side_that_is_not_there_is_said_so(ws: Workspace, side: str, words: str) -> None:
    with pytest.raises(StudioError, match=words):
        duplicate_groups.get(ws, side, "gone")
