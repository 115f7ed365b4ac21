"""Find a Chromium for the browser tests and an nginx for the server's, or install Debian's where we may. Says what it did."""

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


def nginx() -> str | None:
    """The path of an nginx on this machine, or None."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def install(packages: list[str]) -> None:
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        print(f"Not here: {', '.join(packages)}. Tests that need them will be skipped; TUNEWRIGHT_CHROMIUM names a browser.")
        return
    quiet = {"stdout": subprocess.DEVNULL, "check": False}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)  # type: ignore[call-overload]
    for package in packages:
        done = subprocess.run(["apt-get", "install", "-y", "-qq", package], **quiet)  # type: ignore[call-overload]
        print(f"Installed Debian's {package}." if done.returncode == 0 else f"{package} could not be installed.")


if __name__ == "__main__":
    if lacking := [package for package, there in (("chromium", find()), ("nginx-light", nginx())) if there is None]:
        install(lacking)
    sys.exit(0)
