"""What all commands share: the workspace they open or ask for, words or one JSON document, errors in words.

A command is a function of a workspace that returns `Told`; `command` gives it `--workspace` and `--json`. It says how far it is
with `say`. It never prints, and never asks where it runs: in a process of its own, or in the app that holds the workspace.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from studio import audit, clusters, forgetting, held, runs, workspace
from studio.commands import tree
from studio.commands.calls import Call, Typed, current, fail, say, stdin
from studio.errors import StudioError
from studio.held import Guest
from studio.locks import Held
from studio.workspace import Row, Workspace

STARTING_SECONDS = 8.0
"""How long a holder may take between its lock and its socket: it migrates and replays in between."""
Work = TypeVar("Work", bound=Callable[..., "Told"])


@dataclass(frozen=True)
class Told:
    """What a command has to say at its end: a document with stable names, and the same in words; its exit status."""

    document: Row
    words: Sequence[str] = ()
    status: int = 0


def path(text: str | Path) -> Path:
    """A path as it was meant where the command was typed."""
    return Path(current().typed.cwd) / Path(text).expanduser()


def text_of(source: str) -> str:
    """The text of a file, or of the standard input for `-`. Raises StudioError where it cannot be read."""
    if source == "-":
        return stdin()
    try:
        return path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(
            f"{source} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}.",
            "Give a file of text, or - for the standard input.",
        ) from None


def json_of(source: str) -> Any:
    """The JSON of a file, or of the standard input for `-`."""
    try:
        return json.loads(text_of(source))
    except ValueError as error:
        raise StudioError(f"{'The standard input' if source == '-' else source} is not JSON: {error}.") from None


def lines_of(source: str) -> list[Row]:
    """JSON objects, one a line. Raises StudioError with the line's number."""
    found = []
    for number, line in enumerate(text_of(source).splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise StudioError(f"Line {number} is not JSON: {error}.") from None
            if not isinstance(row, dict):
                raise StudioError(f"Line {number} is no JSON object.")
            found.append(row)
    return found


def write(target: str | Path, content: str | bytes) -> Path:
    """Write a file where the command was typed; returns its whole path. Raises StudioError where that cannot be."""
    whole = path(target)
    try:
        whole.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise StudioError(f"{whole} cannot be written: {error.strerror}.", "Choose another place with --out.") from None
    return whole


def who(name: str) -> str:
    """Under which name something is decided: the one that was given, or the login name."""
    return name.strip() or current().typed.who


def verb() -> typer.Typer:
    """The app of a command with one word."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def group() -> typer.Typer:
    """The app of commands with two words."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
    app.callback()(lambda: None)
    return app


def command(app: typer.Typer, name: str, without_workspace: bool = False, elsewhere: bool = False) -> Callable[[Work], Work]:
    """Make a function of a workspace a command, with `--workspace` and `--json`. `without_workspace`: it opens one itself.
    `elsewhere`: it starts runs that can run on a cluster, with `--on` and `--on-workers`."""

    def add(work: Work) -> Work:
        seen = inspect.signature(work, eval_str=True)
        own = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for one in list(seen.parameters.values())
            if without_workspace or one.annotation is not Workspace
        ]

        def run(**given: Any) -> None:
            folder, current().json = given.pop("workspace"), given.pop("as_json")
            on, workers = given.pop("on", ""), given.pop("on_workers", None)
            if without_workspace:
                _carry(lambda: work(folder, **given))
            elif workers and not on:
                _carry(_nowhere)
            elif on:
                _carry(lambda: _in_workspace(folder, lambda ws: _on(ws, on, workers, lambda: work(ws, **given))))
            else:
                _carry(lambda: _in_workspace(folder, lambda ws: work(ws, **given)))

        parameters = [*(one for one in own if not (without_workspace and one.name == "folder")),
                      *(_ELSEWHERE if elsewhere else ()), *_COMMON]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__, run.__name__ = work.__doc__, work.__name__
        app.command(name)(run)
        return work

    return add


_COMMON = [
    inspect.Parameter(
        "workspace",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option("--workspace", help="Folder of the workspace; without it STUDIO_WORKSPACE, or `workspace/`."),
        ],
    ),
    inspect.Parameter(
        "as_json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="One JSON document on stdout; words on the way go to stderr.")],
    ),
]


_ELSEWHERE = [
    inspect.Parameter("on", inspect.Parameter.KEYWORD_ONLY, default="", annotation=Annotated[
        str, typer.Option("--on", help="The Ray cluster to run on, by name; without it this machine.")]),
    inspect.Parameter("on_workers", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[
        int | None, typer.Option("--on-workers", min=1, help="Workers there; without it as its entry says.")]),
]  # fmt: skip


