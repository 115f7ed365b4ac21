"""A workspace that is held is reached through its holder: over a socket, by the same user, with nothing mixed up."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.specs import BaseSource, TrainSpec
from studio import held, intake, prompts, runs
from studio import workspace as folders
from studio.commands import frame, tree
from studio.commands.calls import Call, Typed, calling
from studio.errors import StudioError
from studio.held import Door, Guest
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.tickets import BASE, forty, freeze_forty, import_forty
from tests.tickets import _launched as launched


@pytest.fixture
def door(ws: Workspace) -> Iterator[Door]:
    """The workspace, served as the app serves it."""
    found = held.serve(ws, frame.carry_out)
    assert found is not None
    yield found
    found.close()


def asked(root: Path, *argv: str, cwd: str = "/", stdin: str = "") -> tuple[int | None, str, str]:
    out: list[str] = []
    err: list[str] = []
    typed = Typed((*argv, "--workspace", str(root)), cwd, "ann", False)
    return held.ask(root, typed, out.append, err.append, lambda: stdin), "".join(out), "".join(err)


def connected(root: Path) -> Guest:
    """A line to the holder on which one says what one likes."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with held._address(root) as address:
        line.connect(address)
    return Guest(line)


def test_the_holder_carries_a_command_out_where_it_was_typed(ws: Workspace, door: Door, tmp_path: Path) -> None:
    forty(tmp_path / "forty.csv")
    status, out, _ = asked(ws.root, "import", "forty.csv", "--json", cwd=str(tmp_path))
    assert (status, json.loads(out)["import"]["rows_imported"], len(intake.imports(ws))) == (0, 40, 1)


def test_the_standard_input_and_the_name_come_from_where_it_was_typed(ws: Workspace, door: Door) -> None:
    asked(ws.root, "prompts", "save", "Kind", stdin="Be kind: ä €")
    assert [(one.text, one.who) for one in prompts.every(ws)] == [("Be kind: ä €", "ann")]


def test_an_error_and_a_wrong_word_end_as_they_do_alone(ws: Workspace, door: Door) -> None:
    assert asked(ws.root, "verdict")[::2] == (1, "No evaluation is done yet.\nStart one on the Evaluate page.\n")
    assert asked(ws.root, "verdict", "--nonsense")[0] == 2


def test_words_on_the_way_never_stand_in_the_document(ws: Workspace, door: Door, tmp_path: Path) -> None:
    forty(tmp_path / "forty.csv")
    _, out, err = asked(ws.root, "import", "forty.csv", "--json", cwd=str(tmp_path))
    assert ("Writing records" in err, list(json.loads(out))) == (True, ["import", "reasons", "portrait"])


def test_commands_at_the_same_time_get_their_own_words(ws: Workspace, door: Door) -> None:
    import_forty(ws)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: asked(ws.root, "records", "list", "--json", "--limit", str(n)), range(1, 31)))
    assert [(status, len(json.loads(out)["records"]), err) for status, out, err in found] == [(0, n, "") for n in range(1, 31)]


def test_the_socket_is_for_its_owner_alone(ws: Workspace, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE((ws.root / held.NAME).stat().st_mode) == 0o600
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(StudioError, match="Another user of this system"):
        asked(ws.root, "status")


def test_a_folder_with_a_long_path_is_reached_too(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / ("deep" * 20) / ("folder" * 15))
    opened = held.serve(ws, frame.carry_out)
    assert opened is not None and asked(ws.root, "status")[0] == 0
    opened.close()
    ws.close()


def test_another_version_is_said_in_one_sentence(ws: Workspace, door: Door) -> None:
    guest = connected(ws.root)
    guest.say({"version": "0.0.1", "argv": ["status"], "cwd": "/", "who": "ann", "terminal": False})
    answer = guest.hear(30) or {}
    guest.line.close()
    assert answer["refused"].endswith("this command 0.0.1.") and "Restart" in answer["hint"]


def test_what_is_no_command_at_all_is_let_go(ws: Workspace, door: Door) -> None:
    for text in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b"x" * (2 << 20)):
        guest = connected(ws.root)
        try:
            guest.line.sendall(text)
            answer = guest.line.recv(10)
        except OSError:  # it let go before all was said
            answer = b""
        guest.line.close()
        assert answer == b""
    assert asked(ws.root, "status")[0] == 0


