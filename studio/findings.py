"""Findings: what the checks saw in the records as they stand now, and what people said of it.

A finding is open while its record still has the wording that was checked and is not dropped, its score reaches the threshold
of its kind, and nobody called it no problem. What is found is derived: checking a record again replaces its findings. What
people say (thresholds, "not a problem", fixes, drops) is kept, and the newest word counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from pipeline.checking import cleaning, pseudonyms
from pipeline.checking.finding import Finding, Group, Kind
from pipeline.checking.kinds import BY_KEY, GROUPS, KINDS, OF_ALL_RECORDS
from pipeline.checking.pseudonyms import Style
from studio import records
from studio.errors import StudioError
from studio.permissions import ask, needs
from studio.records import Record, Turns, Undone
from studio.workspace import Row, Transaction, Workspace

__all__ = ["GROUPS", "KINDS", "OF_ALL_RECORDS", "Applied", "Gate", "Group", "Kind", "KindCount", "Open", "Style"]

_MARK = ("record_id", "kind", "turn", "start", "end_")
_SEEN = """
from findings f
join record_now n on n.record_id = f.record_id and n.version = f.version
join (select unnest(?::varchar[]) as kind, unnest(?::double[]) as threshold) t on t.kind = f.kind
left join dismissed_now d on d.record_id = f.record_id and d.kind = f.kind and d.turn = f.turn and d.start = f.start
    and d.end_ = f.end_
