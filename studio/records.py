"""Records: conversations that came in, what people said of them, and every wording they had.

Nothing is deleted: an edit is a new version, a decision is a row, undo is one more row, and the newest word counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio.errors import StudioError
from studio.workspace import Row, Transaction, Workspace

Decision = Literal["keep", "drop", "undecided"]
Turns = list[dict[str, str]]
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class NewRecord:
    record_id: str
    source_line: int
    external_id: str | None
    rating: float | None
    tags: str | None
    messages: Turns


@dataclass(frozen=True)
class Record:
    """One conversation as it stands now. `version` counts its wordings from 1; `source_line` is its line in the file."""

    record_id: str
    import_id: str
    source_line: int
    external_id: str | None
    rating: float | None
    tags: str | None
    version: int
    messages: Turns
    decision: Decision

    @property
    def question(self) -> str:
        """The customer's first message."""
        return next((turn["content"] for turn in self.messages if turn["role"] == "user"), "")

    @property
    def answer(self) -> str:
        """The agent's last answer."""
        return self.messages[-1]["content"]


@dataclass(frozen=True)
class Counts:
    total: int
    keep: int
    drop: int
    undecided: int
    edited: int

    @property
    def usable(self) -> int:
        """Everything that nobody dropped."""
        return self.total - self.drop


@dataclass(frozen=True)
class Filter:
    """Which records to show: by decision, by tag, by a piece of text; None or empty means all."""

    decision: Decision | None = None
    tag: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Undone:
    sentence: str
    record_id: str


