"""Production that drifts, or does not, for tests: logs of a made-up shop with a snapshot of the same questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.drift import made_up
from studio import intake, logs, snapshots
from studio.columns import Choices
from studio.snapshots import Recipe, Snapshot
from studio.workspace import Workspace
from tests.tickets import COLUMNS, write_csv

END = datetime(2026, 11, 22, 12)
ANSWER = "Open the page of your order; everything else is there."


def questions(count: int, seed: int, only: str = "", but: str = "") -> list[str]:
    """So many, all of one topic or none of one."""
    texts, topics = made_up(count * 30 if only else count * 2, seed)
    kept = [text for text, topic in zip(texts, topics, strict=True) if (not only or topic == only) and topic != but]
    return kept[:count]


def bring(ws: Workspace, folder: Path, weeks: Sequence[Sequence[str]], moved: timedelta = timedelta()) -> None:
    """A log whose newest week asks `weeks[0]`, the week before `weeks[1]`, and so on; evenly over the days, which end `moved`
    after END."""
    path = folder / f"log-{len(list(folder.glob('log-*')))}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for back, asked in enumerate(weeks):
            for place, text in enumerate(asked):
                at = END + moved - timedelta(days=7 * back) - timedelta(days=7) * place / max(1, len(asked))
                row = {"timestamp": at.isoformat() + "Z", "model": "support-v1", "question": text, "answer": ANSWER,
                       "request_id": f"{path.stem}-{back}-{place}"}  # fmt: skip
                file.write(json.dumps(row) + "\n")
    logs.add(ws, logs.look(ws, path), "path", "ann")


def frozen(ws: Workspace, asked: Sequence[str]) -> Snapshot:
    """A snapshot whose train part asks these, and a few more in the other parts."""
    rows: list[tuple[str, ...]] = [(f"T{place}", text, f"{ANSWER} ({place})", "5", "any") for place, text in enumerate(asked)]
    path = write_csv(ws.root / "asked.csv", rows)
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    return snapshots.freeze(ws, "Asked", Recipe(sizes=(len(rows) - 20, 10, 10)))
