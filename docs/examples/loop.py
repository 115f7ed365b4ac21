"""From a file of tickets to a verdict, with the nouns that the pages and commands call.

    python docs/examples/loop.py TICKETS WORKSPACE [FOLDER OF A BASE MODEL]

Nothing else may have the workspace open: the nouns work on the open database, so this process holds it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from studio import candidates, grids, inspections, intake, leaks, models, rivals, runs, snapshots, starts, verdict_words
from studio.errors import StudioError
from studio.runs import Run
from studio.snapshots import Recipe
from studio.starts import Decoding, Dials
from studio.workspace import Workspace


def ended(ws: Workspace, run_id: str) -> Run:
    """Wait for a run's end and bring it into the tables. Every long job is a run: it goes on when this script is killed."""
    while (run := runs.get(ws, run_id)).moving:
        time.sleep(0.2)
    runs.collect(ws)
    if runs.get(ws, run_id).state != "done":
        raise StudioError(f"{run.title} did not get done.", runs.log_tail(ws, run))
    return runs.get(ws, run_id)


def loop(ws: Workspace, tickets: Path, base_folder: str = "") -> str:
    """Import, freeze without leaks, train, evaluate; returns the headline of the verdict."""
    if not intake.imports(ws):
        intake.import_file(ws, tickets, tickets.name, intake.preview(ws, tickets).choices)
    recipe = Recipe(sizes=tuple(map(int, os.environ.get("SIZES", "200,20,40").split(","))))
    plan = snapshots.plan(ws, recipe).sha256
    if leaks.of_plan(ws, plan) is None:
        ended(ws, inspections.of_plan(ws, recipe))
    checked = leaks.of_plan(ws, plan)
    waiting = [one.item_id for one in checked.leaks if not one.decision] if checked else []
    leaks.decide(ws, plan, waiting, "quarantine", "script")
    snapshot = snapshots.freeze(ws, "From a script", recipe, who="script")

    base = models.add_base(ws, "folder", base_folder) if base_folder else models.get(ws, models.STARTER_ID)
    dials = Dials(epochs=int(os.environ.get("EPOCHS", "2")), learning_rate=float(os.environ.get("RATE", "3e-4")))
    tuned = models.get(ws, ended(ws, starts.training(ws, snapshot, base, dials)).run_id)

    chosen = candidates.default_set(ws, tuned, snapshot)
    decoding = Decoding(max_new_tokens=int(os.environ.get("TOKENS", "150")))
    run = ended(ws, starts.evaluation(ws, snapshot, chosen, decoding, probes=False))
    roles, judged = rivals.roles(run), rivals.judged(run)
    found = rivals.judge(run, grids.read(ws, run.run_id), judged)
    return ". ".join(verdict_words.headline(one.first, roles[judged], roles[one.rival]) for one in found)


if __name__ == "__main__":
    opened = Workspace(Path(sys.argv[2]))
    try:
        print(loop(opened, Path(sys.argv[1]), *sys.argv[3:4]))
    finally:
        opened.close()
