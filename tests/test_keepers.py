"""Keepers: who stays by which rule, that whoever falls is a twin of one who stays, what it costs, and that undo is exact."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from studio import duplicate_groups, keepers, records
from studio.keepers import Plan, Rule, Slice
from studio.records import Filter
from studio.workspace import Workspace
from tests.checks import found, recorded_check
from tests.recorded_twins import asked, chain, import_tickets, recorded_search

SIDE = "question"


def names(ids: list[str], chosen: list[str]) -> list[int]:
    """Records by their place in `ids`."""
    return sorted(ids.index(record_id) for record_id in chosen)


def dropped(ws: Workspace, ids: list[str]) -> list[int]:
    return [place for place, record in enumerate(records.every(ws, ids)) if record.decision == "drop"]


def group_id(ws: Workspace) -> str:
    return duplicate_groups.listing(ws, SIDE, 1)[1][0].group_id


def four_copies(ws: Workspace) -> list[str]:
    """Copies that differ in rating, date and length: 0 is rated best, 1 newest, 2 longest."""
    tickets = [
        asked(7, "5", "a", "2026-01-01"),
        asked(7, "1", "a", "2026-03-01"),
        asked(7, "1", "a", "2026-01-01", "A much longer answer than all the others, with every step."),
        asked(7, "1", "a", "2026-01-01"),
    ]
    ids = import_tickets(ws, tickets)
    recorded_search(ws, ids, {1: 0, 2: 0, 3: 0})
    return ids


@pytest.mark.parametrize(("rule", "stays"), [("rated", 0), ("newest", 1), ("longest", 2)])
def test_a_rule_says_which_copy_stays(ws: Workspace, rule: Rule, stays: int) -> None:
    ids = four_copies(ws)
    assert names(ids, keepers.plan(ws, SIDE, rule).drops) == sorted({0, 1, 2, 3} - {stays})


def test_the_most_central_is_the_one_that_resembles_most_of_its_group(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n, "3") for n in range(4)])
    recorded_search(ws, ids, pairs=[(2, 0, 0.9), (2, 1, 0.9), (2, 3, 0.9), (0, 1, 0.85)])
    assert names(ids, keepers.plan(ws, SIDE, "central").drops) == [0, 1, 3]


def test_by_hand_nothing_is_proposed(ws: Workspace) -> None:
    four_copies(ws)
    assert keepers.plan(ws, SIDE, "hand").drops == []


def test_where_the_rule_leaves_two_equal_the_smaller_id_stays(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(7, "3"), asked(7, "3")])
    recorded_search(ws, ids, {1: 0})
    assert keepers.plan(ws, SIDE, "rated").drops == [max(ids)]


def test_in_a_chain_both_ends_stay_when_an_end_is_chosen_first(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(0, "5"), asked(1, "3"), asked(2, "4")])
    recorded_search(ws, ids, pairs=[(0, 1, 0.9), (1, 2, 0.85)])
    assert names(ids, keepers.plan(ws, SIDE, "rated").drops) == [1]


def test_in_a_chain_the_middle_stays_for_both_when_it_is_the_best(ws: Workspace) -> None:
    ids = chain(ws)
    assert names(ids, keepers.plan(ws, SIDE, "rated").drops) == [0, 2]


def test_copies_of_a_record_that_falls_fall_with_it(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(0, "5"), asked(1, "3"), asked(1, "2")])
    recorded_search(ws, ids, {2: 1}, [(0, 1, 0.9)])
    assert names(ids, keepers.plan(ws, SIDE, "rated").drops) == [1, 2]


def test_only_pairs_as_alike_as_asked_count_and_copies_always_do(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(0, "5"), asked(1, "3"), asked(1, "2"), asked(3, "2")])
    recorded_search(ws, ids, {2: 1}, [(0, 1, 0.9), (0, 3, 0.97)])
    falls = [names(ids, keepers.plan(ws, SIDE, "rated", at_least=level).drops) for level in (0.8, 0.95, 1.0)]
    assert falls == [[1, 2, 3], [2, 3], [2]]


def test_a_record_marked_keep_stays_before_a_better_rated_one(ws: Workspace) -> None:
    ids = chain(ws)
    records.decide(ws, [ids[0]], "keep", "ann")
    assert names(ids, keepers.plan(ws, SIDE, "rated").drops) == [1]


def test_twins_that_are_both_marked_keep_both_stay_unless_told_otherwise(ws: Workspace) -> None:
    ids = chain(ws)
    records.decide(ws, ids[:2], "keep", "ann")
    spared, all_of_them = (keepers.plan(ws, SIDE, "rated", spare=spare) for spare in (True, False))
    assert (names(ids, spared.drops), names(ids, all_of_them.drops), all_of_them.marked_drops) == ([2], [0, 2], 1)


def test_a_record_that_was_dropped_before_keeps_nobody_from_staying(ws: Workspace) -> None:
    ids = chain(ws)
    records.decide(ws, [ids[1]], "drop", "ann")
    assert keepers.plan(ws, SIDE, "rated", [group_id_of(ws, ids)]).drops == []


def group_id_of(ws: Workspace, ids: list[str]) -> str:
    return str(ws.value("select group_id from duplicate_groups where record_id = ?", [ids[0]]))


def test_a_group_that_was_dismissed_is_in_no_plan_of_all_groups(ws: Workspace) -> None:
    four_copies(ws)
    duplicate_groups.dismiss(ws, SIDE, duplicate_groups.listing(ws, SIDE, 1)[1][0], "ann")
    assert keepers.plan(ws, SIDE, "rated").drops == []


def test_a_group_is_shown_by_its_wordings_with_copies_folded(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(0, "5"), asked(1, "3"), asked(1, "2"), asked(1, "1"), asked(4, "4")])
    recorded_search(ws, ids, {2: 1, 3: 1}, [(0, 1, 0.9), (1, 4, 0.9)])
    folds = keepers.plan(ws, SIDE, "rated").of(group_id(ws))
    shown = [(ids.index(f.record_id), ids.index(f.stays_for), f.beside, f.copies, f.copies_fall) for f in folds]
    assert shown == [(0, 0, False, 0, 0), (1, 0, True, 2, 2), (4, 4, False, 0, 0)]


def test_accepting_one_group_leaves_the_others(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(1, "3"), asked(1, "2"), asked(2, "3"), asked(2, "2")])
    recorded_search(ws, ids, {1: 0, 3: 2})
    chosen = group_id_of(ws, ids)
    keepers.accept(ws, keepers.plan(ws, SIDE, "rated"), "ann", chosen)
    assert dropped(ws, ids) == [1]


def test_accepting_all_is_one_act_that_undo_names_and_takes_back(ws: Workspace) -> None:
    ids = four_copies(ws)
    accepted = keepers.accept(ws, keepers.plan(ws, SIDE, "rated"), "ann")
    undone = duplicate_groups.undo(ws, "ann")
    assert (accepted, undone and undone.sentence, dropped(ws, ids)) == (3, "Undone: drop 3 twins", [])


def test_choosing_by_hand_drops_only_the_chosen_records_own_twins(ws: Workspace) -> None:
    ids = chain(ws)
    group = duplicate_groups.listing(ws, SIDE, 1)[1][0]
    fell = keepers.keep_this(ws, SIDE, group, ids[2], "ann")
    assert (fell, dropped(ws, ids)) == (1, [1])


def test_the_cost_counts_by_tag_source_rating_and_language(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(1, "5", "late"), asked(1, "1", "torn")])
    recorded_search(ws, ids, {1: 0})
    drops = keepers.plan(ws, SIDE, "rated").drops
    changed = {(s.by, s.name, s.before, s.after) for s in keepers.cost(ws, drops) if s.after < s.before}
    assert changed == {
        ("tag", "torn", 1, 0),
        ("source", "desk.csv", 2, 1),
        ("rating", "1.0", 1, 0),
        ("language", "not known (not checked)", 2, 1),
    }


def test_a_language_is_what_the_check_found_and_never_guessed(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n) for n in range(3)])
    line = found(ids[1], "wrong_language", score=0.9, evidence="The agent's side reads as 'de'; most of this data is 'en'.")
    recorded_check(ws, [line])
    records.edit(ws, ids[2], [{"role": "user", "content": "Où?"}, {"role": "assistant", "content": "Ici."}], "ann")
    languages = {(s.name, s.before) for s in keepers.cost(ws, []) if s.by == "language"}
    assert languages == {("de", 1), ("en (nothing else found)", 1), ("not known (not checked)", 1)}


@pytest.mark.parametrize(
    ("before", "after", "warned"), [(4, 1, True), (4, 2, False), (500, 40, True), (500, 60, False), (3, 3, False)]
)
def test_a_slice_with_few_rows_left_that_loses_most_of_them_is_warned_about(before: int, after: int, warned: bool) -> None:
    assert Slice("tag", "late", before, after).shrinks == warned


@some.composite
def graphs(draw: some.DrawFn) -> tuple[list[int], list[tuple[int, int]], list[bool]]:
    """Records in a rule's order: the first record worded like each, which of those are twins, which must stay."""
    size = draw(some.integers(1, 14))
    texts = [0]
    for place in range(1, size):
        texts.append(draw(some.sampled_from([*sorted(set(texts)), place])))
    firsts = sorted(set(texts))
    edges = [(a, b) for a in firsts for b in firsts if a < b and draw(some.booleans())]
    return texts, edges, [draw(some.integers(0, 4)) == 0 for _ in texts]


