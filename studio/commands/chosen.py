"""What a word on the command line means: an id, a name, or `latest`; and options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from studio import candidates, models, runs, snapshots
from studio import report as reports
from studio.candidates import Chosen
from studio.errors import StudioError
from studio.models import Model
from studio.runs import Kind, Meaning, Run
from studio.snapshots import Snapshot
from studio.workspace import Workspace

MeaningKind = Annotated[
    Literal["", "tfidf", "model2vec", "transformer", "endpoint"],
    typer.Option("--meaning", help="Compare meanings too: TF-IDF without a model, a model's folder, or an endpoint."),
]
MeaningFrom = Annotated[str, typer.Option("--meaning-from", help="The model's folder, or the endpoint's base URL.")]
MeaningModel = Annotated[str, typer.Option("--meaning-model", help="The endpoint's name for its model.")]
OfSnapshot = Annotated[str, typer.Option("--snapshot", help="A snapshot's id or name; without it the newest.")]
Accept = Annotated[bool, typer.Option("--accept-open", help="Go on although personal data is open or unchecked.")]
Tokens = Annotated[int, typer.Option("--tokens", min=1, help="Longest answer, in tokens.")]
Latest = Annotated[str, typer.Argument(help="An id, or `latest`.")]


def meaning(kind: str, ref: str, model: str) -> Meaning | None:
    """How meanings are compared; None: they are not."""
    if not kind:
        return None
    if kind != "tfidf" and not ref.strip():
        raise StudioError(f"Which {'address' if kind == 'endpoint' else 'folder'}?", "Say it with --meaning-from.")
    return Meaning(kind=kind, ref=ref.strip(), model=model.strip())  # type: ignore[arg-type]


def snapshot(ws: Workspace, word: str) -> Snapshot:
    """By its id or its name; the newest for `latest` or nothing."""
    found = snapshots.every(ws)
    if word in ("", "latest"):
        if not found:
            raise StudioError("Nothing is frozen yet.", "`tunewright freeze` makes a snapshot.")
        return found[0]
    return next((one for one in found if one.name == word), None) or snapshots.get(ws, word)


def model(ws: Workspace, word: str) -> Model:
    """By its id or its name; the newest tuned one for `latest`."""
    if word == "latest" and (tuned := models.tuned(ws)):
        return tuned[0]
    named = [one for one in models.answering(ws) if one.name == word]
    return named[0] if len(named) == 1 else models.get(ws, word)


def adapter(ws: Workspace, word: str) -> Model:
    """A model that was tuned on this machine; the newest for `latest`."""
    found = models.adapters(ws)
    return found[0] if word == "latest" and found else models.get(ws, word)


def evaluation(ws: Workspace, word: str) -> Run:
    """By its id; the newest that is done for `latest` or nothing."""
    run = runs.get(ws, reports.newest(ws) if word in ("", "latest") else word)
    if run.kind != "evaluate":
        raise StudioError(f"{run.run_id} is no evaluation.", "`tunewright runs list --kind evaluate` has them.")
    return run


def run(ws: Workspace, word: str, kind: Kind, called: str) -> Run:
    """A run of one kind by its id, the newest for `latest`; `called` is what people call it ("a server")."""
    if word == "latest":
        found = next(iter(runs.every(ws, kind)), None)
        if found is None:
            raise StudioError(f"There is no run that is {called}.", f"`tunewright runs list --kind {kind}` has them.")
        return found
    found = runs.get(ws, word)
    if found.kind != kind:
        raise StudioError(f"The run {word} is not {called}.", f"`tunewright runs list --kind {kind}` has them.")
    return found


def own_snapshot(ws: Workspace, judged: Model, word: str) -> Snapshot:
    """The snapshot that is named, else the one that the model was trained on, else the newest."""
    own = runs.get(ws, judged.run_id).snapshot_id if judged.run_id and not word else ""
    return snapshots.get(ws, own) if own else snapshot(ws, word)


def answering(ws: Workspace, word: str, judged: Model) -> Chosen:
    """A further candidate: a model, or a checkpoint of the judged one."""
    steps = {one.model_id: one for one in candidates.checkpoints(ws, judged)}
    return Chosen(steps[word] if word in steps else model(ws, word))
