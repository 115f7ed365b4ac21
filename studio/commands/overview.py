"""`tunewright status`: the Overview page."""

from __future__ import annotations

from studio import grids, labels, loop, records, rivals, runs, verdict_words
from studio.commands.frame import Table, Told, command, picked, verb
from studio.workspace import Row, Workspace

status = verb()
APPS = {"status": status}


@command(status, "status")
def stand(ws: Workspace) -> Told:
    """Where the workspace stands in the loop, and the next thing to do."""
    counted, step = records.counts(ws), loop.next_step(ws)
    stages = [picked(one, "key count done blocked") for one in loop.stages(ws)]
    moving = [picked(run, "run_id kind title state") for run in runs.every(ws) if run.moving]
    verdict = _latest(ws)
    words = Table(stages, "key count blocked").lines()
    words += [f"Running: {one['title']} ({one['kind']}, {one['run_id']})" for one in moving]
    words += [f"Latest verdict: {one['headline']}." for one in verdict]
    return Told(
        {
            "records": picked(counted, "total keep drop undecided edited usable"),
            "labels": labels.total(ws),
            "stages": stages,
            "next": step.sentence,
            "running": moving,
            "latest_verdict": verdict,
        },
        [*words, f"Next: {step.sentence}"],
    )


def _latest(ws: Workspace) -> list[Row]:
    """What the newest evaluation that is done allows to say, against each rival."""
    proven = runs.proven(ws)
    if not proven:
        return []
    run = proven[0]
    roles, judged = rivals.roles(run), rivals.judged(run)
    return [
        {
            "run_id": run.run_id,
            "rival": one.rival,
            "word": one.first.word,
            "metric": one.first.metric,
            "headline": verdict_words.headline(one.first, roles[judged], roles[one.rival]),
        }
        for one in rivals.judge(run, grids.read(ws, run.run_id), judged)
    ]
