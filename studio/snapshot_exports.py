"""Snapshots on their way out: chat lines, Parquet, CSV, and a folder that `datasets.load_dataset` reads; and to the Hub.

A frozen file is read line by line; what is written holds the same conversations.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.spec_deploy import PushSpec
from studio import card_text, exports, runs, snapshots
from studio.errors import StudioError
from studio.permissions import needs
from studio.records import Turns
from studio.run_files import DATASET
from studio.runs import Run
from studio.snapshots import SPLITS, Snapshot, SplitName
from studio.workspace import Workspace

_BATCH = 5_000
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
NO_TOKEN = "There is no Hugging Face token: HF_TOKEN is not set where the studio was started."


@needs("export")
def chat(ws: Workspace, snapshot: Snapshot, split: SplitName, last_only: bool = False) -> str:
    """`{"messages": […]}` lines as fine-tuning services take them, a `weight` on every answer: 1 is learned, 0 only read.

    With `last_only` earlier answers of a conversation weigh nothing.
    """
    return "".join(json.dumps({"messages": _weighed(item.messages, last_only)}, ensure_ascii=False) + "\n"
                   for item in snapshots.items(ws, snapshot, split))


@needs("export")
def table(ws: Workspace, snapshot: Snapshot, split: SplitName) -> bytes:
    """A Parquet table of id and messages, a list of role and content."""
    import pyarrow as pa
    from pyarrow import parquet

    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema([("id", pa.string()), ("messages", pa.list_(turn))])
    file = io.BytesIO()
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(ws, snapshot, split):
            rows: list[dict[str, Any]] = [{"id": item.record_id, "messages": item.messages} for item in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema))
    return file.getvalue()


@needs("export")
def sheet(ws: Workspace, snapshot: Snapshot, split: SplitName) -> str:
    """CSV: one row a question with its answer, or, where conversations go on, one row a turn. System prompts are left out.

    What a spreadsheet would take for a formula gets a quote in front.
    """
    items = snapshots.items(ws, snapshot, split)
    said = [(item.record_id, [turn for turn in item.messages if turn["role"] != "system"]) for item in items]
    if all([turn["role"] for turn in turns] == ["user", "assistant"] for _, turns in said):
        return exports.csv_text([{"id": name, "customer_message": turns[0]["content"], "agent_response": turns[1]["content"]}
                                 for name, turns in said])
    return exports.csv_text([
        {"conversation_id": name, "turn": place, "sender": {"user": "customer", "assistant": "agent"}[turn["role"]],
         "message": turn["content"]} for name, turns in said for place, turn in enumerate(turns, start=1)])


@needs("export")
def write_dataset(ws: Workspace, snapshot: Snapshot, folder: Path) -> None:
    """A folder that `datasets.load_dataset` reads: a README.md that names the files, the card below it, and a table a part."""
    (folder / "data").mkdir(parents=True)
    for split in SPLITS:
        (folder / "data" / f"{split}.parquet").write_bytes(table(ws, snapshot, split))
    files = "".join(f"  - split: {split}\n    path: data/{split}.parquet\n" for split in SPLITS)
    head = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n"
    (folder / "README.md").write_text(head + card_text.markdown(ws, snapshot), encoding="utf-8")
    (folder / "manifest.json").write_bytes(snapshots.content(ws, snapshot, "manifest.json"))


@needs("export")
def zipped(ws: Workspace, snapshot: Snapshot) -> bytes:
    """The same folder, zipped."""
    file = io.BytesIO()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / snapshot.snapshot_id
        write_dataset(ws, snapshot, folder)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(home))
    return file.getvalue()


def token_is_set() -> bool:
    return bool(os.environ.get("HF_TOKEN", "").strip())


@needs("export")
def push(ws: Workspace, snapshot: Snapshot, repository: str, private: bool = True) -> str:
    """Put the folder on the Hugging Face Hub as `owner/name`, made private where it is new; returns the run's id.

    The run's copy of the lines goes when it is done. Raises StudioError in words for a wrong name and without a token.
    """
    repository = repository.strip()
    if not _REPOSITORY.fullmatch(repository):
        raise StudioError(f"{repository!r} is not the name of a data set.", "It has the form owner/name.")
    if not token_is_set():
        raise StudioError(NO_TOKEN, "Set it and start the studio again; it is read from there and stored nowhere.")
    snapshots.verify(ws, snapshot)
    run_id = ws.new_id()
    spec = PushSpec(run_id=run_id, folder=f"runs/{run_id}/{DATASET}", repository=repository, private=private, what="dataset")
    return runs.begin(ws, spec, f"Push to {repository}", snapshot.snapshot_id,
                      write=lambda folder: write_dataset(ws, snapshot, folder / DATASET))


@needs("read")
def newest_push(ws: Workspace, snapshot: Snapshot) -> Run | None:
    """The newest push of a snapshot, however it stands."""
    return next((run for run in runs.every(ws, "push") if run.snapshot_id == snapshot.snapshot_id), None)


def _weighed(messages: Turns, last_only: bool) -> list[dict[str, Any]]:
    last = len(messages) - 1
    return [turn | {"weight": int(place == last or not last_only)} if turn["role"] == "assistant" else dict(turn)
            for place, turn in enumerate(messages)]


def _batches(ws: Workspace, snapshot: Snapshot, split: SplitName) -> Iterator[list[snapshots.Item]]:
    for start in range(0, snapshot.count(split), _BATCH):
        yield snapshots.items(ws, snapshot, split, start, _BATCH)
