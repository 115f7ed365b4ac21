"""Watching: while the studio runs, what comes into watched folders and through the endpoint is read, and the targets are
judged.

A file that grows is read on from the last whole line it had, as long as it begins as it did; any other file is read whole once
it rests. What is read twice is stored once (`studio/logs.py`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
import traceback
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio import alerts, backups, drifts, files, live, logs, receiving, webhooks
from studio.errors import StudioError
from studio.log_staging import READING
from studio.logs import Report
from studio.permissions import needs
from studio.run_files import whole_lines
from studio.workspace import Row, Workspace

EVERY_SECONDS, REST_NS = 2.0, 2_000_000_000
DEFAULT_DAYS = 7.0
"""What the page shows first; it is ready when logs were read."""
_LINES = (".jsonl", ".ndjson", ".log")
_HEAD = 4_096
_watchers: weakref.WeakKeyDictionary[Workspace, threading.Thread] = weakref.WeakKeyDictionary()
_starting, _looking = threading.Lock(), threading.Lock()


@dataclass(frozen=True)
class Folder:
    """A folder that is watched, with what was found wrong in it."""

    folder_id: str
    path: str
    who: str
    said_at: datetime
    files: int = 0
    problems: tuple[tuple[str, str], ...] = ()


@needs("own")
def watch(ws: Workspace, path: str, who: str) -> None:
    """Watch a folder from now on. Raises StudioError where there is none."""
    folder = Path(path.strip()).expanduser()
    if not path.strip() or not folder.is_dir():
        raise StudioError(
            "There is no such folder on this machine.", "Give the full path of the folder that logs are written to."
        )
    folder = folder.resolve()
    if ws.root in (folder, *folder.parents) or folder in ws.root.parents:
        raise StudioError("This folder holds the workspace, or is inside it.", "Choose the folder that production writes to.")
    if any(one.path == str(folder) for one in folders(ws)):
        raise StudioError("This folder is watched already.")
    _say(ws, ws.new_id(), str(folder), True, who)


@needs("own")
def unwatch(ws: Workspace, folder: Folder, who: str) -> None:
    """Watch it no more; what was read stays."""
    _say(ws, folder.folder_id, folder.path, False, who)


@needs("read")
def folders(ws: Workspace) -> list[Folder]:
    rows = ws.rows("""select folder_id, path, who, said_at from (
                          from log_folders qualify row_number() over (partition by folder_id order by seq desc) = 1)
                      where watched order by path""")
    known = ws.rows("select path, problem from log_files order by path") if rows else []
    return [
        Folder(
            **row,
            files=sum(_inside(one["path"], row["path"]) for one in known),
            problems=tuple(
                (Path(one["path"]).name, one["problem"])
                for one in known
                if one["problem"] and _inside(one["path"], row["path"])
            ),
        )
        for row in rows
    ]


@needs("run")
def keep_up(ws: Workspace) -> None:
    """Start the thread that watches, once a workspace; it ends with the process, or when the workspace is closed."""
    with _starting:
        thread = _watchers.get(ws)
        if thread is None:
            shutil.rmtree(ws.path(READING), ignore_errors=True)  # what an earlier process left
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=_watch, args=(weakref.ref(ws),), name="watching", daemon=True)
            _watchers[ws] = thread
            thread.start()


@needs("run")
def look(ws: Workspace) -> list[Report]:
    """Read whatever is new, everywhere, and judge the targets where something was. Returns what was read."""
    with _looking:
        found = receiving.collect(ws)
        for folder in folders(ws):
            found += _look_into(ws, folder)
    if any(report.rows_added or report.told_later for report in found):
        after(ws)
    return found


@needs("run")
def after(ws: Workspace) -> None:
    """What follows new rows: the page's picture, the targets, and who is told."""
    live.picture(ws, DEFAULT_DAYS)
    webhooks.tell(ws, alerts.review(ws))
    webhooks.tell_late(ws)


def _watch(found: weakref.ref[Workspace]) -> None:
    pause = threading.Event()
    while not pause.wait(EVERY_SECONDS):
        ws = found()
        if ws is None or ws.closed:
            return
        try:
            look(ws)
            drifts.keep_up(ws)
            backups.keep_up(ws)
            ws.sweep()
        except Exception:
            if ws.closed:
                return
            traceback.print_exc()  # the studio's log; the next look may do better
        del ws


def _look_into(ws: Workspace, folder: Folder) -> list[Report]:
    known = {row["path"]: row for row in ws.rows("select * from log_files")}
    found = []
    for path in _files(Path(folder.path)):
        try:
            state = path.stat()
        except OSError:  # it went meanwhile
            continue
        before = known.get(str(path))
        if before and (before["size"], before["changed_ns"]) == (state.st_size, state.st_mtime_ns):
            continue
        report = _read(ws, path, state, before, folder.who)
        found += [report] if report else []
    return found


def _read(ws: Workspace, path: Path, state: os.stat_result, before: Row | None, who: str) -> Report | None:
    lines = path.suffix.lower() in _LINES
    resting = not 0 <= time.time_ns() - state.st_mtime_ns < REST_NS
    if not lines and not resting:
        return None  # it may still be written
    start, head = 0, _head(path, _HEAD)
    if before and lines and before["upto"] and _head(path, min(_HEAD, before["upto"])) == before["head"]:
        start = min(before["upto"], state.st_size)
    upto, problem, report = state.st_size, "", None
    try:
        if lines:
            upto, report = _read_lines(ws, path, start, who)
        else:
            report = logs.add(ws, logs.look(ws, path), "folder", who)
    except StudioError as error:
        problem = error.message
    head = _head(path, min(_HEAD, upto))
    with ws.transaction() as transaction:
        transaction.execute("delete from log_files where path = ?", [str(path)])
        transaction.insert(
            "log_files",
            [
                {
                    "path": str(path),
                    "size": state.st_size,
                    "changed_ns": state.st_mtime_ns,
                    "upto": upto,
                    "head": head,
                    "problem": problem,
                }
            ],
        )
    return report


def _read_lines(ws: Workspace, path: Path, start: int, who: str) -> tuple[int, Report | None]:
    """The whole lines behind `start`, and where they end; a last line without its end is still being written."""
    folder = ws.path(f"{READING}/tail-{ws.new_id()}")
    folder.mkdir(parents=True)
    try:
        piece = folder / path.name
        with path.open("rb") as file, piece.open("wb") as copy:
            file.seek(start)
            shutil.copyfileobj(file, copy, 1 << 20)
        whole = whole_lines(piece, piece.stat().st_size)
        if not whole:
            return start, None
        os.truncate(piece, whole)
        if whole < _HEAD and not piece.read_bytes().strip():
            return start + whole, None
        return start + whole, logs.add(ws, logs.look(ws, piece), "folder", who)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> Sequence[Path]:
    try:
        found = files.expand([folder])
    except StudioError:  # nothing is in it yet, or it is not there at the moment
        found = []
    return [*found, *sorted(path for path in folder.glob("*.log") if path.is_file())]


def _head(path: Path, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _say(ws: Workspace, folder_id: str, path: str, watched: bool, who: str) -> None:
    with ws.transaction() as transaction:
        row = {"folder_id": folder_id, "path": path, "watched": watched, "who": who, "said_at": ws.now()}
        transaction.decided("log_folders", [{"press_id": ws.new_id(), "seq": 0, **row}])
