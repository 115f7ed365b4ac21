"""Functions that people write: saved by their form, run in a process of their own, and never able to harm a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from pipeline.errors import PipelineError
from pipeline.examples import Example
from pipeline.scoring.own import OwnFunction, Scored
from studio import own_metrics
from studio.errors import StudioError
from studio.workspace import Workspace

ITEM = Example("i1", ({"role": "user", "content": "How long?"}, {"role": "assistant", "content": "Two days."}))
CODE = '''import os, re, time

def score(answer, reference, item):
    print("noise")
    if answer == "sleep":
        time.sleep(60)
    if answer == "regex":
        re.match(r"(a+)+$", "a" * 40 + "b")
    if answer == "die":
        os._exit(3)
    if answer == "exit":
        raise SystemExit
    if answer == "divide":
        return 1 / 0
    if answer == "memory":
        return len(bytearray(64 << 30))
    if answer in ("nan", "inf"):
        return float(answer)
    if answer == "word":
        return "1"
    if answer == "nothing":
        return None
    if answer == "key":
        return float(any("SECRET" in name for name in os.environ))
    if answer == "true":
        return True
    return len(answer) / len(reference) + len(item["messages"])
'''


@pytest.fixture(scope="module")
def function() -> Iterator[OwnFunction]:
    os.environ["TUNEWRIGHT_SECRET"] = "sk-secret"
    with OwnFunction("mine", {"code": CODE}, call_seconds=0.4) as made:
        yield made
    del os.environ["TUNEWRIGHT_SECRET"]


@pytest.mark.parametrize(("answer", "value"), [("Three days.", 11 / 9 + 2), ("true", 1.0), ("key", 0.0)])
def test_it_gets_the_answer_the_reference_and_the_item_and_no_key(function: OwnFunction, answer: str, value: float) -> None:
    assert function.score(answer, "Two days.", ITEM) == Scored(value)


@pytest.mark.parametrize(
    ("answer", "line", "words"),
    [
        ("divide", 14, "ZeroDivisionError: division by zero"),
        ("exit", 12, "SystemExit"),
        ("memory", 16, "MemoryError"),
        ("nan", None, "It returned nan, which is not a number that can be averaged."),
        ("inf", None, "It returned inf, which is not a number that can be averaged."),
        ("word", None, "It returned str, not a number."),
        ("nothing", None, "It returned NoneType, not a number."),
        ("die", None, "Its process ended."),
    ],
)
def test_what_goes_wrong_is_said_with_its_line(function: OwnFunction, answer: str, line: int | None, words: str) -> None:
    assert function.score(answer, "Two days.", ITEM) == Scored(None, words, line)


@pytest.mark.parametrize("answer", ["sleep", "regex"])
def test_a_call_that_hangs_is_cut_off_and_the_next_one_answered(function: OwnFunction, answer: str) -> None:
    began = time.monotonic()
    assert function.score(answer, "Two days.", ITEM) == Scored(None, "It took longer than 0.4 seconds.")
    assert function.score("Two days.", "Two days.", ITEM) == Scored(3.0) and time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("code", "words"),
    [("def score(a:\n", "line 1"), ("import nowhere_at_all\n", "ModuleNotFoundError"), ("x = 1\n", "no function named score")],
)
def test_code_that_cannot_be_run_is_refused_in_words(code: str, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        OwnFunction("mine", {"code": code})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def score(answer, reference, item)\n    return 1\n", "Line 1 is not Python"),
        ("def rate(answer, reference, item):\n    return 1\n", "no function named score"),
        ("\n\ndef score(answer):\n    return 1\n", "Line 3: score takes 1 arguments"),
        ("def score(answer, reference, item):\n    return '\0'\n", "does not allow|not Python"),
    ],
)
def test_the_app_reads_the_form_and_runs_nothing(ws: Workspace, code: str, words: str) -> None:
    with pytest.raises(StudioError, match=words):
        own_metrics.save(ws, "mine", code, "ann")


def test_saving_never_runs_the_code(ws: Workspace) -> None:
    own_metrics.save(ws, "mine", f"open({str(ws.root / 'ran')!r}, 'w')\n{own_metrics.EXAMPLE}", "ann")
    assert not (ws.root / "ran").exists()


def test_the_newest_word_on_a_name_counts_and_an_empty_one_deletes(ws: Workspace) -> None:
    own_metrics.save(ws, "Asks back", own_metrics.EXAMPLE, "ann")
    own_metrics.save(ws, "asks back", own_metrics.EXAMPLE + "# better\n", "bob")
    found = [(one.name, one.who) for one in own_metrics.every(ws)]
    own_metrics.delete(ws, "asks back", "bob")
    assert (found, own_metrics.every(ws)) == ([("asks back", "bob")], [])
