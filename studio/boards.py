"""A label set's queue in memory: for every record, by its position, how many answers it has and who is done with it.

Arrays of one byte a record (and one a record and person) answer in milliseconds over a million records what a join cannot. They
are made from `label_now` and kept up by its rows' numbers in the journal, so that a press, an undo and a bulk act all arrive.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio import adjudicate, findings, label_sets, marks, places, search
from studio.errors import StudioError
from studio.label_sets import LabelSet
from studio.places import Extent, Place
from studio.workspace import Workspace

Show = Literal["open", "unlabelled", "mine", "disagreed", "flagged", "skipped"]
Order = Literal["oldest", "random", "informative", "doubtful"]
REVIEWING = ("mine", "disagreed", "flagged")
"""What is read again by anybody: nothing is leased."""
KEPT_FILTERS = 8
FRESH = timedelta(seconds=60)
"""How long it may take until a filter sees that records were dropped, checked or worded anew; what is handed out is looked at
anew."""
_FIRST_CHUNK, _REMEMBERED, _PIECES = 512, 20_000, 1_000
_ANSWERED, _SKIPPED = 1, 2


@dataclass(frozen=True)
class QueueFilter:
    """Which records of a label set's queue: by what was said of them (`show`), and by what they are; empty means all.

    "open" needs answers, and not from me yet; "unlabelled" has none from anybody; "skipped" I left; "mine" I answered.
    `tag` came with the record, `marked` is a tag that people put on it; `text` is looked for as in the table.
    """

    set_id: str
    show: Show = "open"
    finding: str = ""
    import_id: str = ""
    tag: str = ""
    rating_low: float | None = None
    rating_high: float | None = None
    snapshot_id: str = ""
    split: str = ""
    text: str = ""
    marked: str = ""

    @property
    def of_records(self) -> tuple[Any, ...]:
        """Everything that does not depend on labels and marks."""
        return (self.finding, self.import_id, self.tag, self.rating_low, self.rating_high, self.snapshot_id, self.split,
                self.text.strip().lower())


@dataclass(frozen=True)
class Lease:
    who: str
    session: str
    until: datetime


class Board:
    """One set's queue. Hold `lock` around everything."""

    def __init__(self, set_id: str) -> None:
        self.set_id = set_id
        self.lock = threading.Lock()
        self.leases: dict[int, Lease] = {}
        self._extent = Extent(-1, -1)
        self._version = 0
        self._seq = 0
        self._answers = self._needed = np.zeros(0, np.uint8)
        self._people: dict[str, NDArray[np.uint8]] = {}
        self._kept: dict[tuple[Any, ...], tuple[datetime, NDArray[np.bool_]]] = {}
        self._orders: dict[str, tuple[Any, NDArray[np.int64]]] = {}
        self._looked_at = np.zeros(0, np.bool_)
        self._disagreed: tuple[Any, NDArray[np.bool_]] = None, np.zeros(0, np.bool_)
        self._since = [np.zeros(0, np.int64)]  # positions that somebody spoke about since then
        self._handed: dict[str, int] = {}

    def sync(self, ws: Workspace) -> None:
        """Take in what was said since the last time; everything, where records came or went. Raises StudioError where there is
        no such set."""
        row = ws.row("""select count(*) as records, coalesce(max(position), 0) as top, (select coalesce(max(version), 0)
                        from label_sets where set_id = ?) as version from record_now""", [self.set_id]) or {}
        now = Extent(row["records"], row["top"])
        if now != self._extent:
            self._extent, self._seq, self._version = now, 0, -1
            self._answers = np.zeros(now.top + 1, np.uint8)
            self._people, self._kept, self._orders, self._handed = {}, {}, {}, {}
            self._disagreed = None, np.zeros(0, np.bool_)
        if row["version"] != self._version:
            self._needed = _needed(label_sets.get(ws, self.set_id), now.top)
            self._version = row["version"]
        new = ws.columns("select position, who, state, seq from label_now where set_id = ? and seq > ?",
                         [self.set_id, self._seq])
        if len(new["seq"]):
            self._seq = int(new["seq"].max())
            self._since += [new["position"]] if self._disagreed[0] else []
            if len(self._since) > _PIECES:  # nobody looks at what is disputed
                self._since = [np.unique(np.concatenate(self._since))]
            for who in np.unique(new["who"].astype(object)):
                self._said(str(who), new["position"][new["who"] == who], new["state"][new["who"] == who])

    def _said(self, who: str, positions: NDArray[np.int64], states: NDArray[Any]) -> None:
        mine = self._of(who)
        before = mine[positions] == _ANSWERED
        mine[positions] = np.where(states == "answered", _ANSWERED, np.where(states == "skipped", _SKIPPED, 0))
        self._answers[positions] += (mine[positions] == _ANSWERED).astype(np.uint8)
        self._answers[positions] -= before.astype(np.uint8)
        if len(self._looked_at):
            self._looked_at[positions] = states != "undone"
        for position in positions if self.leases else ():
            lease = self.leases.get(int(position))
            if lease and lease.who == who:
                del self.leases[int(position)]

    def _of(self, who: str) -> NDArray[np.uint8]:
        if who not in self._people:
            self._people[who] = np.zeros(self._extent.top + 1, np.uint8)
        return self._people[who]

    # Which records ------------------------------------------------------------------------------------------------------

    def mask(self, ws: Workspace, chosen: QueueFilter, order: Order, who: str) -> NDArray[np.bool_]:
        """For every position, whether the filter shows it to this person, leases aside.

        Doubtful labels are looked at again, however many a record has, until somebody said something since they were doubted.
        """
        kept = self._records(ws, chosen)
        if chosen.marked:
            kept = kept & self._at(marks.positions(ws, "tag", chosen.marked))
        if order == "doubtful" and chosen.show == "open":
            return kept & ~self._looked_at
        if chosen.show in ("disagreed", "flagged"):
            return kept & (self._disputed(ws) if chosen.show == "disagreed" else self._at(marks.positions(ws, "flag")))
        mine = self._of(who)
        if chosen.show == "mine":
            return kept & (mine == _ANSWERED)
        if chosen.show == "unlabelled":
            return kept & (self._answers == 0) & (mine == 0)
        return kept & (self._answers < self._needed) & (mine == (_SKIPPED if chosen.show == "skipped" else 0))

    def _disputed(self, ws: Workspace) -> NDArray[np.bool_]:
        """Records whose answers differ: all are looked at when something was settled, then those that somebody spoke about."""
        made_of, found = self._disagreed
        now, spoken = (self._version, *adjudicate.stamp(ws, self.set_id)), np.unique(np.concatenate(self._since))
        label_set = label_sets.get(ws, self.set_id)
        if made_of != now:
            found = self._at(adjudicate.disagreed(ws, label_set))
        elif len(spoken):
            found = found & ~self._at(spoken) | self._at(adjudicate.disagreed(ws, label_set, spoken))
        self._disagreed, self._since = (now, found), [np.zeros(0, np.int64)]
        return found

    def done(self, ws: Workspace) -> tuple[int, int]:
        """Records that nobody dropped, and how many of them have all their answers."""
        kept = self._records(ws, QueueFilter(self.set_id))
        return int(np.count_nonzero(kept)), int(np.count_nonzero(kept & (self._answers >= self._needed)))

    def _records(self, ws: Workspace, chosen: QueueFilter) -> NDArray[np.bool_]:
        now = ws.now()
        made, found = self._kept.get(chosen.of_records, (None, None))
        if found is None or made is None or now - made > FRESH:
            found = self._at(_matching(ws, chosen))
            if chosen.text.strip():
                found &= self._at(search.positions(ws, chosen.text))
            if chosen.finding:
                found &= self._at(findings.positions_of(ws, chosen.finding))
            self._kept.pop(chosen.of_records, None)
            self._kept[chosen.of_records] = now, found
            for oldest in list(self._kept)[:-KEPT_FILTERS]:
                del self._kept[oldest]
        return found

    def _at(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = np.zeros(self._extent.top + 1, bool)
        found[positions[positions <= self._extent.top]] = True
        return found

    # In what order ------------------------------------------------------------------------------------------------------

    def sequence(self, ws: Workspace, order: Order) -> NDArray[np.int64]:
        """Positions in the order asked for. Raises StudioError where a light model is needed and none has run yet."""
        made_of = _made_of(ws, self.set_id, order)
        if order not in self._orders or self._orders[order][0] != made_of:
            self._orders[order] = made_of, self._ordered(ws, order)
        return self._orders[order][1]

    def _ordered(self, ws: Workspace, order: Order) -> NDArray[np.int64]:
        every = np.arange(self._extent.top + 1)
        if order == "random":
            return np.argsort(_hashed(every, self.set_id), kind="stable")
        if order == "informative":
            first = ws.columns("""select n.position from suggestions s join record_now n using (record_id) where s.set_id = ?
                                  group by n.position order by min(s.rank), n.position""", [self.set_id])["position"]
            return np.concatenate([first, every[~self._at(first)]])
        if order == "doubtful":
            self._looked_at = np.zeros(self._extent.top + 1, np.bool_)
            return _doubtful(ws, self.set_id)
        return every

    def behind(self, ws: Workspace, order: Order, after: str) -> int:
        """Where in the sequence the record `after` ends; the start where there is no such record."""
        if not after:
            return 0
        found = np.flatnonzero(self.sequence(ws, order) == self.position(ws, after))
        return int(found[0]) + 1 if len(found) else 0

    def position(self, ws: Workspace, record_id: str) -> int:
        """Where a record stands, -1 where there is none; what was handed out is known without asking."""
        if record_id not in self._handed:
            self._handed |= {place.record_id: place.position for place in places.find(ws, [record_id]).values()}
        return self._handed.get(record_id, -1)

    def pick(self, ws: Workspace, sequence: NDArray[np.int64], mask: NDArray[np.bool_], session: str, limit: int,
             again: bool) -> list[Place]:
        """The first of the sequence that the mask shows and no other session holds (nor this one, unless `again`).

        Each is looked at in the table, because a filter may be a minute old: what is gone or dropped is left out.
        """
        found: list[Place] = []
        free: list[int] = []
        start, size = 0, _FIRST_CHUNK
        while len(found) < limit and (free or start < len(sequence)):
            if len(free) < limit - len(found) and start < len(sequence):
                part = sequence[start:start + size]
                free += [int(position) for position in part[mask[part]] if self._free(int(position), session, again)]
                start, size = start + size, 2 * size
                continue
            tried, free = free[:limit - len(found)], free[limit - len(found):]
            there = {place.position: place for place in places.at(ws, tried) if place.decision != "drop"}
            found += [there[position] for position in tried if position in there]
        if len(self._handed) > _REMEMBERED:
            self._handed = {}
        self._handed |= {place.record_id: place.position for place in found}
        return found

    # Who has it ---------------------------------------------------------------------------------------------------------

    def open_for(self, position: int, who: str, session: str) -> bool:
        """Whether this person may still answer it, as far as others go."""
        return self._free(position, session, True) and self._answers[position] < self._needed[position] \
            and self._of(who)[position] != _ANSWERED

    def lease(self, positions: Sequence[int], who: str, session: str, until: datetime) -> None:
        self.leases |= {position: Lease(who, session, until) for position in positions}

    def renew(self, session: str, until: datetime) -> None:
        self.leases |= {position: Lease(lease.who, session, until) for position, lease in self.leases.items()
                        if lease.session == session}

    def expire(self, now: datetime) -> None:
        self.leases = {position: lease for position, lease in self.leases.items() if lease.until > now}

    def release(self, session: str, positions: Collection[int] | None = None) -> None:
        self.leases = {position: lease for position, lease in self.leases.items()
                       if lease.session != session or (positions is not None and position not in positions)}

    def _free(self, position: int, session: str, again: bool) -> bool:
        lease = self.leases.get(position)
        return lease is None or (again and lease.session == session)


def _needed(label_set: LabelSet, top: int) -> NDArray[np.uint8]:
    """How many answers each position needs; which get one more is drawn by a hash, and stays so."""
    drawn = _hashed(np.arange(top + 1), f"{label_set.set_id} overlap") < np.uint64(int(label_set.overlap * (2**64 - 1)))
    return (label_set.needed + drawn).astype(np.uint8)


def _hashed(positions: NDArray[np.int64], seed: str) -> NDArray[np.uint64]:
    """Numbers that look random and stay the same: SplitMix64 (Steele, Lea, Flood 2014) of the position and the seed."""
    start = np.uint64(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))
    with np.errstate(over="ignore"):
        z = start + positions.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _matching(ws: Workspace, chosen: QueueFilter) -> NDArray[np.int64]:
    parts, values = ["n.decision <> 'drop'"], list[Any]()
    frozen = "n.record_id in (select i.record_id from snapshot_items i where i.snapshot_id = ?)"
    split = "n.record_id in (select i.record_id from snapshot_items i where i.snapshot_id = ? and i.split = ?)"
    for sql, found in (("n.import_id = ?", [chosen.import_id]), ("n.tags = ?", [chosen.tag]),
                       ("n.rating >= ?", [chosen.rating_low]), ("n.rating <= ?", [chosen.rating_high]),
                       (split if chosen.split else frozen, [chosen.snapshot_id, *([chosen.split] if chosen.split else [])])):
        if found[0] not in ("", None):
            parts.append(sql)
            values += found
    return ws.columns(f"select n.position from record_now n where {' and '.join(parts)}", values)["position"]


def _made_of(ws: Workspace, set_id: str, order: Order) -> str:
    """Which run of the light model an order is from (each run takes the place of all that one before said of the set); empty
    where the order needs none. Raises StudioError where none has run."""
    if order not in ("informative", "doubtful"):
        return ""
    table = "suggestions" if order == "informative" else "label_doubts"
    row = ws.row(f"select run_id from {table} where set_id = ? limit 1", [set_id])
    if not row and order == "informative":
        raise StudioError("There are no suggestions for this label set yet, so none is the most informative.",
                          "Label some records in random order, then let the light model learn from them.")
    if not row:
        raise StudioError("No labels of this set have been doubted yet.",
                          "Label some records, then let the light model look for label errors.")
    return str(row["run_id"])


def _doubtful(ws: Workspace, set_id: str) -> NDArray[np.int64]:
    """Records whose label the light model doubts, the most doubted first, but for those somebody looked at since it ran."""
    return ws.columns(
        """select n.position from label_doubts d join record_now n using (record_id) left join runs r using (run_id)
           where d.set_id = $1 and not exists (from label_now l where l.set_id = $1 and l.position = n.position
                                               and l.said_at > r.started_at)
           group by n.position order by max(d.doubt) desc, n.position""", [set_id])["position"]
