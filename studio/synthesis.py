"""Synthesis: runs in which a model writes examples: begun, watched, paused; what they will cost, about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio import candidates, recipes, runs, seeds, synthetic
from studio.candidates import Chosen
from studio.errors import StudioError
from studio.models import Model
from studio.permissions import needs
from studio.recipes import Recipe
from studio.records import Turns
from studio.runs import Run
from studio.seeds import Seeds
from studio.synthetic import SynthesisSpec
from studio.workspace import Row, Workspace

EXAMPLES, CALLS, PAUSE = runs.EXAMPLES, runs.CALLS, "pause"
SECONDS, TOKENS = 3.0, 350
"""What a call takes, about, where this model was never asked: a strong model behind an endpoint writing one example."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take, about; `cost` is none where prices are not known. `basis` says what it rests on."""

    calls: int
    tokens: int
    cost: float | None
    money: str
    seconds: float
    basis: str


@needs("run")
def start(ws: Workspace, recipe: Recipe, model: Model, judge: Model | None = None, budget: float | None = None,
          only: int | None = None) -> str:
    """Let a model write what a recipe asks for; returns the run's id. `only`: a preview of so many, which become no records.

    Raises StudioError where the recipe cannot be followed, or its seeds hold what must not leave.
    """
    recipes.check(recipe)
    found = _seeds(ws, recipe)
    if budget is not None and any(one is not None and not _priced(one) for one in (model, judge)):
        raise StudioError("A budget needs the model's prices.", "Give them on the Models page, or set no budget.")
    cells = recipes.cells(recipe)
    if recipe.work in synthetic.ON_SEEDS:
        cells = [cell.model_copy(update={"count": recipe.each * len(found.ids)}) for cell in cells]
    spec = SynthesisSpec(
        run_id=ws.new_id(), model=_candidate(ws, model), work=recipe.work, cells=tuple(cells), prompt=recipe.prompt,
        system=recipe.system, documents=recipe.documents, shots=recipe.shots, seed=recipe.seed, temperature=recipe.temperature,
        max_new_tokens=recipe.longest_answer, budget=budget, only=only,
        checks=recipes.checks(recipe, _candidate(ws, judge) if judge else None))
    title = f"{synthetic.WORKS[recipe.work].title} by {model.name}" + (", a look" if only else "")

    def write(folder: Any) -> None:
        seeds.write_out(ws, found, folder / runs.SEEDS)
        seeds.write_questions(ws, folder / runs.EXISTING)

    return runs.begin(ws, spec, title, write=write)


@needs("read")
def number(ws: Workspace, recipe: Recipe) -> int:
    """How many examples a recipe makes with the records that are here."""
    return recipe.each * len(seeds.find(ws, recipe).ids) if recipe.work in synthetic.ON_SEEDS else recipes.wanted(recipe)


@needs("read")
def estimate(ws: Workspace, recipe: Recipe, model: Model, judge: Model | None, number: int) -> Estimate:
    """What so many examples will take, about: from what this model took before, else from what is usual."""
    known = ws.row("""select count(*) as n, avg(seconds) as seconds, avg(prompt_tokens) as prompt, avg(new_tokens) as made,
                             count(*) filter (outcome = 'ok') / greatest(1, count(distinct c.slot)) as calls
                      from (select c.*, 1 as slot from calls c) c join runs r using (run_id)
                      where outcome = 'ok' and purpose = 'make' and json_extract_string(r.spec, '$.model.model_id') = ?""",
                   [model.model_id]) or {}
    seen = int(known.get("n") or 0)
    prompt = float(known["prompt"] or 0) if seen and known["prompt"] else _prompt_tokens(recipe)
    made = float(known["made"] or 0) if seen and known["made"] else float(TOKENS)
    calls = round(number * 1.15)
    cost = None
    if _priced(model):
        cost = calls * (prompt * model.base["price_in"] + made * model.base["price_out"]) / 1e6
    if judge is not None and cost is not None:
        cost = cost + number * (made * judge.base["price_in"] + 120 * judge.base["price_out"]) / 1e6 if _priced(judge) else None
    seconds = float(known["seconds"]) if seen and known["seconds"] else SECONDS
    at_once = model.base.get("concurrency") or 8 if model.kind == "endpoint" else 1
    return Estimate(calls + (number if judge else 0), round(calls * (prompt + made)), cost, str(model.base.get("money", "")),
                    calls * seconds / at_once, f"From {seen:,} earlier calls of this model." if seen else
                    "A guess: write three to look at, and it rests on what they took.")


@needs("run")
def pause(ws: Workspace, run: Run, paused: bool) -> None:
    """Let a run ask nothing new, or go on. What is on its way still comes."""
    path = ws.path(run.folder) / PAUSE
    path.touch() if paused else path.unlink(missing_ok=True)


@needs("read")
def paused(ws: Workspace, run: Run) -> bool:
    return (ws.path(run.folder) / PAUSE).exists()


