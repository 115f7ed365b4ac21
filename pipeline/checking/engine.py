"""A check run: privacy, cleaning and quality of each record in two processes, then what only all records together show.

Reads `records.jsonl`, lines of `{"id", "people", "own", "messages", "look"}`: where `look` is false a record only counts among
all; `own` are made-up values put into it before. Writes `findings.jsonl`, chunk by chunk. A line of `chunks.jsonl` says how far
both files are, so that a run goes on after the last whole chunk. `records.jsonl` holds personal data: the app, which wrote it,
deletes it when it collects the run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.checking.cleaning import cleaning_findings
from pipeline.checking.corpus import NOT_WORTH, Corpus, answer_worth
from pipeline.checking.finding import Finding, Messages
from pipeline.checking.kinds import BY_KEY
from pipeline.checking.language import main_language
from pipeline.checking.privacy import privacy_findings
from pipeline.checking.privacy_names import NameFinder, name_finder
from pipeline.checking.quality import estimated_tokens, quality_findings
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child, mend_last_line, read_lines
from pipeline.specs import CheckSpec
from pipeline.workers import end_with_the_run

RECORDS, FINDINGS, CHUNKS = "records.jsonl", "findings.jsonl", "chunks.jsonl"
LOOK_SECONDS = 0.3
NOT_NEEDED = ("torch", "transformers", "stanza", "tensorflow")
"""Presidio and spaCy load these where they are installed, for what is not used here: five seconds instead of one."""

TURN_TOKENS = 5
"""ChatML's marks: <|im_start|>, the role, a line end, <|im_end|>, a line end."""

SAMPLE = 3_000
LANGUAGE_SAMPLE = 400
SMALL_FILE = 16 << 20
Line = dict[str, Any]


@dataclass(frozen=True)
class Chunk:
    """How far a run is after a chunk: bytes of records read, bytes of findings written, and what those hold."""

    read: int
    written: int
    looked: int
    kinds: dict[str, int]


@dataclass(frozen=True)
class _Work:
    """What a worker needs to check a record."""

    path: Path
    context_tokens: int | None
    language: str | None
    own: tuple[str, ...]
    names_model: str
    tokenizer: Path | None


