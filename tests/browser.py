"""The studio as a person has it: a real server in a child process and a real Chromium."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.install_browser import find

ROOT = Path(__file__).resolve().parent.parent
ARTEFACTS = ROOT / "test-artefacts"
WIDTHS = (1280, 390)


class Studio:
    """`streamlit run studio/app.py` on a free port, on one workspace."""

    def __init__(self, workspace: Path, script: Path = ROOT / "studio" / "app.py") -> None:
        self.workspace, self.script = workspace, script
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"STUDIO_WORKSPACE": str(self.workspace), "PYTHONPATH": str(ROOT)}
        self.log = (self.workspace.parent / "studio.log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                str(self.script),
                "--server.port",
                str(self.port),
                "--server.headless",
                "true",
            ],
            cwd=ROOT,
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1)
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("the studio did not answer")

    def has_torch(self) -> bool:
        """Whether torch's library is mapped into the studio's process."""
        assert self.process is not None
        return "libtorch" in Path(f"/proc/{self.process.pid}/maps").read_text()

    def kill(self) -> None:
        """kill -9, as a machine would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def running(workspace: Path) -> Iterator[Studio]:
    studio = Studio(workspace)
    studio.start()
    try:
        yield studio
    finally:
        studio.kill()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def visiting(workspace: Path) -> Iterator[tuple[Studio, Page]]:
    """A studio on this workspace, and an empty page of a browser of its own."""
    with running(workspace) as studio, chromium() as browser:
        yield studio, browser.new_context().new_page()


def settled(page: Page, seconds: float = 60) -> Page:
    """Wait until Streamlit has drawn the page and has rested for a quarter of a second: it often begins again at once."""
    page.wait_for_selector('[data-testid="stApp"]', timeout=seconds * 1000)
    page.wait_for_function(
        """(call) => {
        const app = document.querySelector('[data-testid="stApp"]');
        const rests = app && app.getAttribute('data-test-script-state') !== 'running'
            && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
            && document.querySelector('h1');
        if (!rests || window.restsFor !== call) window.restsSince = performance.now();
        window.restsFor = call;
        return rests && performance.now() - window.restsSince >= 250;
    }""",
        arg=time.monotonic(),
        timeout=seconds * 1000,
    )
    return page


def grid(page: Page) -> tuple[float, float]:
    """Where the table's upper left corner is, once it lies still for half a second: it is one canvas that is painted late."""
    canvas = page.get_by_test_id("stDataFrame").get_by_test_id("data-grid-canvas").first
    canvas.wait_for(timeout=30_000)
    before = None
    for _ in range(60):
        box = canvas.bounding_box()
        if box and box == before:
            return box["x"], box["y"]
        before = box
        page.wait_for_timeout(500)
    raise TimeoutError("the table does not lie still")


def fill(page: Page, label: str, value: str) -> None:
    """Type into a field and press Enter, as a person does."""
    field = page.get_by_label(label, exact=True).first
    field.fill(value)
    field.press("Enter")
    settled(page)


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page, wide and light; with TUNEWRIGHT_PICTURES=all also narrow and dark, in all four ways."""
    folder = ARTEFACTS / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    every = os.environ.get("TUNEWRIGHT_PICTURES") == "all"
    for width in (*WIDTHS[1:], WIDTHS[0]) if every else WIDTHS[:1]:
        page.set_viewport_size({"width": width, "height": 900 if width > 600 else 844})
        for scheme in ("dark", "light") if every else ("light",):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_timeout(350)
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=False)
