"""Test data never reaches training, examples or prompts: every record holds words that are its own, and they are looked for."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from studio import candidates, intake, models, snapshots, starts
from studio.candidates import Chosen
from studio.columns import Choices
from studio.dials import Dials
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.workspace import Workspace
from tests import chat_server
from tests.children import wait_until
from tests.conftest import ROOT
from tests.test_families import saved
from tests.tickets import COLUMNS, write_csv

CANARY = re.compile(r"zq\d{3}[qa]xv")
WATCHED = """
import os, sys
def note(event, given):
    if event == "open" and isinstance(given[0], str) and os.environ.get("OPENED_FILES"):
        with_hook, os.environ["OPENED_FILES"] = os.environ.pop("OPENED_FILES"), ""
        with open(with_hook, "a") as file:
            file.write(os.path.abspath(given[0]) + chr(10))
        os.environ["OPENED_FILES"] = with_hook
sys.addaudithook(note)
"""
"""Put in front of a child: it notes every file that it opens."""


@pytest.fixture
def snapshot(ws: Workspace, tmp_path: Path) -> Snapshot:
    rows = [
        (f"T{n}", f"My thing zq{n:03}qxv number {n} is late.", f"It is zq{n:03}axv on its way.", "5", "late") for n in range(40)
    ]
    path = write_csv(tmp_path / "canaries.csv", rows)
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    return snapshots.freeze(ws, "Canaries", Recipe(sizes=(20, 6, 12)))


def canaries(ws: Workspace, snapshot: Snapshot) -> dict[str, set[str]]:
    """By split."""
    return {split: set(CANARY.findall(ws.path(snapshot.file(split)).read_text())) for split in SPLITS}


@pytest.mark.slow
def test_training_opens_no_file_with_a_word_of_test_and_learns_none_of_validation(
        ws: Workspace, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WATCHED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hook"), str(ROOT)]))
    monkeypatch.setenv("OPENED_FILES", str(tmp_path / "opened.txt"))
    base = models.add_base(ws, "folder", str(saved(tmp_path / "tiny", "llama")))
    run_id = starts.training(ws, snapshot, base, Dials(epochs=1, method="lora"))
    folder = ws.path(f"runs/{run_id}")
    wait_until(lambda: rundir.result(folder) is not None and not rundir.is_alive(folder), folder)
    assert rundir.result(folder).outcome == "done", rundir.log_tail(folder)  # type: ignore[union-attr]
    opened = {Path(line) for line in (tmp_path / "opened.txt").read_text().splitlines()}
    ours = {path for path in opened if path.is_file() and path.is_relative_to(tmp_path) and path.name != "opened.txt"}
    found = {path: set(CANARY.findall(path.read_bytes().decode("utf-8", "replace"))) for path in ours}
    own = canaries(ws, snapshot)
    assert {ws.path(snapshot.file("train")), ws.path(snapshot.file("validation"))} <= ours
    assert ws.path(snapshot.file("test")) not in ours
    assert not [path for path, words in found.items() if words & own["test"]]
    assert {path.name for path, words in found.items() if words & own["validation"]} <= {"validation.jsonl", "samples.jsonl"}


def test_few_shot_prompts_and_written_prompts_hold_words_of_train_and_of_their_own_question_alone(
        ws: Workspace, snapshot: Snapshot, tmp_path: Path) -> None:
    own = canaries(ws, snapshot)
    prompt = candidates.default_prompt(ws, snapshot)
    fixtures: list[dict[str, Any]] = [{"match": {"userMessage": ""}, "response": {"content": "Yes."}}]
    with chat_server.serving(tmp_path / "server", fixtures) as address:
        model = models.add_endpoint(ws, "Server", address, "small")
        chosen = [Chosen(model, prompt, candidates.few_shot(snapshot, 3)),
                  Chosen(model, None, candidates.few_shot(snapshot, 3, "diverse"))]
        folder = ws.path(f"runs/{starts.evaluation(ws, snapshot, chosen, probes=False)}")
        wait_until(lambda: rundir.result(folder) is not None and not rundir.is_alive(folder), folder)
        asked = [set(CANARY.findall(str(one["body"]))) for one in chat_server.asked(address)]
    assert not CANARY.findall(prompt) and len(asked) == 2 * snapshot.test
    assert all(len(words & own["train"]) == 6 and not words & own["validation"] for words in asked)
    assert sorted(word for words in asked for word in words & own["test"]) == sorted(
        [word for word in own["test"] if word.endswith("qxv")] * 2)
