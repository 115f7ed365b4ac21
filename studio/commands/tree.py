"""Which command lives in which module. A module is imported when one of its commands is typed: `--help` stays quick.

To add commands: write a module with `app = typer.Typer(...)` and functions under `@command(app, "name")`, and one line here.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from studio import held
from studio.commands.calls import Call, Unwritten, calling, fail, own_call
from studio.errors import StudioError

WRONGLY_TYPED: Any = typer.BadParameter.__bases__
"""Typer's copy of click's UsageError, wherever this version of typer keeps it."""

HELP = """From support tickets to a model you can prove is better.

Every command takes --workspace and --json. Where the studio has the workspace open, it carries the command out."""


@dataclass(frozen=True)
class Group:
    """A first word: its module, what it is for, and the heading it stands under."""

    module: str
    help: str
    section: str


GROUPS = {
    "status": Group("overview", "Where the workspace stands in the loop, and the next thing to do.", "Start"),
    "demo": Group("demo", "Go once round the loop: import, freeze, train, evaluate; then print the verdict.", "Start"),
    "import": Group("bring_in", "Bring in files of tickets, or the sample.", "Data"),
    "imports": Group("bring_in", "What was imported, and what became of every row.", "Data"),
    "check": Group("clean", "Look for personal data, mail remains and weak answers.", "Data"),
    "findings": Group("clean", "What the checks found: see it, mend it, drop it, let it stand.", "Data"),
    "twins": Group("twins", "Records that say the same: search, groups, who stays, conflicts.", "Data"),
    "records": Group("records", "Read, search, keep, drop, tag, edit, undo.", "Data"),
    "labels": Group("labels", "Label sets, queue, answers, agreement, the light model.", "Data"),
    "synthesise": Group("synthesise", "Let a model write examples where the data is thin.", "Data"),
    "forget": Group("forget", "Take one customer's data out of every table and file. There is no undo.", "Data"),
    "forgotten": Group("forget", "Who was forgotten when, in numbers.", "Data"),
    "plan": Group("freeze", "What would be frozen, and its check for leaks.", "Snapshots"),
    "freeze": Group("freeze", "Freeze records into train, validation and test.", "Snapshots"),
    "snapshots": Group("snapshots", "Read, verify, compare, export, adopt, push snapshots.", "Snapshots"),
    "validate": Group("clean", "Check the form of a training file; print every problem by line.", "Snapshots"),
    "train": Group("train", "Train a model on a snapshot, or several that are compared.", "Train"),
    "preview": Group("train", "What a training would do: memory, time, lengths.", "Train"),
    "presets": Group("train", "Dials under a name.", "Train"),
    "runs": Group("runs", "List, follow, stop, resume runs; their events and logs.", "Train"),
    "groups": Group("runs", "Trainings that are compared.", "Train"),
    "models": Group("models", "Bases, tuned models, endpoints.", "Train"),
    "clusters": Group("clusters", "Ray clusters that runs can run on.", "Train"),
    "managed": Group("managed", "Tuning at a service: look, start, ask, files, prices.", "Train"),
    "evaluate": Group("evaluate", "Let candidates answer the same test items.", "Prove"),
    "verdict": Group("verdict", "What an evaluation allows to say, with intervals.", "Prove"),
    "evaluations": Group("verdict", "Slices, answers, costs, comparisons of evaluations.", "Prove"),
    "report": Group("verdict", "Write the report of an evaluation, for somebody without a studio.", "Prove"),
    "score": Group("score", "Score stored answers by further metrics.", "Prove"),
    "metrics": Group("score", "Scores that there are, and those of your own.", "Prove"),
    "judge": Group("score", "Let a chat model judge stored answers.", "Prove"),
    "rubrics": Group("score", "What judges are told.", "Prove"),
    "prompts": Group("score", "System prompts under a name.", "Prove"),
    "review": Group("review", "Blind review: sessions, cards, verdicts, the result.", "Prove"),
    "ask": Group("play", "Ask several models the same question.", "Prove"),
    "play": Group("play", "Conversations of the playground.", "Prove"),
    "export": Group("deploy", "Write a tuned model as folders that others can use.", "Live"),
    "exports": Group("deploy", "What was exported.", "Live"),
    "serve": Group("deploy", "Serve a tuned model behind OpenAI's chat API.", "Live"),
    "servers": Group("deploy", "What is or was served.", "Live"),
    "parity": Group("deploy", "Prove that what is served is what was evaluated.", "Live"),
    "push": Group("deploy", "Put an exported model on the Hugging Face Hub.", "Live"),
    "logs": Group("logs", "Logs of production: read, watch, receive.", "Live"),
    "production": Group("monitor", "What production says of the model.", "Live"),
    "targets": Group("monitor", "What production should be, and whether it is.", "Live"),
    "alerts": Group("monitor", "What went wrong, and where it is told.", "Live"),
    "drift": Group("monitor", "Are today's questions still what the model was trained on?", "Live"),
    "people": Group("people", "Who may do what in a workspace.", "Team"),
    "audit": Group("people", "Who did what when.", "Team"),
    "server": Group("server", "Serve the studio behind a reverse proxy, until SIGTERM.", "Team"),
    "backup": Group("server", "Back a workspace up that is in use.", "Team"),
    "restore": Group("server", "Make a workspace from a backup.", "Team"),
    "backups": Group("server", "Backups so far, and those that are taken by themselves.", "Team"),
    "workspaces": Group("server", "The workspaces of a server that has several.", "Team"),
}


ALONE = ("validate", "restore", "server")
"""Commands that need no workspace that is open."""


class Tree(TyperGroup):
    """The commands by their first words, each imported when it is wanted."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """For `--help`: what a command is for, without what it does."""
        if cmd_name in self.commands or cmd_name not in GROUPS:
            return self.commands.get(cmd_name)
        group = GROUPS[cmd_name]
        return TyperCommand(cmd_name, help=group.help)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in dict.fromkeys(group.section for group in GROUPS.values()):
            with formatter.section(section):
                formatter.write_dl([(name, group.help) for name, group in GROUPS.items() if group.section == section])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in GROUPS:
            self.commands[args[0]] = loaded(args[0])
        return super().resolve_command(ctx, args)


def loaded(name: str) -> Any:
    """The command with this first word, as it is: its module is imported now."""
    group = GROUPS[name]
    found = get_command(importlib.import_module(f"studio.commands.{group.module}").APPS[name])
    found.name, found.help = name, found.help or group.help
    return found


def every() -> Iterator[tuple[str, Any]]:
    """All commands with all their words: `runs list`."""
    for name in GROUPS:
        found = loaded(name)
        if isinstance(found, TyperGroup):
            yield from ((f"{name} {one}", part) for one, part in sorted(found.commands.items()))
        else:
            yield name, found


def root() -> Tree:
    return Tree(
        name="tunewright",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )


def run(call: Call) -> int:
    """Carry a call out; returns its exit status. What is typed wrongly is said in words too, with status 2."""
    with calling(call):
        try:
            return int(root().main(list(call.typed.argv), prog_name="tunewright", standalone_mode=False) or 0)
        except WRONGLY_TYPED as error:
            words = error.format_message()
            if "--json" in call.typed.argv:
                call.out(json.dumps({"error": words, "hint": "Add --help to see what can be typed."}) + "\n")
            call.err(f"{words}\nAdd --help to see what can be typed.\n")
            return 2
        except (StudioError, BrokenPipeError, held.Gone):
            raise
        except Exception as error:
            return fail(call, _in_words(error, call))


def _in_words(error: Exception, call: Call) -> StudioError:
    """What nobody foresaw: a full disk, or a bug, whose place stands on this process's stderr."""
    if "No space left" in str(error) or "quota" in str(error):
        return StudioError("The disk is full, so this was not done, or not to its end.", "Make room on it, then try again.")
    traceback.print_exc()
    log = "What stands on stderr" if call.workspace is None else "The log of the Tunewright that has the workspace open"
    return StudioError(f"Something broke unexpectedly ({type(error).__name__}).", f"{log} says where.")


