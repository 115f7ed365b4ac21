"""`tunewright runs` and `groups`: the Runs page."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from studio import curves, groups, runs, samples
from studio.commands import follow
from studio.commands.calls import say
from studio.commands.frame import Table, Told, command, group, listed, picked, plain
from studio.commands.train import MEMBER, members
from studio.errors import StudioError
from studio.runs import Kind, Run
from studio.workspace import Workspace

run_app, group_app = group(), group()
APPS = {"runs": run_app, "groups": group_app}
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or `latest`.")]
GroupId = Annotated[str, typer.Argument(metavar="GROUP", help="The group's id.")]


@command(run_app, "list")
def every(
    ws: Workspace,
    kind: Annotated[Kind | None, typer.Option(help="Only of this kind.")] = None,
    moving: Annotated[bool, typer.Option("--moving", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1)] = 50,
) -> Told:
    """Runs, newest first."""
    rows = [follow.row(one) for one in runs.every(ws, kind) if one.moving or not moving][:limit]
    return listed("runs", rows, "run_id kind title state message", "No run was started yet.")


@command(run_app, "show")
def show(ws: Workspace, run_id: RunId) -> Told:
    """One run as it stands: what it was asked, how far it is, how it ended, what it told on the way."""
    run = _run(ws, run_id)
    heard = runs.events(ws, run)
    return Told(
        {
            "run": follow.row(run),
            "spec": run.spec,
            "folder": ws.path(run.folder),
            "notes": heard.notes,
            "out_of_memory": heard.out_of_memory,
            "recipe": heard.recipe,
            "troubles": [
                picked(one, "name sign advice")
                for one in curves.troubles(heard.losses, heard.validation, int(heard.recipe.get("steps") or 0))
            ],
        },
        [
            f"{run.title} ({run.kind}, {run.run_id}): {run.state}",
            follow.progress(run)
            if run.moving
            else (run.result.message if run.result else "Its process is gone without a word."),
            *heard.notes,
            f"Its folder is {ws.path(run.folder)}.",
        ],
    )


@command(run_app, "follow")
def watch(ws: Workspace, run_id: RunId) -> Told:
    """Watch a run to its end. Exit status 1 where it does not get done."""
    return follow.started(ws, _run(ws, run_id).run_id, True)


@command(run_app, "stop")
def stop(
    ws: Workspace, run_id: RunId, wait: Annotated[float, typer.Option(help="Wait so many seconds for its end.")] = 60.0
) -> Told:
    """Ask a run to save what it has and stop."""
    run = _run(ws, run_id)
    runs.stop(ws, run.run_id)
    runs.wait(ws, run.run_id, wait)
    runs.collect(ws)
    run = runs.get(ws, run.run_id)
    return Told({"run": follow.row(run)}, [f"{run.title} is {run.state}."])


@command(run_app, "resume")
def resume(ws: Workspace, run_id: RunId, wait: Annotated[bool, typer.Option("--wait/--no-wait")] = True) -> Told:
    """Go on from what a run saved."""
    run = _run(ws, run_id)
    runs.resume(ws, run.run_id)
    return follow.started(ws, run.run_id, wait)


@command(run_app, "log")
def log(ws: Workspace, run_id: RunId, lines: Annotated[int, typer.Option(min=1)] = 40) -> Told:
    """The end of a run's log."""
    text = runs.log_tail(ws, run := _run(ws, run_id), lines)
    return Told({"run_id": run.run_id, "log": text}, [text])


@command(run_app, "events")
def events(ws: Workspace, run_id: RunId) -> Told:
    """Losses, validation losses and notes of a run so far."""
    heard = runs.events(ws, _run(ws, run_id))
    return Told(
        {"losses": heard.losses, "validation": heard.validation, "notes": heard.notes, "recipe": heard.recipe},
        [json.dumps(plain(one)) for one in (*heard.losses, *heard.validation)] + heard.notes,
    )


@command(run_app, "samples")
def said(ws: Workspace, run_id: RunId) -> Told:
    """The same questions answered at every evaluation of a training."""
    rows = [picked(one, "record_id question expected answers") for one in samples.every(ws, _run(ws, run_id))]
    return Told(
        {"samples": rows},
        [f"{one['question']}\n  {answer.step}: {answer.text}" for one in rows for answer in one["answers"]]
        or ["It answered no sample prompts."],
    )


@command(run_app, "queue")
def queue(ws: Workspace) -> Told:
    """Runs that wait for the device, the next one first."""
    return listed("runs", [follow.row(one) for one in runs.queue(ws)], "run_id kind title", "No run waits.")


@command(group_app, "list")
def every_group(ws: Workspace) -> Told:
    """Groups of trainings."""
    return listed(
        "groups",
        [picked(one, "group_id name snapshot_id started_at") for one in groups.every(ws)],
        "group_id name started_at",
        "No group was started yet.",
    )


@command(group_app, "show")
def show_group(ws: Workspace, group_id: GroupId) -> Told:
    """The runs of a group, the best first."""
    found = groups.get(ws, group_id)
    rows = members(ws, group_id)
    return Told({"group": picked(found, "group_id name snapshot_id started_at"), "runs": rows}, Table(rows, MEMBER).lines())


@command(group_app, "follow")
def follow_group(ws: Workspace, group_id: GroupId) -> Told:
    """Watch all runs of a group to their ends."""
    groups.get(ws, group_id)
    for run in runs.of_group(ws, group_id):
        if run.moving:
            say(run.title)
            follow.follow(ws, run.run_id)
    return show_group(ws, group_id)


@command(group_app, "stop")
def stop_group(ws: Workspace, group_id: GroupId) -> Told:
    """Ask every run of a group to stop."""
    asked = groups.stop(ws, groups.get(ws, group_id).group_id)
    return Told({"asked": asked}, [f"Asked {asked} runs to stop; each saves what it has first."])


def _run(ws: Workspace, run_id: str) -> Run:
    if run_id != "latest":
        return runs.get(ws, run_id)
    found = runs.every(ws)
    if not found:
        raise StudioError("No run was started yet.")
    return found[0]
