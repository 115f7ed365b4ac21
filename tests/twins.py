"""Duplicates as a search would have left them, without its process."""

from __future__ import annotations

from studio import duplicates, intake
from studio.columns import Choices, Columns
from studio.workspace import Workspace
from tests.tickets import write_csv

COLUMNS = Columns("message", "answer", "rating", "ticket", "topic", time="day")
Pair = tuple[int, int, float] | tuple[int, int, float, float]


def import_tickets(ws: Workspace, tickets: list[tuple[str, ...]], name: str = "desk.csv") -> list[str]:
    """Records of (message, answer, rating, topic, day), each cell but the first two may be left out; ids in their order.

    Others, unlike each other, fill the file up to the ten that an import needs; they are rated 2 and untagged.
    """
    others = [(f"Other matter {n}", f"Answer {n}", "2", "", "2026-01-01") for n in range(len(tickets), 10)]
    rows = [(f"{name}-{n}", *ticket, *[""] * (5 - len(ticket))) for n, ticket in enumerate([*tickets, *others])]
    path = write_csv(ws.root / name, rows, ("ticket", "message", "answer", "rating", "topic", "day"))
    report = intake.import_file(ws, path, name, Choices(COLUMNS))
    found = ws.rows("select record_id from records where import_id = ? order by source_line", [report.import_id])
    return [row["record_id"] for row in found][: len(tickets)]


def recorded_search(
    ws: Workspace,
    ids: list[str],
    copies: dict[int, int] | None = None,
    pairs: list[Pair] | None = None,
    side: str = "question",
    kind: str = "near",
) -> None:
    """A search of the records `ids` as they are worded now, collected and grouped.

    `copies` says which record is a word-for-word copy of which, `pairs` which are alike, each by its place in `ids`.
    """
    same = copies or {}
    texts = [
        {
            "side": side,
            "record_id": record_id,
            "version": ws.value("select version from record_now where record_id = ?", [record_id]),
            "copy_of": ids[same.get(place, place)],
        }
        for place, record_id in enumerate(ids)
    ]
    alike = [
        {
            "side": side,
            "kind": kind,
            "a": min(ids[a], ids[b]),
            "b": max(ids[a], ids[b]),
            "similarity": similarity,
            "other_similarity": other[0] if other else 1.0,
        }
        for a, b, similarity, *other in pairs or []
    ]
    with ws.transaction() as transaction:
        transaction.execute("delete from duplicate_texts where side = ?", [side])
        transaction.execute("delete from duplicate_pairs where side = ? and kind = ?", [side, kind])
        transaction.insert("duplicate_texts", texts)
        transaction.insert("duplicate_pairs", alike)
    duplicates.regroup(ws, side)


def asked(number: int, rating: str = "", topic: str = "", day: str = "", answer: str = "") -> tuple[str, ...]:
    return (f"Where is my parcel number {number}?", answer or f"On its way, number {number}.", rating, topic, day)


def chain(ws: Workspace) -> list[str]:
    """A~B~C, where A and C are unlike: B is best rated."""
    ids = import_tickets(ws, [asked(0, "3"), asked(1, "5"), asked(2, "4"), asked(3, "4")])
    recorded_search(ws, ids, pairs=[(0, 1, 0.9), (1, 2, 0.85)])
    return ids
