"""`tunewright managed`: training at a service, from the pages Launch, Runs and Models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from studio import managed as nouns
from studio import services
from studio.commands import chosen, follow
from studio.commands.frame import As, Told, Wait, command, group, listed, picked, who, write
from studio.managed import Dials
from studio.services import Api, Service
from studio.workspace import Row, Workspace

managed = group()
APPS = {"managed": managed}
At = Annotated[str, typer.Option("--service", help="A service's name.")]
Job = Annotated[str, typer.Argument(metavar="RUN", help="A run that trains at a service, or `latest`.")]
Tuned = Annotated[str, typer.Option("--model", help="The service's own name for the model, with its date.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Without it the service's own choice.")]
Suffix = Annotated[str, typer.Option(help="Of the new model's name.")]
Validation = Annotated[bool, typer.Option(help="Send validation too, for its loss.")]


@command(managed, "look")
def look(
    ws: Workspace,
    model: Tuned = Dials.model,
    service: At = "OpenAI",
    snapshot: chosen.OfSnapshot = "",
    epochs: Epochs = None,
    suffix: Suffix = "",
    validation: Validation = True,
    lines: Annotated[str, typer.Option(help="Write what would be sent of train here.")] = "",
) -> Told:
    """What exactly would be sent, does the service take it, what will it cost? Uploads nothing, costs nothing."""
    frozen, at = chosen.snapshot(ws, snapshot), services.get(ws, service)
    run = follow.follow(ws, nouns.look(ws, frozen, at, dials := Dials(model, epochs, suffix=suffix, validation=validation)))
    found, leaves, price = nouns.read(run), nouns.leaving(ws, frozen), services.price(ws, dials.model)
    cost, speed = found.cost(price), nouns.speed(ws, at, dials.model)
    file = write(lines, nouns.lines(ws, run, "train")) if lines else None
    return Told(
        {
            "run": follow.row(run),
            "cost": cost,
            "money": price.money if price else None,
            "tokens": found.train.tokens,
            "trained_tokens": found.trained_tokens,
            "epochs": found.epochs,
            "train_lines": found.train.lines,
            "validation_lines": found.validation.lines if found.validation else 0,
            "problems": list(found.problems),
            "problem_count": found.problem_count,
            "account": found.account,
            "account_words": found.account_words,
            "closing": found.closing,
            "seconds": found.trained_tokens / speed if speed else None,
            "leaving": picked(leaves, "open unchecked ever_checked clear"),
            "file": file,
        },
        [
            found.account_words,
            f"Costs about {cost:,.2f} {price.money}."
            if cost is not None and price
            else "Its cost is not known: nobody said a price.",
            f"{found.problem_count} problems.",
            found.closing,
        ],
    )


@command(managed, "start")
def start(
    ws: Workspace,
    model: Tuned = Dials.model,
    service: At = "OpenAI",
    snapshot: chosen.OfSnapshot = "",
    epochs: Epochs = None,
    suffix: Suffix = "",
    validation: Validation = True,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    rate: Annotated[float | None, typer.Option("--rate-multiplier", help="0.02–0.1 is stable.")] = None,
    seed: Annotated[int | None, typer.Option()] = 1234,
    name: Annotated[str, typer.Option()] = "",
    accept: chosen.Accept = False,
    wait: Wait = True,
    as_: As = "",
) -> Told:
    """Send the lines and tune, after a look said that it can be done."""
    dials = Dials(model, epochs, batch_size, rate, suffix, seed, validation)
    run_id = nouns.start(ws, chosen.snapshot(ws, snapshot), services.get(ws, service), dials, name, who(as_), accept)
    return follow.started(ws, run_id, wait, {"dials": asdict(dials)})


@command(managed, "ask")
def ask(
    ws: Workspace,
    run_id: Job,
    act: Annotated[Literal["cancel", "pause", "resume"], typer.Argument()],
) -> Told:
    """Ask the service to cancel, pause or resume a job. `runs stop` ends the watching alone."""
    nouns.ask(ws, chosen.run(ws, run_id, "managed", "a training at a service"), act)
    return Told({"asked": act}, ["Asked. `tunewright runs show` has the service's answer."])


@command(managed, "remote")
def remote(ws: Workspace, run_id: Job) -> Told:
    """What exists at the service for a run, by its ids there."""
    there = nouns.remote(ws, chosen.run(ws, run_id, "managed", "a training at a service"))
    return Told({"files": there.get("files", {}), "job": there.get("job")}, [str(there)])


@command(managed, "files")
def files(
    ws: Workspace,
    service: At = "OpenAI",
    delete: Annotated[list[str] | None, typer.Option(help="Delete this file there first, several times.")] = None,
) -> Told:
    """The files that lie at a service, and their end."""
    run = follow.follow(ws, nouns.files(ws, services.get(ws, service), tuple(delete or ())))
    data = run.result.data if run.result else {}
    told = listed("files", data.get("files", []), "id name bytes purpose ours", "No file lies there.")
    return Told(told.document | {"kept": data.get("kept", [])}, told.words)


@command(managed, "services")
def every(ws: Workspace) -> Told:
    """Services that tune."""
    return listed("services", [_row(one) for one in services.every(ws)], "name api base_url key_env")


@command(managed, "add-service")
def add(
    ws: Workspace,
    name: Annotated[str, typer.Argument()],
    url: Annotated[str, typer.Argument(help="Its address.")],
    api: Annotated[Api, typer.Option(help="Which calls it serves.")] = "openai",
    key_env: Annotated[str, typer.Option(help="The environment variable with the key, never the key.")] = "",
    as_: As = "",
) -> Told:
    """Add a service."""
    return Told({"service": _row(services.add(ws, name, api, url, key_env, who(as_)))}, [f"Added: {name}."])


@command(managed, "price")
def price(
    ws: Workspace,
    model: Annotated[str, typer.Argument()],
    per_million: Annotated[float | None, typer.Argument(help="What a million trained tokens cost.")] = None,
    money: Annotated[str, typer.Option()] = "USD",
    as_: As = "",
) -> Told:
    """What a model's tuning costs; with a number, say it."""
    now = services.say_price(ws, model, per_million, money, who(as_)) if per_million is not None else services.price(ws, model)
    return Told(
        {"price": picked(now, "model per_million money said_at who") if now else None},
        [f"{now.per_million:g} {now.money} a million tokens." if now else "Nobody said what this model costs."],
    )


def _row(one: Service) -> Row:
    return {"name": one.name, "api": one.api, "base_url": one.base_url, "key_env": one.key}
