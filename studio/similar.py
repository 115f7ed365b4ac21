"""Similar: records that nobody decided about yet and that resemble some test items, to keep for the next snapshot.

Likeness is by words: what the items say more often than all records do. It reads the index of words (`studio/search.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio import places, records, search
from studio.errors import StudioError
from studio.permissions import needs
from studio.records import Record
from studio.workspace import Workspace

LOOKED_AT = 300
"""Items that are read to learn what they speak of."""
WORDS = 40
"""The most telling words, by how much more often they are there (a log-odds ratio with counts of all records)."""
RAREST = 3
"""A word that fewer of the items have says nothing of all of them; with few items, a third of them at least."""


@dataclass(frozen=True)
class Like:
    """A record with the weight of the words that it shares, 0 to 1 (all of them)."""

    record: Record
    weight: float


@needs("raw")
def to(ws: Workspace, item_ids: Sequence[str], snapshot_id: str, limit: int) -> tuple[list[str], list[Like]]:
    """The words that were looked for, and the records most like these items, the likest first.

    Undecided, in no part of this snapshot, and sharing at least a quarter of the words' weight. Raises StudioError where the
    items' records are gone.
    """
    ids = list(item_ids)[:: max(1, len(item_ids) // LOOKED_AT)][:LOOKED_AT]
    here = [place.position for place in places.find(ws, ids).values()]
    if not here:
        raise StudioError("The records of these items are gone.", "They may have been forgotten; choose another slice.")
    telling = _telling(ws, here)
    if not telling:
        return [], []
    whole = sum(telling.values())
    found = ws.rows(
        """select n.record_id, sum(w.weight) / $3 as weight
           from (select unnest($1::varchar[]) as word, unnest($2::double[]) as weight) w
           join record_words r using (word) join record_now n using (position)
           where n.decision = 'undecided'
             and n.record_id not in (select record_id from snapshot_items where snapshot_id = $4)
           group by n.record_id having sum(w.weight) / $3 >= 0.25 order by weight desc, n.record_id limit $5""",
        [list(telling), list(telling.values()), whole, snapshot_id, limit])
    read = {record.record_id: record for record in records.every(ws, [row["record_id"] for row in found])}
    return list(telling), [Like(read[row["record_id"]], row["weight"]) for row in found if row["record_id"] in read]


@needs("curate")
def keep(ws: Workspace, found: Sequence[Like], name: str, who: str, press_id: str) -> int:
    """Keep them all, as one act that can be undone, so that the next snapshot may hold them; returns how many."""
    ids = [one.record.record_id for one in found]
    records.decide(ws, ids, "keep", who, press_id, what=f"keep {len(ids):,} records like {name}")
    return len(ids)


@needs("read")
def unread(ws: Workspace) -> int:
    """How many records cannot be found yet, because the index has not read them."""
    return search.unread(ws)


def _telling(ws: Workspace, positions: Sequence[int]) -> dict[str, float]:
    """The words that set these records apart, with their weights."""
    least = max(1, min(RAREST, -(-len(positions) // 3)))
    rows = ws.rows(
        """with mine as (select word, count(*) as n from record_words where position in (select unnest($1::bigint[]))
                         and length(word) > 2 group by word having count(*) >= $2),
                every as (select word, count(*) as n from record_words where word in (select word from mine) group by word),
                total as (select count(*) as n from record_now)
           select m.word, ln((m.n + 0.5) / ($3 - m.n + 0.5)) - ln((e.n - m.n + 0.5) / (t.n - $3 - e.n + m.n + 0.5)) as odds,
                  m.n / $3 as share
           from mine m join every e using (word), total t where t.n > $3
           order by share * odds desc, m.word limit $4""", [list(positions), least, len(positions), WORDS])
    return {row["word"]: row["share"] * row["odds"] for row in rows if row["odds"] > 0.7}
