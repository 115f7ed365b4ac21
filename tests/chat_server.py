"""A mock of an OpenAI server that nobody here wrote (aimock), started for tests with what it shall answer."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, lacking

PROGRAM = ROOT / ".venv" / "servers" / "node_modules" / ".bin" / "llmock"


@contextmanager
def serving(
    folder: Path, fixtures: Sequence[dict[str, Any]], *more: str, faults: dict[str, Any] | None = None
) -> Iterator[str]:
    """Its address, until the end of the block; `asked` has its journal. `more`: aimock's own options; or `faults`, with a
    latency that varies (chat_faults.mjs)."""
    if not PROGRAM.exists():
        lacking("the mock of an OpenAI server, which `make test` installs where there is npm")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": list(fixtures)}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [str(PROGRAM), "-p", str(port), "-h", "127.0.0.1", "-f", str(folder), "--log-level", "silent", *more]
    if faults is not None:
        package = str(PROGRAM.parents[1] / "@copilotkit" / "aimock")
        program = ["node", str(ROOT / "tests" / "chat_faults.mjs"), package, str(port), str(folder), json.dumps(faults)]
    server = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def asked(address: str) -> list[dict[str, Any]]:
    """The bodies of all requests so far."""
    with urllib.request.urlopen(address.removesuffix("/v1") + "/__aimock/journal") as answer:
        return list(json.load(answer))


def _wait_for(port: int) -> None:
    deadline = time.time() + 30
    while time.time() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the mock server did not come up")


PRISM = PROGRAM.with_name("prism")
CONTRACT = ROOT / "tests" / "openai" / "chat_completions.yaml"
"""OpenAI's published document, cut to the chat API and without its prose."""
FINE_TUNING, TOGETHER = CONTRACT.with_name("fine_tuning.yaml"), CONTRACT.with_name("together.yaml")


@contextmanager
def checked(address: str, log: Path, contract: Path = CONTRACT) -> Iterator[str]:
    """Prism before a server, until the end of the block: its address. It writes down every request that breaks the contract."""
    with _prism(["proxy", str(contract), address.removesuffix("/v1")], log) as found:
        yield found


@contextmanager
def sampled(contract: Path, log: Path) -> Iterator[str]:
    """Prism alone, answering with the contract's own samples; it refuses (422) and writes down what breaks the contract."""
    with _prism(["mock", str(contract)], log) as found:
        yield found


@contextmanager
def _prism(arguments: list[str], log: Path) -> Iterator[str]:
    if not PRISM.exists():
        lacking("the contract check, which `make test` installs where there is npm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as said:
        prism = subprocess.Popen([str(PRISM), *arguments, "-h", "127.0.0.1", "-p", str(port)], stdout=said, stderr=said)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            prism.kill()
            prism.wait()


def violations(log: Path) -> list[str]:
    """What Prism said of requests."""
    return [line for line in log.read_text("utf-8", "replace").splitlines() if "Violation: request" in line]
