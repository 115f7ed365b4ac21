"""Several workspaces on one server: a folder of workspaces, each under its folder's name, with everything of its own.

`STUDIO_WORKSPACES` names the folder; without it there is one workspace, that of `STUDIO_WORKSPACE`. Nouns take a workspace and
know of no other, so an id of one finds nothing in another.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from studio import team, workspace
from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Workspace

HOME = "STUDIO_WORKSPACES"
FIRST = "main"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DATABASE = "studio.duckdb"


def home() -> Path | None:
    """The folder of workspaces, None where there is one workspace only."""
    said = os.environ.get(HOME, "").strip()
    return Path(said).expanduser().resolve() if said else None


def names() -> list[str]:
    """The workspaces that are here, by name; empty where there is one only, which has none."""
    folder = home()
    if folder is None or not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and (path / _DATABASE).is_file())


def chosen(name: str = "") -> Workspace:
    """The open workspace of this name; without one, the only one there is. Raises StudioError where there is no such one, or
    several to choose from."""
    folder = home()
    if folder is None:
        return workspace.open_workspace(workspace.default_folder())
    known = names()
    if not known and not name:
        return workspace.open_workspace(folder / FIRST)
    if not name and len(known) == 1:
        name = known[0]
    if not name:
        raise StudioError("There are several workspaces here.", "Choose one: every page lists them.")
    if name not in known:
        raise StudioError(f"There is no workspace {name[:60]!r} here.", "Choose one: every page lists them.")
    return workspace.open_workspace(folder / name)


def every() -> list[Workspace]:
    """All of them, open. Raises StudioError where one cannot be opened."""
    return [chosen(name) for name in names() or [""]]


@needs("own")
def make(ws: Workspace, name: str) -> str:
    """A new, empty workspace beside this one, owned by who makes it; returns its name. Raises StudioError for a name that
    cannot be used."""
    folder = home()
    if folder is None:
        raise StudioError("This server has one workspace only.", f"Start it with {HOME}, a folder of workspaces.")
    name = "-".join(name.lower().split())
    if not _NAME.fullmatch(name):
        raise StudioError("A workspace's name has 1 to 40 small letters, digits and hyphens.", "Choose another name.")
    if (folder / name).exists():
        raise StudioError(f"There is a folder {name} already.", "Choose another name.")
    made = workspace.open_workspace(folder / name)
    if ws.person is not None:
        team.begin(made, ws.person.email)
    return name


@needs("open")
def name_of(ws: Workspace) -> str:
    """What a workspace is called among several; empty where there is one only."""
    return ws.root.name if home() == ws.root.parent else ""


def address(name: str, path: str) -> str:
    """A page's address with the workspace it is meant in, by name."""
    return f"{path}{'&' if '?' in path else '?'}workspace={quote(name)}" if name else path
