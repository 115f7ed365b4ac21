"""`tunewright score`, `metrics`, `judge`, `rubrics` and `prompts`: more words about stored answers, from the page Evaluate."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

import typer

from studio import judges, own_metrics, prompts, review_texts, rivals, runs, starts
from studio import metrics as known
from studio.commands import chosen, follow
from studio.commands.frame import As, Told, Wait, command, group, listed, picked, text_of, verb, who
from studio.errors import StudioError
from studio.judges import Mode
from studio.workspace import Row, Workspace

score, metric, judge, rubric, prompt = verb(), group(), group(), group(), group()
APPS = {"score": score, "metrics": metric, "judge": judge, "rubrics": rubric, "prompts": prompt}
Run = Annotated[str, typer.Option("--run", help="An evaluation's id; without it the newest.")]
Name = Annotated[str, typer.Argument()]
Source = Annotated[str, typer.Argument(help="A file; - is stdin.")]


@command(score, "score", elsewhere=True)
def again(
    ws: Workspace,
    asked: Annotated[list[str], typer.Argument(metavar="METRIC...", help="As `metrics list` has them.")],
    run: Run = "",
    contains: Annotated[list[str] | None, typer.Option(help="Words that an answer must contain.")] = None,
    pattern: Annotated[str, typer.Option(help="For the metric regex.")] = "",
    schema: Annotated[str, typer.Option(help="A JSON schema's file, for schema_valid.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="A label is one only where the answer says nothing else.")] = False,
    answers: Annotated[Literal["auto", "text", "labels", "json"], typer.Option(help="What answers are.")] = "auto",
    kind: chosen.MeaningKind = "",
    where: chosen.MeaningFrom = "",
    name: chosen.MeaningModel = "",
    wait: Wait = True,
) -> Told:
    """Score stored answers by further metrics. Nothing is generated or paid for."""
    held = chosen.evaluation(ws, run)
    if wrong := [one for one in asked if one not in _keys(ws)]:
        raise StudioError(f"There is no metric {wrong[0]!r}.", f"There are {', '.join(_keys(ws))}.")
    run_id = starts.scoring(
        ws,
        held,
        asked,
        contains or (),
        pattern,
        text_of(schema) if schema else "",
        "strict" if strict else "lenient",
        answers,
        chosen.meaning(kind, where, name),
    )
    told = follow.started(ws, run_id, wait)
    failed = runs.lines(ws, runs.get(ws, run_id), runs.OWN_ERRORS) if wait else []
    return Told(told.document | {"failed_calls": failed}, [*told.words, *([f"{len(failed)} calls failed."] if failed else [])])


@command(metric, "list")
def every(ws: Workspace) -> Told:
    """Metrics that answers can be scored by, own ones among them."""
    rows: list[Row] = [{"key": key, "title": known.title(key), "own": key.startswith(known.OWN)} for key in _keys(ws)]
    return listed("metrics", rows, "key title own")


@command(metric, "show")
def show(ws: Workspace, name: Name) -> Told:
    """The Python of an own metric."""
    found = own_metrics.get(ws, name)
    return Told({"metric": picked(found, "name code who")}, [found.code])


@command(metric, "save")
def save(ws: Workspace, name: Name, source: Source = "-", as_: As = "") -> Told:
    """Keep a function of your own: `def score(answer, reference, item)`."""
    made = own_metrics.save(ws, name, text_of(source), who(as_))
    return Told({"metric": picked(made, "name code who")}, [f"Kept: {known.OWN}{made.name}."])


@command(metric, "delete")
def delete(ws: Workspace, name: Name, as_: As = "") -> Told:
    """Take an own metric off the list."""
    own_metrics.delete(ws, name, who(as_))
    return Told({"name": name}, [f"Deleted: {name}."])


@command(judge, "ask", elsewhere=True)
def ask(
    ws: Workspace,
    model: Annotated[str, typer.Argument(help="Who judges: a model's id or name.")],
    run: Run = "",
    mode: Annotated[Mode, typer.Option(help="Which of two is better, or each alone.")] = "pairwise",
    pair: Annotated[list[str] | None, typer.Option(help="CANDIDATE,CANDIDATE, several times; without it the last two.")] = None,
    rubric_: Annotated[str, typer.Option("--rubric", help="A saved one's name, a file, or - for stdin.")] = "",
    items: Annotated[int, typer.Option(min=1, help="Those that people judged come first.")] = 100,
    budget: Annotated[float | None, typer.Option(help="Stop before a question could pass this.")] = None,
    wait: Wait = True,
) -> Told:
    """Ask a chat model which stored answers are better."""
    held = chosen.evaluation(ws, run)
    pairs = [_two(one) for one in pair] if pair else list(combinations(rivals.names(held), 2))[-1:]
    saved = {one.name: one.text for one in judges.rubrics(ws, mode)}
    text = saved[rubric_] if rubric_ in saved else text_of(rubric_) if rubric_ else judges.rubrics(ws, mode)[0].text
    total = len(review_texts.items(ws, held.run_id, list(rivals.names(held))))
    run_id = starts.judging(
        ws,
        held,
        chosen.model(ws, model),
        text,
        pairs,
        mode,
        judges.first_items(ws, held.run_id, min(items, max(1, total))),
        budget,
    )
    told = follow.started(ws, run_id, wait)
    return Told(told.document | {"judgings": _judgings(ws, held.run_id)}, told.words) if wait else told


@command(judge, "show")
def judged(ws: Workspace, run: Run = "") -> Told:
    """What judges said of an evaluation, and whether people's verdicts license them."""
    rows = _judgings(ws, chosen.evaluation(ws, run).run_id)
    return Told(
        {"judgings": rows},
        [
            f"{one['judge']}: {pair['b']} against {pair['a']}: {pair['outcome']['b_wins']} of "
            f"{pair['outcome']['items']}, {'licensed' if pair['licence']['licensed'] else 'unlicensed'}"
            for one in rows
            for pair in one["pairs"]
        ]
        or ["Nobody asked a judge."],
    )


