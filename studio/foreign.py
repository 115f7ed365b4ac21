"""Test files made elsewhere, held against a snapshot's train: which of their lines does the model know already?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio import inspections, leaks, runs, snapshots
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import Meaning, Run
from studio.snapshots import Snapshot
from studio.workspace import Workspace


@dataclass(frozen=True)
class Known:
    """A line, by its number in the file, that resembles one of train; texts are what the customer says."""

    line: int
    question: str
    kind: str
    similarity: float
    answers_similarity: float | None
    train_id: str
    train_question: str


@needs("run")
def start(ws: Workspace, snapshot: Snapshot, file: str, near_floor: float, meaning: Meaning | None = None) -> str:
    """Begin to look through a file, by its path in the workspace or on this machine; returns the run's id."""
    path = ws.path(str(Path(file).expanduser()))
    if not path.is_file():
        raise StudioError(f"There is no file {path.name} at that path.", "Check the path, or upload the file instead.")
    return inspections.of_foreign(ws, snapshot, str(Path(file).expanduser()), near_floor, meaning)


@needs("read")
def every(ws: Workspace, snapshot: Snapshot) -> list[Run]:
    """Files held against this snapshot, newest first."""
    return [run for run in runs.every(ws, "inspect") if run.snapshot_id == snapshot.snapshot_id and not run.spec["measure"]]


@needs("raw")
def known(ws: Workspace, run: Run, limit: int = 1_000_000, skip: int = 0) -> list[Known]:
    """What was found, the most alike first."""
    found = leaks.every_match(ws, run.folder)[skip : skip + limit]
    if not found:
        return []
    asked = _questions(ws.path(run.spec["tested"][0]["file"]), {int(leak.item_id) for leak in found})
    lines = snapshots.lines_of(ws, snapshots.get(ws, run.snapshot_id), {leak.train_id for leak in found})
    learned = {name: runs.sides(item.messages)[0] for name, item in lines.items()}
    return [Known(int(leak.item_id), asked.get(int(leak.item_id), ""), leak.kind, leak.similarity, leak.other_similarity,
                  leak.train_id, learned.get(leak.train_id, "")) for leak in found]


def _questions(path: Path, numbers: set[int]) -> dict[int, str]:
    """What these lines ask; nothing where the file is gone by now."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        texts = {number: text for number, text in enumerate(file, start=1) if number in numbers}
    both = {number: runs.read_foreign(text) for number, text in texts.items()}
    return {number: said[0] for number, said in both.items() if said}
