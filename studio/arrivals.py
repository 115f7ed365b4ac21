"""Files on their way in: read and imported in the background, cancelled at will, found again by their token.

What has arrived but was not imported lives under `uploads/waiting/` and in this process. When the studio goes down it is
forgotten and swept away at the next arrival; the workspace itself never holds half an import.
"""

from __future__ import annotations

import shutil
import threading
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from studio import files, intake
from studio.columns import Choices
from studio.errors import StudioError
from studio.intake import Preview, Report
from studio.permissions import needs
from studio.staging import WAITING, Overrides, Staging
from studio.workspace import Cancelled, Side, Workspace

State = Literal["reading", "ready", "importing", "done", "failed", "cancelled"]
MOVING = ("reading", "importing")
_KEPT = 6
"""So many readings that nobody imported are kept; an older one goes when the next arrives."""


@dataclass
class Arrival:
    """One set of files. `share` and `sentence` say how far the work is; `error` holds what a person must know."""

    token: str
    folder: Path
    paths: tuple[Path, ...]
    overrides: Overrides
    state: State = "reading"
    share: float = 0.0
    sentence: str = "Reading"
    staging: Staging | None = None
    preview: Preview | None = None
    report: Report | None = None
    error: StudioError | None = None
    side: Side | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def moving(self) -> bool:
        return self.state in MOVING

    @property
    def names(self) -> str:
        """The files' names, for a heading."""
        first = [path.name for path in self.paths[:3]]
        return ", ".join(first) + (f" and {len(self.paths) - 3} more" if len(self.paths) > 3 else "")

    @property
    def progress(self) -> float:
        """The share done, 0 to 1; while a file is read, as far as the database has come in it."""
        return max(self.share, self.side.progress()) if self.state == "reading" and self.side else self.share

    def say(self, share: float, sentence: str) -> None:
        self.share, self.sentence = share, sentence


_arrivals: dict[Path, dict[str, Arrival]] = {}
_guard = threading.Lock()


@needs("curate")
def receive(ws: Workspace, uploads: Sequence[tuple[str, bytes | memoryview]]) -> Arrival:
    """Take uploaded files in and begin to read them; a name is cut to its last part."""
    token = uuid.uuid4().hex[:12]
    _sweep(ws)
    folder = ws.path(f"{WAITING}/{token}")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place, (name, content) in enumerate(uploads):
        path = folder / f"{place}" / files.own_name(name, "upload.csv")
        path.parent.mkdir()
        path.write_bytes(content)
        paths.append(path)
    return _begin(ws, token, tuple(paths), Overrides())


@needs("curate")
def open_paths(ws: Workspace, paths: Sequence[Path], overrides: Overrides | None = None) -> Arrival:
    """Begin to read files that lie on this machine."""
    _sweep(ws)
    return _begin(ws, uuid.uuid4().hex[:12], tuple(paths), overrides or Overrides())


@needs("curate")
def read_again(ws: Workspace, arrival: Arrival, overrides: Overrides) -> Arrival:
    """Read the same files in another way; the first reading is given up."""
    _stop(arrival)
    if arrival.staging:
        arrival.staging.side.close()
    return _begin(ws, arrival.token, arrival.paths, overrides)


@needs("curate", looks=True)
def find(ws: Workspace, token: str) -> Arrival | None:
    """None when the files are not here any more: the studio was restarted, or they were discarded."""
    return _arrivals.get(ws.root, {}).get(token)


@needs("curate")
def begin_import(ws: Workspace, arrival: Arrival, choices: Choices) -> None:
    """Import in the background what was read."""
    staging = arrival.staging
    if staging is None or arrival.state not in ("ready", "failed"):
        raise StudioError("These files are not ready to be imported.", "Wait until they are read.")
    arrival.state, arrival.error = "importing", None
    arrival.finished.clear()

    def work() -> None:
        arrival.report = intake.import_staged(ws, staging, choices, arrival.names, arrival.say)

    _run(arrival, work, "done")


@needs("curate")
def cancel(ws: Workspace, arrival: Arrival) -> None:
    """Stop what goes on and throw away what was read; nothing of it is in the workspace."""
    _stop(arrival)
    if arrival.state != "done":
        discard(ws, arrival)


@needs("curate")
def discard(ws: Workspace, arrival: Arrival) -> None:
    """Let go of the files and of everything read from them."""
    with _guard:
        _arrivals.get(ws.root, {}).pop(arrival.token, None)
    if arrival.staging:
        arrival.staging.discard()
    shutil.rmtree(arrival.folder, ignore_errors=True)


@needs("curate", looks=True)
def discard_idle(ws: Workspace) -> None:
    """Let go of everything that was read and not imported. Raises StudioError while something moves."""
    with _guard:
        here = list(_arrivals.get(ws.root, {}).values())
    if any(arrival.moving for arrival in here):
        raise StudioError("Files are being read or imported.", "Wait for their end, or cancel them on the Import page.")
    for arrival in here:
        discard(ws, arrival)


def wait(arrival: Arrival, seconds: float) -> None:
    """Give a short piece of work the time to end, so that small files appear at once."""
    arrival.finished.wait(seconds)


def _begin(ws: Workspace, token: str, paths: tuple[Path, ...], overrides: Overrides) -> Arrival:
    arrival = Arrival(token, ws.path(f"{WAITING}/{token}"), paths, overrides)
    with _guard:
        here = _arrivals.setdefault(ws.root, {})
        here[token] = arrival
        old = [other for other in list(here.values())[:-_KEPT] if not other.moving]
    for other in old:
        discard(ws, other)

    def opened(side: Side) -> None:
        arrival.side = side

    def work() -> None:
        staging = intake.read(ws, paths, arrival.say, opened, overrides, f"{WAITING}/{token}")
        try:
            arrival.preview = intake.look(ws, staging)
        except BaseException:
            staging.discard()
            raise
        arrival.staging = staging

    _run(arrival, work, "ready")
    return arrival


def _run(arrival: Arrival, work: Callable[[], None], then: State) -> None:
    def in_thread() -> None:
        try:
            work()
            arrival.state = then
        except Cancelled:
            arrival.state = "cancelled"
        except StudioError as error:
            arrival.error, arrival.state = error, "failed"
        except Exception as error:
            traceback.print_exc()
            arrival.error = StudioError(f"Something broke unexpectedly ({type(error).__name__}); the workspace is unchanged.",
                                        "The studio's log says where. Try again, or choose other files.")
            arrival.state = "failed"
        finally:
            arrival.finished.set()

    threading.Thread(target=in_thread, name=f"arrival-{arrival.token}", daemon=True).start()


def _stop(arrival: Arrival) -> None:
    side = arrival.staging.side if arrival.staging else arrival.side
    if arrival.moving and side:
        side.cancel()
    arrival.finished.wait(60)


def _sweep(ws: Workspace) -> None:
    """Throw away what an earlier process left; asked once a process."""
    with _guard:
        if ws.root not in _arrivals:
            _arrivals[ws.root] = {}
            shutil.rmtree(ws.path(WAITING), ignore_errors=True)
