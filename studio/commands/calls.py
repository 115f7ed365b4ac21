"""One command as it is carried out: what was typed, and where its words go. Light: nothing of the workspace is imported."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.errors import StudioError

if TYPE_CHECKING:
    from studio.workspace import Workspace


@dataclass(frozen=True)
class Typed:
    """What somebody typed: the words behind `tunewright`, where, under which name, and whether a terminal shows the answer."""

    argv: tuple[str, ...]
    cwd: str
    who: str
    terminal: bool


@dataclass
class Call:
    """One command that is carried out: what was typed, where its words go. `workspace` is open already where it is given."""

    typed: Typed
    out: Callable[[str], None]
    err: Callable[[str], None]
    stdin: Callable[[], str]
    pause: Callable[[float], None] = time.sleep
    workspace: Workspace | None = None
    json: bool = False


def _own_stdin() -> str:
    return sys.stdin.read()


class Unwritten(StudioError):
    """The words of a command could not be written."""


def _own_out(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritten(f"The answer could not be written: {error.strerror}.",
                        "The command itself is done; look before you type it again.") from None


def _own_err(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def login() -> str:
    """This system's name for who types."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no user database in some containers
        return "me"


def own_call(argv: Sequence[str]) -> Call:
    """A command of this process, with its own streams."""
    return Call(Typed(tuple(argv), os.getcwd(), login(), sys.stdout.isatty()), _own_out, _own_err, _own_stdin)


def fail(call: Call, error: StudioError) -> int:
    """Say in words what went wrong; returns the exit status."""
    if call.json or "--json" in call.typed.argv:
        call.out(json.dumps({"error": error.message, "hint": error.hint}, ensure_ascii=False) + "\n")
    else:
        call.err(f"{error.message}\n{error.hint}".strip() + "\n")
    return 1


_call: ContextVar[Call] = ContextVar("call")


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """What is carried out inside belongs to this call: its output goes nowhere else."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


def current() -> Call:
    return _call.get()


def say(sentence: str) -> None:
    """A word on the way: on stdout for a person, on stderr beside a document."""
    call = current()
    (call.err if call.json else call.out)(f"{sentence}\n")


def pause(seconds: float) -> None:
    """Wait between two looks. Raises KeyboardInterrupt where whoever typed the command pressed Ctrl+C."""
    current().pause(seconds)


def stdin() -> str:
    """What stands on the standard input, wherever the command was typed."""
    return current().stdin()