def _seeds(ws: Workspace, recipe: Recipe) -> Seeds:
    found = seeds.find(ws, recipe)
    if recipe.work in synthetic.ON_SEEDS and not found.ids:
        kept = f" Kept back: {found.left_out}." if found.left_out else ""
        raise StudioError(f"None of these records can be worked on.{kept}",
                          "Check the records on Clean first, or choose others.")
    return found


def _candidate(ws: Workspace, model: Model) -> Any:
    return candidates.spec(ws, Chosen(model), candidates.held([Chosen(model)], model.base))


def _priced(model: Model) -> bool:
    return model.base.get("price_in") is not None and model.base.get("price_out") is not None


def _prompt_tokens(recipe: Recipe) -> float:
    """About four characters a token; seeds of about 600 characters each."""
    return (len(recipes.prompt_of(recipe)) + sum(map(len, recipe.documents)) + 600 * recipe.shots) / 4


@dataclass(frozen=True)
class Made:
    """The newest try of one slot: an example that passed, or one that was set aside with `reasons` (kinds)."""

    slot: str
    place: int
    scenario: str
    accepted: bool
    messages: Turns
    reasons: tuple[str, ...]
    score: float | None
    tries: int


@dataclass(frozen=True)
class Rate:
    """How one scenario does: slots that passed, that did not (yet), and the reasons of all refused tries."""

    scenario: str
    accepted: int
    refused: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Spending:
    """Calls so far: how many, how many of them came to nothing, tokens, money (None where no price is known), calls a
    second."""

    calls: int
    failed: int
    prompt_tokens: int
    new_tokens: int
    cost: float | None
    rate: float


@needs("raw")
def made(ws: Workspace, run: Run) -> list[Made]:
    """The newest try of every slot so far, in the order they came."""
    newest: dict[str, Row] = {}
    for row in runs.lines(ws, run, EXAMPLES):
        newest.pop(row["slot"], None)
        newest[row["slot"]] = row
    return [Made(row["slot"], row["place"], _scenario(run, row["cell"]), row["state"] == "accepted", row["messages"] or [],
                 tuple(row["reasons"]), row["score"], row["try"]) for row in newest.values()]


@needs("read")
def rates(ws: Workspace, run: Run) -> list[Rate]:
    """By scenario, in the order of the recipe."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for row in runs.lines(ws, run, EXAMPLES):
        if row["state"] != "accepted":
            reasons[_scenario(run, row["cell"])].update(row["reasons"])
    counted: dict[str, Counter[bool]] = defaultdict(Counter)
    for one in made(ws, run):
        counted[one.scenario][one.accepted] += 1
    order = list(dict.fromkeys(cell["scenario"] for cell in run.spec["cells"]))
    return [Rate(name, counted[name][True], counted[name][False], dict(reasons[name].most_common())) for name in order]


@needs("read")
def spending(ws: Workspace, run: Run) -> Spending:
    rows = runs.lines(ws, run, CALLS)
    priced = [row["cost"] for row in rows if row["cost"] is not None]
    times = [row["at"] for row in rows]
    span = max(times) - min(times) if len(times) > 1 else 0.0
    return Spending(len(rows), sum(row["outcome"] != "ok" for row in rows), sum(row["prompt_tokens"] or 0 for row in rows),
                    sum(row["new_tokens"] or 0 for row in rows), sum(priced) if priced else None,
                    (len(rows) - 1) / span if span else 0.0)


def wanted(run: Run) -> int:
    """How many examples the run is to make."""
    number = sum(cell["count"] for cell in run.spec["cells"])
    return min(number, run.spec["only"]) if run.spec.get("only") else number


def _scenario(run: Run, cell: Any) -> str:
    """A line names its cell by its place in the recipe."""
    return str(run.spec["cells"][int(cell)]["scenario"])


def diversity(found: Row) -> list[str]:
    """How varied the made questions are, in sentences; `found` is what the run measured."""
    if not found.get("enough"):
        return [f"{found.get('texts', 0)} examples say nothing of how varied they are; twenty would."]
    said = []
    mine, real = found["self_similarity"]["made"], found["self_similarity"]["real"]
    beside = f", as many real ones {real:.2f}" if real is not None else ""
    said.append(f"**Alike:** each question's nearest other one has a likeness of {mine:.2f}{beside} (1: the same words).")
    runs_of_three, real_three = found["distinct"]["made"][2], (found["distinct"]["real"] or [None] * 3)[2]
    beside = f", in real ones {100 * real_three:.0f} %" if real_three is not None else ""
    said.append(f"**Words:** {100 * runs_of_three:.0f} % of all runs of three words are different ones{beside}.")
    if found.get("coverage") is not None:
        said.append(f"**Reach:** {100 * found['coverage']:.0f} % of the real questions have a made one near them; among "
                    "themselves real ones reach 90 %.")
    empty = [one for one in found.get("clusters", []) if not one["made"]]
    if empty:
        said.append("**Not reached:** " + "; ".join(", ".join(one["words"]) for one in empty[:5] if one["words"]) + ".")
    return said
