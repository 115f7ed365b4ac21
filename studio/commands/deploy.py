"""`tunewright export`, `exports`, `serve`, `servers`, `parity` and `push`: the Deploy page."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from studio import deploys, parity_words, runs
from studio.commands import chosen, follow
from studio.commands.calls import pause, say
from studio.commands.frame import Told, Wait, command, group, listed, picked, verb
from studio.deploys import Export
from studio.errors import StudioError
from studio.models import Model
from studio.runs import Run
from studio.workspace import Row, Workspace

export, exports, serve, servers, parity, push = verb(), group(), verb(), group(), verb(), verb()
APPS = {"export": export, "exports": exports, "serve": serve, "servers": servers, "parity": parity, "push": push}
Form = Literal["adapter", "merged", "gguf"]
FORMS = ("adapter", "merged", "gguf")
Server = Annotated[str, typer.Argument(metavar="RUN", help="A server's run, or `latest`.")]
OfExport = Annotated[str, typer.Option("--export", help="An export's run; without it the newest. `none`: none.")]


@command(export, "export", elsewhere=True)
def write(
    ws: Workspace,
    model: chosen.Latest = "latest",
    form: Annotated[list[str] | None, typer.Option(help="adapter, merged or gguf, several times; else the first two.")] = None,
    precision: Annotated[Literal["", "bfloat16", "float16", "float32"], typer.Option(help="Without it what suits.")] = "",
    onto: Annotated[
        Literal["trained", "base"], typer.Option(help="Merged into the values that it learned on, or not.")
    ] = "trained",
    wait: Wait = True,
) -> Told:
    """Write a tuned model as folders that others can use, with its card."""
    tuned, forms = chosen.adapter(ws, model), form or ["adapter", "merged"]
    if wrong := [one for one in forms if one not in FORMS]:
        raise StudioError(f"There is no {wrong[0]!r} to choose.", f"Choose among {', '.join(FORMS)}.")
    told = follow.started(ws, deploys.export(ws, tuned, forms, precision, onto), wait)
    if not wait:
        return told
    made = deploys.exports(ws, tuned)[0]
    serves = deploys.vllm_command(ws, tuned, made) if made.merged else ""
    return Told(
        told.document | {"export": _row(ws, made), "vllm": serves},
        [*told.words, f"Written: {ws.path(made.folder)}", *([f"Served with vLLM by: {serves}"] if serves else [])],
    )


@command(exports, "list")
def every(ws: Workspace, model: chosen.Latest = "latest") -> Told:
    """What was exported of a model."""
    rows = [_row(ws, one) for one in deploys.exports(ws, chosen.adapter(ws, model))]
    return listed("exports", rows, "run_id folder precision forms", "Nothing was exported yet.")


@command(push, "push")
def to_hub(
    ws: Workspace,
    repository: Annotated[str, typer.Argument(help="owner/name on the Hugging Face Hub.")],
    model: Annotated[str, typer.Option(help="An id, or `latest`.")] = "latest",
    form: Annotated[Form, typer.Option(help="What of it.")] = "merged",
    which: OfExport = "",
    public: Annotated[bool, typer.Option("--public", help="Everybody may read it.")] = False,
    wait: Wait = True,
) -> Told:
    """Put an exported model on the Hub. The token is read from HF_TOKEN."""
    exported = _export(ws, chosen.adapter(ws, model), which)
    if exported is None:
        raise StudioError("Nothing was exported yet.", "`tunewright export` does.")
    return follow.started(ws, deploys.push(ws, exported, form, repository, not public), wait)


@command(serve, "serve")
def up(
    ws: Workspace,
    model: chosen.Latest = "latest",
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; another address needs a token.")] = deploys.HERE,
    port: Annotated[int | None, typer.Option(help="Without it a free one.")] = None,
    key_env: Annotated[str, typer.Option(help="The environment variable with the token that callers must send.")] = "",
    which: Annotated[str, typer.Option("--export", help="Serve this merged export; without it base and adapter.")] = "",
    engine: Annotated[Literal["tunewright", "vllm"], typer.Option()] = "tunewright",
    wait: Wait = True,
) -> Told:
    """Serve a tuned model behind OpenAI's chat API, as it was evaluated, until Ctrl+C. --no-wait: until `servers stop`."""
    tuned = chosen.adapter(ws, model)
    exported = _export(ws, tuned, which) if which else None
    run_id = deploys.serve(ws, tuned, exported, engine, host, port, key_env)
    try:
        while (run := runs.get(ws, run_id)).moving and not deploys.answers_now(run):
            pause(0.2)
        if run.moving:
            say(f"{run.spec['name']} answers at {deploys.address(run.spec)}." + (" Ctrl+C stops it." if wait else ""))
        while wait and runs.get(ws, run_id).moving:
            pause(0.5)
    except KeyboardInterrupt:
        runs.stop(ws, run_id)
        runs.wait(ws, run_id, 30)
    runs.collect(ws)
    run = runs.get(ws, run_id)
    if run.result is not None and run.result.outcome == "failed":
        raise StudioError(run.result.message, run.result.hint)
    ended = run.result.message if run.result else "" if run.moving else "The server's process is gone."
    return Told({"run": follow.row(run), "server": _server(run)}, [ended] if ended else [])