def main() -> None:
    """The command that was typed for this process."""
    words = sys.argv[1:]
    if not words or {"--help", "-h"} & set(words):
        root().main(words, prog_name="tunewright")  # which ends the process
    call = own_call(words)
    try:
        status = _asked(call) if words[0] in GROUPS else None
        sys.exit(run(call) if status is None else status)
    except BrokenPipeError:  # whoever read the words has enough of them
        _say_no_more()
        sys.exit(1)
    except StudioError as error:  # of the words themselves: a full disk behind stdout
        _say_no_more()
        sys.exit(f"{error.message}\n{error.hint}")


def _say_no_more() -> None:
    """What is left to be written goes nowhere: Python would try again at its end, and complain."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _asked(call: Call) -> int | None:
    """Let whoever holds the workspace carry the command out, before anything large is imported; None where nobody does."""
    words = list(call.typed.argv)
    named = next((words[place + 1] for place, word in enumerate(words[:-1]) if word == "--workspace"), "")
    folder = (
        named
        or next((word.partition("=")[2] for word in words if word.startswith("--workspace=")), "")
        or ("" if words[0] in ALONE else os.environ.get("STUDIO_WORKSPACE", ""))
    )
    if not folder or words[0] == "server":
        return None
    try:
        return held.ask(Path(folder).expanduser().absolute(), call.typed, call.out, call.err, call.stdin)
    except Unwritten:
        raise
    except StudioError as error:
        return fail(call, error)
    except KeyboardInterrupt:
        call.err("\nLeft. What was begun goes on in the Tunewright that has the workspace open.\n")
        return 130
