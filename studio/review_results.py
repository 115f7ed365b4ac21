"""What a review session says, put together: what candidates are called, the counts, and what a new one begins with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from studio import grids, review_stats, review_texts, reviews, rivals, runs, slices, verdict_words
from studio.opinions import Judged
from studio.permissions import Given, needs
from studio.review_stats import Result
from studio.review_texts import PLAYGROUND
from studio.reviews import Session
from studio.runs import Run
from studio.workspace import Workspace

MOST = 500


@needs("read")
def names(ws: Workspace, session: Session) -> dict[str, str]:
    """What the candidates are called: `the tuned model`."""
    if session.run_id == PLAYGROUND:
        return review_texts.names(ws, session.candidates)
    return {one: verdict_words.noun(role) for one, role in rivals.roles(runs.get(ws, session.run_id)).items()}


def _veiled(ws: Workspace, found: Result, given: Given) -> Result:
    return _result(ws, given["session"], given.get("who", ""), True) if given["session"].settings.by == "twins" else found


@needs("read", veil=_veiled)
def of(ws: Workspace, session: Session, who: str = "") -> Result:
    """The result as it stands, by slice too. Raises StudioError before it was revealed, or looked at by `who`."""
    return _result(ws, session, who, False)


def usual(run: Run) -> list[str]:
    """Whom one reviews: the last tuned candidate and the one that it must beat first, the base with a good prompt, say."""
    judged, roles = rivals.judged(run), rivals.roles(run)
    others = [one for one in roles if one != judged]
    prompted = [one for one in others if "prompted" in roles[one]]
    return [*(prompted or others)[:1], judged]


def most_pairs(there: int, candidates: int) -> int:
    """So many pairs a session over so many items can have."""
    return min(MOST * candidates, there * candidates * (candidates - 1) // 2)


def shares(pairs: int) -> tuple[int, int, int]:
    """Of so many pairs: for each person, judged by everybody, shown twice."""
    each = min(pairs, 40)
    return each, min(each, 10), min(each // 10, 5)


def disagreed(judged: Sequence[Judged]) -> list[str]:
    """Pairs on which people chose different winners."""
    said: dict[str, set[str]] = defaultdict(set)
    for one in judged:
        if not one.again:
            said[one.pair_id].add(one.winner)
    return [pair for pair, winners in said.items() if len(winners) > 1]


def _result(ws: Workspace, session: Session, who: str, masked: bool) -> Result:
    return review_stats.result(reviews.standing(ws, session.session_id, who), session.settings, session.candidates,
                               session.same, _slices(ws, session, masked))


def _slices(ws: Workspace, session: Session, masked: bool) -> dict[str, list[str]]:
    if session.run_id == PLAYGROUND:
        return {}
    run, grid = runs.get(ws, session.run_id), grids.read(ws, session.run_id)
    parts = slices.part(ws, run, grid, session.settings.by or "tag", masked)
    return {name: [str(grid.items[place]) for place in places] for name, places in parts.items()}
