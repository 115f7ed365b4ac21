"""Data cards: what a snapshot was like when it was frozen, measured, kept beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from studio import findings, leaks
from studio.findings import Gate
from studio.leaks import Checked
from studio.permissions import needs
from studio.planning import Plan
from studio.readiness import Facts
from studio.splits import SPLITS
from studio.workspace import Row, Transaction, Workspace

SHOWN_TAGS = 40


@dataclass(frozen=True)
class Card:
    """`sources` are rows of source, records, synthetic; `tags` the most frequent with their lines, of `tags_in_all`.

    `findings` counts records with open findings by group, and "unchecked" ones; None where nothing was ever checked. `leaks`
    counts what became of lines that resemble train; None where nobody looked. `measures` is what the check for leaks measured
    of the lines (`pipeline.measures`); None without one. `known_here` is false for a snapshot that came from elsewhere.
    `from_reviews` counts lines whose answer a reviewer corrected ("version") or wrote ("example"); `tied` those that somebody
    tied to a part. """

    counts: dict[str, int]
    sources: list[Row]
    tags: dict[str, int]
    tags_in_all: int
    synthetic: int
    reviewed: int
    edited: int
    findings: dict[str, int] | None
    conflicts: int
    gate: Row
    leaks: Row | None
    measures: Row | None
    identical_left_out: int
    twins_left: int
    twins_searched: bool
    held: Row
    worth: list[Any] = field(default_factory=list)
    worth_training: bool | None = None
    known_here: bool = True
    from_reviews: dict[str, int] = field(default_factory=dict)
    tied: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        return sum(self.counts.values())

    @property
    def facts(self) -> Facts:
        """What readiness is judged by."""
        measured = self.measures or {}
        return Facts(
            train=self.counts["train"], lines=self.lines, measured=measured.get("lines", 0),
            short_answers=measured.get("short_answers", 0), long_answers=measured.get("long_answers", 0),
            multi_turn=measured.get("multi_turn", 0), distinct_answers=measured.get("distinct_answers", 0),
            answer_words=measured.get("answer_words", 0), looked_at=measured.get("looked_at", 0),
            variety=measured.get("variety", {}).get("questions", 1.0), changes_daily=measured.get("changes_daily", {}),
            twins_searched=self.twins_searched, twins_left=self.twins_left, checked=self.findings is not None,
            conflicts=self.conflicts, worth=str(self.worth[0][0]) if self.worth else "", worth_training=self.worth_training)


@needs("curate", looks=True)
def make(ws: Workspace, manifest: Mapping[str, Any], snapshot_id: str, planned: Plan | None, checked: Checked | None,
         gate: Gate | None) -> Card:
    """Measure a snapshot whose rows are there. Without a plan (it came from elsewhere) its manifest says what it can."""
    sources = _sources(ws, snapshot_id)
    worth = _worth(ws)
    out = frozenset(leak.item_id for leak in checked.said("quarantine")) if checked else frozenset()
    open_ones = findings.of_snapshot(ws, snapshot_id)
    return Card(
        counts={name: manifest["counts"][name] for name in SPLITS}, sources=sources, **_tags(ws, snapshot_id),
        synthetic=sum(row["records"] for row in sources if row["synthetic"]), **_reviewed(ws, snapshot_id),
        findings=open_ones.groups, conflicts=open_ones.conflicts, gate=_gate(gate), leaks=_leaks(ws, manifest, checked),
        measures=checked.data.get("measures") if checked else None,
        identical_left_out=manifest.get("identical_left_out", 0), twins_left=_twins_left(planned, out),
        twins_searched=bool(planned and planned.searched), held=dict(manifest.get("held_together") or {}), worth=worth[0],
        worth_training=worth[1], known_here=bool(sources), from_reviews=_from_reviews(ws, snapshot_id),
        tied={str(part): number for part, number in planned.division.tied.items()} if planned else {})


@needs("curate")
def keep(ws: Workspace, transaction: Transaction, snapshot_id: str, card: Card) -> None:
    """Store a card in place of an earlier one."""
    transaction.execute("delete from snapshot_cards where snapshot_id = ?", [snapshot_id])
    transaction.insert("snapshot_cards", [{"snapshot_id": snapshot_id, "card": json.dumps(asdict(card), ensure_ascii=False),
                                           "made_at": ws.now()}])


def is_there(transaction: Transaction, snapshot_id: str) -> bool:
    return bool(transaction.rows("select 1 from snapshot_cards where snapshot_id = ?", [snapshot_id]))


@needs("read")
def get(ws: Workspace, snapshot_id: str) -> Card | None:
    """None for a snapshot that an older Tunewright froze."""
    text = ws.value("select card from snapshot_cards where snapshot_id = ?", [snapshot_id])
    return Card(**json.loads(text)) if text else None


@needs("curate")
def measured_later(ws: Workspace, transaction: Transaction, snapshot_id: str, manifest: Mapping[str, Any], data: Row) -> None:
    """A check of a snapshot that was frozen without one: its card says from now on what was found and measured."""
    card = get(ws, snapshot_id) or make(ws, manifest, snapshot_id, None, None, None)
    counted = {"found": data["leaking"], "quarantined": 0, "accepted": 0, "later": data["leaking"], "accepted_by": []}
    told = {"leaks": counted | _how(data), "measures": data["measures"]}
    keep(ws, transaction, snapshot_id, Card(**(asdict(card) | told)))


def _sources(ws: Workspace, snapshot_id: str) -> list[Row]:
    return ws.rows("""select i.source_name as source, coalesce(i.synthetic, false) as synthetic, count(*) as records
                      from snapshot_items s join record_now n on n.record_id = s.record_id
                      join imports i on i.import_id = n.import_id
                      where s.snapshot_id = ? group by all order by records desc, source""", [snapshot_id])


def _tags(ws: Workspace, snapshot_id: str) -> dict[str, Any]:
    found = ws.rows("""select n.tags as tag, count(*) as lines from snapshot_items s join record_now n using (record_id)
                       where s.snapshot_id = ? and n.tags is not null group by 1 order by lines desc, tag""", [snapshot_id])
    return {"tags": {row["tag"]: row["lines"] for row in found[:SHOWN_TAGS]}, "tags_in_all": len(found)}


def _reviewed(ws: Workspace, snapshot_id: str) -> dict[str, Any]:
    """Lines that a person decided to keep or worded anew."""
    row = ws.row("""select count(*) filter (n.decision = 'keep' or e.record_id is not null) as reviewed,
                           count(e.record_id) as edited
                    from snapshot_items s join record_now n using (record_id)
                    left join (select record_id, version from record_versions where who <> 'import') e
                        on e.record_id = s.record_id and e.version = s.version
                    where s.snapshot_id = ?""", [snapshot_id])
    return dict(row or {"reviewed": 0, "edited": 0})


def _from_reviews(ws: Workspace, snapshot_id: str) -> dict[str, int]:
    """How many lines of a snapshot came from reviews: answers that were corrected, examples that were written."""
    rows = ws.rows("""select distinct s.record_id, r.how from snapshot_items s join (select record_id, arg_max(how, seq) as
    how from review_records where how <> 'left' group by record_id) r using (record_id) where s.snapshot_id = ?""",
    [snapshot_id])
    return dict(Counter(row["how"] for row in rows))


def _worth(ws: Workspace) -> tuple[list[Any], bool | None]:
    """What the newest check says of the answers."""
    text = ws.value("""select e.data from runs r join run_results e using (run_id)
                       where r.kind = 'check' and e.outcome = 'done' order by r.started_at desc limit 1""")
    found = json.loads(text) if text else {}
    said = found.get("answer_worth") or []
    could_tell = len(said) > 1 or (bool(said) and not found.get("worth_training", True))
    return said, found.get("worth_training") if could_tell else None


def _twins_left(planned: Plan | None, out: frozenset[str]) -> int:
    """Lines that have a twin in the snapshot."""
    if planned is None:
        return 0
    pieces = [piece for name in SPLITS for piece in planned.splits[name] if piece.record_id not in out]
    times = Counter(key for piece in pieces for key in piece.keys if key.startswith("twins:"))
    return sum(any(times[key] > 1 for key in piece.keys) for piece in pieces)


def _gate(gate: Gate | None) -> Row:
    return asdict(gate) if gate else {}


def _leaks(ws: Workspace, manifest: Mapping[str, Any], checked: Checked | None) -> Row | None:
    if checked is None:
        return None
    return {"found": len(checked.leaks), "quarantined": len(checked.said("quarantine")),
            "accepted": len(checked.said("accept")), "later": 0,
            "accepted_by": leaks.accepted_by(ws, manifest["plan"])} | _how(checked.data)


def _how(data: Row) -> Row:
    return {key: data[key] for key in ("kinds", "near_floor", "meaning")}