def moving(ws: Workspace) -> str:
    """A training that moves as long as this process holds its lock."""
    snapshot = freeze_forty(ws)
    spec = TrainSpec(run_id="moving000001", base=BaseSource(**BASE), train_file=snapshot.file("train"),
                     validation_file=snapshot.file("validation"))  # fmt: skip
    launched(ws, spec, snapshot, "Moving").__enter__().say("training", 1, 10, "steps", "Training")
    return spec.run_id


def test_ctrl_c_ends_the_watching_and_never_the_run(ws: Workspace, door: Door) -> None:
    run_id = moving(ws)
    guest = connected(ws.root)
    guest.say(
        {"version": held.locks.version(), "argv": ["runs", "follow", run_id], "cwd": "/", "who": "ann", "terminal": False}
    )
    assert "Training" in (guest.hear(30) or {})["out"]
    guest.say({"stop": True})
    words = [guest.hear(30), guest.hear(30)]
    guest.line.close()
    assert ("Stopped watching" in words[0]["err"], words[1], runs.get(ws, run_id).moving) == (True, {"exit": 130}, True)


def test_whoever_goes_away_leaves_nothing_behind_but_what_was_begun(ws: Workspace, door: Door) -> None:
    run_id = moving(ws)
    guest = connected(ws.root)
    guest.say(
        {"version": held.locks.version(), "argv": ["runs", "follow", run_id], "cwd": "/", "who": "ann", "terminal": False}
    )
    assert guest.hear(30)
    guest.line.close()
    deadline = time.monotonic() + 60
    while door.guests and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (door.guests, runs.get(ws, run_id).moving) == (0, True)


def test_a_holder_that_takes_no_commands_is_said_to_be_that(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "STARTING_SECONDS", 0.0)
    err: list[str] = []
    typed = Typed(("status", "--workspace", str(ws.root)), "/", "ann", False)
    status = tree.run(Call(typed, err.append, err.append, lambda: ""))
    assert (status, "already has the workspace" in err[0], "It takes no commands" in err[0]) == (1, True, True)


def test_a_command_that_holds_the_workspace_serves_others_and_waits_for_them(ws: Workspace) -> None:
    ws.close()
    through, seen = threading.Event(), []

    def hold() -> None:
        with (
            calling(Call(Typed((), "/", "ann", False), seen.append, seen.append, lambda: "")),
            frame.opened(str(ws.root)),
        ):
            through.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    deadline = time.monotonic() + 60
    while (found := asked(ws.root, "status"))[0] is None and time.monotonic() < deadline:
        time.sleep(0.05)
    through.set()
    holder.join(60)
    assert (found[0], holder.is_alive(), (ws.root / held.NAME).exists()) == (0, False, False)


def test_the_app_takes_commands_for_the_workspace_it_has_open(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ws.close()
    monkeypatch.setenv("STUDIO_WORKSPACE", str(ws.root))
    page = AppTest.from_file(str(ROOT / "studio" / "app.py"), default_timeout=60).run()
    status, out, _ = asked(ws.root, "status", "--json")
    folders.close_all()
    assert (page.exception.len if page.exception else 0, status, json.loads(out)["records"]["total"]) == (0, 0, 0)


@pytest.mark.heavy
def test_a_process_of_its_own_is_answered_by_the_holder(ws: Workspace, door: Door) -> None:
    import_forty(ws)
    code = "from studio.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "records", "count", "--json", "--workspace", str(ws.root)], cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["matching"], done.stderr) == (0, 40, "")
