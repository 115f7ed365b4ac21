"""What runs tell: their append-only files, read on from where they were left.

So few of them are kept in memory (`KEPT_FILES`) that it stays flat over days, whatever was looked at.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import rundir
from pipeline.rundir import Mark
from studio.permissions import needs
from studio.workspace import Row, Workspace

KEPT_FILES = 64
"""So many files of runs, those that were asked for last, are kept in memory as far as they were read."""
_BY_STEP = ("loss", "validation")


@dataclass(frozen=True)
class Events:
    """What a run told so far. `losses` and `validation` are in the order of the steps, each step once (a resumed run repeats
    some); `recipe` is what followed from the dials in the newest attempt. Old runs lack some fields."""

    losses: list[Row]
    validation: list[Row]
    recipe: Row
    out_of_memory: list[Row]
    notes: list[str]


@dataclass
class _Heard:
    """A file of a run as far as it was read: rows in their order, and the newest of each kind and step."""

    mark: Mark = field(default_factory=Mark)
    rows: list[Row] = field(default_factory=list)
    by_step: dict[tuple[str, int], Row] = field(default_factory=dict)
    events: Events | None = None


_heard: weakref.WeakKeyDictionary[Workspace, dict[tuple[str, str], _Heard]] = weakref.WeakKeyDictionary()
_hearing = threading.Lock()


@needs("read")
def events(ws: Workspace, run_id: str, path: Path) -> Events:
    """The events of a run's file."""
    with _hearing:
        heard, changed = _hear(ws, run_id, path)
        if changed or heard.events is None:
            ordered = sorted(heard.by_step.values(), key=lambda row: row["step"])
            heard.events = Events(
                [row for row in ordered if row["event"] == "loss"], [row for row in ordered if row["event"] == "validation"],
                next((row for row in reversed(heard.rows) if row["event"] == "recipe"), {}),
                [row for row in heard.rows if row["event"] == "out_of_memory"],
                list(dict.fromkeys(str(row["sentence"]) for row in heard.rows if row["event"] == "note")))
        return heard.events


@needs("raw")
def lines(ws: Workspace, run_id: str, path: Path) -> list[Row]:
    """All whole lines of a file."""
    with _hearing:
        return list(_hear(ws, run_id, path)[0].rows)


@needs("read")
def forget(ws: Workspace) -> None:
    """Keep nothing of what was read."""
    _heard.pop(ws, None)


def _hear(ws: Workspace, run_id: str, path: Path) -> tuple[_Heard, bool]:
    """A file read on to its last whole line, and whether there was anything new."""
    known = _heard.setdefault(ws, {})
    key = run_id, path.name
    heard = known[key] = known.pop(key) if key in known else _Heard()
    for oldest in list(known)[:-KEPT_FILES]:
        del known[oldest]
    new, mark, anew = rundir.read_new(path, heard.mark)
    if anew:
        heard.rows, heard.by_step, heard.events = [], {}, None
    heard.mark = mark
    heard.rows += [row for row in new if row.get("event") not in _BY_STEP]
    heard.by_step |= {(row["event"], row["step"]): row for row in new if row.get("event") in _BY_STEP}
    return heard, bool(new) or anew
