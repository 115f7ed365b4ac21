"""The studio as it is left running: `tunewright server` behind a real nginx, with the example of docs/server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import ROOT, lacking
from tests.install_browser import find
from tests.install_browser import nginx as find_nginx

HOST = "tunewright.example.com"
SECRET = "0" * 64


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Serving:
    """One `tunewright server`, by itself or behind a proxy."""

    def __init__(self, home: Path, *options: str, upload_mb: int = 3) -> None:
        self.home, self.options, self.upload_mb = home, options, upload_mb
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home.parent / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "STREAMLIT_SERVER_COOKIE_SECRET": SECRET}
        command = [sys.executable, "-c", "from studio.cli import main; main()", "server", "--host", HOST,
                   "--port", str(self.port), "--upload-mb", str(self.upload_mb), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while self.health()[0] != 200:
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def health(self) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Ask it to end; returns its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        status = self.process.wait(seconds)
        self.process = None
        return status


@contextmanager
def serving(home: Path, *options: str) -> Iterator[Serving]:
    found = Serving(home, *(options or ("--workspace", str(home))))
    found.start()
    try:
        yield found
    finally:
        found.end(signal.SIGKILL)


@contextmanager
def nginx(server: Serving, folder: Path) -> Iterator[int]:
    """The example of docs/server/nginx.conf before it, with a certificate made here; its port of https."""
    program = find_nginx()
    if program is None or shutil.which("openssl") is None:
        lacking("nginx and openssl, for the server behind a proxy")
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}", "-keyout",
                    str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")], check=True, capture_output=True)
    port, plain = free_port(), free_port()
    text = (ROOT / "docs" / "server" / "nginx.conf").read_text()
    for before, after in ((r"listen 80;", f"listen 127.0.0.1:{plain};"), (r"listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
                          (r"/etc/ssl/tunewright", str(folder)), (r"127\.0\.0\.1:8501", f"127.0.0.1:{server.port}"),
                          (r"502m", f"{server.upload_mb + 2}m")):
        text, times = re.subn(before, after, text)
        assert times, before
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
                                       f"http {{\naccess_log off;\n{paths}{text}\n}}\n")
    process = subprocess.Popen([str(program), "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while ask(port, "/health")[0] != 200:
            assert time.monotonic() < deadline and process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def ask(port: int, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Status and text of an answer through the proxy."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", body, {"Host": HOST} | headers)
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except OSError as error:
        return 0, str(error)


@contextmanager
def browser_of(port: int) -> Iterator[Browser]:
    """A Chromium that finds the host's name at the proxy."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=find(), args=[
            "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"])
        yield found
        found.close()
