"""`tunewright ask` and `play`: the Playground."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from studio import hard_prompts, playground, plays, prompts
from studio.commands import chosen
from studio.commands.calls import pause, say, stdin
from studio.commands.frame import As, Told, Wait, command, group, listed, picked, verb, who
from studio.errors import StudioError
from studio.playground import Decoding
from studio.plays import Ask
from studio.workspace import Row, Workspace

ask, play = verb(), group()
APPS = {"ask": ask, "play": play}
ThreadId = Annotated[str, typer.Argument(metavar="THREAD", help="The conversation's id.")]
AskId = Annotated[str, typer.Argument(metavar="ASK", help="The question's id.")]
REPLY = "reply_id candidate_id name kind text finish problem tokens prompt_tokens seconds first_seconds cost money"


@command(ask, "ask")
def question(
    ws: Workspace,
    text: Annotated[str, typer.Argument(help="The question; - is stdin.")],
    model: Annotated[list[str] | None, typer.Option(help="Who answers, at most four; without it the usual ones.")] = None,
    thread: Annotated[str, typer.Option(help="Go on with this conversation.")] = "",
    system: Annotated[str, typer.Option(help="A system prompt, or a saved one's name.")] = "",
    temperature: Annotated[float, typer.Option(min=0, max=2)] = 0.0,
    tokens: chosen.Tokens = 200,
    wait: Wait = True,
    as_: As = "",
) -> Told:
    """Ask one or several models the same question."""
    ask_id, words = ws.new_id(), stdin() if text == "-" else text
    if thread:
        playground.follow(ws, thread, words, who(as_), ask_id)
    else:
        thread = playground.ask(
            ws, words, _who(ws, model, system), Decoding(max_new_tokens=tokens, temperature=temperature), who(as_), ask_id
        )
    one, said = playground.now(ws, ask_id), ""
    while wait and one.open:
        waits = ", ".join(f"{reply.name}: {reply.waits or 'answering'}" for reply in one.replies if reply.open)
        if waits != said:
            say(f"  {waits}")
            said = waits
        pause(0.3)
        one = playground.now(ws, ask_id)
    return Told(_row(one), [f"{reply.name}:\n{reply.text or reply.problem}" for reply in one.replies])


@command(play, "options")
def options(ws: Workspace, checkpoints: Annotated[bool, typer.Option("--checkpoints")] = False) -> Told:
    """Who can answer, who usually does, and hard prompts ready to ask."""
    rows = [{"candidate_id": one.candidate_id, "name": one.name} for one in playground.options(ws, checkpoints)]
    hard = [picked(one, "title text wanted") for one in hard_prompts.HARD]
    return Told(
        {"candidates": rows, "usual": playground.defaults(ws), "hard_prompts": hard},
        [f"{one['candidate_id']}: {one['name']}" for one in rows],
    )


@command(play, "list")
def every(ws: Workspace, limit: Annotated[int, typer.Option(min=1)] = 30) -> Told:
    """Conversations of everybody, newest first."""
    return listed(
        "threads",
        [picked(one, "thread_id question names asks who said_at") for one in plays.threads(ws, limit)],
        "thread_id question names who",
        "Nobody asked anything yet.",
    )


@command(play, "show")
def show(ws: Workspace, thread: ThreadId) -> Told:
    """One conversation."""
    asks = playground.thread(ws, thread)
    return Told(
        {"thread_id": thread, "asks": [_row(one) for one in asks]},
        [line for one in asks for line in (f"user: {one.question}", *(f"{reply.name}: {reply.text}" for reply in one.replies))],
    )


@command(play, "stop")
def stop(ws: Workspace, ask_id: AskId) -> Told:
    """End the replies to a question; what they said stays."""
    open_ones = [one for one in playground.now(ws, ask_id).replies if one.open]
    for reply in open_ones:
        playground.stop(ws, reply)
    return Told({"stopped": len(open_ones)}, [f"Stopped {len(open_ones)} replies."])


@command(play, "save-item")
def save_item(
    ws: Workspace,
    ask_id: AskId,
    expected: Annotated[str, typer.Argument(help="The answer that is expected; - is stdin.")],
    candidate: Annotated[str, typer.Option(help="Whose conversation it goes on from; without it the first.")] = "",
    as_: As = "",
) -> Told:
    """Save a question as a test item: later snapshots hold it in their test part."""
    one = playground.now(ws, ask_id)
    record_id = playground.save_as_item(
        ws, ask_id, candidate or one.replies[0].candidate_id, stdin() if expected == "-" else expected, who(as_)
    )
    return Told({"record_id": record_id}, [f"Record {record_id}: the next snapshot tests with it."])


@command(play, "save-review")
def save_review(
    ws: Workspace, ask_id: AskId, off: Annotated[bool, typer.Option("--off", help="Take it off.")] = False, as_: As = ""
) -> Told:
    """Put a comparison on the list for a blind review."""
    (playground.unsave if off else playground.save_for_review)(ws, ask_id, who(as_), ws.new_id())
    return Told({"saved": not off}, ["Taken off." if off else "Saved: `tunewright review start --run playground`."])


def _who(ws: Workspace, words: list[str] | None, system: str) -> list[playground.Chosen]:
    offered = {one.candidate_id: one for one in playground.options(ws, True)}
    named = {one.name: one.candidate_id for one in offered.values()}
    ids = [named.get(one, one) for one in words or playground.defaults(ws)]
    if gone := [one for one in ids if one not in offered]:
        raise StudioError(f"{gone[0]!r} cannot answer here.", "`tunewright play options` has who can.")
    found = [offered[one] for one in ids]
    saved = {one.name: one.text for one in prompts.every(ws)}
    if system:
        label = system if system in saved else "own prompt"
        found = [
            one if one.system is not None else replace(one, system=saved.get(system, system), prompt_name=label)
            for one in found
        ]
    return found


def _row(one: Ask) -> Row:
    return picked(one, "ask_id thread_id question who said_at saved open") | {
        "replies": [picked(reply, REPLY) for reply in one.replies]
    }
