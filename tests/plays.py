"""Questions of the playground for tests: as the app writes them down, and as a child would have answered them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import Candidate, Decoding, Endpoint, PlayAsk, PlaySpec, dumps
from studio import models, plays, runs
from studio.plays import Ask
from studio.workspace import Workspace
from tests.conftest import STARTER

BASE = Candidate(model_id="starter", name="Starter", base=STARTER)
KIND = BASE.model_copy(update={"candidate_id": "starter-kind", "name": "Kind starter", "system": "Be kind."})


def server(address: str, **more: Any) -> Candidate:
    return Candidate(model_id="server", name="Server", endpoint=Endpoint(base_url=address, model="small", **more))


def wanted(folder: Path, reply: str, asked: str, candidate: Candidate = BASE, tokens: int = 40, **decoding: Any) -> None:
    """Ask the child of this run folder."""
    line = PlayAsk(reply=reply, candidate=candidate, messages=({"role": "user", "content": asked},),
                   decoding=Decoding(max_new_tokens=tokens, **decoding))  # fmt: skip
    rundir.append(folder / "asks.jsonl", [line.model_dump()])


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """What the child told of each reply so far."""
    return plays.heard(rundir.read_lines(folder / "pieces.jsonl"))


def ended(folder: Path, *replies: str) -> bool:
    return all(told(folder).get(reply, {}).get("finish") for reply in replies)


def asked(
    ws: Workspace, question: str, texts: dict[str, str], ask_id: str = "ask1", thread_id: str = "t1", who: str = "ann"
) -> Ask:
    """A question that these candidates (by name) have answered, as an ended run left it; collected."""
    run_id = _run(ws)
    specs = [BASE.model_copy(update={"candidate_id": name.lower(), "name": name}).model_dump() for name in texts]
    plays.add(ws, ask_id, run_id, thread_id, question, specs, Decoding().model_dump(), who)
    lines = [line for place, text in enumerate(texts.values()) for line in _lines(f"{ask_id}-{place}", text)]
    with ws.transaction() as transaction:
        plays.collect(ws, transaction, lines, over=False)
    return plays.of_ids(ws, [ask_id])[0]


def _lines(reply: str, text: str) -> list[dict[str, Any]]:
    end = {"finish": "stop", "tokens": 9, "prompt_tokens": 20, "seconds": 0.5, "first_seconds": 0.1}
    return [{"reply": reply, "begun": 1.0}, {"reply": reply, "at": 0, "text": text}, {"reply": reply} | end]


def _run(ws: Workspace) -> str:
    """A play run that ended by itself."""
    known = runs.every(ws, "play")
    if known:
        return known[0].run_id
    models.every(ws)
    spec = PlaySpec(run_id="played000001")
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "Playground", "")
    folder = ws.path("runs/played000001")
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, time.time())
    with Child(folder) as child:
        child.finish("done", "It was quiet.", data={"replies": 0})
    runs.collect(ws)
    return spec.run_id