where n.decision <> 'drop' and d.record_id is null
"""
_OPEN = f"{_SEEN} and f.score >= t.threshold"
_UNCHECKED = """select count(*) from record_now n left join checked_now c
    on c.record_id = n.record_id and c.version = n.version where c.record_id is null"""


@dataclass(frozen=True)
class KindCount:
    """One kind, its threshold as it stands, and how many findings (in how many records) are open above it.

    `seen` counts all that could be open if the threshold were 0.
    """

    kind: Kind
    threshold: float
    open: int
    records: int
    seen: int

    @property
    def fixable(self) -> bool:
        """Whether something is open that can be mended by itself."""
        return self.kind.fixable and self.open > 0


@dataclass(frozen=True)
class Open:
    """One open finding with its record. `turn` is -1 for the whole record; `start` and `end` are code points of the turn."""

    kind: str
    turn: int
    start: int
    end: int
    score: float
    evidence: str
    replacement: str | None
    record: Record

    @property
    def as_found(self) -> Finding:
        return Finding(self.kind, self.turn, self.start, self.end, self.score, self.evidence, self.replacement)

    @property
    def text(self) -> str:
        """The turn it is in; of a whole record its last answer."""
        return self.record.messages[self.turn]["content"]


@dataclass(frozen=True)
class Applied:
    """`changed` records got a new wording; `left` ones stay, as the fix would leave no conversation to learn from."""

    changed: int
    left: int


@dataclass(frozen=True)
class Gate:
    """What stands between the records and the outside: open privacy findings, and records that nobody checked as they are."""

    open_records: int
    unchecked_records: int
    ever_checked: bool

    @property
    def clear(self) -> bool:
        return not self.open_records and not self.unchecked_records


@dataclass(frozen=True)
class InSnapshot:
    """Records of a snapshot with open findings, by group, and "unchecked" ones; `groups` is None where nothing was ever
    checked. `conflicts` are those whose answers contradict others."""

    groups: dict[str, int] | None
    conflicts: int


@needs("read")
def kinds(ws: Workspace) -> list[KindCount]:
    """Every kind with its counts, in the order people see them."""
    levels = thresholds(ws)
    found = ws.rows(f"""select f.kind, count(*) filter (f.score >= t.threshold) as open,
                        count(distinct n.position) filter (f.score >= t.threshold) as records, count(*) as seen
                        {_SEEN} group by f.kind""", _levels(ws))
    by_kind = {row["kind"]: row for row in found}
    nothing = {"open": 0, "records": 0, "seen": 0}
    return [KindCount(kind, levels[kind.key], *(by_kind.get(kind.key, nothing)[part] for part in nothing)) for kind in KINDS]


@needs("raw")
def page(ws: Workspace, kind: str, limit: int, skip: int = 0, least_sure_first: bool = False) -> list[Open]:
    """Open findings of one kind, the surest first, in the order of their records where they score the same."""
    order = "asc" if least_sure_first else "desc"
    found = ws.rows(
        f"""select f.* {_OPEN} order by f.score {order}, n.position, f.turn, f.start limit ? offset ?""",
        [*_levels(ws, [kind]), limit, skip])
    return _with_records(ws, found)


@needs("raw")
def of_record(ws: Workspace, record_id: str) -> list[Open]:
    """The open findings of one record, in reading order."""
    found = ws.rows(f"select f.* {_OPEN} and f.record_id = ? order by f.turn, f.start", [*_levels(ws), record_id])
    return _with_records(ws, found)


@needs("raw")
def records_of(ws: Workspace, kind: str) -> list[str]:
    """The records that hold open findings of a kind, in the order they came in."""
    found = ws.rows(f"select f.record_id {_OPEN} group by f.record_id order by min(n.position)", _levels(ws, [kind]))
    return [row["record_id"] for row in found]


@needs("raw")
def positions_of(ws: Workspace, kind: str) -> NDArray[Any]:
    """Their positions, in no order."""
    return ws.columns(f"select distinct n.position {_OPEN}", _levels(ws, [kind]))["position"]


@needs("read")
def unchecked(ws: Workspace) -> int:
    """Records that nobody dropped and that were not checked in the wording they have now."""
    return int(ws.value(f"{_UNCHECKED} and n.decision <> 'drop'"))


@needs("read")
def privacy_gate(ws: Workspace, only_kept: bool = False) -> Gate:
    """Whether what would be frozen was checked for personal data, and holds some that nobody settled."""
    decided = "n.decision = 'keep'" if only_kept else "n.decision <> 'drop'"
    held = ws.value(f"select count(distinct n.position) {_OPEN} and {decided}",
                    _levels(ws, [kind.key for kind in KINDS if kind.group == "privacy"]))
    new = ws.value(f"{_UNCHECKED} and {decided}")
    return Gate(int(held), int(new), bool(ws.value("select exists (from checked_now)")))


@needs("read")
def of_snapshot(ws: Workspace, snapshot_id: str, splits: Sequence[str] = ("train", "validation", "test")) -> InSnapshot:
    """What is open now in the records of a snapshot, or of some of its parts."""
    if not ws.value("select exists (from checked_now)"):
        return InSnapshot(None, 0)
    inside = """(select record_id, version from snapshot_items
                 where snapshot_id = ? and split in (select unnest(?::varchar[])))"""
    found = ws.rows(f"select f.kind, f.record_id {_OPEN} and (f.record_id, f.version) in {inside} group by all",
                    [*_levels(ws), snapshot_id, list(splits)])
    groups = {group: len({row["record_id"] for row in found if BY_KEY[row["kind"]].group == group}) for group in GROUPS}
    unchecked = ws.value(f"""select count(*) from {inside} s left join checked_now c using (record_id, version)
                             where c.record_id is null""", [snapshot_id, list(splits)])
    return InSnapshot(groups | {"unchecked": int(unchecked)}, sum(row["kind"] == "contradiction" for row in found))


@needs("read")
def thresholds(ws: Workspace) -> dict[str, float]:
    """The threshold of every kind: the newest word said of it, or its own."""
    said = ws.rows("select kind, arg_max(threshold, seq) as threshold from finding_thresholds group by kind")
    return {kind.key: kind.threshold for kind in KINDS} | {row["kind"]: row["threshold"] for row in said
                                                            if row["kind"] in BY_KEY}


@needs("curate")
def set_threshold(ws: Workspace, kind: str, threshold: float, who: str) -> None:
    """From now on findings of this kind count from this score on; nothing is checked again. Said twice, it is stored once."""
    if not 0 <= threshold <= 1:
        raise StudioError("A threshold lies between 0 and 1.")
    if thresholds(ws)[_kind(kind).key] == threshold:
        return
    with ws.transaction() as transaction:
        transaction.decided("finding_thresholds", [{"threshold_id": ws.new_id(), "seq": 0, "kind": kind, "threshold": threshold,
                                                    "who": who, "said_at": ws.now()}])


@needs("curate")
def dismiss(ws: Workspace, found: Open, who: str) -> None:
    """Not a problem: this place in this record is not asked about again, whatever else changes in the record."""
    mark = {"record_id": found.record.record_id, "kind": found.kind, "turn": found.turn, "start": found.start,
            "end_": found.end}
    with ws.transaction() as transaction:
        _dismissed(ws, transaction, mark, True, who)


@needs("curate")
def apply(ws: Workspace, kinds: Sequence[str], who: str, record_ids: Sequence[str] | None = None,
          style: Style = "placeholder") -> Applied:
    """Make the fixes of these kinds' open findings, in these records or in all: one act that can be undone.

    Personal data gives way to placeholders or, in the style "surrogate", to made-up values, which later checks know. Changed
    records have a new wording, so they are unchecked until the next check.
    """
    found = ws.rows(f"""select f.* {_OPEN} and f.replacement is not null
                        and (? is null or list_contains(?::varchar[], f.record_id)) order by n.position, f.turn, f.start""",
                    [*_levels(ws, kinds), None if record_ids is None else True, list(record_ids or [])])
    by_record: dict[str, list[Row]] = {}
    for row in found:
        by_record.setdefault(row["record_id"], []).append(row)
    worded, left, made_up = [], 0, []
    for record in records.every(ws, list(by_record)):
        fixes = pseudonyms.replace(record.messages, [_finding(row) for row in by_record[record.record_id]], style,
                                   record.record_id)
        messages = cleaning.apply(record.messages, fixes)
        if style == "surrogate":
            made_up += [{"record_id": record.record_id, "value": fix.replacement} for fix in fixes
                        if BY_KEY[fix.kind].group == "privacy"]
        if _usable(messages):
            worded.append((record.record_id, record.version, messages))
        else:
            left += 1
    if made_up:
        with ws.transaction() as transaction:
            transaction.insert("surrogates", made_up)
    changed = records.rewrite(ws, worded, who, _act(kinds, len(worded)))
    return Applied(changed, left)


@needs("curate")
def drop(ws: Workspace, kind: str, who: str) -> int:
    """Drop every record that holds an open finding of this kind, as one act that can be undone; returns how many."""
    ids = records_of(ws, kind)
    records.decide(ws, ids, "drop", who)
    return len(ids)


@needs("curate")
def undo(ws: Workspace, who: str, press_id: str = "") -> Undone | None:
    """Take back this person's newest act that still stands: a fix, a drop, an edit or a "not a problem". None where there is
    none, or where a press of this id was stored before."""
    last = _last_dismissal(ws, who)
    if last is None or records.newest(ws, who) > last["newest"]:
        return records.undo(ws, who, press_id or None)
    mark = {name: last[name] for name in _MARK}
    with ws.transaction() as transaction:
        if press_id and taken(transaction, press_id):
            return None
        _dismissed(ws, transaction, mark, False, who, press_id)
    return Undone(f"Undone: not a problem ({BY_KEY[last['kind']].title})", last["record_id"])


@needs("raw")
def newest(ws: Workspace, who: str) -> int:
    """The place in the journal of this person's newest "not a problem" that stands; 0 where there is none."""
    last = _last_dismissal(ws, who)
    return int(last["newest"]) if last else 0


