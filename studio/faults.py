"""Faults: what reviewers marked in answers, counted by candidate and kind. One that comes back is a finding, and a slice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio import reviews, rivals, runs, verdicts
from studio.opinions import FAULTS, Judged
from studio.permissions import needs
from studio.verdicts import Interval
from studio.workspace import Workspace

REPEATED = 3
"""Marked on so many items of one candidate, a fault is one that comes back."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault of one candidate: the items it was marked on, of `judged` items, and what people wrote beside the
    marks."""

    candidate: str
    kind: str
    items: tuple[str, ...]
    judged: int
    share: Interval
    notes: tuple[str, ...]

    @property
    def repeated(self) -> bool:
        return len(self.items) >= REPEATED

    @property
    def title(self) -> str:
        return FAULTS[self.kind]


def count(judged: Sequence[Judged]) -> list[Fault]:
    """Every kind that was marked, the most frequent first. Hidden repeats are left out; an item counts once for a candidate."""
    seen: dict[str, set[str]] = defaultdict(set)
    marked: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    notes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in judged:
        if one.again:
            continue
        sides = {"a": one.a, "b": one.b}
        for candidate in sides.values():
            seen[candidate].add(one.item_id)
        for fault in one.faults:
            marked[sides[fault.side], fault.kind][one.item_id] = None
            if fault.note:
                notes[sides[fault.side], fault.kind].append(fault.note)
    found = [Fault(candidate, kind, tuple(items), len(seen[candidate]), verdicts.wilson(len(items), len(seen[candidate])),
                   tuple(notes[candidate, kind])) for (candidate, kind), items in marked.items()]
    return sorted(found, key=lambda one: (-len(one.items), one.candidate, one.kind))


@needs("read")
def of_evaluation(ws: Workspace, run_id: str) -> Mapping[str, tuple[str, ...]]:
    """The items of an evaluation by the fault that revealed sessions marked, named by kind and candidate: parts for slices."""
    sessions = [one for one in reviews.sessions(ws, run_id) if one.revealed]
    if not sessions:
        return {}
    roles = rivals.roles(runs.get(ws, run_id))
    judged = [one for session in sessions for one in reviews.standing(ws, session.session_id)]
    return {f"{one.title} ({roles.get(one.candidate, 'another')})": one.items for one in count(judged)}
