"""Runs at a fine-tuning service for tests: files and specs, the engine in this process, what the server has in the end."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from pipeline.managed import engine
from pipeline.rundir import Child
from pipeline.spec_managed import ManagedSpec, Service
from tests import chat_server, children

ASKED = [(f"r{number}", f"Where is order {number}?", f"It is on its way, number {number}.") for number in range(12)]
CHECKED = [(f"v{number}", f"Where is parcel {number}?", f"It comes tomorrow, {number}.") for number in range(3)]
TRAIN = "tunewright-2ead72445e83ae94aa80b8688e256cbf.jsonl"
"""What the upload of ASKED is called."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A stateful mock of OpenAI's service, one a module."""
    with chat_server.serving(tmp_path_factory.mktemp("service"), []) as address:
        yield address


@pytest.fixture
def server(started: str) -> str:
    """It, as if it had just been started."""
    return emptied(started)


def spec(address: str, run_id: str = "run-1", **more: Any) -> ManagedSpec:
    """Two files would do the same as one, so most tests have one. It looks 300 times as often as people do."""
    given = {"model": "gpt-4o-mini", "train_file": "train.jsonl", "seed": 12_345, "poll_seconds": 0.05} | more
    return ManagedSpec(run_id=run_id, service=Service(base_url=address), **given)


def prepared(workspace: Path, wanted: ManagedSpec) -> Path:
    children.write_examples(workspace / "train.jsonl", ASKED)
    children.write_examples(workspace / "valid.jsonl", CHECKED)
    return children.prepared(workspace, wanted)


def run(folder: Path, workspace: Path, wanted: ManagedSpec) -> dict[str, Any]:
    """One attempt of the engine, in this process. Raises what it raises."""
    with Child(folder) as child:
        return engine.run(child, wanted, workspace)


def when(true: Callable[[], bool], act: Callable[[], object]) -> None:
    """Do something the moment that something is so, beside the test."""

    def wait() -> None:
        deadline = time.time() + 30
        while not true() and time.time() < deadline:
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


def has_job(folder: Path) -> bool:
    return (folder / "remote.json").exists() and "job" in remote(folder)


def remote(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "remote.json").read_text()))


def notes(folder: Path) -> list[str]:
    return [row["sentence"] for row in rundir.read_lines(folder / "events.jsonl") if row["event"] == "note"]


def get(address: str, path: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(address + path) as answer:
        return list(json.load(answer)["data"])


def emptied(address: str) -> str:
    """The server as if it had just been started."""
    urllib.request.urlopen(urllib.request.Request(address.removesuffix("/v1") + "/__aimock/reset", method="POST")).close()
    return address


def made(address: str) -> tuple[int, int, int, int]:
    """Files and jobs at the server, and how many uploads and creations its journal says it did."""
    done = [row for row in chat_server.asked(address) if row["response"]["status"] == 200]
    journal = [(row["method"], row["path"].split("?")[0]) for row in done]
    return (
        len(get(address, "/files")),
        len(get(address, "/fine_tuning/jobs")),
        journal.count(("POST", "/v1/files")),
        journal.count(("POST", "/v1/fine_tuning/jobs")),
    )


ONCE = (1, 1, 1, 1)
