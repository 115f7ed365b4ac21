"""`tunewright evaluate`: the start of an evaluation, from the page Evaluate."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from studio import candidates, models, prompts, starts
from studio.commands import chosen, follow
from studio.commands.frame import Told, Wait, command, text_of, verb
from studio.commands.verdict import verdict_of
from studio.models import Model
from studio.snapshots import Snapshot
from studio.starts import Chosen, Decoding
from studio.workspace import Workspace

evaluate = verb()
APPS = {"evaluate": evaluate}
Primary = Literal["", "rougeL", "chrf", "accuracy", "macro_f1", "exact_match", "field_accuracy", "json_valid"]


@command(evaluate, "evaluate", elsewhere=True)
def begin(
    ws: Workspace,
    model: chosen.Latest = "latest",
    snapshot: chosen.OfSnapshot = "",
    base: Annotated[bool, typer.Option(help="With the base as it is.")] = True,
    prompt: Annotated[bool, typer.Option(help="With the base and a good system prompt.")] = True,
    prompt_file: Annotated[
        str, typer.Option(help="The prompt: a file, - for stdin, or a saved one's name; else written for it.")
    ] = "",
    examples: Annotated[int, typer.Option(min=0, max=32, help="With the base and so many examples of train.")] = 0,
    examples_choice: Annotated[Literal["nearest", "diverse"], typer.Option()] = "nearest",
    against: Annotated[list[str] | None, typer.Option(help="A further model, checkpoint or endpoint, several times.")] = None,
    primary: Annotated[Primary, typer.Option(help="The metric that the verdict speaks of.")] = "",
    tokens: chosen.Tokens = 150,
    samples: Annotated[int, typer.Option(min=1, max=32)] = 1,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0: the likeliest words.")] = 0.0,
    seed: Annotated[int, typer.Option()] = 1234,
    probes: Annotated[bool, typer.Option(help="Also the general suite: was anything forgotten?")] = True,
    look: Annotated[bool, typer.Option("--look", help="Only say who would answer, and how many answers there are.")] = False,
    wait: Wait = True,
) -> Told:
    """Let a tuned model, its base and others answer the same test items with the same decoding, then say the verdict."""
    judged = chosen.model(ws, model)
    frozen = chosen.own_snapshot(ws, judged, snapshot)
    who = _who(ws, judged, frozen, base, _prompt(ws, frozen, prompt_file) if prompt else None, against or [])
    if examples:
        who.insert(
            len(who) - 1, Chosen(models.base_of(ws, judged), shots=candidates.few_shot(frozen, examples, examples_choice))
        )
    decoding = Decoding(max_new_tokens=tokens, samples=samples, temperature=temperature, seed=seed)
    there, wanted = starts.already(ws, frozen, who, decoding, probes)
    answering = [{"candidate_id": one.candidate_id, "name": one.name} for one in who]
    if look:
        return Told(
            {"candidates": answering, "answers_there": there, "answers_wanted": wanted},
            [*(one["name"] for one in answering), f"{there:,} of {wanted:,} answers are there already."],
        )
    run_id = starts.evaluation(ws, frozen, who, decoding, primary=primary, probes=probes)
    told = follow.started(ws, run_id, wait, {"candidates": answering})
    if not wait:
        return told
    found = verdict_of(ws, chosen.evaluation(ws, run_id))
    return Told(told.document | found.document, [*told.words, *found.words])


def _prompt(ws: Workspace, frozen: Snapshot, word: str) -> tuple[str, str]:
    saved = {one.name: one.text for one in prompts.every(ws)}
    if word in saved:
        return word, saved[word]
    return "written prompt", text_of(word).strip() if word else candidates.default_prompt(ws, frozen)


def _who(
    ws: Workspace, judged: Model, frozen: Snapshot, base: bool, prompt: tuple[str, str] | None, against: list[str]
) -> list[Chosen]:
    """The base first, then with a prompt, further ones, and who is judged last."""
    rival = models.base_of(ws, judged)
    found = [Chosen(rival)] if base else []
    found += [Chosen(rival, prompt[1], prompt_name=prompt[0])] if prompt else []
    return [*found, *(chosen.answering(ws, one, judged) for one in against), Chosen(judged)]
