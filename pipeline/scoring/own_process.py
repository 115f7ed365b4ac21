"""The other side of `scoring.own`: a process of its own that runs a function somebody wrote, one answer at a time.

It is started by its path, knows nothing of the pipeline, and has no key in its environment. Lines in: first
{"code"} or {"pattern"}, then {"answer", "reference", "item"}; lines out: {"value"} or {"line", "words"}. What the function
prints goes nowhere.
"""

import json
import math
import os
import re
import resource
import sys
import traceback

NAME = "<score>"
MEMORY = 4 << 30
_MOST_WORDS = 300


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    function, said = None, {}
    for line in sys.stdin:
        asked = json.loads(line)
        if function is None:
            function, said = made(asked)
        else:
            said = called(function, asked)
        out.write(json.dumps(said) + "\n")
        out.flush()
        if function is None:
            return


def made(asked):
    """The function, or None, and what to say of it."""
    try:
        if "pattern" in asked:
            pattern = re.compile(asked["pattern"])
            return (lambda answer, reference, item: float(bool(pattern.search(answer)))), {"value": 0.0}
        space = {"__name__": "own_metric"}
        exec(compile(asked["code"], NAME, "exec"), space)
        if not callable(space.get("score")):
            return None, {"line": None, "words": "There is no function named score."}
        return space["score"], {"value": 0.0}
    except BaseException as error:
        return None, broken(error)


def called(function, asked):
    try:
        value = function(asked["answer"], asked["reference"], asked["item"])
    except BaseException as error:
        return broken(error)
    if isinstance(value, bool):
        return {"value": float(value)}
    try:
        number = float(value) if not isinstance(value, str | bytes) else None
    except Exception:
        number = None
    if number is None:
        return {"line": None, "words": f"It returned {type(value).__name__}, not a number."}
    if not math.isfinite(number):
        return {"line": None, "words": f"It returned {number}, which is not a number that can be averaged."}
    return {"value": number}


def broken(error):
    """The line of their code, and the kind of error with its words."""
    if isinstance(error, SyntaxError) and error.filename == NAME:
        return {"line": error.lineno, "words": f"{type(error).__name__}: {error.msg}"}
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == NAME]
    try:
        words = str(error)[:_MOST_WORDS]
    except Exception:
        words = ""
    kind = type(error).__name__
    return {"line": lines[-1] if lines else None, "words": f"{kind}: {words}" if words else kind}


if __name__ == "__main__":
    main()
