"""Duplicate groups as people read them: what a search found among the records as they stand now, and "these are no twins".

A member counts while nobody dropped its record and its wording is the one that was searched. A group is open while two of
its members that count are twins of each other (word for word, or a stored pair at or above the threshold) and nobody said
that they are none. So a chain A~B~C is settled once B is dropped, although A and C both stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from studio import duplicates, records
from studio.errors import StudioError
from studio.permissions import ask, needs
from studio.records import Record, Undone
from studio.workspace import Row, Transaction, Workspace

Order = Literal["size", "similarity", "spread"]
State = Literal["open", "settled", "dismissed"]
STATES: tuple[State, ...] = ("open", "settled", "dismissed")
CONFLICT = "conflict"
"""The side that "both are right" is stored under: the same groups, another question about them."""

_ORDERS: dict[Order, str] = {
    "size": "standing desc, similarity desc", "similarity": "similarity desc, standing desc",
    "spread": "spread desc nulls last, standing desc"}
_STEPS = 50


@dataclass(frozen=True)
class Group:
    """One group. `members` are all that were found, `standing` those that count, `texts` their different wordings.

    `similarity` is what every member reaches with at least one other; `spread` the highest rating minus the lowest of those
    that count, None where fewer than two are rated. `reworded` members changed since the search. `key` names this very set.
    """

    group_id: str
    key: str
    members: int
    standing: int
    texts: int
    reworded: int
    similarity: float
    spread: float | None
    state: State


@dataclass(frozen=True)
class Tally:
    """How many groups are in each state; `members` of all groups, `waiting` members of open ones beyond one a group."""

    open: int
    settled: int
    dismissed: int
    members: int
    waiting: int

    @property
    def groups(self) -> int:
        return self.open + self.settled + self.dismissed


@dataclass(frozen=True)
class Pair:
    """Two wordings of a group that resemble each other, each named by the record that stands for all its copies."""

    a: str
    b: str
    kind: str
    similarity: float


@dataclass(frozen=True)
class Member:
    """One record of a group with what is needed to choose between twins; `copy_of` stands for its word-for-word copies."""

    record: Record
    copy_of: str
    similarity: float
    source: str


@dataclass(frozen=True)
class Step:
    """What would be at one threshold: this many records would fall if one stayed of each set of twins."""

    threshold: float
    fall: int


@needs("raw")
def twins(ws: Workspace, side: str) -> tuple[str, list[Any]]:
    """The `with` clause that other questions begin with, and its values: `levels`, `members` and `pairs` of one side."""
    levels = duplicates.thresholds(ws, duplicates.known_side(side))
    return """with levels as (select unnest(?::varchar[]) as kind, unnest(?::float[]) as threshold),
        members as (
            select g.group_id, g.record_id, g.similarity, t.copy_of, t.other_text, n.version, n.position, n.rating, n.decision,
                   n.version = t.version as as_searched, n.decision <> 'drop' and n.version = t.version as here
            from duplicate_groups g
            join duplicate_texts t on t.side = g.side and t.record_id = g.record_id
            join record_now n on n.record_id = g.record_id
            where g.side = ?),
        pairs as (
            select p.a, p.b, p.kind, p.similarity, p.other_similarity from duplicate_pairs p
            join levels l on l.kind = p.kind and p.similarity >= l.threshold where p.side = ?)
        """, [list(levels), list(levels.values()), side, side]


@needs("raw")
def stated(ws: Workspace, side: str) -> tuple[str, list[Any]]:
    """The same, and `groups` with the columns of `Group`."""
    clause, values = twins(ws, side)
    return f"""{clause}, texts as (
            select group_id, copy_of, count(*) filter (here) as standing from members group by group_id, copy_of),
        linked as (
            select group_id from texts where standing > 1 union
            select x.group_id from pairs join texts x on x.copy_of = a and x.standing > 0
            join texts y on y.copy_of = b and y.standing > 0),
        said as (
            select group_key from duplicate_dismissals where side = ? group by group_key having arg_max(dismissed, seq)),
        counted as (
            select group_id, sha256(string_agg(record_id, chr(10) order by record_id)) as key, count(*) as members,
                   count(*) filter (here) as standing, count(distinct copy_of) filter (here) as texts,
                   count(*) filter (not as_searched) as reworded, min(similarity) as similarity,
                   case when count(rating) filter (here) > 1
                   then max(rating) filter (here) - min(rating) filter (here) end as spread
            from members group by group_id),
        groups as (
            select c.*, case when s.group_key is not null then 'dismissed' when l.group_id is null then 'settled'
                        else 'open' end as state
            from counted c left join linked l on l.group_id = c.group_id left join said s on s.group_key = c.key)
        """, [*values, side]


@needs("raw")
def stamp(ws: Workspace) -> str:
    """Changes when a group, a plan or its cost may have: with every word said, import, edit, finished run and forgetting."""
    row = ws.row("""select (select count(*) from imports) as imports, (select count(*) from run_results) as ended,
                    (select count(*) from forgettings) as forgotten""") or {}
    return "-".join(map(str, (ws.root, ws.journal.next_n, *row.values())))


@needs("raw")
def tally(ws: Workspace, side: str) -> Tally:
    return listing(ws, side, 0)[0]


@needs("raw")
def listing(ws: Workspace, side: str, limit: int, skip: int = 0, order: Order = "size",
            state: State = "open") -> tuple[Tally, list[Group]]:
    """All groups counted, and those in one state page by page; where the order leaves two equal, the smaller id comes first.

    Both come from one question, as answering it takes most of the time of drawing a page (0.6 s at 800,000 members).
    """
    clause, values = stated(ws, side)
    by = _ORDERS[order] if state == "open" else _ORDERS[order].replace("standing", "members")
    found = ws.rows(
        f"""{clause}, tally as (
                select {", ".join(f"count(*) filter (state = '{state}') as n_{state}" for state in STATES)},
                       coalesce(sum(members), 0)::bigint as n_members,
                       coalesce(sum(standing - 1) filter (state = 'open'), 0)::bigint as n_waiting from groups),
            shown as (select *, row_number() over (order by {by}, group_id) as place from groups where state = ?
                      qualify place > ? and place <= ?)
            select * from tally left join shown on true order by place""", [*values, state, skip, skip + limit])
    counted = {name.removeprefix("n_"): found[0][name] for name in found[0] if name.startswith("n_")}
    return Tally(**counted), [as_group(row) for row in found if row["place"] is not None]


@needs("raw")
def get(ws: Workspace, side: str, group_id: str) -> Group:
    """Raises StudioError when there is no such group (any more)."""
    clause, values = stated(ws, side)
    row = ws.row(f"{clause} select * from groups where group_id = ?", [*values, group_id])
    if row is None:
        raise StudioError("This group is not there any more: its records changed, or the threshold moved.",
                          "Choose one from the list on the Twins page.")
    return as_group(row)


@needs("raw")
def members(ws: Workspace, side: str, record_ids: Sequence[str]) -> list[Member]:
    """These records with their texts, in this order; those that are in no group of this side are left out."""
    ids = list(record_ids)
    found = {row["record_id"]: row for row in ws.rows(
        """select g.record_id, g.similarity, t.copy_of from duplicate_groups g
           join duplicate_texts t on t.side = g.side and t.record_id = g.record_id
           where g.side = ? and g.record_id in (select unnest(?::varchar[]))""", [duplicates.known_side(side), ids])}
    names = sources(ws)
    return [Member(record, found[record.record_id]["copy_of"], found[record.record_id]["similarity"],
                   names.get(record.import_id, record.import_id))
            for record in records.every(ws, ids) if record.record_id in found]


@needs("raw")
def everyone(ws: Workspace, side: str, group_id: str, limit: int) -> list[Member]:
    """All that were found together, dropped and reworded ones too, in the order they came in."""
    clause, values = twins(ws, side)
    found = ws.rows(f"{clause} select record_id from members where group_id = ? order by position limit ?",
                    [*values, group_id, limit])
    return members(ws, side, [row["record_id"] for row in found])


@needs("raw")
def pairs(ws: Workspace, side: str, group_id: str, limit: int = 1_000) -> list[Pair]:
    """The pairs that hold a group together, the most alike first."""
    clause, values = twins(ws, side)
    found = ws.rows(f"""{clause} select a, b, kind, similarity from pairs
                        where a in (select copy_of from members where group_id = ?)
                        order by similarity desc, a, b limit ?""", [*values, group_id, limit])
    return [Pair(**row) for row in found]


@needs("raw")
def likeness(ws: Workspace, side: str, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Pair]:
    """How alike two wordings are, for each (text, text) that is a pair at or above its threshold; the best measure counts."""
    clause, values = twins(ws, side)
    firsts, seconds = [min(pair) for pair in wanted], [max(pair) for pair in wanted]
    found = ws.rows(f"""{clause} select a, b, arg_max(kind, similarity) as kind, max(similarity) as similarity from pairs
                        join (select unnest(?::varchar[]) as a, unnest(?::varchar[]) as b) using (a, b)
                        group by a, b""", [*values, firsts, seconds])
    by_ends = {(row["a"], row["b"]): Pair(**row) for row in found}
    return {pair: by_ends[min(pair), max(pair)] for pair in wanted if (min(pair), max(pair)) in by_ends}


@needs("read")
def kinds(ws: Workspace, side: str) -> list[str]:
    """The kinds of pairs that the newest search stored."""
    return [row["kind"] for row in ws.rows("select distinct kind from duplicate_pairs where side = ? order by kind", [side])]


@needs("raw")
def steps(ws: Workspace, side: str, kind: str) -> list[Step]:
    """How many records would fall at each threshold of a kind, from 0.50 (or its lowest stored pair) to 1.00 in steps of 0.02.

    A record falls where it is a copy of another one, or resembles one with a smaller id; what is at or above the threshold of
    the other kind falls in any case. Only records that count are counted. In long chains a rule keeps a few more.
    """
    clause, values = twins(ws, side)
    found = ws.rows(
        f"""{clause}, texts as (
                select t.copy_of, count(*) as standing from duplicate_texts t
                join record_now n on n.record_id = t.record_id and n.version = t.version
                where t.side = ? and n.decision <> 'drop' group by t.copy_of),
            best as (
                select p.b as copy_of, max(case when p.kind = ? then p.similarity else 1.0 end) as similarity
                from duplicate_pairs p join texts x on x.copy_of = p.a join levels l on l.kind = p.kind
                where p.side = ? and (p.kind = ? or p.similarity >= l.threshold) group by p.b),
            falls as (
                select (floor((b.similarity + 1e-6) * {_STEPS})::integer) as step, 1 as fall from best b
                join texts using (copy_of)
                union all select {_STEPS}, standing - 1 from texts where standing > 1)
            select step, sum(fall)::bigint as fall from falls group by step order by step""",
        [*values, side, kind, side, kind])
    return _summed({row["step"]: row["fall"] for row in found})


@needs("curate")
def dismiss(ws: Workspace, side: str, group: Group, who: str, conflict: bool = False) -> None:
    """No twins: this set of records is not asked about again until another record joins it or one leaves.

    With `conflict`, its answers differ and are all right: only its conflict is settled.
    """
    with ws.transaction() as transaction:
        about = CONFLICT if conflict else duplicates.known_side(side)
        transaction.decided("duplicate_dismissals", [_mark(ws, about, group.key, True, who)])


@needs("curate")
def take_back(ws: Workspace, side: str, group: Group, who: str) -> None:
    """A group that was dismissed is asked about again."""
    with ws.transaction() as transaction:
        transaction.decided("duplicate_dismissals", [_mark(ws, duplicates.known_side(side), group.key, False, who)])


@needs("curate")
def undo(ws: Workspace, who: str, press_id: str = "") -> Undone | None:
    """Take back this person's newest act that still stands: a drop, a "no twins", "all answers are right", an edit. None where
    there is none, or where a press of this id was stored before."""
    last = _last_dismissal(ws, who)
    if last is None or records.newest(ws, who) > last["newest"]:
        return records.undo(ws, who, press_id or None)
    with ws.transaction() as transaction:
        if press_id and taken(transaction, press_id):
            return None
        transaction.decided("duplicate_dismissals", [_mark(ws, last["side"], last["group_key"], False, who, press_id)])
    return Undone("Undone: all answers are right" if last["side"] == CONFLICT else "Undone: no twins", "")


@needs("raw")
def newest(ws: Workspace, who: str) -> int:
    """The place in the journal of this person's newest "no twins" or "all answers are right" that stands; 0 for none."""
    last = _last_dismissal(ws, who)
    return int(last["newest"]) if last else 0


