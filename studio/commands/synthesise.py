"""`tunewright synthesise`: the Synthesise page. A recipe is a JSON object; what it leaves out takes its default."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from studio import gaps, grids, ledger, made, models, recipes, runs, seeds, synthesis, synthetic
from studio.commands import chosen, follow
from studio.commands.frame import As, Limit, Table, Told, Wait, command, group, json_of, listed, picked, who
from studio.errors import StudioError
from studio.models import Model
from studio.recipes import Recipe
from studio.runs import Run
from studio.workspace import Workspace

synthesise = group()
APPS = {"synthesise": synthesise}
Asked = Annotated[str, typer.Argument(metavar="RECIPE", help="A JSON file, - for stdin, a saved name, `gaps`, or `ready`.")]
By = Annotated[str, typer.Option("--model", help="Who writes: a model's id or name.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


@command(synthesise, "estimate")
def estimate(ws: Workspace, recipe: Asked, model: By = models.STARTER_ID) -> Told:
    """How many examples a recipe asks for, and what they will take, about."""
    asked = _recipe(ws, recipe)
    number, found = synthesis.number(ws, asked), seeds.find(ws, asked)
    told = synthesis.estimate(ws, asked, chosen.model(ws, model), _judge(ws, asked), number)
    return Told(
        {
            "examples": number,
            "seeds": len(found.ids),
            "kept_back": found.left_out,
            "recipe": asdict(asked),
            **picked(told, "calls tokens cost money seconds basis"),
        },
        [f"{number:,} examples: about {told.calls:,} calls, {told.tokens:,} tokens. {told.basis}"],
    )


@command(synthesise, "start", elsewhere=True)
def start(
    ws: Workspace,
    recipe: Asked,
    model: By = models.STARTER_ID,
    budget: Annotated[float | None, typer.Option(help="Stop before a call could pass this.")] = None,
    only: Annotated[int | None, typer.Option(min=1, help="A look: so many, which become no records.")] = None,
    wait: Wait = True,
    as_: As = "",
) -> Told:
    """Let a model write examples; what passes the gate goes to the label queue, marked synthetic."""
    asked = _recipe(ws, recipe)
    recipes.save(ws, recipes.LAST, asked, who(as_))
    run_id = synthesis.start(ws, asked, chosen.model(ws, model), _judge(ws, asked), budget, only)
    told = follow.started(ws, run_id, wait)
    if not wait:
        return told
    found = synthesis.made(ws, runs.get(ws, run_id))
    accepted = sum(one.accepted for one in found)
    return Told(
        told.document | {"accepted": accepted, "set_aside": len(found) - accepted},
        [*told.words, f"{accepted:,} of {len(found):,} examples passed."],
    )


@command(synthesise, "list")
def every(ws: Workspace) -> Told:
    """Runs that wrote examples."""
    return listed(
        "runs",
        [follow.row(one) for one in runs.every(ws, "synthesize")],
        "run_id title state message",
        "No examples were written yet.",
    )


@command(synthesise, "show")
def show(ws: Workspace, run_id: RunId, limit: Limit = 100) -> Told:
    """The examples of a run, accept rates, and what it cost."""
    run = _run(ws, run_id)
    found = synthesis.made(ws, run)
    examples = [picked(one, "slot scenario accepted messages reasons score tries") for one in found[-limit:]]
    rates = [picked(one, "scenario accepted refused reasons") for one in synthesis.rates(ws, run)]
    data = run.result.data if run.result else {}
    return Told(
        {
            "run": follow.row(run),
            "wanted": synthesis.wanted(run),
            "accepted": sum(one.accepted for one in found),
            "rates": rates,
            "paused": synthesis.paused(ws, run),
            "examples": examples,
            "spent": picked(synthesis.spending(ws, run), "calls failed prompt_tokens new_tokens cost rate"),
            "diversity": synthesis.diversity(data["diversity"]) if data.get("diversity") else [],
        },
        Table(rates, "scenario accepted refused").lines(),
    )


@command(synthesise, "refused")
def refused(ws: Workspace, run_id: RunId, limit: Limit = 500) -> Told:
    """What a run set aside, and why."""
    rows = made.refused(ws, _run(ws, run_id).run_id, limit)
    return Told({"refused": rows}, [f"{', '.join(row['reasons'])}" for row in rows] or ["Nothing was set aside."])


@command(synthesise, "pause")
def pause(ws: Workspace, run_id: RunId, go_on: Annotated[bool, typer.Option("--go-on", help="Go on again.")] = False) -> Told:
    """Ask nothing new for a while; what is on its way still comes."""
    synthesis.pause(ws, run := _run(ws, run_id), not go_on)
    return Told({"paused": synthesis.paused(ws, run)}, ["It goes on." if go_on else "It pauses."])


@command(synthesise, "gaps")
def thin(ws: Workspace) -> Told:
    """Where the data is thin; `gaps` as a recipe fills the first three."""
    rows = [picked(one, "scenario why kind have fill") for one in _gaps(ws)]
    return listed("gaps", rows, "scenario kind have fill why", "No gap was found.")


@command(synthesise, "recipes")
def saved(ws: Workspace) -> Told:
    """Saved recipes, whole."""
    found = recipes.every(ws)
    return Told({"recipes": {name: asdict(one) for name, one in found.items()}}, [*found] or ["No recipe was kept."])


@command(synthesise, "keep")
def keep(ws: Workspace, name: Annotated[str, typer.Argument()], recipe: Asked = "-", as_: As = "") -> Told:
    """Keep a recipe under a name."""
    kept = recipes.save(ws, name, _recipe(ws, recipe), who(as_))
    return Told({"name": kept}, [f"Kept: {kept}."])


@command(synthesise, "delete")
def delete(ws: Workspace, name: Annotated[str, typer.Argument()], as_: As = "") -> Told:
    """Take a recipe off the list."""
    recipes.delete(ws, name, who(as_))
    return Told({"name": name}, [f"Deleted: {name}."])


@command(synthesise, "ledger")
def spent(ws: Workspace) -> Told:
    """Every call to a model that costs money or time, by day and by run."""
    days = [picked(one, "day calls failed prompt_tokens new_tokens cost money") for one in ledger.by_day(ws)]
    by_run = [
        picked(one, "run_id title kind model at calls failed prompt_tokens new_tokens cost money seconds")
        for one in ledger.by_run(ws)
    ]
    return Told(
        {"days": days, "runs": by_run}, Table(by_run, "title kind model calls cost money", "There was no call yet.").lines()
    )


def _recipe(ws: Workspace, word: str) -> Recipe:
    kept = recipes.every(ws)
    if word in kept:
        return kept[word]
    if word == "ready":
        return Recipe(scenarios=synthetic.SCENARIOS)
    if word == "gaps":
        if not (found := _gaps(ws)):
            raise StudioError("No gap was found.", "Give a recipe.")
        return gaps.recipe(found[:3])
    row = json_of(word)
    if not isinstance(row, dict):
        raise StudioError("A recipe is a JSON object.", f"It has, for instance: {json.dumps(list(asdict(Recipe())))[:160]}…")
    return recipes.read(row)


def _gaps(ws: Workspace) -> list[gaps.Gap]:
    run = gaps.newest(ws)
    return gaps.find(ws, run, grids.read(ws, run.run_id)) if run else gaps.find(ws)


def _judge(ws: Workspace, recipe: Recipe) -> Model | None:
    return models.get(ws, recipe.judge) if recipe.judge else None


def _run(ws: Workspace, run_id: str) -> Run:
    run = runs.get(ws, run_id)
    if run.kind != "synthesize":
        raise StudioError(f"{run_id} wrote no examples.", "`tunewright synthesise list` has those that did.")
    return run
