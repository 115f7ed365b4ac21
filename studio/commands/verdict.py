"""`tunewright verdict`, `evaluations` and `report`: what an evaluation says, from the page Evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from studio import (
    acts,
    costs,
    curves,
    evaluations,
    grids,
    leaks,
    metrics,
    models,
    prices,
    report_text,
    rescored,
    rivals,
    runs,
    search,
    similar,
    slices,
    verdict_words,
    wins,
)
from studio import report as reports
from studio.commands import chosen
from studio.commands.calls import say
from studio.commands.frame import As, Limit, Out, Table, Told, aligned, command, group, picked, verb, who, write
from studio.commands.records import row as record_row
from studio.commands.records import undone
from studio.errors import StudioError
from studio.grids import Grid
from studio.rivals import Verdict
from studio.runs import Run
from studio.ui.formats import interval, signed
from studio.verdicts import Comparison
from studio.workspace import Row, Workspace

verdict, many, report = verb(), group(), verb()
APPS = {"verdict": verdict, "evaluations": many, "report": report}
Judged = Annotated[str, typer.Option(help="Who is judged: a candidate's id; without it the tuned one.")]
Against = Annotated[str, typer.Option(help="The rival: a candidate's id; without it the first.")]
By = Annotated[str, typer.Option(help="How the items are parted: tag, length, label …")]
Metric = Annotated[str, typer.Option(help="Without it the primary one.")]
Name = Annotated[str, typer.Argument(help="The slice's name.")]


@command(verdict, "verdict")
def pronounce(
    ws: Workspace,
    run: chosen.Latest = "latest",
    judged: Judged = "",
    require: Annotated[
        Literal["", "better", "not-worse"],
        typer.Option(help="Exit status 1 unless the first metric says so against every rival: for CI."),
    ] = "",
) -> Told:
    """What the numbers allow: is the tuned model better, and how sure is that? Every score with its 95 % interval."""
    told = verdict_of(ws, chosen.evaluation(ws, run), judged)
    words = [one["word"] for one in told.document["verdicts"]]
    good = {"": True, "better": set(words) == {"better"}, "not-worse": "worse" not in words}[require]
    return Told(told.document, told.words, 0 if good else 1)


def verdict_of(ws: Workspace, run: Run, judged: str = "") -> Told:
    """The verdict of an evaluation that is done, against each rival."""
    grid, roles, mine = grids.read(ws, run.run_id), rivals.roles(run), _candidate(run, judged) if judged else rivals.judged(run)
    found = rivals.judge(run, grid, mine)
    leaking = _suspicious(ws, run, grid)
    rest = rivals.judge(run, grid, mine, leaking) if 0 < len(leaking) < len(grid.items) else []
    cut = {one.candidate_id: one.cut for one in costs.of(ws, run)}
    words: list[str] = []
    for one in found:
        rival = roles[one.rival]
        words += [
            f"{verdict_words.headline(one.first, roles[mine], rival)}. {verdict_words.numbers(one.first, roles[mine], rival)}"
        ]
        words += _lines(one, roles[mine], rival)
    limits = ", ".join(f"{roles[name]} {number}" for name, number in cut.items())
    return Told(
        {
            "run_id": run.run_id,
            "judged": mine,
            "items": len(grid.items),
            "primary": rivals.primary(run, grid),
            "candidates": [
                {
                    "candidate_id": one.candidate_id,
                    "name": one.name,
                    "role": roles[one.candidate_id],
                    "cut": cut.get(one.candidate_id, 0),
                }
                for one in runs.candidates(run)
            ],
            "verdicts": [_verdict(one, roles, mine) for one in found],
            "suspicious": len(leaking),
            "without_suspicious": [_verdict(one, roles, mine) for one in rest],
        },
        [*words, verdict_words.correction(found), f"Answers that stopped at the token limit: {limits}."],
    )


@command(many, "list")
def every(ws: Workspace, metric: Annotated[str, typer.Option(help="Without it the first that was measured.")] = "") -> Told:
    """Every candidate of every evaluation on one metric, by the test items they answered."""
    known = evaluations.measured(ws)
    if not known:
        return Told({"metric": None, "metrics": [], "entries": []}, ["No evaluation is done yet."])
    rows = [
        picked(one, "key run_id started_at test snapshot candidate_id name role decoding items value")
        for one in evaluations.entries(ws, metric or known[0])
    ]
    return Told(
        {"metric": metric or known[0], "metrics": known, "entries": rows},
        Table([one | {"score": interval(*one["value"].parts)} for one in rows], "key role name score items decoding").lines(),
    )


@command(many, "compare")
def compare(
    ws: Workspace,
    first: Annotated[str, typer.Argument(help="A key of `evaluations list`.")],
    second: Annotated[str, typer.Argument(help="What it is held against.")],
    metric: Annotated[str, typer.Option()],
) -> Told:
    """Two candidates of different evaluations, item by item."""
    by_key = {one.key: one for one in evaluations.entries(ws, metric)}
    if gone := [one for one in (first, second) if one not in by_key]:
        raise StudioError(f"There is no entry {gone[0]!r}.", "`tunewright evaluations list` has the keys.")
    found = evaluations.paired(ws, by_key[second], by_key[first], metric)
    warned = evaluations.warning(by_key[second], by_key[first])
    return Told(
        {"comparison": _row(found), "warning": warned},
        [f"{found.word}: {signed(*found.difference.parts)}. {verdict_words.reach(found)}", warned],
    )


@command(many, "slices")
def parted(
    ws: Workspace,
    run: chosen.Latest = "latest",
    by: By = "tag",
    metric: Metric = "",
    judged: Judged = "",
    against: Against = "",
) -> Told:
    """Where is it better, and where worse?"""
    held, grid = chosen.evaluation(ws, run), None
    grid = grids.read(ws, held.run_id)
    mine, rival, metric = _pair(held, grid, judged, against, metric)
    ways = slices.ways(ws, grid, held)
    found = slices.cut(grid, slices.part(ws, held, grid, _way(ways, by)), metric, rival, mine)
    rows: list[Row] = [
        {
            "slice": one.name,
            "items": one.items,
            "word": one.found.word if one.found else "too few",
            "comparison": _row(one.found) if one.found else None,
            "tag": slices.tag_for(by, one.name),
        }
        for one in found
    ]
    return Told(
        {"by": by, "ways": ways, "metric": metric, "judged": mine, "rival": rival, "slices": rows},
        Table(rows, "slice items word").lines(),
    )


@command(many, "tag-slice")
def tag(ws: Workspace, name: Name, run: chosen.Latest = "latest", by: By = "tag", as_: As = "") -> Told:
    """Tag the items of a slice, for the label queue."""
    held = chosen.evaluation(ws, run)
    grid = grids.read(ws, held.run_id)
    word = slices.tag_for(by, name)
    done = slices.tag_items(ws, grid, _places(ws, held, grid, by, name), word, who(as_), ws.new_id())
    return Told({"tag": word, "changed": done}, [f"Tagged {done} records {word!r}."])


@command(many, "like")
def like(
    ws: Workspace,
    name: Name,
    run: chosen.Latest = "latest",
    by: By = "tag",
    limit: Limit = 25,
    keep: Annotated[bool, typer.Option("--keep", help="Keep them for the next snapshot, as one act.")] = False,
    as_: As = "",
) -> Told:
    """Undecided records outside the snapshot that speak of the same as a slice."""
    held = chosen.evaluation(ws, run)
    grid = grids.read(ws, held.run_id)
    ids = [str(grid.items[place]) for place in _places(ws, held, grid, by, name)]
    if similar.unread(ws):
        say(f"  reading {similar.unread(ws):,} records into the index of words")
    while search.read_on(ws):
        pass
    words, found = similar.to(ws, ids, held.snapshot_id, limit)
    done = similar.keep(ws, found, name, who(as_), ws.new_id()) if keep else 0
    rows = [record_row(one.record) | {"weight": one.weight} for one in found]
    return Told(
        {"words": words, "records": rows, "kept": done, "unread": similar.unread(ws)},
        [*Table(rows, "record_id weight question").lines(), f"{done} records were kept."],
    )


@command(many, "undo")
def undo(ws: Workspace, as_: As = "") -> Told:
    """Take back your own newest act."""
    return undone(acts.undo(ws, who(as_), ws.new_id()))


@command(many, "answers")
def answers(
    ws: Workspace,
    run: chosen.Latest = "latest",
    metric: Metric = "",
    judged: Judged = "",
    against: Against = "",
    won: Annotated[wins.Won, typer.Option(help="Only items that this one wins.")] = "all",
    order: Annotated[wins.Order, typer.Option()] = "losses",
    by: Annotated[str, typer.Option(help="Of one slice.")] = "",
    slice_: Annotated[str, typer.Option("--slice")] = "",
    limit: Limit = 10,
    skip: Annotated[int, typer.Option(min=0)] = 0,
) -> Told:
    """The answers side by side, the heaviest losses first."""
    held = chosen.evaluation(ws, run)
    grid = grids.read(ws, held.run_id)
    mine, rival, metric = _pair(held, grid, judged, against, metric)
    gain, among = wins.gains(grid, metric, rival, mine), None
    if by:
        among = np.zeros(len(grid.items), bool)
        among[_places(ws, held, grid, by, slice_)] = True
    places = wins.places(gain, won, order, among)
    rows = [
        picked(one, "item_id question reference rival judged winner gain")
        for one in wins.page(ws, held, grid, metric, rival, mine, places[skip : skip + limit].tolist())
    ]
    near = wins.nearest(ws, held, [one["item_id"] for one in rows if one["winner"] == "rival"])
    return Told(
        {
            "metric": metric,
            "judged": mine,
            "rival": rival,
            "counts": wins.counted(gain if among is None else np.where(among, gain, np.nan)),
            "answers": [one | {"nearest": near.get(one["item_id"], [])} for one in rows],
        },
        [f"{one['item_id']} {one['gain']:+.2f}\n  rival: {one['rival'].text}\n  judged: {one['judged'].text}" for one in rows],
    )


@command(many, "labels")
def labels(ws: Workspace, run: chosen.Latest = "latest", candidate: Judged = "") -> Told:
    """Precision and recall of every label, where answers are labels."""
    held = chosen.evaluation(ws, run)
    found = rescored.labels(ws, held.run_id, _candidate(held, candidate) if candidate else rivals.judged(held))
    return Told(
        {
            "labels": found.each if found else [],
            "order": found.labels if found else [],
            "confusion": found.confusion if found else [],
        },
        [f"{one.label}: F1 {one.f1:.2f} of {one.expected}" for one in found.each] if found else ["Its answers are no labels."],
    )


@command(many, "costs")
def cost(ws: Workspace, run: chosen.Latest = "latest", judged: Judged = "", against: Against = "") -> Told:
    """Time, tokens, money; what was forgotten; whether the training memorised."""
    held = chosen.evaluation(ws, run)
    grid, price, roles = grids.read(ws, held.run_id), prices.now(ws), rivals.roles(held)
    mine, rival, _ = _pair(held, grid, judged, against, "")
    spent = costs.of(ws, held)
    rows = [
        picked(one, "candidate_id answers reused cut median p95 seconds prompt_tokens new_tokens money")
        | {"thousand_cost": costs.money(one, price, costs.unit(held)), "role": roles[one.candidate_id]}
        for one in spent
    ]
    kept = [
        picked(one, "title items before after") | {"comparison": _row(one.found)} for one in costs.kept(ws, held, rival, mine)
    ]
    candidate = next(one for one in runs.candidates(held) if one.candidate_id == mine)
    trained = costs.training(ws, held, models.get(ws, candidate.model_id))
    heard = runs.events(ws, trained) if trained else None
    trouble = curves.overfitting(heard.losses, heard.validation) if heard else None
    return Told(
        {
            "costs": rows,
            "kept": kept,
            "training_run": trained.run_id if trained else None,
            "overfitting": picked(trouble, "name sign advice") if trouble else None,
        },
        [
            *Table(rows, "role answers median p95 new_tokens thousand_cost").lines(),
            *(f"{one['title']}: {one['before']} → {one['after']} of {one['items']}" for one in kept),
        ],
    )


@command(report, "report")
def write_report(
    ws: Workspace,
    run: chosen.Latest = "latest",
    form: Annotated[Literal["html", "md"], typer.Option("--format")] = "html",
    examples: Annotated[int, typer.Option(help="Losses, and as many wins, as texts: your customers' words.")] = 0,
    judged: Judged = "",
    out: Out = "",
) -> Told:
    """Write the report of an evaluation, to send to somebody who has no studio."""
    held = chosen.evaluation(ws, run)
    mine = _candidate(held, judged) if judged else rivals.judged(held)
    made = reports.gather(ws, held, grids.read(ws, held.run_id), mine, examples)
    text = report_text.as_html(made) if form == "html" else report_text.as_markdown(made)
    file: Path = write(out or reports.file_name(made, form), text)
    summary = [{"word": word, "headline": headline, "numbers": numbers} for word, headline, numbers in reports.summary(made)]
    return Told(
        {"run_id": held.run_id, "file": file, "summary": summary},
        [*(f"{one['headline']}." for one in summary), f"Written: {file}"],
    )


def _suspicious(ws: Workspace, run: Run, grid: Grid) -> set[str]:
    learned = leaks.learned(ws, run.snapshot_id, [one.model_id for one in runs.candidates(run)])
    return set(leaks.suspicious(ws, run.snapshot_id) | learned) & set(map(str, grid.items))


def _verdict(one: Verdict, roles: dict[str, str], judged: str) -> Row:
    rival = roles[one.rival]
    return {
        "rival": one.rival,
        "role": rival,
        "word": one.first.word,
        "metric": one.first.metric,
        "headline": verdict_words.headline(one.first, roles[judged], rival),
        "numbers": verdict_words.numbers(one.first, roles[judged], rival),
        "metrics": [_row(part) for part in one.every],
    }


def _row(found: Comparison) -> Row:
    return picked(found, "metric items word p_value adjusted clusters smallest_detectable more_items") | {
        "rival": found.a,
        "judged": found.b,
        "difference": found.difference,
    }


def _lines(one: Verdict, judged: str, rival: str) -> list[str]:
    rows = [["metric", rival, judged, "difference", "verdict"]]
    for part in one.every:
        digits = verdict_words.digits(part)
        parts = [interval(*value.parts, digits) for value in (part.a, part.b)]
        rows.append([metrics.title(part.metric), *parts, signed(*part.difference.parts, digits), part.word])
    return [f"  {line}" for line in aligned(rows)]


def _candidate(run: Run, word: str) -> str:
    ids = [one.candidate_id for one in runs.candidates(run)]
    if word not in ids:
        raise StudioError(f"There is no candidate {word!r} in this evaluation.", f"There are {', '.join(ids)}.")
    return word


def _pair(run: Run, grid: Grid, judged: str, against: str, metric: str) -> tuple[str, str, str]:
    mine = _candidate(run, judged) if judged else rivals.judged(run)
    rival = _candidate(run, against) if against else next(one for one in rivals.roles(run) if one != mine)
    if metric and metric not in rivals.measured(grid):
        raise StudioError(f"{metric!r} was not measured here.", f"Measured are {', '.join(rivals.measured(grid))}.")
    return mine, rival, metric or rivals.primary(run, grid)


def _way(ways: dict[str, str], by: str) -> str:
    if by not in ways:
        raise StudioError(f"Items cannot be parted by {by!r}.", f"Choose among {', '.join(ways)}.")
    return by


def _places(ws: Workspace, run: Run, grid: Grid, by: str, name: str) -> list[int]:
    parts = slices.part(ws, run, grid, _way(slices.ways(ws, grid, run), by))
    if name not in parts:
        raise StudioError(f"There is no slice {name!r}.", f"There are {', '.join(list(parts)[:12])}.")
    return [int(place) for place in parts[name]]