def taken(read: Workspace | Transaction, press_id: str) -> bool:
    """Whether a press of this id is stored here."""
    ask(read, "raw")
    return bool(read.rows("select 1 from finding_dismissals where dismissal_id = ?", [press_id]))


def styled(found: Open, style: Style) -> Open:
    """The finding with what would stand there in this style."""
    fix = pseudonyms.replace(found.record.messages, [found.as_found], style, found.record.record_id)[0]
    return replace(found, replacement=fix.replacement)


def preview(found: Open) -> tuple[str, str]:
    """The turn as it is, and as it would be once this one finding is applied."""
    messages = cleaning.apply(found.record.messages, [found.as_found])
    return found.text, messages[found.turn]["content"]


@needs("curate")
def accept(ws: Workspace, transaction: Transaction, snapshot_id: str, gate: Gate, who: str) -> None:
    """Somebody freezes all the same: noted beside the snapshot, whose bytes do not depend on it."""
    transaction.decided("accepted_findings", [
        {"accepted_id": ws.new_id(), "seq": 0, "snapshot_id": snapshot_id, "open_records": gate.open_records,
         "unchecked_records": gate.unchecked_records, "who": who, "said_at": ws.now()}])


@needs("read")
def accepted(ws: Workspace, snapshot_id: str) -> str:
    """Who froze this snapshot in spite of what, in a sentence; empty where nothing was open."""
    row = ws.row("select * from accepted_findings where snapshot_id = ? order by seq limit 1", [snapshot_id])
    if row is None:
        return ""
    parts = [f"{row[key]:,} record{'' if row[key] == 1 else 's'} {words}" for key, words in (
        ("open_records", "with open privacy findings"), ("unchecked_records", "not checked for personal data")) if row[key]]
    return f"{row['who']} froze it with {' and '.join(parts)}."


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    """Delete what was found in these records and what people said of it."""
    for table in ("findings", "checked_now", "check_items", "finding_dismissals", "surrogates"):
        transaction.execute(f"delete from {table} where record_id in (select unnest(?::varchar[]))", [list(record_ids)])


