"""One moment of a workspace that is in use, held still: its database, its journal, its run folders and its other files.

Under the write lock the database's transaction begins, and the journal and the files of the run folders are tied by hard links
into a folder beside; so what others append, rename over or delete from then on changes nothing here, and nobody waits for the
copying. What is written once (uploads, snapshots, checkpoints) is tied right after.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.archives import Part
from studio.log_staging import READING
from studio.permissions import needs
from studio.run_files import LIVES, whole_lines
from studio.staging import WAITING
from studio.workspace import Workspace

DATABASE = "studio.duckdb"
JOURNAL = "journal.jsonl"
STAGES = ".backup-"
"""How the folders begin that a moment is held in."""
_OWN, _LOCKS = ("workspace.owner.json", "forgetting.json"), ("workspace.lock", "device.lock", LIVES)
_ON_THEIR_WAY = (WAITING, READING)
_HEAVY = ("models", "exports")
_LINES = (".jsonl", ".jsonl.part")


@dataclass(frozen=True)
class Moment:
    """What stood then: the journal's last number and hash, and every file with the bytes that are meant."""

    journal: int
    sha: str
    parts: tuple[Part, ...]


@needs("own", looks=True)
@contextmanager
def held(ws: Workspace, models: bool) -> Iterator[Moment]:
    """Hold a moment while it is copied; `models` takes base models and exported ones in. Hold `ws.whole` around it."""
    sweep(ws)
    stage = ws.path(f"{STAGES}{ws.new_id()}")
    stage.mkdir()
    tied: dict[str, int] = {}
    last: list[tuple[int, str]] = []

    def at_once() -> None:
        last.append(ws.journal.last)
        for path in (ws.path(JOURNAL), *sorted(ws.path("runs").glob("*/*"))):
            _tie(ws.root, path, stage, tied)

    try:
        ws.copy_database(stage / DATABASE, at_once)
        for path in _written_once(ws.root, models):
            _tie(ws.root, path, stage, tied)
        parts = [_part(stage, name, size) for name, size in sorted(tied.items())]
        whole = Part(DATABASE, stage / DATABASE, (stage / DATABASE).stat().st_size)
        yield Moment(*last[0], (whole, *parts))
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@needs("own", looks=True)
def sweep(ws: Workspace) -> None:
    """Take away what a process left that died while it held a moment: it ties files that may have to go."""
    for left in ws.root.glob(f"{STAGES}*"):
        shutil.rmtree(left, ignore_errors=True)


def _part(stage: Path, name: str, size: int) -> Part:
    path = stage / name
    return Part(name, path, whole_lines(path, size) if name.endswith(_LINES) else size)


def _written_once(root: Path, models: bool) -> Iterator[Path]:
    """Every file that belongs to the workspace, but for the database and what is only on its way in."""
    left_out = {*_ON_THEIR_WAY, *(() if models else _HEAVY)}
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [one for one in folders if not one.startswith(".") and str((here / one).relative_to(root)) not in left_out]
        yield from (here / name for name in sorted(names) if here != root or not name.startswith(DATABASE))


def _tie(root: Path, path: Path, stage: Path, tied: dict[str, int]) -> None:
    """Take a file in as it is now, unless it was taken, is a lock or a socket, or is being written beside."""
    name = str(path.relative_to(root))
    if name in tied or path.name.startswith(".") or path.name in _LOCKS or name in _OWN:
        return
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(path, target)
        tied[name] = target.stat().st_size
    except FileNotFoundError:  # it went meanwhile
        return


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(path, target)
