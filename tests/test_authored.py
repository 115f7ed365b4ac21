"""Records that are written here: kept, tied to a part, once each, and back after the database lost them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from studio import authored, pins, records
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.tickets import import_forty

TURNS = [{"role": "user", "content": "Is it waterproof?"}, {"role": "assistant", "content": "Yes, up to two metres."}]


def test_a_written_record_is_kept_and_tied_to_its_part(ws: Workspace) -> None:
    record_id = authored.add(ws, TURNS, "playground", "ann", "press", "hard", part="test")
    found = records.get(ws, record_id)
    assert (found.messages, found.decision, found.tags, pins.every(ws), authored.origins(ws, [record_id])) == (
        TURNS, "keep", "hard", {record_id: "test"}, {record_id: "playground"})


def test_a_press_sent_again_writes_nothing(ws: Workspace) -> None:
    import_forty(ws)
    for _ in range(2):
        authored.add(ws, TURNS, "review", "ann", "press")
    assert records.counts(ws).total == 41


def test_a_written_record_is_found_by_its_words(ws: Workspace) -> None:
    from studio import record_table
    from studio.record_table import Filter

    import_forty(ws)
    record_id = authored.add(ws, TURNS, "review", "ann", "press")
    assert [one.record_id for one in record_table.window(ws, Filter(text="waterproof"), 5)] == [record_id]


def test_what_is_no_conversation_is_refused(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="last turn must be the agent"):
        authored.add(ws, TURNS[:1], "review", "ann", "press")


def test_written_records_are_put_back_from_the_journal(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    import_forty(ws)
    record_id = authored.add(ws, TURNS, "review", "ann", "press")
    ws.close()
    with duckdb.connect(str(tmp_path / "ws" / "studio.duckdb")) as broken:
        for table in ("authored", "records", "record_now", "record_versions", "decisions", "record_pins"):
            broken.execute(f"delete from {table} where record_id = '{record_id}'")
        broken.execute("delete from imports where import_id = 'written-review'")
        broken.execute("delete from journaled")
    again = Workspace(tmp_path / "ws")
    found = records.get(again, record_id)
    assert (found.messages, found.decision, pins.every(again)) == (TURNS, "keep", {record_id: "train"})
    again.close()
