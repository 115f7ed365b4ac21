"""Find a Chromium for the browser tests, or install Debian's when this machine lets us. Says what it did."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The path of a Chromium on this machine, or None. TUNEWRIGHT_CHROMIUM goes first."""
    chosen = os.environ.get("TUNEWRIGHT_CHROMIUM")
    return chosen or next((path for name in CANDIDATES if (path := shutil.which(name))), None)


def install() -> None:
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        print("No Chromium here: the browser tests will be skipped. Install one, or set TUNEWRIGHT_CHROMIUM.")
        return
    quiet = {"stdout": subprocess.DEVNULL, "check": False}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)  # type: ignore[call-overload]
    done = subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], **quiet)  # type: ignore[call-overload]
    print("Installed Debian's chromium." if done.returncode == 0 else "Chromium could not be installed.")


if __name__ == "__main__":
    if find() is None:
        install()
    sys.exit(0)
