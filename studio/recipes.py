"""Recipes: what synthetic examples are wanted, from which seeds, with which prompt, and what each has to pass. Pure but for
saving.

A recipe under a name is kept whole with every change (`studio/named.py`): an example says by a hash which prompt made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any

from studio import named, synthetic
from studio.errors import StudioError
from studio.named import RECIPES
from studio.permissions import needs
from studio.synthetic import Cell, Checks, Work
from studio.workspace import Row, Workspace

MOST_EXAMPLES, MOST_DOCUMENT = 20_000, 40_000
LAST = "Last used"
"""Under this name the recipe of the newest run is kept, so that a look at three loses nobody their recipe."""

SYSTEM = "You are a helpful and friendly customer support agent."


@dataclass(frozen=True)
class Recipe:
    """What is wanted. Scenarios × personas × difficulties × tones × languages, `each` examples of every one; with seeds to
    work on (paraphrases, answers) the scenarios are left out. `seeds` says where the seeds come from: records kept by people
    with a tag (`seed_tag`, empty: all), at least so many stars. Judged examples need a `rubric` and `least_score`; `judge` is
    a model's id."""

    work: Work = "examples"
    scenarios: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    difficulties: tuple[str, ...] = ()
    tones: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en",)
    each: int = 10
    shots: int = 3
    seed_tag: str = ""
    seed_stars: float | None = None
    seed_ids: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    prompt: str = ""
    system: str = SYSTEM
    temperature: float = 0.8
    longest_answer: int = 800
    shortest: int = 1
    longest: int = 4_000
    personal: bool = True
    twin_at: float = 0.8
    judge: str = ""
    rubric: str = ""
    least_score: int = 4
    seed: int = 1234


def cells(recipe: Recipe) -> list[Cell]:
    """Every combination that is asked for, in a fixed order."""
    parts = (recipe.scenarios or ("",), recipe.personas or ("",), recipe.difficulties or ("",), recipe.tones or ("",),
             recipe.languages or ("en",))
    return [Cell(scenario=scenario, persona=persona, difficulty=difficulty, tone=tone, language=language, count=recipe.each)
            for scenario, persona, difficulty, tone, language in product(*parts)]


def wanted(recipe: Recipe) -> int:
    """How many examples a recipe asks for."""
    sizes = [max(1, len(part)) for part in (recipe.scenarios, recipe.personas, recipe.difficulties, recipe.tones,
                                            recipe.languages)]
    return recipe.each * sizes[0] * sizes[1] * sizes[2] * sizes[3] * sizes[4]


def prompt_of(recipe: Recipe) -> str:
    """The prompt as it will be used: the person's own, else the one that comes with the kind of work."""
    return recipe.prompt.strip() or synthetic.PROMPTS[recipe.work]


def check(recipe: Recipe) -> None:
    """Raises StudioError for a recipe that cannot be followed."""
    number = wanted(recipe)
    if not 1 <= number <= MOST_EXAMPLES:
        raise StudioError(f"This recipe asks for {number:,} examples; at most {MOST_EXAMPLES:,} fit into one run.",
                          "Take fewer of each, or leave out some personas or tones.")
    if recipe.work in ("examples", "conversations") and not any(recipe.scenarios):
        raise StudioError("Say at least one scenario.", "One line each: password reset, late parcel, refund …")
    if any(len(text) > MOST_DOCUMENT for text in recipe.documents):
        raise StudioError(f"A document has at most {MOST_DOCUMENT:,} characters here.", "Cut it to what answers rest on.")
    if missing := synthetic.unusable(prompt_of(recipe), recipe.work):
        raise StudioError(missing[0], "Mend the prompt, or go back to the one that comes with Tunewright.")


def checks(recipe: Recipe, judge: Any) -> Checks:
    """What each example has to pass. `judge` is the candidate that judges, None for nobody."""
    return Checks(shortest=recipe.shortest, longest=recipe.longest, personal=recipe.personal, twin_at=recipe.twin_at,
                  judge=judge, rubric=recipe.rubric if judge else "", least_score=recipe.least_score)


@needs("read")
def every(ws: Workspace) -> dict[str, Recipe]:
    """Saved recipes by name."""
    return {row["name"]: read(json.loads(row["recipe"])) for row in named.every(ws, RECIPES)}


@needs("curate")
def save(ws: Workspace, name: str, recipe: Recipe, who: str) -> str:
    """Keep a recipe under a name; what stood under it before is replaced. Returns the name as it is kept."""
    name = named.name_of(RECIPES, name)
    named.say(ws, RECIPES, name, written(recipe), who)
    return name


@needs("curate")
def delete(ws: Workspace, name: str, who: str) -> None:
    named.delete(ws, RECIPES, name, who)


def written(recipe: Recipe) -> str:
    return json.dumps(asdict(recipe), ensure_ascii=False, sort_keys=True)


def read(row: Mapping[str, Any]) -> Recipe:
    """A recipe as it was kept; what this version does not know is left out."""
    known: Row = {}
    for field in fields(Recipe):
        if field.name in row:
            value = row[field.name]
            known[field.name] = tuple(value) if isinstance(value, list) else value
    return Recipe(**known)


def lines(text: str) -> tuple[str, ...]:
    """One entry a line, without repeats."""
    return tuple(dict.fromkeys(" ".join(line.split()) for line in text.splitlines() if line.strip()))
