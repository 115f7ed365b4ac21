"""Scores that people write: a small Python function under a name. The app reads its form and never runs it.

The newest word on a name counts; deleting is one more row.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from studio import named
from studio.errors import StudioError
from studio.named import OWN_METRICS
from studio.permissions import needs
from studio.workspace import Workspace

LONGEST_NAME, LONGEST_CODE = OWN_METRICS.longest_name, 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]*")
EXAMPLE = '''def score(answer, reference, item):
    """A number, higher is better: here, whether the answer ends with a question."""
    return 1.0 if answer.rstrip().endswith("?") else 0.0
'''
"""What the editor begins with. `item` has "id" and "messages", the conversation with the reference as its last turn."""


@dataclass(frozen=True)
class OwnMetric:
    """`own_metric_id` changes with every change."""

    own_metric_id: str
    name: str
    code: str
    who: str


@needs("read")
def every(ws: Workspace) -> list[OwnMetric]:
    """By name."""
    return [OwnMetric(row["own_metric_id"], row["name"], row["code"], row["who"]) for row in named.every(ws, OWN_METRICS)]


@needs("read")
def get(ws: Workspace, name: str) -> OwnMetric:
    """Raises StudioError where there is none of that name."""
    found = next((one for one in every(ws) if one.name == name), None)
    if found is None:
        raise StudioError(f"There is no own score called {name}.", "Reload the page; it may have been deleted already.")
    return found


@needs("run")
def save(ws: Workspace, name: str, code: str, who: str) -> OwnMetric:
    """Keep a function under a name; what stood under it before is replaced. Raises StudioError for what cannot be one."""
    name = " ".join(name.split())
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise StudioError(f"A score needs a name of letters, digits, spaces and . _ - with at most {LONGEST_NAME} characters.")
    if len(code) > LONGEST_CODE:
        raise StudioError(f"A function has at most {LONGEST_CODE:,} characters.")
    _check(code)
    return OwnMetric(named.say(ws, OWN_METRICS, name, code, who), name, code, who)


@needs("run")
def delete(ws: Workspace, name: str, who: str) -> None:
    """Take a function off the list; scores it gave stay. Raises StudioError where there is none of that name."""
    named.delete(ws, OWN_METRICS, name, who)


def _check(code: str) -> None:
    """Raises StudioError, with the line, where the code is no Python or has no function `score` of three arguments."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise StudioError(f"Line {error.lineno or 1} is not Python: {error.msg}.", "Mend that line, then save again.") from None
    except ValueError:
        raise StudioError("The function holds a character that Python does not allow.", "Type it anew.") from None
    found = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "score"), None)
    if found is None:
        raise StudioError("There is no function named score.", "Begin with: def score(answer, reference, item):")
    taken = len(found.args.posonlyargs) + len(found.args.args)
    if not (taken - len(found.args.defaults) <= 3 <= taken or (found.args.vararg and taken <= 3)):
        raise StudioError(f"Line {found.lineno}: score takes {taken} arguments.",
                          "It is called with three: def score(answer, reference, item):")
