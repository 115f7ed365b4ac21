"""What an answer depends on, in one key, so that none is generated or paid for twice. Light: imports no engine.

The app looks up which keys earlier evaluations have and leaves those answers beside the spec (known.jsonl); the child takes
them instead of asking again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.examples import Example, Turn
from pipeline.scoring import probes
from pipeline.specs import Candidate, Decoding, EvaluateSpec

KNOWN = "known.jsonl"
PROBE_TOKENS = 64
"""The longest answer to a question of the general suite: all of them are short ones."""


@dataclass(frozen=True)
class Wanted:
    """One answer that an evaluation wants of a candidate."""

    example: Example
    sample: int
    decoding: Decoding
    key: str

    @property
    def is_probe(self) -> bool:
        return self.example.id.startswith(probes.PREFIX)


def answer_key(candidate: Candidate, decoding: Decoding, item: Example, sample: int) -> str:
    """The SHA-256 of all that an answer depends on: who answers, with which prompt, how, to what, and which sample it is.

    The item's reference answer is no part of it, nor how many are answered at once, nor what names or prices people gave.
    """
    asked = [item.question, item.tools]
    text = json.dumps([_of_candidate(candidate, _of_decoding(decoding)), asked, sample], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def wanted(spec: EvaluateSpec, candidate: Candidate, items: Sequence[Example]) -> list[Wanted]:
    """Every answer that the evaluation wants of this candidate: each sample of each item, then the general suite.

    The suite asks what the model itself knows, so it comes without the candidate's prompt and examples; candidates of one
    model share those answers.
    """
    found = [Wanted(item, sample, spec.decoding, answer_key(candidate, spec.decoding, item, sample))
             for item in items for sample in range(spec.decoding.samples)]
    if spec.probes:
        plain = candidate.model_copy(update={"system": None, "shots": None})
        short = Decoding(max_new_tokens=min(PROBE_TOKENS, spec.decoding.max_new_tokens))
        found += [Wanted(probe, 0, short, answer_key(plain, short, probe, 0)) for probe in probes.items()]
    return found


def conversation(candidate: Candidate, item: Example, shots: Sequence[Example] = ()) -> Example:
    """The item as the candidate is asked it: its own system prompt in place of the item's (an empty one: none), then the
    examples as earlier turns, then the question."""
    given, asked = _without_system(item.question)
    if candidate.system is not None:
        given = ({"role": "system", "content": candidate.system},) if candidate.system.strip() else ()
    before = tuple(turn for shot in shots for turn in _without_system(shot.messages)[1])
    return Example(item.id, (*given, *before, *asked, item.messages[-1]), item.tools)


def _without_system(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    first = 1 if turns and turns[0]["role"] == "system" else 0
    return tuple(turns[:first]), tuple(turns[first:])


def _of_decoding(decoding: Decoding) -> tuple[Any, ...]:
    """Greedy answers do not depend on a seed; no sample depends on how many there are."""
    drawn = (decoding.temperature, decoding.top_p, decoding.seed) if decoding.temperature else ()
    return (decoding.max_new_tokens, *drawn)


@lru_cache(maxsize=64)
def _of_candidate(candidate: Candidate, decoding: tuple[Any, ...]) -> str:
    if candidate.endpoint is not None:
        who: Any = ["endpoint", candidate.endpoint.base_url, candidate.endpoint.model]
    elif candidate.base is not None:
        who = ["local", candidate.base.kind, candidate.base.ref, bool(candidate.adapter), candidate.sha256, candidate.method]
        who += [candidate.adapter] if candidate.adapter and not candidate.sha256 else []
    shots = candidate.shots
    given = [shots.sha256 or shots.train_file, shots.examples, shots.choice] if shots else None
    text = json.dumps([who, candidate.system, given, decoding], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
