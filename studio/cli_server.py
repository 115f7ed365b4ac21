"""The commands of whoever looks after a server: start it, back a workspace up, restore one."""

from __future__ import annotations

import getpass
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from studio import backups, folders, workspace
from studio.errors import StudioError
from studio.ui.formats import size

ROOT = workspace.ROOT
SECRET = "STREAMLIT_SERVER_COOKIE_SECRET"
SHORTEST_SECRET = 32
HOSTS = "STUDIO_HOSTS"


def server(
    host: Annotated[list[str], typer.Option(help="The name that people reach it by, as in https://NAME; may be repeated.")],
    folder: Annotated[Path | None, typer.Option("--workspace", help="Folder of the one workspace.")] = None,
    several: Annotated[Path | None, typer.Option("--workspaces", help="Folder of several workspaces.")] = None,
    address: Annotated[str, typer.Option(help="Where it listens; a proxy on this machine asks for it there.")] = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 8501,
    upload_mb: Annotated[int, typer.Option(help="The largest file that is taken, in MB.")] = 500,
) -> None:
    """Serve the studio behind a reverse proxy, until SIGTERM; docs/server.md has the whole setup."""
    with told():
        _has_secret()
        if folder and several:
            raise StudioError("Both --workspace and --workspaces are given.", "Give one of them.")
        environment = os.environ | {HOSTS: ",".join(host)}
        environment |= {"STUDIO_WORKSPACE": str(folder.absolute())} if folder else {}
        environment |= {folders.HOME: str(several.absolute())} if several else {}
        os.chdir(ROOT)  # the theme and the other settings of .streamlit/config.toml are found from here
        os.execve(sys.executable, [sys.executable, *command(host, address, port, upload_mb)], environment)


def command(hosts: list[str], address: str, port: int, upload_mb: int) -> list[str]:
    """What Python is started with: settings that belong to a server stand here, the rest in .streamlit/config.toml."""
    said = {"server.address": address, "server.port": port, "server.headless": "true", "server.maxUploadSize": upload_mb,
            "server.enableCORS": "true", "server.enableXsrfProtection": "true", "browser.serverAddress": hosts[0]}
    every = [*((f"--{name}", str(value)) for name, value in said.items()),
             *(("--server.allowedHosts", one) for one in (*hosts, "127.0.0.1", "localhost")),
             *(("--server.corsAllowedOrigins", f"https://{one}") for one in hosts)]
    return ["-m", "streamlit", "run", str(ROOT / "studio" / "server.py"), *(word for pair in every for word in pair)]


def backup(
    target: Annotated[Path, typer.Argument(help="A folder, in which it gets a name, or a file that ends in .tar.")],
    folder: Annotated[Path, typer.Option("--workspace", help="Folder of the workspace.")],
    models: Annotated[bool, typer.Option(help="Base models and exported ones too; they can be made again.")] = False,
) -> None:
    """Back a workspace up into one file, read back byte by byte. While the studio has it open: on its page Server."""
    with told():
        made = backups.backup(workspace.open_workspace(folder), target, getpass.getuser(), models)
        typer.echo(f"Backed up: {made.files:,} files, {size(made.bytes)}, up to line {made.journal:,} of the journal, "
                   f"in {made.seconds:.1f} s.\n{made.path}")


def restore(
    archive: Annotated[Path, typer.Argument(help="A backup: a file that ends in .tar.")],
    folder: Annotated[Path | None, typer.Argument(help="Where to: a folder that is empty or not there yet.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read it through and say whether it is whole.")] = False,
) -> None:
    """Make a workspace from a backup; every byte is held against what was packed."""
    with told():
        if check:
            found = backups.verify(archive)
            typer.echo(f"Whole: {len(found.files):,} files, {size(found.bytes)}, taken at {found.taken_at[:19]} UTC.")
            return
        if folder is None:
            raise StudioError("No folder is given to restore into.", "Give one that is empty or not there yet, or --check.")
        found = backups.restore(archive, folder)
        typer.echo(f"Restored: {len(found.files):,} files and {sum(found.tables.values()):,} rows, as they were at "
                   f"{found.taken_at[:19]} UTC.\nWho was forgotten after that is in it again: forget them again.")


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong is said in words; exit status 1."""
    try:
        yield
    except StudioError as error:
        typer.echo(f"{error.message}\n{error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    finally:
        workspace.close_all()


def _has_secret() -> None:
    """Cookies are signed with it: one that changes at every start would sign everybody out."""
    secret = os.environ.get(SECRET, "")
    for path in (ROOT / ".streamlit" / "secrets.toml", Path.home() / ".streamlit" / "secrets.toml"):
        if not secret and path.is_file():
            secret = str(tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {}).get("cookie_secret", ""))
    if len(secret) < SHORTEST_SECRET:
        raise StudioError(f"There is no cookie secret of at least {SHORTEST_SECRET} characters.",
                          f"Set {SECRET} where the studio is started, for instance to what `openssl rand -hex 32` prints.")
