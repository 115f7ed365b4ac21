"""The Evaluate page in a real browser over 100,000 stored answers of three candidates: from the click to the last change.

    python -m benchmarks.evaluate_page [--answers 100000]

The studio is fresh for each size, so the first click reads the scores; each view is opened once more from another one. The same
at a tenth says how it grows. Writes `evaluate.page_100k_s` (the first click, to the verdict) and `evaluate.page_10k_s` into
results.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from benchmarks import record
from benchmarks.curate_table import WATCH, after
from benchmarks.intake import generate
from pipeline.specs import BaseSource, Candidate, EvaluateSpec
from studio import intake, models, runs, snapshots
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.browser import chromium, running, settled
from tests.tickets import BASE, _launched, recorded_training

CANDIDATES = {"starter": 0.20, "starter-prompted": 0.30, "trained00001": 0.33}
METRICS = ("rougeL", "rouge1", "rouge2", "chrf", "exact_match")
VIEWS = ("Verdict", "Where", "Answers", "Cost", "Compare", "Report")
RUN = "evaluated001"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100_000)
    given = parser.parse_args()
    lines = [f"| answers | scores | first click | {' | '.join(VIEWS[1:])} | Verdict again |", "|---" * (len(VIEWS) + 3) + "|"]
    figures = {}
    for answers in (given.answers // 10, given.answers):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "ws"
            scores = fill(home, answers)
            took = clicks(home)
        lines.append(f"| {answers:,} | {scores:,} | " + " | ".join(f"{seconds:.2f} s" for seconds in took) + " |")
        print(lines[-1], flush=True)
        figures[f"evaluate.page_{answers // 1000}k_s"] = round(took[0], 3)
    record.keep(figures)
    record.table("evaluate_page", "The Evaluate page", lines)


def fill(home: Path, answers: int) -> int:
    """A workspace with one evaluation of so many answers; returns how many scores it has."""
    items = -(-answers // len(CANDIDATES))
    path = home.parent / "tickets.csv"
    generate(path, int(1.2 * items) + 1_000)
    ws = Workspace(home)
    staging = intake.read(ws, [path])
    intake.import_staged(ws, staging, intake.look(ws, staging).choices)
    staging.discard()
    snapshot = snapshots.freeze(ws, "Large", Recipe(sizes=(400, 100, items)))
    recorded_training(ws, snapshot)
    models.every(ws)
    base = BaseSource(**BASE)
    spec = EvaluateSpec(run_id=RUN, items_file=snapshot.file("test"), primary="rougeL", candidates=(
        Candidate(model_id="starter", name="Starter", base=base),
        Candidate(model_id="starter", candidate_id="starter-prompted", name="Prompted", base=base, system="Be kind."),
        Candidate(model_id="trained00001", name="Tuned", base=base, adapter="runs/trained00001/adapter")))  # fmt: skip
    child = _launched(ws, spec, snapshot, "Large against its base")
    child.finish("done", "Answered.", data={"items": items})
    runs.collect(ws)
    _store(ws, snapshot.snapshot_id)
    found = int(ws.value("select count(*) from scores"))
    ws.close()
    return found


def _store(ws: Workspace, snapshot_id: str) -> None:
    """Answers and scores, made up in the database: the tuned model is better by a little on most items."""
    with ws.transaction() as transaction:
        transaction.execute("select setseed(0.5)")
        transaction.execute(
            """insert into outputs
               select ?, c.who, i.record_id, 0, repeat('A word that was said, and another one. ', 8), 64, 70, 0.5 + random(),
                      case when random() < 0.03 then 'length' else 'stop' end, '', false, null, null, null, null
               from snapshot_items i, (select unnest(?::varchar[]) as who) c where i.snapshot_id = ? and i.split = 'test'""",
            [RUN, list(CANDIDATES), snapshot_id])
        transaction.execute(
            """insert into scores
               select o.run_id, o.candidate_id, o.item_id, 0, m.metric,
                      json_extract(?, '$."' || o.candidate_id || '"')::double + 0.3 * random() - 0.15, null
               from outputs o, (select unnest(?::varchar[]) as metric) m""", [json.dumps(CANDIDATES), list(METRICS)])


def clicks(home: Path) -> list[float]:
    """Seconds from a click to the last change of the page: the navigation first, then view after view."""
    with running(home) as studio, chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.add_init_script(WATCH)
        page.goto(f"{studio.url}/runs")
        settled(page)
        found = [after(page, page.get_by_role("link", name="Evaluate").first.click)]
        for view in (*VIEWS[1:], VIEWS[0]):
            found.append(after(page, lambda view=view: choose(page, view)))  # type: ignore[misc]
            assert not page.get_by_test_id("stException").count()
    return [milliseconds / 1000 for milliseconds in found]


def choose(page: Page, view: str) -> None:
    page.get_by_role("radio", name=view, exact=True).click()


if __name__ == "__main__":
    main()
