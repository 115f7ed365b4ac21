"""`tunewright train`, `preview` and `presets`: the Launch page, for this machine."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Annotated, Any, get_type_hints

import typer

from studio import dials as nouns
from studio import groups, models, presets, previews, prices, runs, starts
from studio.commands import chosen, follow
from studio.commands.calls import say
from studio.commands.frame import As, Table, Told, Wait, command, group, listed, picked, verb, who
from studio.dials import Dials
from studio.errors import StudioError
from studio.workspace import Row, Workspace

train, preview, preset = verb(), group(), group()
APPS = {"train": train, "preview": preview, "presets": preset}
Base = Annotated[str, typer.Option("--base", help="The base model's id or name.")]
HELP = {
    "epochs": "Times through the data.",
    "learning_rate": "2e-4 is right for most.",
    "rank": "How much the adapter can hold.",
    "step_tokens": "Tokens a step learns from.",
    "row_tokens": "Tokens computed at once.",
    "max_tokens": "Longest example.",
    "too_long": "What becomes of longer ones.",
    "processes": "GPUs or processes.",
}


def dialled(work: Callable[..., Told]) -> Callable[..., Told]:
    """Give a command an option for every dial, and `--preset` to begin from, in place of its `dials`."""
    seen = inspect.signature(work, eval_str=True)
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in seen.parameters.values() if one.annotation is not Dials]
    kinds = get_type_hints(Dials)
    names = [one.name for one in fields(Dials)]
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kinds[name] | None, typer.Option(help=HELP.get(name))],
        )
        for name in names
    ]
    begin = inspect.Parameter(
        "preset",
        inspect.Parameter.KEYWORD_ONLY,
        default="",
        annotation=Annotated[str, typer.Option(help="Begin with the dials of this name.")],
    )

    def run(ws: Workspace, **given: Any) -> Told:
        said, name = {one: given.pop(one) for one in names}, given.pop("preset")
        start = _preset(ws, name) if name else Dials()
        return work(ws, dials=replace(start, **{key: value for key, value in said.items() if value is not None}), **given)

    run.__signature__ = inspect.Signature([*own, begin, *more])  # type: ignore[attr-defined]
    run.__doc__, run.__name__ = work.__doc__, work.__name__
    return run


@command(train, "train", elsewhere=True)
@dialled
def begin(
    ws: Workspace,
    dials: Dials,
    snapshot: chosen.OfSnapshot = "",
    base: Base = models.STARTER_ID,
    name: Annotated[str, typer.Option(help="What the run is called.")] = "",
    rates: Annotated[list[float] | None, typer.Option("--try-rate", help="Several: a group of runs.")] = None,
    ranks: Annotated[list[int] | None, typer.Option("--try-rank")] = None,
    passes: Annotated[list[int] | None, typer.Option("--try-epochs")] = None,
    wait: Wait = True,
) -> Told:
    """Train a small adapter on a snapshot. Several values of --try-…: a group of runs that are compared."""
    frozen, from_ = chosen.snapshot(ws, snapshot), chosen.model(ws, base)
    if not (rates or ranks or passes):
        told = follow.started(ws, starts.training(ws, frozen, from_, dials, name), wait)
        run_id = told.document["run"]["run_id"]
        return Told(
            told.document | {"model_id": run_id if wait else None, "dials": asdict(dials)},
            [*told.words, *([f"Model {run_id}."] if wait else [])],
        )
    variants = nouns.grid(dials, rates or [dials.learning_rate], ranks or [dials.rank], passes or [dials.epochs])
    group_id = starts.group(ws, frozen, from_, variants, name)
    if wait:
        for run in runs.of_group(ws, group_id):
            say(run.title)
            follow.follow(ws, run.run_id)
    rows = members(ws, group_id)
    return Told({"group_id": group_id, "runs": rows}, [f"Group {group_id}.", *Table(rows, MEMBER, widest=30).lines()])


@command(preview, "look")
@dialled
def look(
    ws: Workspace, dials: Dials, snapshot: chosen.OfSnapshot = "", base: Base = models.STARTER_ID, wait: Wait = True
) -> Told:
    """What a training would do: does it fit, how long does it take, what exactly is learned."""
    run_id = starts.preview(ws, chosen.snapshot(ws, snapshot), chosen.model(ws, base), dials)
    told = follow.started(ws, run_id, wait)
    if not wait:
        return told
    found = previews.read(runs.get(ws, run_id))
    plans = [picked(one, "method fits row_tokens checkpointing peak_gib tokens_s seconds basis") for one in found.plans]
    parts = {
        name: picked(part, "examples tokens learned_tokens too_long no_target template_failures")
        for name, part in (("train", found.train), ("validation", found.validation))
    }
    return Told(
        told.document
        | {
            "plans": plans,
            "recommended": found.recommended,
            "why": found.why,
            "steps": found.steps,
            "longest": found.longest,
            **parts,
        },
        [*told.words, *Table(plans, "method fits peak_gib tokens_s seconds").lines(), found.why],
    )


@command(preview, "examples")
def examples(ws: Workspace, run_id: Annotated[str, typer.Argument(help="A preview's run, or `latest`.")]) -> Told:
    """Examples as the model sees them, with what is learned of each."""
    rows = [
        {
            "record_id": one.record_id,
            "tokens": one.tokens,
            "learned": one.learned,
            "pieces": [{"text": text, "learned": learned} for text, learned in one.pieces],
        }
        for one in previews.examples(ws, chosen.run(ws, run_id, "preview", "a preview"))
    ]
    return listed("examples", rows, "record_id tokens learned")


@command(preview, "price")
def price(
    ws: Workspace,
    per_hour: Annotated[float | None, typer.Argument(help="What an hour of this machine costs.")] = None,
    money: Annotated[str, typer.Option()] = "EUR",
    as_: As = "",
) -> Told:
    """What an hour of this machine costs, for what trainings and answers cost; with a number, say it."""
    now = prices.say(ws, per_hour, money, who(as_)) if per_hour is not None else prices.now(ws)
    return Told(picked(now, "per_hour money"), [f"{now.per_hour:g} {now.money} an hour."])


@command(preset, "list")
def every(ws: Workspace) -> Told:
    """Dials under a name."""
    rows = [
        {"name": one.name, "built_in": one.built_in, "hint": one.hint, "dials": asdict(one.dials)} for one in presets.every(ws)
    ]
    return listed("presets", rows, "name built_in hint")


@command(preset, "save")
@dialled
def save(ws: Workspace, dials: Dials, name: Annotated[str, typer.Argument()], as_: As = "") -> Told:
    """Keep dials under a name; what stood under it is replaced."""
    made = presets.save(ws, name, dials, who(as_))
    return Told({"name": made.name, "dials": asdict(made.dials)}, [f"Kept: {made.name}, {made.dials.words}."])


@command(preset, "delete")
def delete(ws: Workspace, name: Annotated[str, typer.Argument()], as_: As = "") -> Told:
    """Take a preset off the list."""
    presets.delete(ws, name, who(as_))
    return Told({"name": name}, [f"Deleted: {name}."])


MEMBER = "run_id state learning_rate rank epochs best_validation_loss best_step seconds"


def members(ws: Workspace, group_id: str) -> list[Row]:
    """The runs of a group, the best first."""
    return [
        {
            "run_id": one.run.run_id,
            "title": one.run.title,
            "state": one.run.state,
            "best_validation_loss": one.best if math.isfinite(one.best) else None,
            "best_step": one.best_step,
            "seconds": one.seconds,
            **picked(one.dials, "learning_rate rank epochs"),
        }
        for one in groups.members(ws, group_id)
    ]


def _preset(ws: Workspace, name: str) -> Dials:
    found = {one.name.lower(): one.dials for one in presets.every(ws)}
    if name.lower() not in found:
        raise StudioError(f"There is no preset {name!r}.", f"There are {', '.join(one.name for one in presets.every(ws))}.")
    return found[name.lower()]
