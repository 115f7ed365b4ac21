"""The check run in real processes: killed half-way it goes on and finds the same; it stops soon, and leaves nobody behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from pipeline.checking import engine
from pipeline.checking.finding import Kind
from pipeline.checking.kinds import BY_KEY, GROUPS, KINDS
from pipeline.errors import PipelineError
from pipeline.rundir import Result
from pipeline.specs import CheckSpec
from tests import children
from tests.checks import write_lines

pytestmark = pytest.mark.heavy

COUNT, LOOKED = 4_000, 3_000
WORK = engine._Work(Path(), None, "en", (), "", None)


def record(n: int, look: bool = True) -> dict[str, Any]:
    """Every third customer leaves an address, every fifth agent a signature; all of them paste one sentence."""
    asked = f"Where is my parcel {n}? It was sent on Monday." + (f" Write to ana{n}@mail.example." if n % 3 == 0 else "")
    answer = f"Parcel {n} is late. We are sorry that the parcel takes so much longer than we said it would."
    signed = "\n\nKind regards,\nBob Miller\nSupport Team" if n % 5 == 0 else ""
    turns = [("system", "Be kind."), ("user", asked), ("assistant", answer + signed)]
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"id": f"r{n}", "look": look, "people": None, "messages": messages}


def prepared(home: Path, name: str, rows: list[dict[str, Any]], chunk_bytes: int = 16_384) -> Path:
    spec = CheckSpec(run_id=name, records=len(rows), to_check=sum(row["look"] for row in rows), chunk_bytes=chunk_bytes)
    folder = children.prepared(home, spec)
    write_lines(folder / "records.jsonl", rows)
    return folder


def lines(folder: Path) -> list[str]:
    return (folder / "findings.jsonl").read_text(encoding="utf-8").splitlines()


def chunks(folder: Path) -> int:
    return len(rundir.read_lines(folder / "chunks.jsonl"))


def workers(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checks")


@pytest.fixture(scope="module")
def undisturbed(home: Path) -> tuple[Path, Result]:
    """A check of 4,000 records, the last 1,000 only compared, while another run holds the device."""
    folder = prepared(home, "undisturbed", [record(n, look=n < LOOKED) for n in range(COUNT)])
    with (home / "runs" / "device.lock").open("a") as device:
        fcntl.flock(device, fcntl.LOCK_EX)
        return folder, children.finished(folder, home)


@pytest.fixture(scope="module")
def disturbed(home: Path) -> tuple[Path, list[int], int]:
    """The same records: killed after some chunks, stopped after some more, then to the end. The workers that the kill left,
    and how many chunks were there when the last attempt began."""
    folder = prepared(home, "disturbed", [record(n, look=n < LOOKED) for n in range(COUNT)])
    child = children.begin_to_kill(folder, home)
    children.wait_until(lambda: chunks(folder) >= 6, folder)
    left = workers(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    had = chunks(folder)
    with (folder / "findings.jsonl").open("a") as file:  # what a crash between two writes leaves
        file.write('{"record_id": "r1", "ki')
    again = children.begin_to_kill(folder, home)
    children.wait_until(lambda: chunks(folder) >= had + 4, folder)
    rundir.ask_to_stop(folder)
    again.wait(timeout=60)
    there = chunks(folder)
    children.finished(folder, home)
    return folder, left, there


@pytest.mark.slow
def test_a_killed_and_stopped_check_finds_what_an_undisturbed_one_finds(
    undisturbed: tuple[Path, Result], disturbed: tuple[Path, list[int], int]
) -> None:
    assert lines(disturbed[0]) == lines(undisturbed[0])


def test_a_resumed_check_goes_on_after_the_last_whole_chunk(disturbed: tuple[Path, list[int], int]) -> None:
    folder, _, there = disturbed
    read = [row["read"] for row in rundir.read_lines(folder / "chunks.jsonl")]
    assert (there < len(read), read) == (True, sorted(set(read)))


def test_a_killed_check_leaves_no_process_behind(disturbed: tuple[Path, list[int], int]) -> None:
    _, left, _ = disturbed
    deadline = time.time() + 20
    while any(map(running, left)) and time.time() < deadline:
        time.sleep(0.1)
    assert (bool(left), [pid for pid in left if running(pid)]) == (True, [])


def test_the_result_says_how_much_was_found(undisturbed: tuple[Path, Result]) -> None:
    folder, ended = undisturbed
    shown = [row for row in map(json.loads, lines(folder)) if row["score"] >= BY_KEY[row["kind"]].threshold]
    kinds = {row["kind"] for row in shown}
    assert ended.message == f"Checked 3,000 records: {len(shown):,} findings of {len(kinds)} kinds."


def test_the_result_holds_language_counts_and_the_worth_of_the_answers(undisturbed: tuple[Path, Result]) -> None:
    data = undisturbed[1].data
    assert (data["language"], data["kinds"]["email"], data["worth_training"]) == ("en", 1_000, True)


def test_a_check_does_not_wait_for_the_device(undisturbed: tuple[Path, Result]) -> None:
    assert undisturbed[1].outcome == "done"


def test_records_only_compared_are_not_looked_at_by_themselves(undisturbed: tuple[Path, Result]) -> None:
    found = [json.loads(line) for line in lines(undisturbed[0])]
    assert {row["kind"] for row in found if int(row["record_id"][1:]) >= LOOKED} == {"macro"}


def test_findings_hold_no_personal_data(undisturbed: tuple[Path, Result]) -> None:
    text = (undisturbed[0] / "findings.jsonl").read_text()
    assert ("[EMAIL_1]" in text, "mail.example" in text, "Miller" in text) == (True, False, False)


def test_a_check_whose_records_are_gone_fails_in_words(home: Path) -> None:
    folder = prepared(home, "gone", [record(1)])
    (folder / "records.jsonl").unlink()
    assert children.finished(folder, home).message == "The records to check are gone from the run folder."


def test_a_check_of_nothing_ends(home: Path) -> None:
    folder = prepared(home, "nothing", [])
    assert children.finished(folder, home).message == "Checked 0 records: 0 findings of 0 kinds."


@pytest.mark.slow
def test_stopping_does_not_wait_until_the_checks_are_loaded(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "stopped", [record(n) for n in range(COUNT)])
    child = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: rundir.is_alive(folder), folder)
    rundir.ask_to_stop(folder)
    _, _, used = os.wait4(child.pid, 0)
    ended = rundir.result(folder)
    computed = used.ru_utime + used.ru_stime  # not the time that went by: others may have the cores
    assert (ended.outcome if ended else "", computed < 2.0) == ("stopped", True), f"{computed:.1f} s; loading takes about 3"


@pytest.mark.parametrize("size", [1, 7, 100, 401, 10_000])
def test_chunks_of_any_size_read_every_line_once(tmp_path: Path, size: int) -> None:
    path = tmp_path / "records.jsonl"
    write_lines(path, [{"id": n, "text": "ä" * (n * 37 % 90)} for n in range(60)])
    total = path.stat().st_size
    read = [row["id"] for begin in range(0, total, size) for row in engine._rows(path, begin, min(total, begin + size))]
    assert read == list(range(60))


def test_a_check_that_breaks_on_one_record_becomes_a_finding_of_that_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ValueError("ana@mail.example")

    monkeypatch.setattr(engine, "privacy_findings", breaks)
    found = engine.check_record(record(5)["messages"], [], WORK)
    assert [(one.kind, one.evidence) for one in found][:2] == [
        ("not_checked", "The check for personal data broke (ValueError)."),
        ("signature", "Reads as the end of a mail, not of an answer."),
    ]


def test_what_is_not_installed_is_said_and_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise PipelineError("presidio-analyzer is not installed.")

    monkeypatch.setattr(engine, "privacy_findings", lacking)
    with pytest.raises(PipelineError, match="not installed"):
        engine.check_record(record(1)["messages"], [], WORK)


def test_a_lost_machine_that_kept_too_few_findings_goes_back_to_the_chunk_they_reach(tmp_path: Path) -> None:
    (tmp_path / "findings.jsonl").write_text("a" * 50)
    write_lines(tmp_path / "chunks.jsonl", [{"read": n, "written": 40 * n, "looked": n, "kinds": {}} for n in (1, 2)])
    assert (engine._resume(tmp_path).read, (tmp_path / "findings.jsonl").stat().st_size) == (1, 40)


def test_every_kind_has_one_key_a_group_and_words() -> None:
    def told(kind: Kind) -> bool:
        return bool(kind.title and kind.explanation) and 0 <= kind.threshold <= 1 and kind.group in GROUPS

    assert (len(BY_KEY), [kind.key for kind in KINDS if not told(kind)]) == (len(KINDS), [])


def test_made_up_values_of_a_record_are_no_finding_in_it() -> None:
    messages = [{"role": "user", "content": "Write to ada.okafor12@example.com"}, {"role": "assistant", "content": "I will."}]
    own = ("ada.okafor12@example.com",)
    kinds = [{finding.kind for finding in engine.check_record(messages, [], WORK, known)} for known in ((), own)]
    assert ("email" in kinds[0], "email" in kinds[1]) == (True, False)


@pytest.mark.slow
def test_a_length_near_the_limit_is_counted_with_the_models_own_tokenizer(starter_home: Path) -> None:
    tokenizer = next((starter_home / "models").glob("*/tokenizer.json"))
    messages = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "word " * 120}]
    work = engine._Work(Path(), 100, "en", (), "", tokenizer)
    said = [one.evidence for one in engine.check_record(messages, [], work) if one.kind == "too_long"]
    assert said == ["The conversation takes 135 tokens; the model reads 100."]