def known(ws: Workspace, record_ids: Sequence[str]) -> set[str]:
    """Those of the ids that the workspace has."""
    found = ws.rows("select record_id from records where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
    return {row["record_id"] for row in found}


def add(ws: Workspace, transaction: Transaction, import_id: str, new: Sequence[NewRecord]) -> None:
    """Add records in file order, each with its first version."""
    first = transaction.rows("select coalesce(max(position), 0) + 1 as p from records")[0]["p"]
    transaction.insert("records", [
        {"record_id": r.record_id, "import_id": import_id, "source_line": r.source_line, "external_id": r.external_id,
         "rating": r.rating, "tags": r.tags, "position": first + place} for place, r in enumerate(new)])
    transaction.insert("record_versions", [
        _version(ws, r.record_id, 1, r.messages, who="import", batch_id=None) for r in new])


def counts(ws: Workspace) -> Counts:
    row = ws.row("""select count(*) as total, count(*) filter (decision = 'keep') as keep,
                    count(*) filter (decision = 'drop') as drop, count(*) filter (decision = 'undecided') as undecided,
                    count(*) filter (version > 1) as edited from current_records""")
    return Counts(**(row or {}))


def tags(ws: Workspace) -> list[str]:
    return [row["tags"] for row in ws.rows("select distinct tags from records where tags is not null order by tags")]


def get(ws: Workspace, record_id: str) -> Record:
    """Raises StudioError when there is no such record."""
    found = ws.row("select * exclude (position) from current_records where record_id = ?", [record_id])
    if found is None:
        raise StudioError(f"There is no record {record_id} in this workspace.", "Open Curate and choose one from there.")
    return _record(found)


def page(ws: Workspace, chosen: Filter, limit: int, after: str = "") -> list[Record]:
    """Records in the order they came in, those behind the record `after` where one is named."""
    where, values = _where(chosen, after)
    found = ws.rows(f"select * exclude (position) from current_records {where} order by position limit ?", [*values, limit])
    return [_record(row) for row in found]


def matching(ws: Workspace, chosen: Filter) -> int:
    where, values = _where(chosen)
    return int(ws.value(f"select count(*) from current_records {where}", values))


def decide(ws: Workspace, record_ids: Sequence[str], decision: Decision, who: str, batch_id: str | None = None) -> None:
    """Keep, drop or leave open, as one act that can be undone. `batch_id` names the act: sent again, it adds nothing."""
    batch_id = batch_id or ws.new_id()
    if not record_ids:
        return
    what = f"{decision} {len(record_ids)} records" if len(record_ids) > 1 else f"{decision} {record_ids[0]}"
    with ws.transaction() as transaction:
        if _said_already(transaction, batch_id):
            return
        _decided(ws, transaction, [(record_id, decision) for record_id in record_ids], who, batch_id)
        _batch(ws, transaction, batch_id, who, what)


def decide_matching(ws: Workspace, chosen: Filter, decision: Decision, who: str) -> int:
    """The same for every record that the filter shows and that is not so yet; returns how many that were."""
    where, values = _where(chosen)
    found = ws.rows(f"select record_id, decision from current_records {where} order by position", values)
    ids = [row["record_id"] for row in found if row["decision"] != decision]
    decide(ws, ids, decision, who)
    return len(ids)


def edit(ws: Workspace, record_id: str, messages: Turns, who: str, batch_id: str | None = None) -> None:
    """A new wording. Raises StudioError when it is not a conversation that ends with the agent."""
    batch_id = batch_id or ws.new_id()
    messages = check_messages(messages)
    with ws.transaction() as transaction:
        newest = get(ws, record_id)
        if _said_already(transaction, batch_id) or messages == newest.messages:
            return
        transaction.decided("record_versions",
                            [_version(ws, record_id, newest.version + 1, messages, who, batch_id)])
        _batch(ws, transaction, batch_id, who, f"edit {record_id}")


def undo(ws: Workspace, who: str, batch_id: str | None = None) -> Undone | None:
    """Take back the newest act of this person that still stands; None when there is none."""
    batch_id = batch_id or ws.new_id()
    with ws.transaction() as transaction:
        standing = transaction.rows(
            """select batch_id, what from curation_batches b where who = ? and undoes is null
               and not exists (from curation_batches u where u.undoes = b.batch_id) order by seq desc limit 1""", [who])
        if not standing or _said_already(transaction, batch_id):
            return None
        last = standing[0]
        touched = _restore(ws, transaction, last["batch_id"], who, batch_id)
        _batch(ws, transaction, batch_id, who, f"undo: {last['what']}", undoes=last["batch_id"])
    return Undone(f"Undone: {last['what']}", touched)


def check_messages(messages: Turns) -> Turns:
    """A conversation: known roles, no empty turn, at most one system turn and that first, the last turn the agent's."""
    clean = [{"role": turn["role"], "content": turn["content"].strip()} for turn in messages]
    for place, turn in enumerate(clean, start=1):
        if turn["role"] not in ROLES or (turn["role"] == "system" and place > 1):
            raise StudioError(f"Turn {place} has a role that is not allowed there ({turn['role']}).")
        if not turn["content"]:
            raise StudioError(f"Turn {place} is empty.", "Write something, or press Esc to leave it as it was.")
    if not clean or clean[-1]["role"] != "assistant":
        raise StudioError("The last turn must be the agent's answer: it is what the model learns.")
    return clean


def _decided(ws: Workspace, transaction: Transaction, wanted: list[tuple[str, str]], who: str, batch_id: str) -> None:
    transaction.decided("decisions", [
        {"decision_id": f"{batch_id}-{place}", "seq": 0, "record_id": record_id, "decision": decision, "who": who,
         "batch_id": batch_id, "decided_at": ws.now()} for place, (record_id, decision) in enumerate(wanted)])


def _restore(ws: Workspace, transaction: Transaction, undone: str, who: str, batch_id: str) -> str:
    """Say again what stood before the act `undone`, for every record it touched; returns the first of them."""
    before = transaction.rows(
        """select d.record_id, coalesce((select arg_max(p.decision, p.seq) from decisions p
               where p.record_id = d.record_id and p.seq < d.seq), 'undecided') as decision
           from decisions d where d.batch_id = ? order by d.seq""", [undone])
    if before:
        _decided(ws, transaction, [(row["record_id"], row["decision"]) for row in before], who, batch_id)
    edits = transaction.rows(
        """select v.record_id, p.messages, (select max(version) from record_versions n where n.record_id = v.record_id)
               as newest from record_versions v join record_versions p
               on p.record_id = v.record_id and p.version = v.version - 1 where v.batch_id = ?""", [undone])
    if edits:
        transaction.decided("record_versions", [
            _version(ws, row["record_id"], row["newest"] + 1, json.loads(row["messages"]), who, batch_id)
            for row in edits])
    return str((before or edits)[0]["record_id"])


def _said_already(transaction: Transaction, batch_id: str) -> bool:
    """Looked at under the write lock: two tabs may send the same press at the same moment."""
    return bool(transaction.rows("select 1 from curation_batches where batch_id = ?", [batch_id]))


def _batch(ws: Workspace, transaction: Transaction, batch_id: str, who: str, what: str, undoes: str | None = None) -> None:
    transaction.decided("curation_batches", [
        {"batch_id": batch_id, "seq": 0, "who": who, "what": what, "undoes": undoes, "said_at": ws.now()}])


def _version(ws: Workspace, record_id: str, version: int, messages: Turns, who: str, batch_id: str | None) -> Row:
    return {"record_id": record_id, "version": version, "messages": json.dumps(messages, ensure_ascii=False),
            "who": who, "batch_id": batch_id, "written_at": ws.now()}


def _where(chosen: Filter, after: str = "") -> tuple[str, list[str]]:
    parts, values = [], []
    behind = "position > (select r.position from records r where r.record_id = ?)"
    for sql, value in (("decision = ?", chosen.decision), ("tags = ?", chosen.tag), (behind, after)):
        if value:
            parts.append(sql)
            values.append(value)
    if chosen.text.strip():
        parts.append("contains(lower(array_to_string(json_extract_string(messages, '$[*].content'), chr(10))), lower(?))")
        values.append(chosen.text.strip())
    return ("where " + " and ".join(parts) if parts else ""), values


def _record(row: Row) -> Record:
    return Record(**(row | {"messages": json.loads(row["messages"])}))
