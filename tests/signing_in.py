"""A studio in which people sign in: with a real OpenID provider, or through a proxy that says who they are."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import ROOT, settled
from tests.conftest import lacking

PROVIDER = ROOT / ".venv" / "servers" / "node_modules" / "oidc-provider"
ACCOUNTS = {
    "olga": {"email": "olga@example.org", "email_verified": True, "name": "Olga Owner"},
    "rita": {"email": "rita@example.org", "email_verified": True, "name": "Rita Reviewer"},
    "mallory": {"email": "mallory@elsewhere.net", "email_verified": True, "name": "Mallory"},
    "unsure": {"email": "olga@example.org", "email_verified": False, "name": "Olga Owner"},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def provider(studio: str) -> Iterator[str]:
    """The provider's address; the studio at `studio` is its one client."""
    if not PROVIDER.is_dir():
        lacking("npm oidc-provider (make setup-dev)")
    port = free_port()
    process = subprocess.Popen(
        ["node", str(ROOT / "tests" / "identity_provider.mjs"), str(PROVIDER), str(port), studio, json.dumps(ACCOUNTS)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert any(line.strip() == "ready" for line in process.stdout), "the provider did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def secrets(path: Path, studio: str, issuer: str) -> Path:
    """The file of secrets that makes people sign in."""
    path.write_text(f"""[auth]
redirect_uri = "{studio}/oauth2callback"
cookie_secret = "a secret of this test that is long enough for its key"
client_id = "studio"
client_secret = "only-for-this-test"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
client_kwargs = {{ scope = "openid email profile", prompt = "login" }}
""")
    return path


def sign_in(page: Page, account: str) -> None:
    """From the studio's door through the provider's pages and back."""
    page.get_by_role("button", name="Sign in", exact=False).first.click()
    page.locator("input[name=login]").fill(account, timeout=60_000)
    page.locator("input[name=password]").fill("anything")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click(timeout=60_000)
    settled(page)


def sign_out(page: Page) -> None:
    """From the foot of the navigation through the provider's question and back to the studio's door."""
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click(timeout=60_000)
    heading(page, "^Sign in$")


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", name=re.compile(words)).first).to_be_visible(timeout=60_000)


@contextmanager
def proxy(studio_port: int, added: Mapping[str, str]) -> Iterator[str]:
    """A plain proxy before the studio that adds headers to the first request of each connection."""
    server = socket.create_server(("127.0.0.1", 0))
    head = "".join(f"{name}: {value}\r\n" for name, value in added.items()).encode()

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            target.close()

    def serve(client: socket.socket) -> None:
        upstream = socket.create_connection(("127.0.0.1", studio_port))
        first = client.recv(65_536)
        line, _, rest = first.partition(b"\r\n")
        upstream.sendall(line + b"\r\n" + head + rest)
        threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
        pump(upstream, client)

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
