"""Conflicts: questions that are twins of each other and were answered differently. Work for a person.

Two wordings of a question clash where they are a pair at or above the threshold and their answers have less in common than
`low` (Jaccard similarity of their word shingles). Copies of one question clash where their answers are not the same words;
where the answers were searched as well, only those that are not as alike as `low`. All clashes of one duplicate group are one
conflict: keep one answer, or say that all are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio import duplicate_groups, records
from studio.duplicate_groups import CONFLICT, Group, Member
from studio.permissions import needs
from studio.records import Record
from studio.workspace import Row, Workspace

SIDE = "question"
LOW = 0.5
"""Answers count as different below this similarity, unless a person says otherwise."""

_ANSWER = "coalesce(other_text::varchar, record_id)"
"""What the answer of a member is told apart by: a hash of its words, where the search noted one."""

_CLASHES = f""", told as (
        select group_id, copy_of, {_ANSWER} as answer, min(record_id) as record_id from members where here
        group by group_id, copy_of, answer qualify count(*) over (partition by copy_of) > 1),
    compared as (select group_id, record_id, min(record_id) over (partition by copy_of) as other from told),
    searched as (
        select t.record_id, t.copy_of from duplicate_texts t
        join record_now n on n.record_id = t.record_id and n.version = t.version where t.side = 'answer'),
    alike as (select a, b from duplicate_pairs where side = 'answer' and kind = 'near' and similarity >= ?),
    clashes as (
        select c.group_id, 1.0 as similarity from compared c
        left join searched x on x.record_id = c.record_id left join searched y on y.record_id = c.other
        left join alike l on l.a = least(x.copy_of, y.copy_of) and l.b = greatest(x.copy_of, y.copy_of)
        where c.record_id <> c.other and l.a is null and (x.copy_of is null or x.copy_of is distinct from y.copy_of)
        union all
        select x.group_id, p.similarity from pairs p join texts x on x.copy_of = p.a and x.standing > 0
        join texts y on y.copy_of = p.b and y.standing > 0 where p.other_similarity < ?),
    open as (
        select g.*, c.alike from groups g join (select group_id, max(similarity) as alike from clashes group by group_id) c
        using (group_id)
        where g.state <> 'dismissed' and g.key not in (
            select group_key from duplicate_dismissals where side = '{CONFLICT}'
            group by group_key having arg_max(dismissed, seq)))"""
_IN_GROUP = f""", here as (
        select group_id, record_id, copy_of, position, rating, decision, {_ANSWER} as answer
        from members where here and group_id in (select unnest(?::varchar[]))),
    near as (select copy_of, copy_of as other from here union select a, b from pairs union select b, a from pairs),
    reach as (
        select distinct h.group_id, h.answer, n.other from (select distinct group_id, answer, copy_of from here) h
        join near n using (copy_of)),
    falls as (
        select r.group_id, r.answer, h.record_id, h.position, h.decision from reach r
        join here h on h.group_id = r.group_id and h.copy_of = r.other and h.answer <> r.answer)"""


@dataclass(frozen=True)
class Answer:
    """One answer of a conflict by its best rated record; `given` records give it word for word.

    Were it kept, `falls` records would be dropped, `marked` of them marked keep by a person.
    """

    record: Record
    source: str
    given: int
    falls: int
    marked: int


@dataclass(frozen=True)
class Conflict:
    """One group whose answers clash. `answers` are those given most often, `more` others are not shown; `alike` is how
    similar the questions of its surest clash are."""

    group: Group
    alike: float
    answers: tuple[Answer, ...]
    more: int


@needs("raw")
def listing(ws: Workspace, limit: int, skip: int = 0, low: float = LOW, shown: int = 6) -> tuple[int, list[Conflict]]:
    """How many groups wait for a person, and those of one page, the largest first, each with its most frequent answers."""
    clause, values = duplicate_groups.stated(ws, SIDE)
    found = ws.rows(f"""{clause}{_CLASHES}, numbered as (
                            select *, row_number() over (order by standing desc, alike desc, group_id) as place from open)
                        select *, (select count(*) from open) as total from numbered
                        where place > ? and place <= ? order by place""", [*values, low, low, skip, skip + limit])
    given = _answers(ws, [row["group_id"] for row in found], shown)
    members = duplicate_groups.members(ws, SIDE, [row["record_id"] for rows in given.values() for row in rows])
    by_id = {member.record.record_id: member for member in members}
    return found[0]["total"] if found else 0, [_conflict(row, given[row["group_id"]], by_id) for row in found]


@needs("curate")
def keep_answer(ws: Workspace, conflict: Conflict, answer: Answer, who: str) -> int:
    """Drop the records of the group that answer otherwise and whose question is a twin of one that keeps this answer.

    One act that can be undone; returns how many. Others of the group stay: their questions are only alike by way of a third.
    """
    clause, values = _in_group(ws, [conflict.group.group_id])
    found = ws.rows(f"""{clause} select distinct record_id, position from falls
                        where answer = (select answer from here where record_id = ?) order by position""",
                    [*values, answer.record.record_id])
    records.decide(ws, [row["record_id"] for row in found], "drop", who,
                   what=f"keep one answer, drop {len(found):,} other{'' if len(found) == 1 else 's'}")
    return len(found)


@needs("curate")
def all_right(ws: Workspace, conflict: Conflict, who: str) -> None:
    """The answers differ and are all right: not asked about again until the group changes."""
    duplicate_groups.dismiss(ws, SIDE, conflict.group, who, conflict=True)


def _conflict(row: Row, rows: list[Row], by_id: dict[str, Member]) -> Conflict:
    answers = tuple(Answer(by_id[one["record_id"]].record, by_id[one["record_id"]].source, one["given"], one["falls"],
                           one["marked"]) for one in rows)
    return Conflict(duplicate_groups.as_group(row), row["alike"], answers, rows[0]["answers"] - len(rows))


def _answers(ws: Workspace, group_ids: Sequence[str], shown: int) -> dict[str, list[Row]]:
    clause, values = _in_group(ws, group_ids)
    found = ws.rows(
        f"""{clause}, fallen as (
                select group_id, answer, count(distinct record_id) as falls,
                       count(distinct record_id) filter (decision = 'keep') as marked from falls group by group_id, answer),
            given as (
                select group_id, answer, count(*) as given, max(rating) as rating, min(position) as position,
                       first(record_id order by (decision = 'keep') desc, rating desc nulls last, record_id) as record_id,
                       count(*) over (partition by group_id) as answers
                from here group by group_id, answer)
            select g.*, coalesce(f.falls, 0) as falls, coalesce(f.marked, 0) as marked
            from given g left join fallen f using (group_id, answer)
            qualify row_number() over (partition by group_id order by g.given desc, g.rating desc nulls last, g.position) <= ?
            order by g.given desc, g.rating desc nulls last, g.position""", [*values, shown])
    by_group: dict[str, list[Row]] = {}
    for row in found:
        by_group.setdefault(row["group_id"], []).append(row)
    return by_group


def _in_group(ws: Workspace, group_ids: Sequence[str]) -> tuple[str, list[Any]]:
    clause, values = duplicate_groups.twins(ws, SIDE)
    return clause + _IN_GROUP, [*values, list(group_ids)]
