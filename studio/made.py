"""Made: examples that a model wrote, in the tables. What passed the gate is a record, marked as what it is; what did not is
kept beside it with its reasons. """

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from studio import ledger, records
from studio.mentions import named_in
from studio.permissions import needs
from studio.ui.formats import count
from studio.workspace import Row, Transaction, Workspace


@dataclass(frozen=True)
class Origin:
    """Where a synthetic record comes from."""

    run_id: str
    title: str
    model: str
    scenario: str
    seeds: tuple[str, ...]
    prompt_sha256: str
    score: float | None

    @property
    def words(self) -> str:
        """`synthetic: late parcel, by gpt-5, after 3 records`."""
        said = f"synthetic: {self.scenario or 'no scenario'}, by {self.model}"
        said += f", after {count(len(self.seeds), 'record')}" if self.seeds else ""
        return said + (f", scored {self.score:g} of 5" if self.score is not None else "")


@needs("run")
def collect(ws: Workspace, transaction: Transaction, run_id: str, spec: Row, examples: Sequence[Row],
            calls: Sequence[Row]) -> None:
    """Store what a run made and what it asked, whether it got to its end or not; what passed becomes records, once each. A
    preview makes none. `examples` and `calls` are the lines of its folder."""
    endpoint = spec["model"].get("endpoint") or {}
    ledger.add(transaction, run_id, spec["model"]["name"], endpoint.get("money", ""), calls)
    if spec.get("only"):
        return
    newest = {row["slot"]: row for row in examples}
    transaction.execute("delete from made_examples where run_id = ?", [run_id])
    transaction.insert("made_examples", [{
        "run_id": run_id, "slot": slot, "place": row["place"], "scenario": spec["cells"][row["cell"]]["scenario"],
        "state": row["state"], "record_id": record_id(run_id, slot) if row["state"] == "accepted" else None,
        "messages": json.dumps(row["messages"], ensure_ascii=False), "reasons": json.dumps(row["reasons"]),
        "score": row["score"], "seeds": json.dumps(row["seeds"]), "prompt_sha256": row["prompt_sha256"], "tries": row["try"],
        "made_at": datetime.fromtimestamp(row["at"], UTC).replace(tzinfo=None)} for slot, row in newest.items()])
    _as_records(ws, transaction, run_id, sum(row["state"] == "accepted" for row in newest.values()))


@needs("read")
def some(ws: Workspace) -> bool:
    """Whether any record here was written by a model."""
    return bool(ws.rows("select 1 from imports where synthetic and conversations > 0 limit 1"))


@needs("read")
def origins(ws: Workspace, record_ids: Sequence[str]) -> dict[str, Origin]:
    """Where records come from, of those that a model wrote here."""
    rows = ws.rows("""select m.record_id, m.run_id, r.title, json_extract_string(r.spec, '$.model.name') as model, m.scenario,
                             m.seeds, m.prompt_sha256, m.score
                      from made_examples m join runs r using (run_id) where m.record_id in (select unnest(?::varchar[]))""",
                   [list(record_ids)])
    return {row.pop("record_id"): Origin(**(row | {"seeds": tuple(json.loads(row["seeds"]))})) for row in rows}


@needs("raw")
def refused(ws: Workspace, run_id: str, limit: int = 500) -> list[Row]:
    """What was set aside: scenario, reasons and the words."""
    return [{"scenario": row["scenario"], "reasons": json.loads(row["reasons"]), "messages": json.loads(row["messages"])}
            for row in ws.rows("""select * from made_examples where run_id = ? and state = 'refused'
                                  order by place limit ?""", [run_id, limit])]


def record_id(run_id: str, slot: str) -> str:
    return hashlib.sha256(f"synthesize/{run_id}/{slot}".encode()).hexdigest()[:16]


def forget(transaction: Transaction, record_ids: Sequence[str], words: Sequence[str]) -> None:
    """Delete what became one of these records, was written after one of them, or names one of the words (lower case)."""
    transaction.execute(f"""delete from made_examples where record_id in (select unnest($1::varchar[]))
        or exists (from (select unnest($1::varchar[]) as id) i where contains(made_examples.seeds, i.id))
        or exists (from (select unnest($2::varchar[]) as word) w where {named_in('made_examples.messages')})""",
                        [list(record_ids), list(words)])


def _as_records(ws: Workspace, transaction: Transaction, run_id: str, accepted: int) -> None:
    """The accepted examples that are no records yet, under an import that says what they are."""
    mine = f"from made_examples where run_id = '{run_id}' and state = 'accepted'"
    new = f"{mine} and record_id not in (select record_id from records)"
    if not transaction.rows(f"select 1 {new} limit 1"):
        return
    title = transaction.rows("select title from runs where run_id = ?", [run_id])[0]["title"]
    if not transaction.rows("select 1 from imports where import_id = ?", [run_id]):
        transaction.insert("imports", [{
            "import_id": run_id, "source_name": title, "source_sha256": "", "choices": "{}", "rows_in": 0,
            "rows_imported": 0, "rows_filtered": 0, "rows_refused": 0, "rows_already_here": 0, "conversations": 0,
            "imported_at": ws.now(), "desk": f"synthetic {run_id}", "synthetic": True}])
    transaction.execute(f"create or replace temp table arriving as select record_id, messages, scenario, "
                        f"row_number() over (order by place) - 1 as position {new}")
    records.add(ws, transaction, run_id, """select record_id, position, 0 as source_line, null as external_id, null as rating,
                nullif(scenario, '') as tags, null as status, null::timestamp as happened_at, null as name, null as email
                from arriving""", "select record_id, position, messages from arriving")
    transaction.execute("drop table arriving")
    transaction.execute("update imports set rows_in = ?, rows_imported = ?, conversations = ? where import_id = ?",
                        [accepted, accepted, accepted, run_id])


