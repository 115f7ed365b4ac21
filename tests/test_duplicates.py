"""Duplicates in the workspace: a real search collected, thresholds as decisions, new groups, what splits hold together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio import duplicates, intake, records, runs, starts
from studio.columns import Choices, Columns
from studio.errors import StudioError
from studio.workspace import Row, Workspace
from tests.twins import import_texts, recorded_search

ASKED = ("Where is my parcel that you sent on Monday to my old address in Leeds",
         "where is my parcel that you sent on Monday, to my old address in Leeds?",
         "Where is my parcel that you sent on Tuesday to my old address in Leeds", "My tent is torn", "A lamp is missing")


def finished(ws: Workspace, run_id: str) -> runs.Run:
    deadline = time.time() + 120
    while (run := runs.get(ws, run_id)).moving:
        assert time.time() < deadline, runs.log_tail(ws, run)
        time.sleep(0.05)
    runs.collect(ws)
    return run


def grouped(ws: Workspace, side: str = "question") -> set[frozenset[str]]:
    rows = ws.rows("select list(record_id) as members from duplicate_groups where side = ? group by group_id", [side])
    return {frozenset(row["members"]) for row in rows}


def pair(ids: list[str], a: int, b: int, similarity: float) -> tuple[str, str, float]:
    return min(ids[a], ids[b]), max(ids[a], ids[b]), similarity


def named(ids: list[str], *groups: str) -> set[frozenset[str]]:
    """Groups written as digits: "01" holds the first record and the second."""
    return {frozenset(ids[int(digit)] for digit in group) for group in groups}


# A real search ----------------------------------------------------------------------------------------------------------

Searched = tuple[Workspace, list[str], runs.Run]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    """Ten tickets, searched once by their questions."""
    ws = Workspace(tmp_path_factory.mktemp("searched"))
    ids = import_texts(ws, *ASKED, answers=("Today.", "Never.", "Today.", "Sorry.", "Sorry."))
    yield ws, ids, finished(ws, starts.search(ws, "question"))
    ws.close()


def test_a_search_brings_copies_pairs_and_groups(searched: Searched) -> None:
    ws, ids, run = searched
    duplicates.set_threshold(ws, "question", "near", 0.6, "ann")
    assert (run.state, grouped(ws)) == ("done", named(ids, "012"))
    assert ws.value("select count(*) from duplicate_texts where side = 'question'") == 10


def test_a_search_notes_which_copies_have_different_answers(searched: Searched) -> None:
    ws, ids, _ = searched
    told = {row["record_id"]: row["other_text"] for row in ws.rows("select record_id, other_text from duplicate_texts")}
    assert (told[ids[0]] != told[ids[1]], told[ids[0]] == told[ids[2]], told[ids[3]]) == (True, True, None)


def test_a_pair_knows_how_alike_the_answers_are(searched: Searched) -> None:
    ws, ids, _ = searched
    row = ws.row("select * from duplicate_pairs") or {}
    stands = min(ids[0], ids[1])
    assert {row["a"], row["b"]} == {stands, ids[2]}
    assert row["other_similarity"] == (1.0 if stands == ids[0] else 0.0)


def test_a_collected_search_leaves_no_copy_of_a_text(searched: Searched) -> None:
    ws, _, run = searched
    left = {path.name for path in ws.path(run.folder).iterdir()}
    assert left == {"spec.json", "launch.json", "alive.lock", "status.json", "log.txt", "result.json"}


def test_a_reworded_record_is_seen_as_changed_and_the_next_search_replaces_what_the_earlier_one_found(
    searched: Searched,
) -> None:
    ws, ids, run = searched
    before = duplicates.latest(ws, "question")
    records.edit(ws, ids[1], [{"role": "user", "content": "Other"}, {"role": "assistant", "content": "Never."}], "ann")
    after = duplicates.latest(ws, "question")
    finished(ws, starts.search(ws, "question"))
    assert before and after
    assert (before.run_id, before.records, before.changed, after.changed) == (run.run_id, 10, 0, 1)
    assert (ids[1] in {record for group in grouped(ws) for record in group}, duplicates.latest(ws, "answer")) == (False, None)
    assert ws.value("select count(*) from duplicate_texts") == 10


def test_dropped_records_are_looked_at_too(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    records.decide(ws, ids[:1], "drop", "ann")
    finished(ws, starts.search(ws, "question"))
    assert grouped(ws) == named(ids, "01")


def test_one_search_at_a_time(ws: Workspace) -> None:
    import_texts(ws, *ASKED)
    run_id = starts.search(ws, "question")
    with pytest.raises(StudioError, match="running already"):
        starts.search(ws, "answer")
    finished(ws, run_id)


def test_a_search_of_an_empty_workspace_is_refused_and_leaves_no_run(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="nothing to compare"):
        starts.search(ws, "question")
    assert runs.every(ws) == []


def test_an_unknown_side_is_refused_before_anything_is_written(ws: Workspace) -> None:
    import_texts(ws, *ASKED)
    with pytest.raises(StudioError, match="no side called title"):
        starts.search(ws, "title")
    assert (runs.every(ws), ws.value("select count(*) from duplicate_items")) == ([], 0)


def test_a_search_whose_texts_are_gone_is_not_resumed(ws: Workspace) -> None:
    import_texts(ws, *ASKED)
    run_id = starts.search(ws, "question", runs.Meaning(kind="model2vec", ref="/nowhere"))
    run = finished(ws, run_id)
    (ws.path(run.folder) / "texts.parquet").unlink()
    with pytest.raises(StudioError, match="cannot go on"):
        runs.resume(ws, run_id)
    assert run.state == "failed"


@pytest.mark.slow
def test_tickets_with_27_answers_are_searched_in_seconds_and_grouped_by_answer(ws: Workspace, shared_data: Path) -> None:
    path = next((shared_data / "bitext_llm").glob("*v1*.csv"))
    intake.import_file(ws, path, path.name, Choices(Columns("instruction", "response")))
    run = finished(ws, starts.search(ws, "answer"))
    groups = grouped(ws, "answer")
    assert run.result is not None
    assert (len(groups), sum(map(len, groups)), run.result.data["distinct"]) == (27, 6_480, 27)


# Thresholds and groups --------------------------------------------------------------------------------------------------

def test_a_pair_below_the_threshold_makes_no_group_until_the_threshold_moves(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    recorded_search(ws, near=(pair(ids, 0, 1, 0.7), pair(ids, 2, 3, 0.9)))
    before = grouped(ws)
    duplicates.set_threshold(ws, "question", "near", 0.7, "ann")
    assert (before, grouped(ws)) == (named(ids, "23"), named(ids, "01", "23"))


def test_groups_hang_together_through_pairs_and_copies(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    copies = {ids[1]: ids[0], ids[0]: ids[0]}
    recorded_search(ws, copies=copies, near=(pair(ids, 0, 2, 0.9),), by_meaning=(pair(ids, 2, 3, 0.9),))
    assert grouped(ws) == named(ids, "0123")


def test_a_group_is_named_after_its_smallest_record_and_knows_how_alike_each_member_is(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    recorded_search(ws, copies={ids[1]: ids[0], ids[0]: ids[0]}, near=(pair(ids, 0, 2, 0.9), pair(ids, 2, 3, 0.8)))
    rows = ws.rows("select * from duplicate_groups")
    assert {row["group_id"] for row in rows} == {min(ids[:4])}
    assert {row["record_id"]: row["similarity"] for row in rows} == {
        ids[0]: 1.0, ids[1]: 1.0, ids[2]: pytest.approx(0.9), ids[3]: pytest.approx(0.8)}


def test_thresholds_are_those_of_the_model_until_somebody_says_otherwise(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    before = duplicates.thresholds(ws, "question")
    recorded_search(ws, by_meaning=(pair(ids, 0, 1, 0.9),))
    suited = duplicates.thresholds(ws, "question")
    duplicates.set_threshold(ws, "question", "meaning", 0.95, "ann")
    assert (before, suited, duplicates.thresholds(ws, "question")) == (
        {"near": 0.8, "meaning": 0.9}, {"near": 0.8, "meaning": 0.85}, {"near": 0.8, "meaning": 0.95})


def test_a_threshold_said_twice_is_stored_once_and_comes_back_from_the_journal(ws: Workspace) -> None:
    for _ in range(2):
        duplicates.set_threshold(ws, "question", "near", 0.6, "ann")
    with ws.transaction() as transaction:
        transaction.execute("delete from duplicate_thresholds")
        transaction.execute("delete from journaled")
    ws.close()
    again = Workspace(ws.root)
    assert again.value("select count(*) from duplicate_thresholds") == 1
    assert duplicates.thresholds(again, "question")["near"] == 0.6
    again.close()


@pytest.mark.parametrize(("side", "kind", "threshold"), [("title", "near", 0.5), ("question", "exact", 0.5),
                                                         ("question", "near", 1.2)])
def test_a_threshold_that_makes_no_sense_is_refused(ws: Workspace, side: str, kind: str, threshold: float) -> None:
    with pytest.raises(StudioError):
        duplicates.set_threshold(ws, side, kind, threshold, "ann")


def test_what_splits_hold_together_are_the_groups_of_questions_and_conversations_united(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    recorded_search(ws, "question", near=(pair(ids, 0, 1, 0.9),))
    recorded_search(ws, "both", near=(pair(ids, 1, 2, 0.9),))
    recorded_search(ws, "answer", near=(pair(ids, 3, 4, 0.9),))
    assert duplicates.together(ws) == dict.fromkeys(ids[:3], min(ids[:3]))


def test_forgotten_records_leave_what_was_found_and_their_copies_stay_together(ws: Workspace) -> None:
    ids = import_texts(ws, *ASKED)
    recorded_search(ws, copies={ids[n]: ids[0] for n in range(3)}, near=(pair(ids, 0, 3, 0.9), pair(ids, 3, 4, 0.9)))
    with ws.transaction() as transaction:
        duplicates.forget(ws, transaction, [ids[0], ids[4]])
    stands = min(ids[1], ids[2])
    rows = ws.rows("select a, b from duplicate_pairs")
    assert (grouped(ws), rows) == (named(ids, "123"), [{"a": min(stands, ids[3]), "b": max(stands, ids[3])}])
    assert ws.value("select count(*) from duplicate_texts where record_id in (?, ?) or copy_of in (?, ?)",
                    [ids[0], ids[4], ids[0], ids[4]]) == 0


def test_before_any_search_nothing_is_held_together(ws: Workspace) -> None:
    assert (duplicates.together(ws), duplicates.latest(ws, "question")) == ({}, None)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=60))
def test_roots_are_the_smallest_of_all_that_hang_together(count: int, drawn: list[tuple[int, int]]) -> None:
    edges = np.array([(a % count, b % count) for a, b in drawn], np.int64).reshape(-1, 2)
    expected = list(range(count))
    for _ in range(count):
        for a, b in edges:
            expected[a] = expected[b] = min(expected[a], expected[b])
    assert duplicates._roots(count, edges[:, 0], edges[:, 1]).tolist() == expected


def test_a_long_chain_hangs_together_in_a_few_steps() -> None:
    order = np.random.default_rng(1).permutation(200_000)
    began = time.perf_counter()
    roots = duplicates._roots(200_000, order[:-1], order[1:])
    assert (roots.max(), time.perf_counter() - began < 5) == (0, True)


def test_both_sides_are_written_out_with_all_their_turns(ws: Workspace) -> None:
    ids = import_texts(ws, "First", answers=("Reply",))
    turns = [("system", "Be kind."), ("user", "One"), ("assistant", "Two"), ("user", "Three"), ("assistant", "Four")]
    records.edit(ws, ids[0], [{"role": role, "content": content} for role, content in turns], "ann")
    told: list[list[Row]] = []
    for side in duplicates.SIDES:
        with ws.transaction() as transaction:
            duplicates.choose(transaction, side)
        path = ws.path(f"{side}.parquet")
        duplicates.write_out(ws, side, side, path, 2_048)
        told.append(ws.rows("select text, other from read_parquet(?) where record_id = ?", [str(path), ids[0]]))
    assert [(row["text"], row["other"]) for (row,) in told] == [
        ("One\nThree", "Two\nFour"), ("Two\nFour", "One\nThree"), ("One\nTwo\nThree\nFour", None)]
