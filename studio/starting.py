"""Starting the studio to leave it running: the process becomes Streamlit's, with a server's settings (`tunewright server`)."""

from __future__ import annotations

import os
import socket
import sys
import tomllib
from pathlib import Path

from studio import folders, workspace
from studio.errors import StudioError

ROOT = workspace.ROOT
SECRET = "STREAMLIT_SERVER_COOKIE_SECRET"
SHORTEST_SECRET = 32
HOSTS = "STUDIO_HOSTS"


def start(hosts: list[str], folder: Path | None, several: Path | None, address: str, port: int, upload_mb: int) -> None:
    """Serve the studio until SIGTERM; this process becomes the server. `folder` is that of one workspace, `several` a folder of
    workspaces. Raises StudioError for what cannot be."""
    _has_secret()
    if folder and several:
        raise StudioError("Both --workspace and --workspaces are given.", "Give one of them.")
    _is_free(address, port)
    environment = os.environ | {HOSTS: ",".join(hosts)}
    environment |= {"STUDIO_WORKSPACE": str(folder.absolute())} if folder else {}
    environment |= {folders.HOME: str(several.absolute())} if several else {}
    os.chdir(ROOT)  # the theme and the other settings of .streamlit/config.toml are found from here
    os.execve(sys.executable, [sys.executable, *command(hosts, address, port, upload_mb)], environment)


def command(hosts: list[str], address: str, port: int, upload_mb: int) -> list[str]:
    """What Python is started with: settings that belong to a server stand here, the rest in .streamlit/config.toml."""
    said = {"server.address": address, "server.port": port, "server.headless": "true", "server.maxUploadSize": upload_mb,
            "server.enableCORS": "true", "server.enableXsrfProtection": "true", "browser.serverAddress": hosts[0]}
    every = [*((f"--{name}", str(value)) for name, value in said.items()),
             *(("--server.allowedHosts", one) for one in (*hosts, "127.0.0.1", "localhost")),
             *(("--server.corsAllowedOrigins", f"https://{one}") for one in hosts)]
    return ["-m", "streamlit", "run", str(ROOT / "studio" / "server.py"), *(word for pair in every for word in pair)]


def _is_free(address: str, port: int) -> None:
    """Streamlit would say so too, but not in words of ours, nor as a document."""
    try:
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
    except (OSError, OverflowError) as error:
        raise StudioError(f"Nothing can listen at {address}:{port}: {getattr(error, 'strerror', None) or error}.",
                          "Give another --port or --address, or end what listens there.") from None


def _has_secret() -> None:
    """Cookies are signed with it: one that changes at every start would sign everybody out."""
    secret = os.environ.get(SECRET, "")
    for path in (ROOT / ".streamlit" / "secrets.toml", Path.home() / ".streamlit" / "secrets.toml"):
        if not secret and path.is_file():
            secret = str(tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {}).get("cookie_secret", ""))
    if len(secret) < SHORTEST_SECRET:
        raise StudioError(f"There is no cookie secret of at least {SHORTEST_SECRET} characters.",
                          f"Set {SECRET} where the studio is started, for instance to what `openssl rand -hex 32` prints.")
