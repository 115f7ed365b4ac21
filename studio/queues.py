"""Queues: which record comes next, for whom, in what order, so that nobody waits and no two people read the same one.

One process has the database open, so the queue is kept in memory (`studio/boards.py`); what people said is in the tables, from
which it is made at the first question and kept up with every later one. A record that is handed out is leased: nobody else gets
it until it is answered, skipped or given back, its session leaves, or nothing was heard for ten minutes.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from studio import places
from studio.boards import REVIEWING, Board, Order, QueueFilter
from studio.permissions import needs
from studio.workspace import Workspace

__all__ = ["Order", "PersonProgress", "Progress", "QueueFilter"]

LEASE = timedelta(minutes=10)
LONGEST_LOOK_S = 300.0
"""A record that lay open for longer counts as this long: somebody was at lunch."""
_boards: weakref.WeakKeyDictionary[Workspace, dict[str, Board]] = weakref.WeakKeyDictionary()
_making = threading.Lock()
KEPT_BOARDS = 8


@dataclass(frozen=True)
class PersonProgress:
    """What one person did in a set: answers and skips that stand, answers today (UTC), answers an hour of labelling (from the
    seconds each record lay before them; None where they are not known), and the median of these seconds."""

    who: str
    answered: int
    skipped: int
    today: int
    per_hour: float | None
    median_seconds: float | None


@dataclass(frozen=True)
class Progress:
    """How far a set is: `done` of `total` records that nobody dropped have all the answers they need; `answers` stand."""

    total: int
    done: int
    answers: int
    people: tuple[PersonProgress, ...]


@needs("label", looks=True)
def window(ws: Workspace, chosen: QueueFilter, order: Order, who: str, session: str, limit: int, after: str = "") -> list[str]:
    """The next records for this person, leased to their session, in order: those behind the record `after`, and when the end is
    reached, from the start again what the session does not hold yet.

    Every call renews the session's leases. Raises StudioError where there is no such set, or nothing to order by yet.
    """
    board = _board(ws, chosen.set_id)
    with board.lock:
        board.sync(ws)
        now = ws.now()
        board.expire(now)
        board.renew(session, now + LEASE)
        sequence = board.sequence(ws, order)
        mask = board.mask(ws, chosen, order, who)
        start = board.behind(ws, order, after)
        found: list[str] = []
        for part, wrapped in ((sequence[start:], False), (sequence[:start], True)):
            picked = board.pick(ws, part, mask, session, limit - len(found), again=not wrapped)
            found += [place.record_id for place in picked]
            if chosen.show not in REVIEWING:
                board.lease([place.position for place in picked], who, session, now + LEASE)
        return found


@needs("label", looks=True)
def renew(ws: Workspace, set_id: str, who: str, session: str, record_ids: Sequence[str]) -> list[str]:
    """Take the leases of records that a browser still holds, after a restart say; returns those that somebody else has now,
    or that have all their answers."""
    board = _board(ws, set_id)
    with board.lock:
        board.sync(ws)
        now = ws.now()
        board.expire(now)
        held = {record_id: board.position(ws, record_id) for record_id in record_ids}
        free = {record_id for record_id, position in held.items() if position >= 0 and board.open_for(position, who, session)}
        board.lease([held[record_id] for record_id in free], who, session, now + LEASE)
        board.renew(session, now + LEASE)
    return [record_id for record_id in record_ids if record_id not in free]


@needs("label", looks=True)
def give_back(ws: Workspace, set_id: str, session: str, record_ids: Sequence[str]) -> None:
    """Let go of records that the session holds but will not answer (it changed its filter, say)."""
    board = _board(ws, set_id)
    with board.lock:
        board.release(session, {board.position(ws, record_id) for record_id in record_ids})


@needs("label", looks=True)
def leave(ws: Workspace, session: str) -> None:
    """The session is over: everything it holds, in any set, goes back."""
    for board in list(_boards.get(ws, {}).values()):
        with board.lock:
            board.release(session)


@needs("label", looks=True)
def elsewhere(ws: Workspace, chosen: QueueFilter, who: str, session: str) -> int:
    """How many records would be this person's, were they not before somebody else right now."""
    board = _board(ws, chosen.set_id)
    with board.lock:
        board.sync(ws)
        board.expire(ws.now())
        mask = board.mask(ws, chosen, "oldest", who)
        return sum(1 for position, lease in board.leases.items() if lease.session != session and mask[position])


@needs("label", looks=True)
def size(ws: Workspace, chosen: QueueFilter, who: str) -> int:
    """How many records the filter shows this person, those before others included."""
    board = _board(ws, chosen.set_id)
    with board.lock:
        board.sync(ws)
        return int(np.count_nonzero(board.mask(ws, chosen, "oldest", who)))


@needs("read")
def progress(ws: Workspace, set_id: str) -> Progress:
    board = _board(ws, set_id)
    with board.lock:
        board.sync(ws)
        total, done = board.done(ws)
    people = tuple(_person(row) for row in ws.rows(
        """select who, count(*) filter (state = 'answered') as answered, count(*) filter (state = 'skipped') as skipped,
               count(*) filter (state = 'answered' and said_at >= ?) as today,
               count(seconds) filter (state = 'answered') as timed,
               sum(least(seconds, ?)) filter (state = 'answered') as spent,
               median(seconds) filter (state = 'answered') as middle
           from label_now where set_id = ? and state <> 'undone' group by who order by answered desc, who""",
        [ws.now().replace(hour=0, minute=0, second=0, microsecond=0), LONGEST_LOOK_S, set_id]))
    return Progress(total, done, sum(person.answered for person in people), people)


@needs("label", looks=True)
def forget(ws: Workspace) -> None:
    """Records went away and positions may be given anew: make every queue again from the tables."""
    places.forget(ws)
    _boards.pop(ws, None)


def _board(ws: Workspace, set_id: str) -> Board:
    with _making:
        known = _boards.setdefault(ws, {})
        board = known[set_id] = known.pop(set_id) if set_id in known else Board(set_id)
        for oldest in list(known)[:-KEPT_BOARDS]:
            if not known[oldest].leases:  # nobody works on it: it is made anew when somebody does
                del known[oldest]
    return board


def _person(row: dict[str, Any]) -> PersonProgress:
    per_hour = 3600 * row["timed"] / row["spent"] if row["spent"] else None
    return PersonProgress(row["who"], row["answered"], row["skipped"], row["today"], per_hour, row["middle"])