def stays(texts: list[int], edges: list[tuple[int, int]], forced: list[bool]) -> list[int]:
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return keepers.greedy(np.array(texts), ends[:, 0], ends[:, 1], np.array(forced)).tolist()  # type: ignore[no-any-return]


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_whoever_falls_is_itself_a_twin_of_the_one_that_stays_for_it(
    graph: tuple[list[int], list[tuple[int, int]], list[bool]],
) -> None:
    texts, edges, forced = graph
    found = stays(texts, edges, forced)
    for place, keeper in enumerate(found):
        assert found[keeper] == keeper
        ends = tuple(sorted((texts[place], texts[keeper])))
        assert place == keeper or (not forced[place] and (ends[0] == ends[1] or ends in edges))


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_two_that_stay_are_no_twins_unless_both_must_stay(
    graph: tuple[list[int], list[tuple[int, int]], list[bool]],
) -> None:
    texts, edges, forced = graph
    found = stays(texts, edges, forced)
    must = {texts[place] for place, is_forced in enumerate(forced) if is_forced}
    standing = {texts[place] for place in range(len(texts)) if found[place] == place}
    assert not [(a, b) for a, b in edges if {a, b} <= standing and not {a, b} <= must]


def test_the_same_records_give_the_same_plan_in_any_order_of_rows(tmp_path: Path) -> None:
    plans = []
    for name, seed in (("a", 1), ("b", 2)):
        ws = Workspace(tmp_path / name)
        ids = import_tickets(ws, [asked(n, str(n % 2 + 1)) for n in range(8)])
        pairs = [(a, b, 0.8 + (a * b % 5) / 50) for a in range(8) for b in range(a) if (a + b) % 3]
        random.Random(seed).shuffle(pairs)
        recorded_search(ws, ids, pairs=pairs)  # type: ignore[arg-type]
        plans.append([keepers.plan(ws, SIDE, rule).drops for rule in keepers.RULES])
        ws.close()
    assert plans[0] == plans[1] and plans[0][0]


