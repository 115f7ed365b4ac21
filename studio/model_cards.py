"""The card of a tuned model: what it learned from, how, and what was proven of it. No text of a customer is in it."""

from __future__ import annotations

from collections.abc import Sequence

from studio import card_text, cards, grids, report, rivals, runs, snapshots
from studio.card_text import plain
from studio.dials import METHODS, scientific
from studio.models import Model
from studio.permissions import needs
from studio.runs import Run
from studio.snapshots import Snapshot
from studio.ui.formats import count, duration
from studio.workspace import Workspace

DATA = ("Size", "Length", "Privacy and open findings", "Leaks and duplicates")
"""Sections of the data's card that name no source, no tag and no person."""


@needs("read")
def markdown(ws: Workspace, model: Model) -> str:
    """The card as a Markdown document; names that people gave are escaped."""
    run = runs.get(ws, model.run_id or "")
    snapshot = snapshots.get(ws, run.snapshot_id)
    parts = [f"# {plain(model.name)}\n\n{plain(model.base['name'])}, tuned with Tunewright to answer as a help desk does: "
             f"{count(snapshot.train, 'example')} of the snapshot {plain(snapshot.name)}.",
             _section("How it was trained", _training(model, run)), *_data(ws, snapshot),
             _section("Is it better?", proven(ws, model)),
             _section("How to use it", (
                 "It was evaluated with greedy answers (temperature 0); other settings were not.",
                 "Its chat template comes with it; another one gives other answers.",
                 "It knows what was in its examples, not what is true today: have a person look at what it promises."))]
    return "\n\n".join(parts) + "\n"


@needs("read")
def proven(ws: Workspace, model: Model) -> tuple[str, ...]:
    """What its newest evaluation allows one to say, and what is not known."""
    for run in runs.proven(ws):  # the newest first
        who = next((one.candidate_id for one in runs.candidates(run) if one.model_id == model.model_id
                    and one.system is None and one.shots is None), None)
        if who is None or who not in {rival for rival in rivals.roles(run)} or len(runs.candidates(run)) < 2:
            continue
        found = report.gather(ws, run, grids.read(ws, run.run_id), who)
        said = [f"{headline}. {numbers}" for _, headline, numbers in report.summary(found)]
        return (*said, f"Answers: {found.decoding}.", *(f"Not known: {sentence}" for sentence in found.unknown))
    return ("Nobody has evaluated it yet: whether it is better than its base is not known.",)


def _training(model: Model, run: Run) -> tuple[str, ...]:
    spec, facts = run.spec, model.facts
    said = [f"A LoRA adapter of rank {spec['rank']} on every linear layer but the head; the loss counts the agent's answers "
            "alone.", f"How its base was held: {dict(METHODS)[facts.get('method') or spec.get('method') or 'auto']}.",
            f"{count(int(spec['epochs']), 'epoch')}, learning rate {scientific(float(spec['learning_rate']))}, "
            f"seed {spec['seed']}."]
    if facts.get("first_validation_loss") is not None and facts.get("best_validation_loss") is not None:
        said.append(f"Validation loss {facts['first_validation_loss']:.3f} before, {facts['best_validation_loss']:.3f} at its "
                    f"best, at step {facts.get('best_step')} of {facts.get('steps')}; this is the one that was kept.")
    if facts.get("seconds"):
        said.append(f"It took {duration(float(facts['seconds']))}.")
    return tuple(said)


def _data(ws: Workspace, snapshot: Snapshot) -> list[str]:
    card = cards.get(ws, snapshot.snapshot_id)
    if card is None:
        return []
    sections = [one for one in card_text.sections(snapshot, card) if one.title in DATA]
    return [_section(f"Its data: {one.title.lower()}", one.sentences) for one in sections]


def _section(title: str, sentences: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {plain(sentence)}" for sentence in sentences)