def run(child: Child, spec: CheckSpec, workspace: Path) -> dict[str, Any]:
    """Check, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    path = child.folder / RECORDS
    if not path.is_file():
        raise PipelineError("The records to check are gone from the run folder.", "Start a new check.")
    began, started_at = time.monotonic(), _resume(child.folder)
    child.say("loading", sentence="Loading the checks")
    _finder(spec.names_model)  # a model that is not there is said at once, not by a worker in the middle
    sample = _sample(path)
    language = spec.language or _main_language(sample)
    tokenizer = workspace / spec.tokenizer if spec.tokenizer else None
    work = _Work(path, spec.context_tokens, language, spec.own, spec.names_model, tokenizer)
    counted = _each(child, spec, work, started_at)
    counted = _together(child, spec, path, counted)
    child.say("judging", sentence="Judging whether the answers are worth training on")
    worth = answer_worth([(row["id"], row["messages"]) for row in sample])
    return {"records": spec.records, "checked": counted.looked, "findings": sum(counted.kinds.values()), "kinds": counted.kinds,
            "language": language, "answer_worth": worth, "worth_training": not worth[0][0].startswith(NOT_WORTH),
            "seconds": time.monotonic() - began}


def done_words(data: dict[str, Any]) -> str:
    kinds = sum(1 for times in data["kinds"].values() if times)
    return f"Checked {_count(data['checked'], 'record')}: {_count(data['findings'], 'finding')} of {_count(kinds, 'kind')}."


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _resume(folder: Path) -> Chunk:
    """The last whole chunk; what was written after it is cut off."""
    mend_last_line(folder / CHUNKS)
    findings = folder / FINDINGS
    findings.touch()
    size = findings.stat().st_size
    # A lost machine may have kept the newer line of one file and not of the other.
    whole = [chunk for row in read_lines(folder / CHUNKS) if (chunk := Chunk(**row)).written <= size]
    last = whole[-1] if whole else Chunk(0, 0, 0, {})
    os.truncate(findings, last.written)
    return last


def _each(child: Child, spec: CheckSpec, work: _Work, last: Chunk) -> Chunk:
    """Look at every record from the last chunk on; the chunks are worked on side by side and written in order."""
    size = work.path.stat().st_size
    waiting: deque[tuple[int, Future[tuple[str, int, dict[str, int]]]]] = deque()
    # Spawned, not forked: a forked worker would keep the run's lock after the death of this process.
    pool = ProcessPoolExecutor(min(spec.workers, -(-size // spec.chunk_bytes) or 1), multiprocessing.get_context("spawn"),
                               initializer=_begin, initargs=(work,))
    try:
        begin = last.read
        while begin < size or waiting:
            while begin < size and len(waiting) < 2 * spec.workers + 2:
                end = min(size, begin + spec.chunk_bytes)
                waiting.append((end, pool.submit(_check_chunk, begin, end)))
                begin = end
            end, future = waiting.popleft()
            text, looked, kinds = _result(child, future, last, spec)
            last = _keep(child.folder, last, end, text, looked, kinds)
            child.say("checking", last.looked, spec.to_check, "records", "Checking each record")
        return last
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():  # what they were at is done again by a resumed run
            process.terminate()


def _result(child: Child, future: Future[tuple[str, int, dict[str, int]]], last: Chunk,
            spec: CheckSpec) -> tuple[str, int, dict[str, int]]:
    while True:
        if child.stop_requested():
            raise Stopped(f"Stopped after {last.looked:,} of {spec.to_check:,} records, as asked; what was found is kept.")
        try:
            return future.result(timeout=LOOK_SECONDS)
        except NotYet:
            continue
        except BrokenProcessPool:
            raise PipelineError("A process that checks records was killed, most likely for want of memory.",
                                "Free some memory, then resume: it goes on after the last whole chunk.") from None


def _keep(folder: Path, last: Chunk, read: int, text: str, looked: int, kinds: dict[str, int]) -> Chunk:
    """Findings first, then the line that says they are there."""
    content = text.encode()
    with (folder / FINDINGS).open("ab") as file:
        file.write(content)
    kept = Chunk(read, last.written + len(content), last.looked + looked, dict(Counter(last.kinds) + Counter(kinds)))
    with (folder / CHUNKS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(kept)) + "\n")
    return kept


# In the workers ---------------------------------------------------------------------------------------------------------

_work: _Work | None = None


def _begin(work: _Work) -> None:
    """Remember what to do, and end when the run's process ends: a killed run must leave nobody behind."""
    global _work
    _work = work
    for name in () if work.names_model else NOT_NEEDED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    end_with_the_run()


def _check_chunk(begin: int, end: int) -> tuple[str, int, dict[str, int]]:
    """The findings of the records whose lines begin in these bytes, as lines; how many were looked at; of each kind."""
    assert _work is not None
    lines, looked, kinds = [], 0, Counter[str]()
    for row in _rows(_work.path, begin, end):
        if row["look"]:
            looked += 1
            found = check_record(row["messages"], row["people"] or [], _work, row.get("own") or [])
            lines += [_line(row["id"], finding) for finding in found]
            kinds.update(finding.kind for finding in found if _shown(finding))
    return "".join(lines), looked, dict(kinds)


def check_record(messages: Messages, people: list[str], work: _Work, own: Sequence[str] = ()) -> list[Finding]:
    """All that one record shows by itself. A check that breaks becomes a finding: one odd record must not stop a million."""
    found: list[Finding] = []
    known, finder = [*work.own, *own], _finder(work.names_model)
    for name, check in (("personal data", lambda: privacy_findings(messages, people, known, finder)),
                        ("what to clean", lambda: cleaning_findings(messages)),
                        ("quality", lambda: quality_findings(messages, work.context_tokens, work.language,
                                                             _counter(messages, work)))):
        try:
            found += check()
        except PipelineError:
            raise
        except Exception as error:
            found.append(Finding("not_checked", -1, 0, 0, 1.0, f"The check for {name} broke ({type(error).__name__})."))
    return found