@command(rubric, "list")
def rubrics(ws: Workspace, mode: Annotated[Mode, typer.Option()] = "pairwise") -> Told:
    """What judges are told."""
    return listed("rubrics", [picked(one, "rubric_id name mode text") for one in judges.rubrics(ws, mode)], "name mode text")


@command(rubric, "save")
def save_rubric(
    ws: Workspace, name: Name, source: Source = "-", mode: Annotated[Mode, typer.Option()] = "pairwise", as_: As = ""
) -> Told:
    """Keep a rubric under a name."""
    made = judges.save_rubric(ws, name, mode, text_of(source), who(as_))
    return Told({"rubric": picked(made, "rubric_id name mode text")}, [f"Kept: {made.name}."])


@command(rubric, "delete")
def delete_rubric(ws: Workspace, name: Name, mode: Annotated[Mode, typer.Option()] = "pairwise", as_: As = "") -> Told:
    """Take a rubric off the list."""
    found = next((one for one in judges.rubrics(ws, mode) if one.name == name and one.rubric_id), None)
    if found is None:
        raise StudioError(f"There is no saved rubric {name!r}.", "`tunewright rubrics list` has them.")
    judges.delete_rubric(ws, found, who(as_))
    return Told({"name": name}, [f"Deleted: {name}."])


@command(prompt, "list")
def every_prompt(ws: Workspace) -> Told:
    """System prompts under a name."""
    return listed(
        "prompts", [picked(one, "name text who") for one in prompts.every(ws)], "name text who", "No prompt was kept."
    )


@command(prompt, "save")
def save_prompt(ws: Workspace, name: Name, source: Source = "-", as_: As = "") -> Told:
    """Keep a system prompt under a name."""
    made = prompts.save(ws, name, text_of(source), who(as_))
    return Told({"prompt": picked(made, "name text who")}, [f"Kept: {made.name}."])


@command(prompt, "delete")
def delete_prompt(ws: Workspace, name: Name, as_: As = "") -> Told:
    """Take a prompt off the list."""
    prompts.delete(ws, name, who(as_))
    return Told({"name": name}, [f"Deleted: {name}."])


def _keys(ws: Workspace) -> list[str]:
    own = [known.OWN + one.name for one in own_metrics.every(ws)]
    return [*(key for key, one in known.METRICS.items() if one.kind not in ("probe", "judge")), *own]


def _two(text: str) -> tuple[str, str]:
    first, _, second = text.partition(",")
    return first.strip(), second.strip()


def _judgings(ws: Workspace, evaluation_id: str) -> list[Row]:
    return [
        picked(one, "run_id judge mode rubric judged_at asked unread spent money budget_reached")
        | {
            "pairs": [
                {
                    "a": a,
                    "b": b,
                    "outcome": picked(judges.outcome(ws, one.run_id, a, b), "items a_wins b_wins ties unread b_share flips"),
                    "licence": picked(judges.licence(ws, one.run_id, a, b), "licensed shared accuracy kappa chance why"),
                }
                for a, b in judges.pairs(ws, one.run_id)
            ]
        }
        for one in judges.of_evaluation(ws, evaluation_id)
    ]