def taken(read: Workspace | Transaction, press_id: str) -> bool:
    """Whether a press of this id is stored here."""
    ask(read, "raw")
    return bool(read.rows("select 1 from duplicate_dismissals where dismissal_id = ?", [press_id]))


@needs("read")
def sources(ws: Workspace) -> dict[str, str]:
    """What each import's files were called."""
    return {row["import_id"]: row["source_name"] for row in ws.rows("select import_id, source_name from imports")}


def _summed(at: dict[int, int]) -> list[Step]:
    """From what falls at exactly each step to what falls there and below; the steps that are missing are filled in."""
    if not at:
        return []
    total, found = 0, []
    for step in range(_STEPS, min(_STEPS // 2, *at) - 1, -1):
        total += at.get(step, 0)
        found.append(Step(step / _STEPS, total))
    return found[::-1]


def as_group(row: Row) -> Group:
    """A row of `groups` (see `stated`)."""
    return Group(**{field.name: row[field.name] for field in fields(Group)})


def _last_dismissal(ws: Workspace, who: str) -> Row | None:
    return ws.row("""select side, group_key, max(seq) as newest from duplicate_dismissals where who = ?
                     group by side, group_key having arg_max(dismissed, seq) order by newest desc limit 1""", [who])


def _mark(ws: Workspace, side: str, key: str, dismissed: bool, who: str, press_id: str = "") -> Row:
    return {"dismissal_id": press_id or ws.new_id(), "seq": 0, "side": side, "group_key": key, "dismissed": dismissed,
            "who": who, "said_at": ws.now()}