@cache
def _finder(model: str) -> NameFinder | None:
    return name_finder(model) if model else None


def _counter(messages: Messages, work: _Work) -> Callable[[Messages], int] | None:
    """Real lengths only where the estimate comes near the limit: counting takes ten times as long as the other checks."""
    if work.tokenizer is None or not work.context_tokens or estimated_tokens(messages) < work.context_tokens / 2:
        return None
    return _length(work.tokenizer)


@cache
def _length(path: Path) -> Callable[[Messages], int]:
    """Tokens of the texts by the model's own tokenizer, and TURN_TOKENS a turn for what its template puts around them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda messages: sum(len(tokenizer.encode(turn["content"]).ids) + TURN_TOKENS for turn in messages)


# Over all records -------------------------------------------------------------------------------------------------------

def _together(child: Child, spec: CheckSpec, path: Path, last: Chunk) -> Chunk:
    """Two readings of all records: count, then compare. Begun anew by a resumed run."""
    corpus = Corpus()
    for row in _watched(child, spec, path, "counting", "Counting what is said again and again"):
        corpus.count(row["messages"])
    found: list[tuple[str, Finding]] = []
    for row in _watched(child, spec, path, "comparing", "Comparing records with each other"):
        found += [(row["id"], finding) for finding in corpus.findings(row["id"], row["messages"])]
        if len(found) > 10_000:
            last = _keep_corpus(child.folder, last, found)
            found = []
    return _keep_corpus(child.folder, last, found + list(corpus.rest()))


def _keep_corpus(folder: Path, last: Chunk, found: list[tuple[str, Finding]]) -> Chunk:
    """Like a chunk, but not noted as one, so that a resumed run cuts it off and compares anew."""
    content = "".join(_line(record_id, finding) for record_id, finding in found).encode()
    with (folder / FINDINGS).open("ab") as file:
        file.write(content)
    kinds = Counter(last.kinds) + Counter(finding.kind for _, finding in found if _shown(finding))
    return Chunk(last.read, last.written + len(content), last.looked, dict(kinds))


def _watched(child: Child, spec: CheckSpec, path: Path, phase: str, sentence: str) -> Iterator[Line]:
    for done, row in enumerate(_rows(path, 0, path.stat().st_size)):
        if done % 200 == 0:
            child.say(phase, done, spec.records, "records", sentence)
            if child.stop_requested():
                raise Stopped("Stopped while records were compared, as asked; what was found in each of them is kept.")
        yield row


def _main_language(sample: list[Line]) -> str | None:
    return main_language(turn["content"] for row in sample[:LANGUAGE_SAMPLE] for turn in row["messages"]
                         if turn["role"] != "system")


def _sample(path: Path) -> list[Line]:
    """Up to 3,000 records in random order, the same ones for the same file."""
    size, dice = path.stat().st_size, random.Random(0)
    if size <= SMALL_FILE:
        found = list(_rows(path, 0, size))
        return dice.sample(found, min(SAMPLE, len(found)))
    places = sorted(dice.sample(range(size), SAMPLE))
    taken = {row["id"]: row for place in places for row in _first(path, place, size)}
    return dice.sample(list(taken.values()), len(taken))


def _first(path: Path, begin: int, end: int) -> Iterator[Line]:
    for row in _rows(path, begin, end):
        yield row
        return


def _rows(path: Path, begin: int, end: int) -> Iterator[Line]:
    """The records whose lines begin in these bytes."""
    with path.open("rb") as file:
        if begin:
            file.seek(begin - 1)
            begin += len(file.readline()) - 1
        while begin < end and (line := file.readline()):
            begin += len(line)
            yield json.loads(line)


def _line(record_id: str, found: Finding) -> str:
    return json.dumps({"record_id": record_id, "kind": found.kind, "turn": found.turn, "start": found.start, "end_": found.end,
                       "score": found.score, "evidence": found.evidence, "replacement": found.replacement},
                      ensure_ascii=False) + "\n"


def _shown(found: Finding) -> bool:
    return found.score >= BY_KEY[found.kind].threshold
