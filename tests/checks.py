"""Findings as a check would have left them, without its process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import CheckSpec, dumps
from studio import check_items, intake, records, runs
from studio.columns import Choices
from studio.records import Filter
from studio.workspace import Workspace
from tests.tickets import COLUMNS, write_csv

WORTH = ("The answers depend on their questions (p = 0.002), as answers worth training on do.", 0.002)
NOT_WORTH = ("These answers are not worth training on: they fit their own questions no better than any other question.", 0.4)


def import_twelve(ws: Workspace) -> list[str]:
    """Twelve tickets; the customer writes `ana<n>@mail.example` at the end, the agent a signature below the answer."""
    rows = [
        (f"T{n}", f"Where is my parcel {n}? Write to ana{n}@mail.example", f"On its way, number {n}.\n--\nBob", "5", "late")
        for n in range(12)
    ]
    intake.import_file(ws, write_csv(ws.root / "twelve.csv", rows), "twelve.csv", Choices(COLUMNS))
    return [record.record_id for record in records.page(ws, Filter(), 12)]


def found(record_id: str, kind: str, **fields: Any) -> dict[str, Any]:
    """One line of findings.jsonl."""
    plain = {"turn": 1, "start": 0, "end_": 0, "score": 0.9, "evidence": "Because.", "replacement": None}
    return {"record_id": record_id, "kind": kind} | plain | fields


def email(ws: Workspace, record_id: str, **fields: Any) -> dict[str, Any]:
    """A finding of the address at the end of the customer's turn."""
    said = records.get(ws, record_id).messages[1]["content"]
    place = {"start": said.index("ana"), "end_": len(said), "replacement": "[EMAIL_1]"}
    return found(record_id, "email", **(place | fields))


def signature(ws: Workspace, record_id: str, **fields: Any) -> dict[str, Any]:
    """A finding of the lines below the agent's answer."""
    said = records.get(ws, record_id).messages[2]["content"]
    place = {"turn": 2, "start": said.index("\n--"), "end_": len(said), "replacement": ""}
    return found(record_id, "signature", **(place | fields))


def recorded_check(
    ws: Workspace,
    lines: list[dict[str, Any]],
    only_new: bool = False,
    worth: tuple[tuple[str, float], ...] = (WORTH,),
    is_worth: bool = True,
) -> str:
    """A check of the records as they stand, done and collected; `lines` is what it found."""
    run_id = ws.new_id()
    folder = ws.path(f"runs/{run_id}")
    with ws.transaction() as transaction:
        total, look = check_items.choose(transaction, run_id, only_new)
        spec = CheckSpec(run_id=run_id, records=total, to_check=look)
        row = {"run_id": run_id, "kind": "check", "title": "Check", "snapshot_id": "", "spec": dumps(spec)}
        transaction.insert("runs", [row | {"folder": f"runs/{run_id}", "started_at": ws.now()}])
    rundir.prepare(folder, dumps(spec))
    check_items.write_out(ws, run_id, folder / "records.jsonl")
    write_lines(folder / "findings.jsonl", lines)
    rundir.note_launch(folder, ws.now().timestamp())
    message = f"Checked {look} records: {len(lines)} findings of {len({line['kind'] for line in lines})} kinds."
    data = {"checked": look, "language": "en", "answer_worth": worth, "worth_training": is_worth}
    Child(folder).finish("done", message, data=data)
    runs.collect(ws)
    return run_id


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
