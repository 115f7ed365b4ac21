"""Keepers: which record of a duplicate group stays, what would be dropped for it, and what that costs.

A record is only proposed to be dropped when it is itself a twin (a word-for-word copy, or a stored pair at or above the
threshold) of a record that stays. In a chain A~B~C where A and C are unlike, both stay. Records that a person marked keep
stay first; where two of them are twins, the second is proposed only when the plan is told not to spare them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio import duplicate_groups, findings, records, runs
from studio.duplicate_groups import Group
from studio.permissions import needs
from studio.workspace import Workspace

Rule = Literal["rated", "newest", "longest", "central", "hand"]
RULES: tuple[Rule, ...] = ("rated", "newest", "longest", "central", "hand")
Numbers = NDArray[np.int64]

FEW = 50
"""A slice that would be left with fewer rows than this, after losing more than half of them, is warned about."""

SOME = 4
"""Copies of a wording that are named."""

_ORDERS: dict[Rule, str] = {
    "rated": "rating desc nulls last", "newest": "happened_at desc nulls last, position desc",
    "longest": "characters desc", "central": "weight desc", "hand": "true"}
_MORE: dict[Rule, tuple[str, str]] = {
    "rated": ("", ""), "hand": ("", ""),
    "newest": (", happened_at", "join records r on r.record_id = m.record_id"),
    "longest": (", length(array_to_string(json_extract_string(v.messages, '$[*].content'), '')) as characters",
                "join record_versions v on v.record_id = m.record_id and v.version = m.version"),
    "central": (", coalesce(w.weight, 0) as weight", "left join weights w on w.copy_of = m.copy_of")}
_WEIGHTS = """, standing as (select copy_of, count(*) as records from members where here group by copy_of),
    both_ways as (select a as copy_of, b as other, similarity from pairs union all select b, a, similarity from pairs),
    near as (select b.copy_of, sum(b.similarity * s.records) as near from both_ways b join standing s on s.copy_of = b.other
             group by b.copy_of),
    weights as (select s.copy_of, s.records - 1 + coalesce(n.near, 0) as weight from standing s
                left join near n on n.copy_of = s.copy_of)"""
_LANGUAGES = """
    select n.record_id, case
        when f.said is not null then f.said
        when c.record_id is null then 'not known (not checked)'
        when ?::varchar is null then 'not known'
        else ? || ' (nothing else found)' end as name
    from record_now n
    left join checked_now c on c.record_id = n.record_id and c.version = n.version
    left join (select f.record_id, f.version, any_value(regexp_extract(f.evidence, 'reads as ''(\\w+)''', 1)) as said
               from findings f left join dismissed_now d on d.record_id = f.record_id and d.kind = f.kind and d.turn = f.turn
               where f.kind = 'wrong_language' and f.score >= ? and d.record_id is null group by f.record_id, f.version) f
        on f.record_id = n.record_id and f.version = n.version"""


@dataclass(frozen=True)
class Plan:
    """What a rule proposes. Record i of `ids` (in the rule's order) stays for itself, or falls for record `stays[i]`.

    `texts[i]` is the wording of record i (the record that stands for its copies), `marked` those that a person marked keep. By
    hand nothing is proposed: `stays` then only says which twins are shown beside each other.
    """

    side: str
    rule: Rule
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    texts: tuple[str, ...]
    marked: NDArray[np.bool_]
    stays: Numbers

    @cached_property
    def beside(self) -> NDArray[np.bool_]:
        """Which records stand beside another one, being its twins."""
        return self.stays != np.arange(len(self.ids))

    @property
    def falls(self) -> NDArray[np.bool_]:
        """Which of them the rule would drop: all, or none when a person chooses by hand."""
        return self.beside & (self.rule != "hand")

    @cached_property
    def key(self) -> str:
        """Names exactly what would be dropped."""
        return hashlib.sha256("\n".join(self.drops).encode()).hexdigest()[:16]

    @property
    def drops(self) -> list[str]:
        """The records to be dropped, in the rule's order."""
        return [self.ids[place] for place in np.flatnonzero(self.falls)]

    @property
    def marked_drops(self) -> int:
        """How many of them a person marked keep."""
        return int((self.falls & self.marked).sum())

    @property
    def groups_touched(self) -> int:
        return len({self.groups[place] for place in np.flatnonzero(self.falls)})

    def drops_of(self, group_id: str) -> list[str]:
        return [self.ids[place] for place in np.flatnonzero(self.falls) if self.groups[place] == group_id]

    def of(self, group_id: str) -> list[Fold]:
        """One group by its wordings: each that stays with those that fall for it behind it, in the rule's order."""
        places = [place for place, group in enumerate(self.groups) if group == group_id]
        by_text: dict[str, list[int]] = {}
        for place in places:
            by_text.setdefault(self.texts[place], []).append(place)
        folds = [self._fold(found) for found in by_text.values()]
        order = {fold.record_id: place for place, fold in enumerate(folds)}
        return sorted(folds, key=lambda fold: (order.get(fold.stays_for, -1), fold.beside, order[fold.record_id]))

    def fold_of(self, record_id: str) -> Fold:
        """The wording that this record, the first of it, stands for."""
        text = self.texts[self.ids.index(record_id)]
        return self._fold([place for place, found in enumerate(self.texts) if found == text])

    def _fold(self, places: list[int]) -> Fold:
        first, rest = places[0], places[1:]
        return Fold(self.ids[first], self.texts[first], self.ids[self.stays[first]], self.texts[self.stays[first]],
                    bool(self.beside[first]), bool(self.marked[first]), len(rest), int(self.falls[rest].sum()),
                    tuple(self.ids[place] for place in rest[:SOME]))


@dataclass(frozen=True)
class Fold:
    """One wording of a group by its first record: it stays, or is `beside` its twin, record `stays_for`, worded `stays_text`.

    `copies` more records say the same word for word, `some` of which are named; `copies_fall` of them would be dropped.
    """

    record_id: str
    text: str
    stays_for: str
    stays_text: str
    beside: bool
    marked: bool
    copies: int
    copies_fall: int
    some: tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """How many records nobody dropped are in one slice of the data, and how many would be left."""

    by: str
    name: str
    before: int
    after: int

    @property
    def shrinks(self) -> bool:
        """Whether a slice of few rows would lose most of them."""
        return self.after < FEW and 2 * self.after < self.before


def greedy(texts: Numbers, a: Numbers, b: Numbers, forced: NDArray[np.bool_]) -> Numbers:
    """For each record the one that stays for it, itself where it stays. Records are numbered in the order of a rule.

    `texts[i]` is the first record worded like record i; `a` and `b` are such first records that are twins; `forced` records
    stay whatever they resemble. After them, in that order, each stays unless it is a twin of one that stays already.
    """
    size = len(texts)
    stays = np.full(size, -1, dtype=np.int64)
    ends = np.concatenate([a, b])
    order = np.argsort(ends, kind="stable")
    others = np.concatenate([b, a])[order]
    starts = np.searchsorted(ends[order], np.arange(size + 1))
    must = np.zeros(size, dtype=bool)
    must[texts[forced]] = True
    firsts = np.unique(texts)
    for first in [*firsts[must[firsts]].tolist(), *firsts[~must[firsts]].tolist()]:
        if stays[first] >= 0 and not must[first]:
            continue
        stays[first] = first
        near = others[starts[first] : starts[first + 1]]
        near = near[stays[near] < 0]
        stays[near] = first
    found = stays[texts]
    return np.where(forced, np.arange(size), found)


@needs("raw")
def plan(ws: Workspace, side: str, rule: Rule, group_ids: Sequence[str] | None = None, at_least: float = 0.0,
         spare: bool = True) -> Plan:
    """What the rule proposes for these groups, or for all open ones, looking only at pairs `at_least` this alike.

    Word-for-word copies always count. `spare` leaves every record that a person marked keep where it is.
    """
    ranked, values = _ranked(ws, side, rule, group_ids)
    found = ws.columns(f"""{ranked} select record_id, group_id, copy_of, decision = 'keep' as marked,
                           min(place) over (partition by copy_of) as text from ranked order by place""", values)
    near = ws.columns(f"""{ranked}, firsts as (select copy_of, min(place) as place from ranked group by copy_of)
                          select x.place as a, y.place as b from pairs p join firsts x on x.copy_of = p.a
                          join firsts y on y.copy_of = p.b where p.similarity >= ?::float""", [*values, at_least])
    marked = found["marked"].astype(bool)
    forced = marked if spare else np.zeros(len(marked), dtype=bool)
    stays = greedy(found["text"].astype(np.int64), near["a"].astype(np.int64), near["b"].astype(np.int64), forced)
    ids, groups, texts = (tuple(found[name].tolist()) for name in ("record_id", "group_id", "copy_of"))
    return Plan(side, rule, ids, groups, texts, marked, stays)


@needs("curate")
def accept(ws: Workspace, proposed: Plan, who: str, group_id: str | None = None) -> int:
    """Drop what the plan proposes, in one group or in all of it, as one act that can be undone; returns how many."""
    ids = proposed.drops if group_id is None else proposed.drops_of(group_id)
    records.decide(ws, ids, "drop", who, what=_act(len(ids)))
    return len(ids)


@needs("raw")
def by_hand(ws: Workspace, side: str, group: Group, record_id: str) -> list[str]:
    """What falls when this record stays: the records of its group that are its own twins, in the order they came in."""
    clause, values = duplicate_groups.twins(ws, side)
    found = ws.rows(
        f"""{clause}, chosen as (select copy_of from members where record_id = ?),
            near as (select copy_of from chosen union select b from pairs join chosen on a = copy_of
                     union select a from pairs join chosen on b = copy_of)
            select record_id from members where here and group_id = ? and record_id <> ? and copy_of in (from near)
            order by position""", [*values, record_id, group.group_id, record_id])
    return [row["record_id"] for row in found]


@needs("curate")
def keep_this(ws: Workspace, side: str, group: Group, record_id: str, who: str) -> int:
    """A person chose: this record stays and its own twins are dropped, as one act that can be undone; returns how many."""
    ids = by_hand(ws, side, group, record_id)
    records.decide(ws, ids, "drop", who, what=_act(len(ids)))
    return len(ids)


@needs("raw")
def cost(ws: Workspace, drops: Sequence[str]) -> list[Slice]:
    """Before and after by tag, source, rating and language, the slices that lose most of their rows first.

    The language is what the newest check found: its main one where it found no other in the record, and not known where the
    record was not checked as it is worded now.
    """
    language, threshold = _checked_language(ws)
    found = ws.rows(
        f"""with fall as (select unnest(?::varchar[]) as record_id),
            languages as ({_LANGUAGES}),
            sliced as (
                select n.record_id, unnest(['tag', 'source', 'rating', 'language']) as by,
                       unnest([coalesce(n.tags, 'no tag'), coalesce(i.source_name, n.import_id),
                               coalesce(n.rating::decimal(18, 1)::varchar, 'not rated'), l.name]) as name
                from record_now n left join imports i using (import_id) join languages l using (record_id)
                where n.decision <> 'drop')
            select s.by, s.name, count(*) as before, count(*) - count(f.record_id) as after
            from sliced s left join fall f using (record_id) group by s.by, s.name
            order by s.by, (count(*) - count(f.record_id)) / count(*), count(*) desc, s.name""",
        [list(drops), language, language, threshold])
    return [Slice(**row) for row in found]


@needs("raw")
def languages(ws: Workspace, record_ids: Sequence[str]) -> dict[str, str]:
    """The language of each of these records, as `cost` has it."""
    language, threshold = _checked_language(ws)
    found = ws.rows(f"""select record_id, name from ({_LANGUAGES}) where record_id in (select unnest(?::varchar[]))""",
                    [language, language, threshold, list(record_ids)])
    return {row["record_id"]: row["name"] for row in found}


def _ranked(ws: Workspace, side: str, rule: Rule, group_ids: Sequence[str] | None) -> tuple[str, list[Any]]:
    """A `with` clause whose `ranked` numbers the members that count from 0: marked keep first, then by the rule, then by id."""
    clause, values = (duplicate_groups.stated if group_ids is None else duplicate_groups.twins)(ws, side)
    chosen = "(select group_id from groups where state = 'open')" if group_ids is None else "(select unnest(?::varchar[]))"
    more, join = _MORE[rule]
    return f"""{clause}{_WEIGHTS if rule == "central" else ""},
        chosen as (select m.*{more} from members m {join} where m.here and m.group_id in {chosen}),
        ranked as (select *, row_number() over (order by (decision = 'keep') desc, {_ORDERS[rule]}, record_id) - 1 as place
                   from chosen)
        """, values if group_ids is None else [*values, list(group_ids)]


def _checked_language(ws: Workspace) -> tuple[str | None, float]:
    """The main language the newest check found, and the threshold of another one."""
    newest = runs.latest_check(ws)
    return (newest.result.data.get("language") if newest and newest.result else None,
            findings.thresholds(ws)["wrong_language"])


def _act(number: int) -> str:
    return f"drop {number:,} twin{'' if number == 1 else 's'}"