def folder_of(given: str | None) -> Path:
    return path(given) if given else path(workspace.default_folder())


def _in_workspace(folder: str | None, work: Callable[[Workspace], Told]) -> Told:
    with opened(folder) as ws, audit.typed_by(current().typed.who):
        return work(ws)


def _nowhere() -> Told:
    raise StudioError("--on-workers is given, but no cluster.", "Name one with --on; on this machine a run has one process.")


def _on(ws: Workspace, cluster: str, workers: int | None, work: Callable[[], Told]) -> Told:
    """Do it so that the runs that it begins run on a cluster."""
    with runs.at(clusters.on(ws, cluster, workers)):
        return work()


def _carry(work: Callable[[], Told]) -> None:
    """Do it and say what came of it; what goes wrong is said in words."""
    call = current()
    try:
        told = work()
    except StudioError as error:
        raise typer.Exit(fail(call, error)) from None
    except KeyboardInterrupt:
        fail(call, StudioError("Stopped watching.", "A run that was started goes on by itself: `tunewright runs list` has it."))
        raise typer.Exit(130) from None
    if call.json:
        call.out(json.dumps(plain(told.document), ensure_ascii=False, allow_nan=False) + "\n")
    elif told.words:
        call.out("\n".join(told.words) + "\n")
    if told.status:
        raise typer.Exit(told.status)


@contextmanager
def opened(folder: str | None) -> Iterator[Workspace]:
    """The workspace for one command. Where another process holds it, that one carries the command out, and this raises
    typer.Exit with its status."""
    call = current()
    if call.workspace is not None:
        yield call.workspace
        return
    ws = _open_or_ask(folder_of(folder), call)
    door = held.serve(ws, carry_out)
    try:
        forgetting.go_on(ws)
        runs.collect(ws)
        for warning in ws.warnings:
            call.err(f"{warning}\n")
        yield ws
    finally:
        if door is not None:
            _see_out(door)
        workspace.close_all()


def _open_or_ask(root: Path, call: Call) -> Workspace:
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            return workspace.open_workspace(root)
        except Held as error:
            status = held.ask(root.resolve(), call.typed, call.out, call.err, call.stdin)
            if status is not None:
                raise typer.Exit(status) from None
            if not error.version or time.monotonic() > deadline:
                raise Held(
                    error.message,
                    f"It takes no commands: it is of an older version, or still at work. {error.hint}",
                    error.version,
                ) from None
        time.sleep(0.1)


def _see_out(door: held.Door) -> None:
    """The workspace stays open until the commands that came through this one have ended."""
    door.close()
    if door.guests:
        say("Another command still works in this workspace through this one; Ctrl+C ends both.")
    while door.guests:
        time.sleep(0.1)


def carry_out(ws: Workspace, typed: Typed, guest: Guest) -> int:
    """Carry a command out for the process at the other end of a line; returns its exit status."""
    return tree.run(
        Call(typed, lambda text: guest.say({"out": text}), lambda text: guest.say({"err": text}), guest.stdin, guest.pause, ws)
    )


def plain(value: Any) -> Any:
    """As JSON has it: times as ISO text in UTC, numbers that are none as null, dataclasses as objects."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(part) for part in value)
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return plain(value.tolist())
    return str(value)


def picked(value: Any, names: str) -> Row:
    """Some of an object's parts, under their own names."""
    return {name: getattr(value, name) for name in names.split()}


@dataclass(frozen=True)
class Table:
    """Rows as aligned columns, for people."""

    rows: Sequence[Mapping[str, Any]]
    names: str
    empty: str = "There is none."
    widest: int = field(default=60)

    def lines(self) -> list[str]:
        if not self.rows:
            return [self.empty]
        heads = self.names.split()
        cells = [[_cell(row.get(name), self.widest) for name in heads] for row in self.rows]
        return aligned([[head.replace("_", " ") for head in heads], *cells])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells as columns, each as wide as its widest."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]


def _cell(value: Any, widest: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    line = " ".join(str(value).split())
    return line if len(line) <= widest else line[: widest - 1] + "…"


def listed(name: str, rows: Sequence[Row], columns: str, empty: str = "There is none.") -> Told:
    """A list under its name, as a table for people."""
    return Told({name: list(rows)}, Table(rows, columns, empty).lines())


As = Annotated[str, typer.Option("--as", help="The name it is decided under; without it your login name.")]
Out = Annotated[str, typer.Option("--out", help="The file to write; without it a name of its own, here.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the run to its end, or only start it.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Skip = Annotated[int, typer.Option("--skip", min=0, help="Leave out so many first ones.")]
