"""Health: whether the studio can do its work at this moment: every workspace answers, and its journal can be written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from studio import folders
from studio.errors import StudioError
from studio.workspace import Workspace

FINE = "ok"
KEPT_SECONDS, PATIENCE_SECONDS = 1.0, 4.0


class Health:
    """One look at a time, and at most one a second however often somebody asks; `word` is "ok" or what is wrong, in a word."""

    def __init__(self, workspaces: Callable[[], Sequence[Workspace]] = folders.every) -> None:
        self._workspaces = workspaces
        self._looking = threading.Lock()
        self._last = (0.0, "")
        self.stopping = False

    def word(self) -> str:
        if self.stopping:
            return "stopping"
        if not self._looking.acquire(timeout=PATIENCE_SECONDS):
            return "database"  # it has not answered the one who asked before
        try:
            at, word = self._last
            if not word or time.monotonic() - at > KEPT_SECONDS:
                word = self._look()
                self._last = time.monotonic(), word
            return word
        finally:
            self._looking.release()

    def _look(self) -> str:
        try:
            found = self._workspaces()
        except StudioError:
            return "workspace"
        for ws in found:
            if word := _wrong(ws):
                return word
        return FINE


def _wrong(ws: Workspace) -> str:
    try:
        ws.value("select count(*) from migrations")
    except Exception:  # whatever the database says: it does not answer
        return "database"
    try:
        ws.journal.probe()
    except OSError:
        return "journal"
    return ""


def memory() -> int:
    """Bytes of main memory that this process holds; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
