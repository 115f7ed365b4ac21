"""Leaks: lines of validation and test that resemble a line of train, and what people said of them.

Before a freeze they belong to a plan, by its hash; what was found lies in the folder of the run that looked, as ids and
numbers. A frozen snapshot keeps its own in a table: those that somebody accepted, or that were found after it was frozen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Row, Transaction, Workspace

Decision = Literal["accept", "quarantine"]
KINDS = {"exact": "the same words", "near": "nearly the same words", "meaning": "the same meaning"}
MATCHES = "matches.jsonl"
_COLUMNS = """{split: 'varchar', item_id: 'varchar', train_id: 'varchar', kind: 'varchar', similarity: 'float',
               other_similarity: 'float'}"""
_STRONGEST = "(kind = 'exact') desc, similarity desc, kind, train_id"


@dataclass(frozen=True)
class Leak:
    """A line that resembles one of train. `similarity` is of the questions, `other_similarity` of the answers, 0 to 1.

    `decision` is the newest word on it: "quarantine" leaves it out of the snapshot, "accept" lets it in; "" is open.
    """

    split: str
    item_id: str
    train_id: str
    kind: str
    similarity: float
    other_similarity: float | None
    decision: str = ""


@dataclass(frozen=True)
class Checked:
    """What the newest finished check of a plan found: for each line its strongest match; `data` is what it measured."""

    run_id: str
    leaks: tuple[Leak, ...]
    data: Row

    @property
    def open(self) -> int:
        return sum(not leak.decision for leak in self.leaks)

    def said(self, decision: Decision) -> list[Leak]:
        return [leak for leak in self.leaks if leak.decision == decision]


@needs("raw")
def of_plan(ws: Workspace, plan: str) -> Checked | None:
    """What was found for exactly this plan; None where nobody looked yet, or where what was found is gone."""
    row = ws.row("""select r.run_id, r.folder, e.data from runs r join run_results e using (run_id)
                    where r.kind = 'inspect' and e.outcome = 'done' and json_extract_string(r.spec, '$.plan') = ?
                    order by r.started_at desc limit 1""", [plan])
    if row is None:
        return None
    data, found = json.loads(row["data"]), _read(ws, row["folder"])
    if len(found) != data["leaking"]:
        return None
    said = decisions(ws, plan)
    return Checked(row["run_id"], tuple(Leak(**leak, decision=said.get(leak["item_id"], "")) for leak in found), data)


@needs("read")
def decisions(ws: Workspace, plan: str) -> dict[str, str]:
    """The newest word on every line of a plan."""
    found = ws.rows("""select item_id, arg_max(decision, seq) as decision from leak_decisions where plan = ?
                       group by item_id""", [plan])
    return {row["item_id"]: row["decision"] for row in found}


@needs("curate")
def decide(ws: Workspace, plan: str, item_ids: Collection[str], decision: Decision, who: str) -> None:
    """Quarantine or accept these lines of a plan; the newest word counts."""
    if not item_ids:
        return
    with ws.transaction() as transaction:
        transaction.decided("leak_decisions", [
            {"decision_id": ws.new_id(), "seq": 0, "plan": plan, "item_id": item_id, "decision": decision, "who": who,
             "said_at": ws.now()} for item_id in sorted(item_ids)])


@needs("read")
def accepted_by(ws: Workspace, plan: str) -> list[str]:
    """Who accepted lines of a plan."""
    found = ws.rows("""select distinct arg_max(who, seq) as who from leak_decisions where plan = ? group by item_id
                       having arg_max(decision, seq) = 'accept' order by who""", [plan])
    return [row["who"] for row in found]


def settled(checked: Checked | None) -> frozenset[str]:
    """The lines that stay out of the snapshot. Raises StudioError while somebody has to decide about some."""
    if checked is None:
        return frozenset()
    if checked.open:
        raise StudioError(f"{checked.open:,} lines of validation and test resemble train, and nobody has decided about them.",
                          "Quarantine or accept each of them, or all at once.")
    return frozenset(leak.item_id for leak in checked.said("quarantine"))


def keep(transaction: Transaction, snapshot_id: str, checked: Checked) -> None:
    """Note what a frozen snapshot lets in, in place of what was noted before."""
    _store(transaction, snapshot_id, checked.run_id, [leak for leak in checked.leaks if leak.decision != "quarantine"])


@needs("run")
def collect(ws: Workspace, transaction: Transaction, snapshot_id: str, run_id: str, folder: str) -> None:
    """A check of a snapshot that is frozen already: all it found is in there."""
    _store(transaction, snapshot_id, run_id, [Leak(**row) for row in _read(ws, folder)])


@needs("read")
def of_snapshot(ws: Workspace, snapshot_id: str) -> list[Leak]:
    """The lines that resemble train and are in the snapshot all the same, the strongest first."""
    found = ws.rows(f"""select split, item_id, train_id, kind, similarity, other_similarity from leaks where snapshot_id = ?
                        order by {_STRONGEST}, item_id""", [snapshot_id])
    return [Leak(**row) for row in found]


@needs("read")
def suspicious(ws: Workspace, snapshot_id: str) -> frozenset[str]:
    """Test items whose scores may be too good, as train holds something like them."""
    return frozenset(leak.item_id for leak in of_snapshot(ws, snapshot_id) if leak.split == "test")


@needs("read")
def learned(ws: Workspace, snapshot_id: str, model_ids: Collection[str]) -> frozenset[str]:
    """Test items of a snapshot that one of these models learned from: their records are in train of the snapshot it was trained
    on (a reviewer's correction, say)."""
    return frozenset(row["record_id"] for row in ws.rows(
        """select distinct t.record_id from models m join runs r using (run_id)
           join snapshot_items l on l.snapshot_id = r.snapshot_id and l.split = 'train'
           join snapshot_items t on t.record_id = l.record_id and t.snapshot_id = ? and t.split = 'test'
           where m.model_id in (select unnest(?::varchar[])) and r.snapshot_id <> t.snapshot_id""",
        [snapshot_id, list(model_ids)]))


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    """Delete what was found and said about these records."""
    for where in ("leaks where item_id", "leaks where train_id", "leak_decisions where item_id"):
        transaction.execute(f"delete from {where} in (select unnest(?::varchar[]))", [list(record_ids)])


@needs("raw")
def every_match(ws: Workspace, folder: str) -> list[Leak]:
    """What a run found, the strongest match of each line, the strongest first."""
    return [Leak(**row) for row in _read(ws, folder)]


def _read(ws: Workspace, folder: str) -> list[Row]:
    path = ws.path(folder) / MATCHES
    if not path.exists() or not path.stat().st_size:
        return []
    return ws.rows(f"""select split, item_id, train_id, kind, similarity, other_similarity
                       from read_json(?, format = 'newline_delimited', columns = {_COLUMNS})
                       qualify row_number() over (partition by split, item_id order by {_STRONGEST}) = 1
                       order by {_STRONGEST}, item_id""", [str(path)])


def _store(transaction: Transaction, snapshot_id: str, run_id: str, found: Sequence[Leak]) -> None:
    transaction.execute("delete from leaks where snapshot_id = ?", [snapshot_id])
    transaction.insert("leaks", [
        {"snapshot_id": snapshot_id, "split": leak.split, "item_id": leak.item_id, "train_id": leak.train_id, "kind": leak.kind,
         "similarity": leak.similarity, "other_similarity": leak.other_similarity, "run_id": run_id} for leak in found])
