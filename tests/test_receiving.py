"""The endpoint that log rows are POSTed to: a real child, real requests, and a kill -9 in the middle."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import receiving as endpoint
from pipeline import rundir
from pipeline.spec_live import ReceiveSpec
from studio import receiving, runs
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.children import begin_to_kill, wait_until
from tests.logs import openai, rows

TOKEN = "a-token-of-enough-letters"


class Receiver:
    """A running child on a free port."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        spec = ReceiveSpec(run_id="r1", port=0, most_bytes=40_000, file_seconds=0.3)
        with ws.transaction() as transaction:
            runs.add_row(ws, transaction, spec, "Receiving logs", "")
        self.folder = ws.path("runs/r1")
        rundir.prepare(self.folder, runs.dumps(spec))
        self.begin()

    def begin(self) -> None:
        (self.folder / "status.json").unlink(missing_ok=True)
        self.process = begin_to_kill(self.folder, self.ws.root)
        wait_until(lambda: rundir.status(self.folder) is not None, self.folder)
        self.address = receiving.address(receiving.newest(self.ws))  # type: ignore[arg-type]

    def post(self, body: bytes, token: str = TOKEN, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            self.address, body, {"Authorization": f"Bearer {token}", "Content-Type": kind}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def receiver(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(receiving.TOKEN, TOKEN)
    found = Receiver(ws)
    yield found
    if found.process.poll() is None:
        found.kill()


@pytest.mark.heavy
def test_what_is_no_log_row_is_refused_with_a_clear_code_and_the_place(receiver: Receiver, ws: Workspace) -> None:
    lines = "\n".join(map(json.dumps, rows(3))).encode()
    ndjson = "application/x-ndjson"
    assert receiver.post(b"{}", token="wrong")[0] == 401
    assert receiver.post(b"{}", token="")[0] == 401
    assert receiver.post(b"[" + b" " * 50_000 + b"]")[0] == 413
    assert receiver.post(b"a,b", kind="text/csv")[0] == 415
    assert receiver.post(lines.replace(b"\n", b"\n\n{,}\n", 1), kind=ndjson) == (
        422, {"error": "It is not JSON.", "line": 3, "column": 2})  # fmt: skip
    assert receiver.post(json.dumps([rows(1)[0], 7]).encode()) == (
        422, {"error": "A row is a JSON object that is not empty.", "entry": 2})  # fmt: skip
    assert receiver.post(b'{"a": NaN}')[0] == receiver.post(b'{"a": "\xff"}')[0] == receiver.post(b"[]")[0] == 422
    assert receiver.post(b"[" * 20_000)[0] == 422
    assert receiver.post(lines, kind=ndjson) == (200, {"received": 3})
    assert receiver.post(json.dumps(openai(1)).encode()) == (200, {"received": 1})
    receiving.settle(ws)
    assert ws.value("select count(*) from log_rows") == 4
    assert TOKEN not in "".join(path.read_text() for path in receiver.folder.iterdir() if path.is_file())


@pytest.mark.heavy
def test_what_was_acknowledged_survives_kill_9_and_comes_in_once(receiver: Receiver, ws: Workspace) -> None:
    acknowledged: list[str] = []

    def send(sender: int) -> None:
        for n in range(10_000):
            row = {"request_id": f"{sender}-{n}", "question": f"Where is {n}?", "answer": "Here.", "latency_s": 1}
            try:
                if receiver.post(json.dumps(row).encode())[0] == 200:
                    acknowledged.append(row["request_id"])  # type: ignore[arg-type]
            except (OSError, http.client.HTTPException):
                return

    for _ in range(2):
        senders = [threading.Thread(target=send, args=(len(acknowledged) * 10 + one,)) for one in range(3)]
        for sender in senders:
            sender.start()
        time.sleep(0.7)
        receiver.kill()
        for sender in senders:
            sender.join()
        receiver.begin()
    receiver.kill()
    receiving.settle(ws)
    receiving.settle(ws)
    found = [row["request_id"] for row in ws.rows("select request_id from log_rows")]
    assert len(found) == len(set(found)) and set(acknowledged) <= set(found) and len(acknowledged) > 20
    assert not list(receiver.folder.glob("received-*"))


@pytest.mark.heavy
def test_stopped_it_ends_in_words_and_another_one_may_begin(receiver: Receiver, ws: Workspace) -> None:
    receiver.post(json.dumps(rows(2)).encode())
    with pytest.raises(StudioError, match="receiving already"):
        receiving.start(ws, port=0)
    runs.stop(ws, "r1")
    assert receiver.process.wait(20) == 0
    assert runs.get(ws, "r1").result.message == "It took 2 rows, and takes none any more."  # type: ignore[union-attr]
    assert sum(report.rows_added for report in receiving.collect(ws)) == 2


def test_without_a_token_it_does_not_begin(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(receiving.TOKEN, "short")
    with pytest.raises(StudioError, match="no token of at least 16"):
        receiving.start(ws)
    assert runs.every(ws) == []


def test_it_binds_to_this_machine_alone_unless_told_otherwise() -> None:
    assert ReceiveSpec(run_id="r1").host == "127.0.0.1"


def test_received_rows_that_are_no_log_are_set_aside_and_not_lost(ws: Workspace) -> None:
    spec = ReceiveSpec(run_id="r1")
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "Receiving logs", "")
    rundir.prepare(ws.path("runs/r1"), runs.dumps(spec))
    path = ws.path("runs/r1/received-001-000001.jsonl.part")
    path.write_text('{"colour": "red"}\n{"colour": "gr')
    assert receiving.collect(ws) == []
    (left,) = receiving.unread(ws)
    assert left.read_text() == '{"colour": "red"}\n'


def test_half_a_body_on_a_full_disk_leaves_nothing_before_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    store = endpoint.Store(tmp_path, ReceiveSpec(run_id="r1"), 1)
    whole = os.write

    def full(handle: int, data: bytes) -> int:
        if len(data) > 40:
            whole(handle, bytes(data[:10]))
            raise OSError(28, "No space left on device")
        return whole(handle, data)

    async def work() -> None:
        await store.add([{"n": 1}])
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError):
            await store.add([{"n": "x" * 60}])
        await store.add([{"n": 2}])
        await store.turn(now=True)

    asyncio.run(work())
    assert (tmp_path / "received-001-000001.jsonl").read_text() == '{"n": 1}\n{"n": 2}\n'


@pytest.mark.heavy
def test_a_taken_port_is_said_in_words(ws: Workspace, receiver: Receiver) -> None:
    port = int(receiver.address.rpartition(":")[2].partition("/")[0])
    spec = ReceiveSpec(run_id="r2", port=port)
    rundir.prepare(ws.path("runs/r2"), runs.dumps(spec))
    child = begin_to_kill(ws.path("runs/r2"), ws.root)
    assert isinstance(child, subprocess.Popen) and child.wait(20) == 1
    ended = rundir.result(ws.path("runs/r2"))
    assert ended is not None and ended.message == f"The port {port} at 127.0.0.1 is taken, or may not be used."
