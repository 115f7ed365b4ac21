"""Logs that a person brings in: looked at first, then read in a thread; found again by a token in the address."""

from __future__ import annotations

import shutil
import threading
import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from studio import files, log_columns, logs, watching
from studio.errors import StudioError
from studio.log_staging import READING
from studio.logs import Look, Report
from studio.permissions import needs
from studio.workspace import Cancelled, Side, Workspace

State = Literal["ready", "reading", "done", "failed"]
_KEPT = 6


@dataclass
class Coming:
    """One or more files, of which the first was looked at. `error` holds what a person must know."""

    token: str
    seen: Look
    paths: tuple[Path, ...]
    folder: Path | None
    state: State = "ready"
    share: float = 0.0
    sentence: str = ""
    reports: list[Report] = field(default_factory=list)
    error: StudioError | None = None
    side: Side | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    def say(self, share: float, sentence: str) -> None:
        self.share, self.sentence = share, sentence


_comings: dict[Path, dict[str, Coming]] = {}
_guard = threading.Lock()


@needs("curate")
def receive(ws: Workspace, name: str, content: bytes | memoryview) -> Coming:
    """Take an uploaded file in and look at it. Raises StudioError, with nothing kept, where it is no log."""
    token = uuid.uuid4().hex[:12]
    folder = ws.path(f"{READING}/{token}")
    folder.mkdir(parents=True)
    path = folder / files.own_name(name, "log.jsonl")
    try:
        path.write_bytes(content)
        return _keep(ws, Coming(token, logs.look(ws, path), (path,), folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@needs("curate")
def open_path(ws: Workspace, path: str) -> Coming:
    """Look at a file on this machine, or at the first of a folder. Raises StudioError where there is no log."""
    if not path.strip():
        raise StudioError("No path is written.", "Give the full path of a file, or of a folder of files.")
    paths = tuple(files.expand([Path(path.strip()).expanduser()]))
    return _keep(ws, Coming(uuid.uuid4().hex[:12], logs.look(ws, paths[0]), paths, None))


def choose(coming: Coming, role: str, label: str | None) -> None:
    """Another place for a role."""
    coming.seen = replace(coming.seen, found=log_columns.choose(coming.seen.found, role, label))


@needs("curate")
def begin(ws: Workspace, coming: Coming, who: str) -> None:
    """Read it, in a thread."""
    coming.state, coming.error, coming.reports = "reading", None, []
    coming.finished.clear()
    threading.Thread(target=_read, args=(ws, coming, who), name=f"log-{coming.token}", daemon=True).start()


@needs("curate", looks=True)
def find(ws: Workspace, token: str) -> Coming | None:
    """None where it was discarded, or the studio was restarted."""
    return _comings.get(ws.root, {}).get(token)


@needs("curate")
def discard(ws: Workspace, coming: Coming) -> None:
    """Let go of it; while it is read, nothing of the file that is on its way is stored."""
    if coming.state == "reading" and coming.side:
        coming.side.cancel()
        coming.finished.wait(60)
    with _guard:
        _comings.get(ws.root, {}).pop(coming.token, None)
    if coming.folder:
        shutil.rmtree(coming.folder, ignore_errors=True)


@needs("curate", looks=True)
def discard_idle(ws: Workspace) -> None:
    """Let go of everything that was looked at and not read: it holds texts. Raises StudioError while something is read."""
    here = list(_comings.get(ws.root, {}).values())
    if any(coming.state == "reading" for coming in here):
        raise StudioError("A log is being read.", "Wait for its end, or stop it on the Monitor page.")
    for coming in here:
        discard(ws, coming)


def _keep(ws: Workspace, coming: Coming) -> Coming:
    with _guard:
        here = _comings.setdefault(ws.root, {})
        here[coming.token] = coming
        old: Sequence[Coming] = [one for one in list(here.values())[:-_KEPT] if one.state != "reading"]
    for one in old:
        discard(ws, one)
    return coming


def _read(ws: Workspace, coming: Coming, who: str) -> None:
    def opened(side: Side) -> None:
        coming.side = side

    try:
        for path in coming.paths:
            seen = coming.seen if path == coming.seen.path else logs.look(ws, path)
            coming.reports.append(logs.add(ws, seen, "upload" if coming.folder else "path", who, coming.say, opened))
        coming.say(0.9, "Judging the targets")
        watching.after(ws)
        coming.state = "done"
    except Cancelled:
        coming.state = "ready"
    except StudioError as error:
        coming.error, coming.state = error, "failed"
    except Exception as error:
        traceback.print_exc()
        coming.error = StudioError(f"Something broke unexpectedly ({type(error).__name__}).", "The studio's log says where.")
        coming.state = "failed"
    finally:
        if coming.folder and coming.state == "done":
            shutil.rmtree(coming.folder, ignore_errors=True)  # its texts are in the workspace once
        coming.finished.set()
