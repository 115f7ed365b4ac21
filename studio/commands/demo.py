"""`tunewright demo`: once round the loop, with the same functions that the commands have."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import typer

from studio import findings, intake, leaving, models, snapshots, starts
from studio.commands.bring_in import became
from studio.commands.calls import say
from studio.commands.chosen import evaluation
from studio.commands.follow import follow
from studio.commands.frame import Told, command, path, verb, who
from studio.commands.freeze import settle_leaks
from studio.commands.snapshots import row
from studio.commands.verdict import verdict_of
from studio.intake import Report
from studio.snapshots import Recipe
from studio.starts import Chosen, Decoding
from studio.ui.formats import duration
from studio.workspace import Workspace

demo = verb()
APPS = {"demo": demo}


@command(demo, "demo")
def go(
    ws: Workspace,
    csv: Annotated[str, typer.Option(help="A CSV file of tickets; without it the sample is used.")] = "",
    message: Annotated[str | None, typer.Option(help="Its column of customer messages.")] = None,
    answer: Annotated[str | None, typer.Option(help="Its column of answers.")] = None,
    base: Annotated[str, typer.Option(help="A base model's folder; without it the starter.")] = "",
    train: Annotated[int, typer.Option(help="Examples to train on.")] = 200,
    validation: Annotated[int, typer.Option(help="Examples to validate on.")] = 20,
    test: Annotated[int, typer.Option(help="Examples to test on.")] = 40,
    epochs: Annotated[int, typer.Option()] = 2,
    learning_rate: Annotated[float, typer.Option()] = 3e-4,
    answer_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 150,
) -> Told:
    """Go once round the loop: import, freeze, train, evaluate; then print the verdict."""
    began = time.monotonic()
    brought = became(ws, _bring_in(ws, csv, message, answer))
    for line in brought.words:
        say(line)
    if not findings.privacy_gate(ws).clear:
        say(f"{leaving.sentence(findings.privacy_gate(ws))} See to that with `tunewright check` before a real training.")
    recipe = Recipe(sizes=(train, validation, test))
    settle_leaks(ws, recipe, "quarantine", who("tunewright demo"))  # nobody is there to ask
    snapshot = snapshots.freeze(ws, "Demo", recipe, who=who("tunewright demo"))
    say(f"Frozen: {snapshot.train} train, {snapshot.validation} validation, {snapshot.test} test in {ws.path(snapshot.folder)}")
    dials = starts.Dials(epochs=epochs, learning_rate=learning_rate)
    first = models.add_base(ws, "folder", str(path(base))) if base else models.get(ws, models.STARTER_ID)
    tuned = models.get(ws, follow(ws, starts.training(ws, snapshot, first, dials, "demo")).run_id)
    run_id = follow(
        ws,
        starts.evaluation(ws, snapshot, [Chosen(first), Chosen(tuned)], Decoding(max_new_tokens=answer_tokens), probes=False),
    ).run_id
    verdict = verdict_of(ws, evaluation(ws, run_id))
    return Told(
        verdict.document | {"import": brought.document["import"], "snapshot": row(snapshot), "model_id": tuned.model_id},
        [
            *verdict.words,
            f"\nDone in {duration(time.monotonic() - began)}. Open this workspace in the studio with: "
            f"STUDIO_WORKSPACE={ws.root} make run",
        ],
    )


def _bring_in(ws: Workspace, csv: str, message: str | None, answer: str | None) -> Report:
    if not csv:
        return intake.import_sample(ws)
    choices = intake.preview(ws, path(csv)).choices
    columns = choices.columns.changed("message", message or choices.columns.message)
    columns = columns.changed("answer", answer or columns.answer)
    return intake.import_file(ws, path(csv), path(csv).name, replace(choices, columns=columns))