def test_undo_restores_exactly_what_was_there_whatever_was_decided_before(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n // 3, str(1 + n % 5)) for n in range(24)])
    recorded_search(ws, ids, {n: n // 3 * 3 for n in range(24)}, [(n, n + 3, 0.9) for n in range(0, 18, 3)])
    dice = random.Random(5)
    for _ in range(6):
        for decision in ("keep", "drop", "undecided"):
            records.decide(ws, dice.sample(ids, dice.randrange(1, 6)), decision, dice.choice(("ann", "bob")))  # type: ignore[arg-type]
        before = decisions(ws)
        proposed = keepers.plan(ws, SIDE, dice.choice(keepers.RULES), spare=dice.random() < 0.5)
        keepers.accept(ws, proposed, "cy")
        after = decisions(ws)
        assert {r for r in ids if after[r] != before[r]} == set(proposed.drops)
        if proposed.drops:
            duplicate_groups.undo(ws, "cy")
        assert decisions(ws) == before


def decisions(ws: Workspace) -> dict[str, str]:
    return {record.record_id: record.decision for record in records.page(ws, Filter(), 100)}


def test_nothing_is_deleted(ws: Workspace) -> None:
    ids = four_copies(ws)
    keepers.accept(ws, keepers.plan(ws, SIDE, "rated"), "ann")
    assert len(records.every(ws, ids)) == 4


def test_a_plan_says_how_many_groups_it_touches(ws: Workspace) -> None:
    four_copies(ws)
    proposed: Plan = keepers.plan(ws, SIDE, "rated")
    assert (proposed.groups_touched, proposed.marked_drops) == (1, 0)
