"""`tunewright models`: the Models page."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from studio import customers, model_cards, starts
from studio import models as nouns
from studio.commands import chosen, follow
from studio.commands.frame import Told, Wait, command, group, listed, path, picked, write
from studio.models import Model
from studio.workspace import Row, Workspace

models = group()
APPS = {"models": models}


@command(models, "list")
def every(
    ws: Workspace, kind: Annotated[Literal["", "base", "tuned", "endpoint"], typer.Option(help="Only of this kind.")] = ""
) -> Told:
    """Bases, tuned models and endpoints."""
    found = {"": nouns.every, "base": nouns.bases, "tuned": nouns.tuned, "endpoint": nouns.endpoints}[kind](ws)
    return listed("models", [row(one) for one in found], "model_id name kind added_at", "No such model is here.")


@command(models, "show")
def show(
    ws: Workspace,
    model: chosen.Latest = "latest",
    card: Annotated[str, typer.Option(help="Write its model card as Markdown here.")] = "",
) -> Told:
    """One model: what it was made from, what is known of it."""
    found = chosen.model(ws, model)
    text = model_cards.markdown(ws, found) if found.kind == "adapter" else ""
    gone = customers.forgotten_lines(ws, found.run_id) if found.run_id else 0
    return Told(
        {
            "model": row(found),
            "base": found.base,
            "facts": found.facts,
            "card": text,
            "forgotten_lines": gone,
            "folder": ws.path(found.adapter) if found.adapter else None,
            "file": write(card, text) if card else None,
        },
        [text or f"{found.name} ({found.kind}, {found.model_id})"],
    )


@command(models, "add-base")
def add_base(
    ws: Workspace,
    kind: Annotated[Literal["folder", "gguf", "hub"], typer.Argument()],
    ref: Annotated[str, typer.Argument(help="A folder, a GGUF file, or owner/name.")],
) -> Told:
    """Add a base model that can be tuned."""
    made = nouns.add_base(ws, kind, ref if kind == "hub" else str(path(ref)))
    return Told({"model": row(made)}, [f"{made.name}: {made.model_id}."])


@command(models, "add-endpoint")
def add_endpoint(
    ws: Workspace,
    name: Annotated[str, typer.Argument()],
    model: Annotated[str, typer.Argument(help="The server's name for it.")],
    url: Annotated[str, typer.Option(help="Its address; without it OpenAI's own.")] = "",
    key_env: Annotated[str, typer.Option(help="The environment variable with the key, never the key.")] = "",
    price_in: Annotated[float | None, typer.Option(help="Of a million tokens read.")] = None,
    price_out: Annotated[float | None, typer.Option(help="Of a million tokens written.")] = None,
    money: Annotated[str, typer.Option()] = "USD",
) -> Told:
    """Add a server that speaks OpenAI's chat API."""
    made = nouns.add_endpoint(ws, name, url, model, key_env, price_in, price_out, money)
    return Told({"model": row(made)}, [f"{made.name}: {made.model_id}."])


@command(models, "test-endpoint")
def test(ws: Workspace, model: Annotated[str, typer.Argument(help="An endpoint's id or name.")], wait: Wait = True) -> Told:
    """Ask an endpoint one short question."""
    return follow.started(ws, starts.connection(ws, chosen.model(ws, model)), wait)


@command(models, "deployed")
def deployed(
    ws: Workspace,
    model: Annotated[str, typer.Argument(help="A model that a service tuned.")],
    deployment: Annotated[str, typer.Argument(help="The name of its deployment there.")],
) -> Told:
    """Say under which name a model answers that had to be deployed at its service."""
    made = nouns.deployed(ws, chosen.model(ws, model), deployment)
    return Told({"model": row(made)}, [f"{made.name} answers as {deployment}."])


def row(model: Model) -> Row:
    """A model in the fields that every document has for one."""
    return picked(model, "model_id name kind run_id added_at waits")
