"""A recipe of numbered cases and a mock server that knows a different reply to each; how tests begin, kill and read such a
run."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import rundir
from pipeline.specs import Candidate, Cell, Checks, Endpoint, SynthesisSpec
from pipeline.synthesis import plan
from tests import chat_server, children

WORDS = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet", "knoll")
FAULTS = {"latency": [100, 300], "rateLimitRate": 0.1, "disconnectRate": 0.05, "malformedRate": 0.02}
RETRY_AFTER = 1.0
"""The seconds that aimock asks to wait with a 429."""

LOOSE = Checks(languages=False, personal=False, twin_at=0.0)


def case(n: int) -> str:
    return f"case {n:04}"


def reply(n: int) -> dict[str, str]:
    word = " ".join(WORDS[int(digit)] for digit in f"{n:04}")
    return {
        "question": f"Where is my {word} parcel?",
        "answer": f"Your {word} parcel comes on Monday; we are sorry for the wait.",
    }


def fixtures(n: int) -> list[dict[str, Any]]:
    return [{"match": {"userMessage": case(place)}, "response": {
        "content": json.dumps(reply(place)), "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}}}
        for place in range(n)]  # fmt: skip


def spec(address: str, n: int, run_id: str = "made", concurrency: int = 8, **more: Any) -> SynthesisSpec:
    endpoint = Endpoint(base_url=address, model="writer", price_in=1.0, price_out=2.0, concurrency=concurrency)
    given: dict[str, Any] = {"checks": LOOSE, "cells": tuple(Cell(scenario=case(place)) for place in range(n))} | more
    return SynthesisSpec(
        run_id=run_id, model=Candidate(model_id="w", name="Writer", endpoint=endpoint), work="examples", **given
    )


def finished(workspace: Path, asked: SynthesisSpec) -> tuple[Path, rundir.Result]:
    folder = children.prepared(workspace, asked)
    return folder, children.finished(folder, workspace)


def accepted(folder: Path) -> Counter[str]:
    """How often each question was accepted."""
    return Counter(
        row["messages"][0]["content"] for row in rundir.read_lines(folder / "examples.jsonl") if row["state"] == "accepted"
    )


def calls(folder: Path) -> list[dict[str, Any]]:
    return rundir.read_lines(folder / "calls.jsonl")


@dataclass(frozen=True)
class Killed:
    """A run that was killed: for each kill, how long the server's journal was, and the cases whose replies were written."""

    folder: Path
    kills: list[tuple[int, set[str]]]
    times: list[float]


def killed_on_the_way(workspace: Path, asked: SynthesisSpec, address: str, at: Sequence[float]) -> Killed:
    """Begin it, kill it with -9 once these shares of its examples are there, and let it go on after each."""
    found = Killed(children.prepared(workspace, asked), [], [])
    case_of = {slot.key: slot.cell.scenario for slot in plan.slots(asked)}
    for share in at:
        process = children.begin_to_kill(found.folder, workspace)
        wanted = share * len(asked.cells)
        deadline = time.time() + 120
        while len(accepted(found.folder)) < wanted and process.poll() is None:
            assert time.time() < deadline, rundir.log_tail(found.folder)
            time.sleep(0.01)
        process.kill()
        process.wait()
        found.times.append(time.time())
        written = {case_of[row["slot"]] for row in calls(found.folder) if row["outcome"] == "ok"}
        found.kills.append((len(chat_server.asked(address)), written))
    return found


def asked_again(killed: Killed, address: str) -> int:
    """Requests in the server's journal after a kill for a case whose reply was written down before it."""
    journal = chat_server.asked(address)
    ends = [begin for begin, _ in killed.kills[1:]] + [len(journal)]
    return sum(
        _case(entry) in written
        for (begin, written), end in zip(killed.kills, ends, strict=True)
        for entry in journal[begin:end]
    )


def answered_twice(address: str) -> int:
    """Good answers of the server beyond the first to each case: what was on its way when a run was killed."""
    good = Counter(_case(entry) for entry in chat_server.asked(address) if _went_well(entry))
    return sum(times - 1 for times in good.values())


def waited(folder: Path, kills: Sequence[float] = ()) -> list[float]:
    """For each call that was refused as one too many, the seconds until its slot was asked again by the same process."""
    found, refused = [], dict[str, float]()
    for row in sorted(calls(folder), key=lambda row: row["at"]):
        before = refused.pop(row["slot"], None)
        if before is not None and not any(before < kill < row["at"] for kill in kills):
            found.append(row["at"] - before)
        if row["outcome"] == "rate":
            refused[row["slot"]] = row["at"] + row["seconds"]
    return found


def _case(entry: dict[str, Any]) -> str:
    """Empty where the request broke off with the process that made it."""
    text = entry["body"]["messages"][-1]["content"] if entry["body"] else ""
    return text[text.index("case ") : text.index("case ") + 9] if text else ""


def _went_well(entry: dict[str, Any]) -> bool:
    return (entry.get("response") or {}).get("status") == 200 and not (entry.get("response") or {}).get("chaosAction")
