"""`tunewright plan` and `freeze`: the Freeze page."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

import typer

from studio import inspections, leaks, leaving, models, planning, snapshots
from studio.commands import chosen, follow
from studio.commands.calls import say
from studio.commands.frame import As, Table, Told, Wait, command, group, picked, verb, who
from studio.commands.snapshots import row as snapshot_row
from studio.errors import StudioError
from studio.leaks import Checked
from studio.planning import Plan
from studio.splits import SPLITS, Recipe
from studio.workspace import Row, Workspace

plan, freeze = group(), verb()
APPS = {"plan": plan, "freeze": freeze}
LEAK = "split item_id train_id kind similarity other_similarity decision"
Floor = Annotated[float, typer.Option("--near", min=0.5, max=1, help="From this similarity on a line is a leak.")]
Decision = Annotated[Literal["quarantine", "accept"], typer.Argument()]
RECIPE = {
    "validation": Annotated[float | None, typer.Option(min=0, max=0.45, help="Share to validate on.")],
    "test": Annotated[float | None, typer.Option(min=0, max=0.45, help="Share to test on.")],
    "sizes": Annotated[str, typer.Option(help="Lines instead of shares: 200,20,40 for train, validation, test.")],
    "seed": Annotated[int, typer.Option(help="Another seed, another split.")],
    "only_kept": Annotated[bool, typer.Option("--only-kept", help="Only records marked keep.")],
    "stratify": Annotated[Literal["", "none", "tag", "source"], typer.Option(help="Equal shares of each.")],
    "by_time": Annotated[bool, typer.Option("--by-time", help="Train on the past, test on the future.")],
    "twins": Annotated[bool, typer.Option(help="Twins stay together.")],
    "threads": Annotated[bool, typer.Option(help="Records of one ticket stay together.")],
    "customers": Annotated[bool, typer.Option(help="Records of one customer stay together.")],
    "synthetic_most": Annotated[float | None, typer.Option(min=0, max=1, help="Share of synthetic examples at most.")],
}
STANDARD: Row = {
    "validation": None,
    "test": None,
    "sizes": "",
    "seed": 1234,
    "only_kept": False,
    "stratify": "",
    "by_time": False,
    "twins": True,
    "threads": True,
    "customers": False,
    "synthetic_most": None,
}


def of_recipe(work: Callable[..., Told]) -> Callable[..., Told]:
    """Give a command the options of a recipe, in place of its `recipe`."""
    seen = inspect.signature(work, eval_str=True)
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in seen.parameters.values() if one.annotation is not Recipe]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=STANDARD[name], annotation=RECIPE[name])
        for name in RECIPE
    ]

    def run(ws: Workspace, **given: Any) -> Told:
        said = {name: given.pop(name) for name in RECIPE}
        return work(ws, recipe=_recipe(ws, said), **given)

    run.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    run.__doc__, run.__name__ = work.__doc__, work.__name__
    return run


def _recipe(ws: Workspace, said: Row) -> Recipe:
    """What the options say; what they leave out is as on the Freeze page."""
    usual = planning.usual(ws)
    sizes = None
    if said["sizes"]:
        parts = said["sizes"].split(",")
        if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
            raise StudioError("Sizes are three numbers.", "For example --sizes 200,20,40.")
        sizes = (int(parts[0]), int(parts[1]), int(parts[2]))
    stratify = "none" if said["by_time"] else said["stratify"] or usual.stratify
    return replace(
        usual,
        validation_share=said["validation"] if said["validation"] is not None else usual.validation_share,
        test_share=said["test"] if said["test"] is not None else usual.test_share,
        sizes=sizes,
        seed=said["seed"],
        only_kept=said["only_kept"],
        stratify=stratify,
        by_time=said["by_time"],
        twins=said["twins"],
        threads=said["threads"],
        customers=said["customers"],
        synthetic_most=usual.synthetic_most if said["synthetic_most"] is None else said["synthetic_most"],
    )


@command(plan, "show")
@of_recipe
def show(ws: Workspace, recipe: Recipe) -> Told:
    """What would be frozen, what stays together, what is left out. Nothing is written."""
    found = snapshots.plan(ws, recipe)
    checked = leaks.of_plan(ws, found.sha256)
    return Told(
        _plan(found) | {"leaks": _checked(checked)},
        [
            ", ".join(f"{len(found.splits[split]):,} {split}" for split in SPLITS),
            f"{found.identical:,} word-for-word repeats are left out.",
            _said(checked),
        ],
    )


@command(plan, "check", elsewhere=True)
@of_recipe
def check(
    ws: Workspace,
    recipe: Recipe,
    near: Floor = inspections.NEAR_FLOOR,
    kind: chosen.MeaningKind = "",
    where: chosen.MeaningFrom = "",
    name: chosen.MeaningModel = "",
    accept: chosen.Accept = False,
    wait: Wait = True,
) -> Told:
    """Hold validation and test of just this plan against its train."""
    if kind == "endpoint":
        leaving.check(ws, accept)
    run_id = inspections.of_plan(ws, recipe, near, chosen.meaning(kind, where, name))
    told = follow.started(ws, run_id, wait)
    if not wait:
        return told
    checked = leaks.of_plan(ws, snapshots.plan(ws, recipe).sha256)
    return Told(told.document | {"leaks": _checked(checked)}, [*told.words, _said(checked)])


@command(plan, "leaks")
@of_recipe
def found(ws: Workspace, recipe: Recipe) -> Told:
    """Lines of validation and test that resemble train, and what was decided about each."""
    checked = leaks.of_plan(ws, snapshots.plan(ws, recipe).sha256)
    rows = [picked(one, LEAK) for one in checked.leaks] if checked else []
    return Told(
        {"leaks": _checked(checked), "lines": rows},
        Table(rows, "split item_id train_id kind similarity decision", _said(checked)).lines(),
    )


@command(plan, "decide")
@of_recipe
def decide(
    ws: Workspace,
    recipe: Recipe,
    decision: Decision,
    items: Annotated[list[str] | None, typer.Argument(help="Ids of lines; without any, all that are open.")] = None,
    as_: As = "",
) -> Told:
    """Quarantine or accept lines that resemble train."""
    sha256 = snapshots.plan(ws, recipe).sha256
    checked = leaks.of_plan(ws, sha256)
    if checked is None:
        raise StudioError("Nobody looked for leaks in this plan.", "`tunewright plan check`, with the same options, does.")
    there = {one.item_id for one in checked.leaks}
    if gone := [one for one in items or () if one not in there]:
        raise StudioError(f"The line {gone[0]} resembles nothing in train.", "`tunewright plan leaks` has those that do.")
    leaks.decide(ws, sha256, items or [one.item_id for one in checked.leaks if not one.decision], decision, who(as_))
    now = leaks.of_plan(ws, sha256)
    return Told({"leaks": _checked(now)}, [_said(now)])


@command(freeze, "freeze")
@of_recipe
def write(
    ws: Workspace,
    recipe: Recipe,
    name: Annotated[str, typer.Argument(help="What it is called.")] = "",
    resembling: Annotated[
        Literal["", "quarantine", "accept"],
        typer.Option("--leaks", help="Decide so about every open line that resembles train."),
    ] = "",
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Do not look for leaks; the card says so.")] = False,
    base: Annotated[str, typer.Option(help="The base model whose chat template is pinned, by its name.")] = "",
    accept: chosen.Accept = False,
    as_: As = "",
) -> Told:
    """Freeze records into train, validation and test files that never change, after their leaks were looked for."""
    gate = leaving.check(ws, accept, recipe.only_kept)
    if not unchecked:
        settle_leaks(ws, recipe, resembling, who(as_))
    ready = next((one for one in models.ready(ws) if one.name == base), None)
    if base and ready is None:
        raise StudioError(
            f"No base model called {base!r} is ready here.",
            f"Ready are {', '.join(one.name for one in models.ready(ws)) or 'none'}.",
        )
    made = snapshots.freeze(ws, name.strip() or f"Snapshot {snapshots.frozen(ws) + 1}", recipe, gate, who(as_), ready)
    return Told(
        {"snapshot": snapshot_row(made), "folder": ws.path(made.folder)},
        [
            f"Frozen: {made.train} train, {made.validation} validation, {made.test} test in {ws.path(made.folder)}",
            f"Snapshot {made.snapshot_id}.",
        ],
    )


def settle_leaks(ws: Workspace, recipe: Recipe, decision: str, name: str) -> None:
    """Look where nobody has looked, and decide where somebody said how. Raises StudioError while lines are open."""
    sha256 = snapshots.plan(ws, recipe).sha256
    if leaks.of_plan(ws, sha256) is None:
        follow.follow(ws, inspections.of_plan(ws, recipe))
    checked = leaks.of_plan(ws, sha256)
    waiting = [one.item_id for one in checked.leaks if not one.decision] if checked else []
    if waiting and not decision:
        raise StudioError(
            f"{len(waiting)} lines of validation and test resemble train.",
            "Say --leaks quarantine or --leaks accept, or decide about each with `tunewright plan decide`.",
        )
    if waiting:
        leaks.decide(ws, sha256, waiting, decision, name)  # type: ignore[arg-type]
        say(f"{len(waiting)} lines of validation and test resemble train: {decision}.")


def _plan(found: Plan) -> Row:
    division = found.division
    return {
        "plan": found.sha256,
        "recipe": asdict(found.recipe),
        **{split: len(found.splits[split]) for split in SPLITS},
        "eligible": found.eligible,
        "identical": found.identical,
        "too_synthetic": found.too_synthetic,
        "ties": found.ties,
        "groups": division.held,
        "largest_group": division.largest,
        "undated": division.undated,
        "tied": division.tied,
    }


def _checked(checked: Checked | None) -> Row:
    return {
        "checked": checked is not None,
        "run_id": checked.run_id if checked else None,
        "open": checked.open if checked else None,
        "quarantined": len(checked.said("quarantine")) if checked else None,
        "accepted": len(checked.said("accept")) if checked else None,
    }


def _said(checked: Checked | None) -> str:
    if checked is None:
        return "Nobody looked for leaks in this plan."
    return f"Leaks: {checked.open} open, {len(checked.said('quarantine'))} quarantined, {len(checked.said('accept'))} accepted."
