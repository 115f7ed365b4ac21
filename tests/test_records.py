"""Decisions, edits and undo: nothing is deleted, the newest word counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from studio import record_table, records
from studio.errors import StudioError
from studio.records import Filter
from studio.workspace import Workspace
from tests.tickets import import_forty


@pytest.fixture
def ids(ws: Workspace) -> list[str]:
    import_forty(ws)
    return [record.record_id for record in records.page(ws, Filter(), 40)]


def decision(ws: Workspace, record_id: str) -> str:
    return records.get(ws, record_id).decision


def test_the_newest_decision_counts(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:1], "drop", "ann")
    records.decide(ws, ids[:1], "keep", "bob")
    assert decision(ws, ids[0]) == "keep"


def test_a_dropped_record_is_still_there(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:1], "drop", "ann")
    assert (records.counts(ws).total, records.counts(ws).drop, records.counts(ws).usable) == (40, 1, 39)


def test_undo_restores_what_stood_before(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:1], "keep", "ann")
    records.decide(ws, ids[:1], "drop", "ann")
    records.undo(ws, "ann")
    assert decision(ws, ids[0]) == "keep"


def test_undo_twice_takes_back_two_acts_in_reverse(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:1], "keep", "ann")
    records.decide(ws, ids[1:2], "drop", "ann")
    undone = [records.undo(ws, "ann"), records.undo(ws, "ann"), records.undo(ws, "ann")]
    assert [one.record_id if one else None for one in undone] == [ids[1], ids[0], None]


def test_undo_takes_back_only_ones_own_acts(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:1], "keep", "ann")
    assert (records.undo(ws, "bob"), decision(ws, ids[0])) == (None, "keep")


def test_a_bulk_decision_is_undone_whole(ws: Workspace, ids: list[str]) -> None:
    record_table.decide_matching(ws, Filter(tag="late"), "drop", "ann")
    records.undo(ws, "ann")
    assert records.counts(ws).undecided == 40


def test_the_same_press_sent_twice_is_stored_once(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:1], "keep", "ann", batch_id="press")
    records.decide(ws, ids[:1], "keep", "ann", batch_id="press")
    assert ws.value("select count(*) from decisions") == 1


def test_the_same_press_from_two_tabs_at_one_moment_is_stored_once(ws: Workspace, ids: list[str]) -> None:
    with ThreadPoolExecutor(8) as tabs:
        done = [tabs.submit(records.decide, ws, ids[:1], "keep", "ann", f"press {n % 10}") for n in range(80)]
    assert ([one.exception() for one in done], ws.value("select count(*) from decisions")) == ([None] * 80, 10)


def test_an_edit_is_a_new_version_and_the_old_wording_stays(ws: Workspace, ids: list[str]) -> None:
    old = records.get(ws, ids[0])
    records.edit(ws, ids[0], [*old.messages[:-1], {"role": "assistant", "content": "Better."}], "ann")
    assert (
        records.get(ws, ids[0]).version,
        records.get(ws, ids[0]).answer,
        ws.value("select count(*) from record_versions where record_id = ?", [ids[0]]),
    ) == (2, "Better.", 2)


def test_undo_of_an_edit_brings_the_old_wording_back(ws: Workspace, ids: list[str]) -> None:
    old = records.get(ws, ids[0])
    records.edit(ws, ids[0], [*old.messages[:-1], {"role": "assistant", "content": "Better."}], "ann")
    records.undo(ws, "ann")
    assert records.get(ws, ids[0]).messages == old.messages


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": "a"}],
        [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}],
        [{"role": "user", "content": "a"}, {"role": "system", "content": "x"}, {"role": "assistant", "content": "b"}],
        [{"role": "tool", "content": "a"}, {"role": "assistant", "content": "b"}],
    ],
)
def test_what_is_no_conversation_is_refused(ws: Workspace, ids: list[str], messages: list[dict[str, str]]) -> None:
    with pytest.raises(StudioError):
        records.edit(ws, ids[0], messages, "ann")


def test_the_filter_finds_by_words_by_tag_and_by_decision(ws: Workspace, ids: list[str]) -> None:
    record_table.decide_matching(ws, Filter(tag="late", text="TENT"), "keep", "ann")
    assert (
        record_table.matching(ws, Filter("keep")),
        record_table.matching(ws, Filter(tag="late")),
        record_table.matching(ws, Filter(text="tent")),
    ) == (1, 10, 4)


def test_a_page_goes_on_behind_a_record(ws: Workspace, ids: list[str]) -> None:
    assert [record.record_id for record in records.page(ws, Filter(), 2, after=ids[9])] == ids[10:12]


def test_quotes_in_the_search_words_are_only_words(ws: Workspace, ids: list[str]) -> None:
    assert record_table.matching(ws, Filter(text="' or 1=1 --\"")) == 0
