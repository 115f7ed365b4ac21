"""Backups: a workspace that is in use, whole, in one file; by hand or every so many hours; and a workspace made from one.

A backup is of one moment (`studio/moment.py`): nobody who labels or trains meanwhile waits for it, and nothing said later is in
it. It is read back, byte by byte, before it gets its name. It holds everybody who was in the workspace then, so people who are
forgotten later are still in it (`holding`): such backups must be deleted where they lie.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
import traceback
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from studio import archives, elsewhere, moment
from studio.archives import Manifest
from studio.errors import StudioError
from studio.journal import Journal
from studio.permissions import needs
from studio.workspace import Row, Workspace, counts_of

FORGETTING = "forgetting.json"
"""While this file is there somebody is being forgotten."""
MOST_KEPT, MOST_HOURS = 100, 24.0 * 31
SCHEDULE = "the schedule"
TRY_AGAIN = timedelta(hours=1)
_PREFIX, _SUFFIX, _LEFT_SECONDS = "tunewright", ".tar", 86_400


@dataclass(frozen=True)
class Backup:
    """One backup as it ended. `problem` says why there is none; `journal` is the number of the last act of people in it."""

    backup_id: str
    path: str
    taken_at: datetime
    journal: int
    files: int
    bytes: int
    seconds: float
    models: bool
    scheduled: bool
    who: str
    problem: str
    gone_at: datetime | None

    @property
    def there(self) -> bool:
        return not self.problem and self.gone_at is None and Path(self.path).is_file()


@dataclass(frozen=True)
class Plan:
    """Every `hours` hours into `folder`, of which the newest `kept` stay."""

    folder: str
    hours: float
    kept: int
    models: bool
    who: str
    said_at: datetime


@dataclass
class Doing:
    """A backup on its way."""

    share: float = 0.0
    error: StudioError | None = None
    made: Backup | None = None
    over: bool = False


_doing: weakref.WeakKeyDictionary[Workspace, Doing] = weakref.WeakKeyDictionary()
_starting = threading.Lock()


@needs("own")
def backup(ws: Workspace, target: Path | str, who: str, models: bool = False, scheduled: bool = False,
           say: Callable[[float], None] = lambda share: None) -> Backup:
    """Back the workspace up as it is now, into a file (`.tar`) or a folder, in which it gets a name. Base models and exported
    ones can be made again, so they stay out unless `models` is set. Raises StudioError, and leaves nothing behind."""
    began, backup_id = time.monotonic(), ws.new_id()
    path = _target(ws, Path(target), backup_id)
    with ws.whole:
        if ws.path(FORGETTING).exists():
            raise StudioError("Somebody is being forgotten at this moment.", "Open a page of the studio, then try again.")
        taken = ws.now()
        with moment.held(ws, models) as then:
            tables = counts_of(then.parts[0].path)
            manifest = archives.pack(path, then.parts, lambda files: Manifest(
                ws.root.name, taken.isoformat(sep=" "), then.journal, then.sha, models, tables, files), say)
    made = Backup(backup_id, str(path), taken, manifest.journal, len(manifest.files), path.stat().st_size,
                  round(time.monotonic() - began, 2), models, scheduled, who, "", None)
    _write_down(ws, made)
    return made


@needs("own")
def begin(ws: Workspace, target: str, who: str, models: bool = False) -> Doing:
    """Take a backup in a thread. Raises StudioError where one is on its way, or could not begin."""
    _target(ws, Path(target), "0")
    return _begin(ws, target, who, models, scheduled=False)


@needs("own", looks=True)
def doing(ws: Workspace) -> Doing | None:
    """The newest backup that this process began, on its way or over."""
    return _doing.get(ws)


def verify(archive: Path | str) -> Manifest:
    """Read a backup through and hold every byte against what was packed. Raises StudioError where it is not whole."""
    return archives.verify(Path(archive))


def restore(archive: Path | str, folder: Path | str) -> Manifest:
    """Make a workspace from a backup, in a folder that is empty or not there yet; returns what it holds.

    Files are written beside and held against the manifest byte by byte, tables are counted, the journal's chain is followed,
    and the workspace is opened once, before the folder gets its name. Raises StudioError, and leaves nothing behind.
    """
    folder = Path(folder).expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudioError(f"{folder} is not empty.", "A backup is restored into a folder that is empty or not there yet.")
    beside = folder.with_name(f".{folder.name}.restoring-{uuid.uuid4().hex[:8]}")
    try:
        beside.mkdir(parents=True)
        manifest = archives.unpack(Path(archive).expanduser(), beside)
        _equals(beside, manifest)
        elsewhere.begin_anew(beside)
        os.sync()
        if folder.exists():
            folder.rmdir()
        os.rename(beside, folder)
    except OSError as error:
        raise StudioError(f"The workspace could not be written to {folder}: {error.strerror}.",
                          "Choose a folder you may write to, on a disk with room.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


@needs("own", looks=True)
def every(ws: Workspace, limit: int = 200) -> list[Backup]:
    """Newest first, those that failed or are gone included."""
    return [Backup(**row) for row in ws.rows("select * from backups order by taken_at desc, backup_id limit ?", [limit])]


@needs("own", looks=True)
def newest(ws: Workspace) -> Backup | None:
    """The newest that is where it was put."""
    return next((one for one in every(ws) if one.there), None)


@needs("own", looks=True)
def holding(ws: Workspace, said_at: datetime) -> list[Backup]:
    """Backups that are still there and were taken before this: who was forgotten at that time is in them."""
    return [one for one in every(ws, 100_000) if one.there and one.taken_at <= said_at]


@needs("own", looks=True)
def plan(ws: Workspace) -> Plan | None:
    """What was said last of how often, None where nothing was, or it was said for another folder than this."""
    row = ws.row("select * from backup_plans order by seq desc limit 1")
    if row is None or not row["active"] or row["root"] != str(ws.root):
        return None
    return Plan(row["folder"], row["hours"], row["kept"], row["models"], row["who"], row["said_at"])


@needs("own")
def every_hours(ws: Workspace, folder: str, hours: float, kept: int, who: str, models: bool = False) -> None:
    """Take a backup every so many hours from now on, and keep the newest ones. Raises StudioError for what cannot be."""
    if not 0 < hours <= MOST_HOURS or not 1 <= kept <= MOST_KEPT:
        raise StudioError(f"A plan has at most {MOST_HOURS:g} hours between backups and keeps 1 to {MOST_KEPT}.")
    target = _target(ws, Path(folder), "0").parent
    _say(ws, Plan(str(target), hours, kept, models, who, ws.now()), True)


@needs("own")
def no_more(ws: Workspace, who: str) -> None:
    """Take none by itself any more; those that are there stay."""
    if (known := plan(ws)) is not None:
        _say(ws, Plan(known.folder, known.hours, known.kept, known.models, who, ws.now()), False)


@needs("own", looks=True)
def due(ws: Workspace) -> datetime | None:
    """When the next one is taken by itself, None where no plan says so."""
    known = plan(ws)
    if known is None:
        return None
    last = ws.row("select taken_at, problem from backups where scheduled order by taken_at desc limit 1")
    if last is None:
        return known.said_at
    pause = timedelta(hours=known.hours)
    return last["taken_at"] + (min(pause, TRY_AGAIN) if last["problem"] else pause)  # type: ignore[no-any-return]


@needs("own")
def keep_up(ws: Workspace) -> None:
    """Begin the backup that is due; asked again and again by the thread that watches."""
    known, when = plan(ws), due(ws)
    now = _doing.get(ws)
    if known is not None and when is not None and when <= ws.now() and (now is None or now.over):
        _begin(ws, known.folder, SCHEDULE, known.models, scheduled=True)


def _begin(ws: Workspace, target: str, who: str, models: bool, scheduled: bool) -> Doing:
    with _starting:
        if (before := _doing.get(ws)) is not None and not before.over:
            raise StudioError("A backup is being taken already.", "Wait for its end.")
        doing = _doing[ws] = Doing()
    threading.Thread(target=_take, args=(ws, doing, target, who, models, scheduled), name="backup", daemon=True).start()
    return doing


def _take(ws: Workspace, doing: Doing, target: str, who: str, models: bool, scheduled: bool) -> None:
    def say(share: float) -> None:
        doing.share = share

    try:
        doing.made = backup(ws, target, who, models, scheduled, say)
        if scheduled:
            _let_go(ws)
    except StudioError as error:
        doing.error = error
    except Exception as error:
        traceback.print_exc()  # the studio's log
        doing.error = StudioError(f"Something broke unexpectedly ({type(error).__name__}).", "The studio's log says where.")
    finally:
        if doing.error and not ws.closed:
            _write_down(ws, Backup(ws.new_id(), target, ws.now(), 0, 0, 0, 0.0, models, scheduled, who, str(doing.error), None))
        doing.over = True


def _let_go(ws: Workspace) -> None:
    """Delete the oldest of those that the schedule took, beyond as many as the plan keeps; never those of the folder that this
    one was restored from, which are older than the first plan here."""
    known = plan(ws)
    since = ws.value("select min(said_at) from backup_plans where root = ?", [str(ws.root)])
    own = [one for one in every(ws, 100_000) if one.scheduled and one.there and one.taken_at >= since]
    for one in own[known.kept:] if known else []:
        Path(one.path).unlink(missing_ok=True)
        with ws.transaction() as transaction:
            transaction.execute("update backups set gone_at = ? where backup_id = ?", [ws.now(), one.backup_id])


def _target(ws: Workspace, target: Path, backup_id: str) -> Path:
    """The file a backup goes to; its folder is there from here on."""
    if not str(target).strip() or str(target) == ".":
        raise StudioError("No folder for backups is written.", "Give the full path of a folder, best on another disk.")
    target = target.expanduser().absolute()
    name = f"{_PREFIX}-{ws.root.name}-{ws.now():%Y%m%d-%H%M%S}-{backup_id[:6]}{_SUFFIX}"
    path = target if target.suffix == _SUFFIX else target / name
    if ws.root in path.resolve().parents:
        raise StudioError("This folder is inside the workspace.", "Choose another one for backups, best on another disk.")
    if path.exists():
        raise StudioError(f"{path} is there already.", "Choose another name: a backup is never written over.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{_PREFIX}-*{_SUFFIX}.part"):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:  # a process that died wrote it
                left.unlink(missing_ok=True)
    except OSError as error:
        raise StudioError(f"Nothing can be written to {path.parent}: {error.strerror}.", "Choose another folder.") from None
    return path


def _equals(folder: Path, manifest: Manifest) -> None:
    """Whether a folder is the workspace that was packed, as far as its tables, its journal and an opening can tell."""
    if (found := counts_of(folder / moment.DATABASE)) != manifest.tables:
        wrong = sorted(name for name in found.keys() | manifest.tables.keys() if found.get(name) != manifest.tables.get(name))
        raise StudioError(f"The restored database is not the one that was packed: {', '.join(wrong)}.", "Take another backup.")
    journal = Journal(folder / moment.JOURNAL)
    if journal.warning or journal.last != (manifest.journal, manifest.sha):
        raise StudioError("The restored journal is not the one that was packed.", "Take another backup.")
    opened = Workspace(folder)
    opened.close()
    if opened.warnings:
        raise StudioError(f"The restored workspace does not open as it should: {opened.warnings[0]}", "Take another backup.")


def _write_down(ws: Workspace, made: Backup) -> None:
    with ws.transaction() as transaction:
        transaction.insert("backups", [vars(made).copy()])


def _say(ws: Workspace, said: Plan, active: bool) -> None:
    row: Row = {"press_id": ws.new_id(), "seq": 0, **vars(said), "active": active, "root": str(ws.root)}
    with ws.transaction() as transaction:
        transaction.decided("backup_plans", [row])
