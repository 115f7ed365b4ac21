"""Duplicates as a search would have left them, without its process."""

from __future__ import annotations

import hashlib
import json
import zlib

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import DedupeSpec, dumps
from studio import duplicates, records
from studio.workspace import Workspace

_TYPES = """{record_id: 'varchar', position: 'bigint', source_line: 'bigint', external_id: 'varchar', rating: 'double',
    tags: 'varchar', status: 'varchar', happened_at: 'timestamp', name: 'varchar', email: 'varchar', messages: 'varchar'}"""

Pair = tuple[int, int, float] | tuple[int, int, float, float]


def import_tickets(ws: Workspace, tickets: list[tuple[str, ...]], name: str = "desk.csv") -> list[str]:
    """Records of (message, answer, rating, topic, day), each cell but the first two may be left out; ids in their order."""
    rows = []
    for place, ticket in enumerate(tickets):
        said, answer, rating, topic, day = (*ticket, *[""] * (5 - len(ticket)))
        turns = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
        rows.append({
            "record_id": hashlib.sha256(f"{name}-{place}".encode()).hexdigest()[:12], "position": place,
            "source_line": place + 2, "external_id": f"T{place}", "rating": float(rating) if rating else None,
            "tags": topic or None, "status": None, "happened_at": day or None, "name": None, "email": None,
            "messages": json.dumps(turns)})  # fmt: skip
    path = ws.root / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = f"from read_json('{path}', columns = {_TYPES})"
    import_id = ws.new_id()
    imported = {"import_id": import_id, "source_name": name, "source_sha256": "0" * 64, "choices": "{}"}
    none = dict.fromkeys(("rows_filtered", "rows_refused", "rows_already_here"), 0)
    all_of_them = dict.fromkeys(("rows_in", "rows_imported", "conversations"), len(rows))
    with ws.transaction() as transaction:
        transaction.insert("imports", [imported | none | all_of_them | {"imported_at": ws.now()}])
        records.add(ws, transaction, import_id, f"select * exclude (messages) {read}",
                    f"select record_id, position, messages {read}")  # fmt: skip
    return [row["record_id"] for row in rows]


def recorded_search(
    ws: Workspace,
    ids: list[str],
    copies: dict[int, int] | None = None,
    pairs: list[Pair] | None = None,
    side: str = "question",
    kind: str = "near",
) -> str:
    """A search of the records `ids` as they are worded now, done, collected and grouped; returns the run's id.

    `copies` says which record is a word-for-word copy of which, `pairs` (with the similarity, and that of the other side) which
    are alike, each by its place in `ids`. Of a side that was searched before, pairs of another kind stay.
    """
    same = copies or {}
    texts = [
        {
            "side": side,
            "record_id": record.record_id,
            "version": record.version,
            "copy_of": ids[same.get(place, place)],
            "other_text": zlib.crc32(record.answer.encode()),
        }
        for place, record in enumerate(records.every(ws, ids))
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
    run_id = _recorded_run(ws, side, len(ids))
    duplicates.regroup(ws, side)
    return run_id


def _recorded_run(ws: Workspace, side: str, size: int) -> str:
    spec = DedupeSpec(run_id=ws.new_id(), records=size, side=side)  # type: ignore[arg-type]
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, ws.now().timestamp())
    Child(folder).finish("done", f"Compared {size} records.", data={"records": size})
    ended = rundir.result(folder)
    assert ended is not None
    row = {"run_id": spec.run_id, "kind": "dedupe", "title": "Search for twins", "snapshot_id": "", "spec": dumps(spec)}
    with ws.transaction() as transaction:
        transaction.insert("runs", [row | {"folder": f"runs/{spec.run_id}", "started_at": ws.now()}])
        transaction.insert("run_results", [{
            "run_id": spec.run_id, "attempt": 1, "outcome": "done", "message": ended.message, "hint": "",
            "data": json.dumps(ended.data), "ended_at": ws.now(), "collected_at": ws.now()}])  # fmt: skip
    return spec.run_id


def asked(number: int, rating: str = "", topic: str = "", day: str = "", answer: str = "") -> tuple[str, ...]:
    return (f"Where is my parcel number {number}?", answer or f"On its way, number {number}.", rating, topic, day)


def chain(ws: Workspace) -> list[str]:
    """A~B~C, where A and C are unlike: B is best rated."""
    ids = import_tickets(ws, [asked(0, "3"), asked(1, "5"), asked(2, "4"), asked(3, "4")])
    recorded_search(ws, ids, pairs=[(0, 1, 0.9), (1, 2, 0.85)])
    return ids