@command(servers, "list")
def running(ws: Workspace, model: Annotated[str, typer.Option(help="Only of this model.")] = "") -> Told:
    """Servers, newest first, and whether they answer."""
    found = deploys.servers(ws, chosen.adapter(ws, model)) if model else runs.every(ws, "serve")
    return listed("servers", [_server(one) for one in found], "run_id name address state answers", "Nothing was served yet.")


@command(servers, "stop")
def stop(ws: Workspace, server: Server) -> Told:
    """Stop a server."""
    run_id = chosen.run(ws, server, "serve", "a server").run_id
    runs.stop(ws, run_id)
    runs.wait(ws, run_id, 30)
    runs.collect(ws)
    return Told({"server": _server(runs.get(ws, run_id))}, ["Stopped."])


@command(servers, "again")
def again(ws: Workspace, server: Server) -> Told:
    """Serve what was stopped, at the same address."""
    run_id = chosen.run(ws, server, "serve", "a server").run_id
    runs.resume(ws, run_id)
    while (run := runs.get(ws, run_id)).moving and not deploys.answers_now(run):
        pause(0.2)
    if not run.moving:
        runs.collect(ws)
        raise StudioError(run.result.message if run.result else "The server's process is gone.",
                          (run.result.hint if run.result else "") or f"Its log is {ws.path(run.folder) / 'log.txt'}.")
    return Told({"server": _server(run)}, [f"{run.spec['name']} is at {deploys.address(run.spec)}."])


@command(servers, "standing")
def standing(ws: Workspace, model: chosen.Latest = "latest") -> Told:
    """Is a model exported, served, and proven to be the same?"""
    found = deploys.standing(ws, chosen.adapter(ws, model))
    return Told(picked(found, "word sentence"), [f"{found.word}. {found.sentence}"])


@command(parity, "parity")
def prove(
    ws: Workspace,
    model: chosen.Latest = "latest",
    which: OfExport = "",
    server: Annotated[str, typer.Option(help="A server's run; without it one that answers now. `none`: none.")] = "",
    snapshot: chosen.OfSnapshot = "",
    prompts: Annotated[int, typer.Option(min=1)] = deploys.PROMPTS,
    tokens: chosen.Tokens = deploys.TOKENS,
    wait: Wait = True,
) -> Told:
    """Put the same prompts to the model as evaluated, merged and served, and compare. Exit status 1 where they differ."""
    tuned = chosen.adapter(ws, model)
    merged = _export(ws, tuned, which) if which != "none" else None
    up_now = [one for one in deploys.servers(ws, tuned) if deploys.answers_now(one)]
    served = None if server == "none" else chosen.run(ws, server, "serve", "a server") if server else next(iter(up_now), None)
    frozen = chosen.own_snapshot(ws, tuned, snapshot)
    run_id = deploys.parity(ws, tuned, frozen, merged if merged and merged.merged else None, served, prompts, tokens)
    told = follow.started(ws, run_id, wait)
    if not wait:
        return told
    run = runs.get(ws, run_id)
    data = run.result.data if run.result else {}
    return Told(
        told.document | {"passed": data["passed"], "legs": data["legs"], "differences": deploys.rows(ws, run)},
        [*told.words, parity_words.headline(data), *("; ".join(row.values()) for row in parity_words.table(data))],
        0 if data["passed"] else 1,
    )


def _export(ws: Workspace, tuned: Model, word: str) -> Export | None:
    found = deploys.exports(ws, tuned)
    if word in ("", "latest"):
        return next((one for one in found if one.merged), found[0] if found else None)
    return next((one for one in found if one.run.run_id == word), None) or _no_export(word)


def _no_export(word: str) -> Export:
    raise StudioError(f"There is no export {word!r} of this model.", "`tunewright exports list` has them.")


def _row(ws: Workspace, one: Export) -> Row:
    return {
        "run_id": one.run.run_id,
        "folder": ws.path(one.folder),
        "forms": list(one.sizes),
        "sizes": one.sizes,
        "precision": one.precision,
        "onto": one.onto,
    }


def _server(run: Run) -> Row:
    return {
        "run_id": run.run_id,
        "name": run.spec["name"],
        "address": deploys.address(run.spec),
        "state": run.state,
        "answers": deploys.answers_now(run),
        "host": run.spec["host"],
        "key_env": run.spec["key_env"],
    }