def _levels(ws: Workspace, only: Sequence[str] = ()) -> list[Any]:
    levels = thresholds(ws)
    chosen = [_kind(key).key for key in only] or list(levels)
    return [chosen, [levels[key] for key in chosen]]


def _kind(key: str) -> Kind:
    if key not in BY_KEY:
        raise StudioError(f"There is no kind of finding called {key}.", "Choose one on the Clean page.")
    return BY_KEY[key]


def _with_records(ws: Workspace, found: list[Row]) -> list[Open]:
    by_id = {record.record_id: record for record in records.every(ws, list({row["record_id"] for row in found}))}
    return [Open(row["kind"], row["turn"], row["start"], row["end_"], row["score"], row["evidence"], row["replacement"],
                 by_id[row["record_id"]]) for row in found if by_id[row["record_id"]].version == row["version"]]


def _finding(row: Row) -> Finding:
    return Finding(row["kind"], row["turn"], row["start"], row["end_"], row["score"], row["evidence"], row["replacement"])


def _usable(messages: Turns) -> bool:
    try:
        records.check_messages(messages)
    except StudioError:
        return False
    return True


def _act(kinds: Sequence[str], number: int) -> str:
    titles = ", ".join(_kind(key).title for key in kinds)
    private = all(BY_KEY[key].group == "privacy" for key in kinds)
    return f"{'replace personal data in' if private else 'clean'} {number:,} records ({titles})"


def _last_dismissal(ws: Workspace, who: str) -> Row | None:
    return ws.row(f"""select {", ".join(_MARK)}, arg_max(dismissed, seq) as standing, max(seq) as newest
                      from finding_dismissals where who = ? group by {", ".join(_MARK)} having standing
                      order by newest desc limit 1""", [who])


def _dismissed(ws: Workspace, transaction: Transaction, mark: Row, dismissed: bool, who: str, press_id: str = "") -> None:
    transaction.decided("finding_dismissals", [
        {"dismissal_id": press_id or ws.new_id(), "seq": 0} | mark | {"dismissed": dismissed, "who": who, "said_at": ws.now()}])
