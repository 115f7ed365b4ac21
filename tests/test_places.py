"""Places: where a record stands, found in memory and looked at in the table."""

from __future__ import annotations

import pytest

from studio import intake, places, records
from studio.columns import Choices
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.label_cases import forty_records, ids
from tests.tickets import COLUMNS, write_csv


def test_records_are_found_with_their_version_and_decision(ws: Workspace) -> None:
    forty_records(ws)
    first, second = ids(ws, 2)
    records.decide(ws, [second], "drop", "ann")
    found = places.find(ws, [second, first])
    assert [(place.record_id, place.version, place.decision) for place in found.values()] == [
        (second, 1, "drop"),
        (first, 1, "undecided"),
    ]


def test_what_is_not_there_is_left_out(ws: Workspace) -> None:
    forty_records(ws)
    first = ids(ws, 1)[0]
    assert list(places.find(ws, ["nowhere", first])) == [first]


def test_one_that_is_not_there_is_said_in_a_sentence(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="There is no record nowhere"):
        places.one(ws, "nowhere")


def test_records_that_come_in_later_are_found(ws: Workspace) -> None:
    forty_records(ws)
    places.find(ws, ids(ws, 1))
    path = write_csv(ws.root / "more.csv", [("T90", "Is it new?", "Yes, it is quite new.", "5", "new")])
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    assert places.one(ws, ids(ws, 50)[-1]).position == places.extent(ws).top


def test_positions_are_read_back_in_the_order_records_came_in(ws: Workspace) -> None:
    forty_records(ws)
    found = sorted(places.at(ws, list(range(1, 6))), key=lambda place: place.position)
    assert [place.record_id for place in found] == ids(ws, 5)
