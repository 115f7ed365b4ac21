"""Searches for duplicates as their child would have left them, without its process."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import DedupeSpec, Meaning, dumps
from studio import duplicates, intake, records, runs
from studio.columns import Choices
from studio.records import Filter
from studio.workspace import Workspace
from tests.tickets import COLUMNS, write_csv

Pair = tuple[str, str, float]


def import_texts(ws: Workspace, *asked: str, answers: tuple[str, ...] = ()) -> list[str]:
    """Tickets with these questions, and as many others as make ten; returns the ids of the first in this order."""
    said = [*asked, *(f"other{n}" for n in range(len(asked), 10))]
    told = [*answers, *(f"answer{n}" for n in range(len(answers), len(said)))]
    rows = [(f"T{n}", text, told[n], "5", "late") for n, text in enumerate(said)]
    intake.import_file(ws, write_csv(ws.root / "asked.csv", rows), "asked.csv", Choices(COLUMNS))
    return [record.record_id for record in records.page(ws, Filter(), len(asked))]


def recorded_search(ws: Workspace, side: str = "question", copies: dict[str, str] | None = None, near: tuple[Pair, ...] = (),
                    by_meaning: tuple[Pair, ...] = ()) -> str:
    """A search of the records as they stand, done and collected; `copies`: record → the record it is a copy of."""
    run_id = ws.new_id()
    folder = ws.path(f"runs/{run_id}")
    with ws.transaction() as transaction:
        total = duplicates.choose(transaction, run_id)
        spec = DedupeSpec(run_id=run_id, records=total, side=side, meaning=Meaning() if by_meaning else None)  # type: ignore[arg-type]
        row = {"run_id": run_id, "kind": "dedupe", "title": "Duplicates", "snapshot_id": "", "spec": dumps(spec)}
        transaction.insert("runs", [row | {"folder": f"runs/{run_id}", "started_at": ws.now()}])
    rundir.prepare(folder, dumps(spec))
    _tables(folder, copies or {}, [("near", *pair) for pair in near] + [("meaning", *pair) for pair in by_meaning])
    rundir.note_launch(folder, ws.now().timestamp())
    data = {"records": total, "meaning": spec.meaning and spec.meaning.model_dump(), "crowded": 0, "uncompared": 0,
            "meaning_threshold": 0.85 if by_meaning else None, "near_left_out": 0, "meaning_left_out": 0}
    Child(folder).finish("done", f"Compared {total} records.", data=data)
    runs.collect(ws)
    return run_id


def _tables(folder: Path, copies: dict[str, str], pairs: list[tuple[str, str, str, float]]) -> None:
    text, number = pa.string(), pa.float32()
    pq.write_table(pa.table({"record_id": pa.array(copies, text), "copy_of": pa.array(copies.values(), text),
                             "other_text": pa.nulls(len(copies), pa.uint64())}), folder / "copies.parquet")
    columns = list(zip(*pairs, strict=True)) or [(), (), (), ()]
    pq.write_table(pa.table({"kind": pa.array(columns[0], text), "a": pa.array(columns[1], text),
                             "b": pa.array(columns[2], text), "similarity": pa.array(columns[3], number),
                             "other_similarity": pa.nulls(len(pairs), number)}), folder / "pairs.parquet")
