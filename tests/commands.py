"""Commands for tests: carried out in this process on an open workspace, as the app carries them out for whoever typed them.

Every document is held against what docs/headless.md says of its fields.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from studio.commands import tree
from studio.commands.calls import Call, Typed
from studio.workspace import Workspace
from tests.conftest import ROOT

DOCUMENTED = ROOT / "docs" / "headless.md"


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def run(ws: Workspace, *argv: str, stdin: str = "") -> Ran:
    """A command with plain words."""
    out: list[str] = []
    err: list[str] = []
    typed = Typed((*argv, "--workspace", str(ws.root)), str(ws.root.parent), "ann", False)
    status = tree.run(Call(typed, out.append, err.append, lambda: stdin, workspace=ws))
    return Ran(status, "".join(out), "".join(err))


def told(ws: Workspace, *argv: str, stdin: str = "", status: int = 0) -> Any:
    """The document of a command that must end with this status; its fields are the documented ones."""
    ran = run(ws, *argv, "--json", stdin=stdin)
    assert ran.status == status, f"{' '.join(argv)}\n{ran.out}\n{ran.err}"
    name = next(one for one in (" ".join(argv[:2]), argv[0]) if one in FIELDS)
    usual, _, looked = FIELDS[name].partition(";")
    given, fields = set(ran.document), set(re.findall(r"`([^`]+)`", looked if looked and "--look" in argv else usual))
    assert given == fields or (given < fields and {"--look", "--no-wait"} & set(argv)), name
    return ran.document


def refused(ws: Workspace, *argv: str, stdin: str = "") -> str:
    """The sentence with which a command ends that cannot be done."""
    ran = run(ws, *argv, "--json", stdin=stdin)
    assert (ran.status, sorted(ran.document)) == (1, ["error", "hint"])
    return str(ran.document["error"])


def documented() -> dict[str, str]:
    """The fields of every command's document, as the table in docs/headless.md has them."""
    text = DOCUMENTED.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `tunewright ([^`]+)` \|[^|]*\| ([^|]*) \|$", text, re.MULTILINE))


FIELDS = documented()
