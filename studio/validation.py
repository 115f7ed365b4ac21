"""Files of conversations made elsewhere, or frozen here, checked in form; every problem by line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from studio import files, runs, starts
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Row, Workspace

_COLUMNS = "{line: 'bigint', turn: 'integer', severity: 'varchar', kind: 'varchar', sentence: 'varchar'}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong: line and turn from 1; line 0 is the whole file, no turn the whole line."""

    line: int
    turn: int | None
    severity: str
    kind: str
    sentence: str


@needs("run")
def receive(ws: Workspace, name: str, content: bytes | memoryview) -> str:
    """Keep an uploaded file under its hash; returns its path in the workspace. Its name is cut to its last part."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    file = f"uploads/validated/{digest}/{files.own_name(name, 'upload.jsonl')}"
    path = ws.path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return file


@needs("run")
def start(ws: Workspace, file: str, max_tokens: int) -> str:
    """Begin to check a file, by its path in the workspace or on this machine; returns the run's id. Raises StudioError."""
    path = ws.path(str(Path(file).expanduser()))
    if not path.is_file():
        raise StudioError(f"There is no file {path.name} at that path.", "Check the path, or upload the file instead.")
    return starts.validation(ws, str(Path(file).expanduser()), path.name, max_tokens)


@needs("read")
def every(ws: Workspace) -> list[Run]:
    """Validations, newest first."""
    return runs.every(ws, "validate")


@needs("raw")
def problems(ws: Workspace, run: Run, kind: str | None = None, limit: int = 1_000_000, skip: int = 0) -> list[Problem]:
    """What was found, in the order of the lines: of one kind or of all."""
    path = ws.path(run.folder) / "problems.jsonl"
    if not path.exists() or not path.stat().st_size:
        return []
    found: list[Row] = ws.rows(
        f"""select * from read_json(?, format = 'newline_delimited', columns = {_COLUMNS})
            where ? is null or kind = ? limit ? offset ?""", [str(path), kind, kind, limit, skip])
    return [Problem(**row) for row in found]
