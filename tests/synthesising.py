"""A recipe of numbered cases and a mock server that knows a different reply to each; how tests begin, kill and read such a
run."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline import rundir
from pipeline.specs import Candidate, Cell, Checks, Endpoint, SynthesisSpec
from tests import chat_server, children

WORDS = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet", "knoll")
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


def killed_on_the_way(workspace: Path, asked: SynthesisSpec, at: tuple[float, ...]) -> Path:
    """Begin it, kill it with -9 once these shares of its examples are there, and let it go on after each."""
    folder = children.prepared(workspace, asked)
    for share in at:
        process = children.begin_to_kill(folder, workspace)
        wanted = share * len(asked.cells)
        deadline = time.time() + 120
        while len(accepted(folder)) < wanted and process.poll() is None:
            assert time.time() < deadline, rundir.log_tail(folder)
            time.sleep(0.01)
        process.kill()
        process.wait()
    return folder


def paid_twice(folder: Path, address: str, n: int) -> int:
    """Calls that the server answered well, by its own journal, for a case whose reply was already written down here."""
    case_of = {row["slot"]: case(row["cell"]) for row in rundir.read_lines(folder / "examples.jsonl")}
    written: dict[str, float] = {}
    for row in calls(folder):
        if row["outcome"] == "ok":
            name = case_of[row["slot"]]
            written[name] = min(written.get(name, math.inf), row["at"] + row["seconds"])
    assert len(written) == n
    return sum(
        _went_well(entry) and entry["timestamp"] / 1000 > written[_case(entry)] + 0.05 for entry in chat_server.asked(address)
    )


def _case(entry: dict[str, Any]) -> str:
    text = entry["body"]["messages"][-1]["content"]
    return text[text.index("case ") : text.index("case ") + 9]


def _went_well(entry: dict[str, Any]) -> bool:
    return (entry.get("response") or {}).get("status") == 200 and not (entry.get("response") or {}).get("chaosAction")
