"""A workspace that another process holds is reached through it: a Unix socket in the workspace's folder.

Who holds the workspace (the app, or a command) serves the socket from a thread; a command that finds it held sends what was
typed there and passes on what comes back. One line of JSON a message. From the command: `{"version", "argv", "cwd", "who",
"terminal"}` first, `{"stdin"}` where it is wanted, `{"stop"}` for Ctrl+C. To the command: `{"out"}`, `{"err"}`, `{"want"}`,
and `{"exit"}` or `{"refused", "hint"}` last. Only this system's user can connect: the socket has mode 0600 in addition to what
the kernel says of who connects.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import struct
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio import locks
from studio.commands.calls import Typed, login
from studio.errors import StudioError

if TYPE_CHECKING:  # whoever only asks imports no database
    from studio.workspace import Workspace

NAME = "held.sock"
LONGEST_PATH = 100
"""Of a socket's address, in bytes: 108 on Linux and 104 on macOS, with the zero at its end."""
MOST_GUESTS, LONGEST_FIRST, LONGEST_STDIN, LONGEST_NAME, PATIENCE_SECONDS = 32, 1 << 20, 64 << 20, 80, 10.0


class Gone(Exception):
    """Whoever watched is gone; what was begun goes on."""


@dataclass
class Guest:
    """The other end of a connection, as the command that is carried out for it sees it."""

    line: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    gone: bool = False

    def say(self, message: Mapping[str, Any]) -> None:
        """Send one message; to somebody who left nothing is sent, and what goes on is not disturbed."""
        if not self.gone:
            try:
                self.line.sendall(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
            except OSError:
                self.gone = True

    def hear(self, seconds: float, longest: int = LONGEST_STDIN) -> dict[str, Any] | None:
        """The next message; None where none came in time. Raises Gone at the end of the line."""
        deadline, looked = time.monotonic() + seconds, 0
        while self.heard.find(b"\n", looked) < 0:
            looked = len(self.heard)
            if self.gone or len(self.heard) > longest:
                raise Gone
            ready, _, _ = select.select([self.line], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            try:
                more = self.line.recv(1 << 16)
            except OSError:
                more = b""
            self.gone = not more
            self.heard += more
        text, _, rest = bytes(self.heard).partition(b"\n")
        self.heard = bytearray(rest)
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise Gone
        return message

    def pause(self, seconds: float) -> None:
        """Wait, as a command does between two looks. Raises KeyboardInterrupt for Ctrl+C there, Gone where nobody is left."""
        message = self.hear(seconds)
        if message is not None and "stop" in message:
            raise KeyboardInterrupt

    def stdin(self) -> str:
        """What stands on the command's standard input, whole."""
        self.say({"want": "stdin"})
        message = self.hear(600.0)
        if message is None or "stop" in message:
            raise KeyboardInterrupt
        return str(message.get("stdin", ""))


CarryOut = Callable[["Workspace", Typed, Guest], int]


class Door:
    """The socket of one open workspace, and the threads that serve it."""

    def __init__(self, ws: Workspace, carry_out: CarryOut) -> None:
        self._ws, self._root, self._carry_out = weakref.ref(ws), ws.root, carry_out
        self._guests: set[threading.Thread] = set()
        self._closing = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = ws.root / NAME
        path.unlink(missing_ok=True)  # of a holder that was killed; the workspace's lock is ours
        with _address(ws.root) as address:
            self._socket.bind(address)
        path.chmod(0o600)  # before anybody can connect: nobody is listened to yet
        self._socket.listen(MOST_GUESTS)
        self._socket.settimeout(0.3)
        threading.Thread(target=self._serve, name="held", daemon=True).start()

    @property
    def guests(self) -> int:
        return sum(one.is_alive() for one in list(self._guests))

    def close(self) -> None:
        """Let nobody else in; whoever is inside can end what they do."""
        if self._closing:
            return
        self._closing = True
        self._socket.close()
        with suppress(OSError):
            (self._root / NAME).unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._closing and (ws := self._ws()) is not None and not ws.closed:
            del ws
            try:
                line, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                break
            self._guests = {one for one in self._guests if one.is_alive()}
            guest = threading.Thread(target=self._let_in, args=(Guest(line),), name="held-guest", daemon=True)
            self._guests.add(guest)
            guest.start()
        self.close()

    def _let_in(self, guest: Guest) -> None:
        with guest.line, suppress(Gone):
            guest.line.setblocking(True)
            first = guest.hear(PATIENCE_SECONDS, LONGEST_FIRST)
            if first is None:
                return
            if not _same_user(guest.line):
                guest.say({"refused": "Another user of this system has this workspace open, and takes no commands of others.",
                           "hint": f"Type it as that one: sudo -u {login()} tunewright …"})  # fmt: skip
                return
            if self.guests > MOST_GUESTS:
                guest.say({"refused": f"{MOST_GUESTS} commands are at work here already.", "hint": "Wait for the end of one."})
                return
            if (theirs := first.get("version")) != (ours := locks.version()):
                guest.say(
                    {
                        "refused": f"The Tunewright that has this workspace open is version {ours}, this command {theirs}.",
                        "hint": "Restart the one that has it open, or update the other.",
                    }
                )
                return
            typed = Typed(
                tuple(map(str, first.get("argv", ()))),
                str(first.get("cwd", "/")),
                str(first.get("who", ""))[:LONGEST_NAME],
                bool(first.get("terminal")),
            )
            if (ws := self._ws()) is not None and not ws.closed:
                guest.say({"exit": self._status(ws, typed, guest)})

    def _status(self, ws: Workspace, typed: Typed, guest: Guest) -> int:
        try:
            return self._carry_out(ws, typed, guest)
        except Gone:
            return 130
        except Exception:
            traceback.print_exc()  # a bug: its place is the holder's log
            guest.say(
                {"err": "Something broke unexpectedly. The log of the Tunewright that has the workspace open says where.\n"}
            )
            return 1


_doors: weakref.WeakKeyDictionary[Workspace, Door] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def serve(ws: Workspace, carry_out: CarryOut) -> Door | None:
    """Take commands for this workspace, from now until it is closed; asked once or often. None where the folder's file system
    has no sockets: the workspace is used all the same, and a command says that it is held."""
    with _opening:
        if ws not in _doors:
            try:
                _doors[ws] = Door(ws, carry_out)
            except OSError:
                traceback.print_exc()
                return None
        return _doors[ws]


def ask(
    root: Path, typed: Typed, out: Callable[[str], None], err: Callable[[str], None], stdin: Callable[[], str]
) -> int | None:
    """Let the holder of the workspace carry a command out; returns its exit status, None where nobody takes commands there.

    Raises StudioError where the holder refuses it, or goes away before its end. Ctrl+C is passed on; what was begun goes on.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            with _address(root) as address:
                line.connect(address)
        except OSError:
            return None
        guest = Guest(line)
        guest.say(
            {"version": locks.version(), "argv": typed.argv, "cwd": typed.cwd, "who": typed.who, "terminal": typed.terminal}
        )
        try:
            return _passed_on(guest, out, err, stdin)
        except Gone:
            raise StudioError(
                "The Tunewright that has the workspace open went away before the end of this command.",
                "Look on the Runs page, or with `tunewright runs list`, how far it came.",
            ) from None
        except KeyboardInterrupt:
            guest.say({"stop": True})
            return _passed_on(guest, out, err, stdin)  # its last words; another Ctrl+C ends it at once


def _passed_on(guest: Guest, out: Callable[[str], None], err: Callable[[str], None], stdin: Callable[[], str]) -> int:
    while True:
        message = guest.hear(3_600.0) or {}
        if "out" in message:
            out(message["out"])
        elif "err" in message:
            err(message["err"])
        elif "want" in message:
            guest.say({"stdin": stdin()})
        elif "refused" in message:
            raise StudioError(message["refused"], message.get("hint", ""))
        elif "exit" in message:
            return int(message["exit"])


@contextmanager
def _address(root: Path) -> Iterator[str]:
    """The socket's path, or a short way to it: such addresses are cut off at about a hundred bytes."""
    path = str(root / NAME)
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield path
        return
    short = Path(tempfile.mkdtemp(prefix="tw-"))
    try:
        (short / "w").symlink_to(root)
        yield str(short / "w" / NAME)
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _same_user(line: socket.socket) -> bool:
    """Whether the process at the other end is of this user; where the system does not tell, the socket's mode must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(user == os.getuid())
