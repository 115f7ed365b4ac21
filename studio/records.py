"""Records: conversations that came in, what people said of them, and every wording they had.

Nothing is deleted: an edit is a new version, a decision is a row, undo is one more row, and the newest word counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from studio import masking, places, search
from studio.errors import StudioError
from studio.permissions import Given, ask, needs, of_one
from studio.places import Decision, Place
from studio.workspace import Row, Transaction, Workspace

Turns = list[dict[str, str]]
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Record:
    """One conversation as it stands now. `version` counts its wordings from 1; `source_line` is its line in the file."""

    record_id: str
    import_id: str
    source_line: int
    external_id: str | None
    rating: float | None
    tags: str | None
    status: str | None
    happened_at: datetime | None
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
    """Which records to show: by decision, by tag, by words (`studio/search.py`); None or empty means all."""

    decision: Decision | None = None
    tag: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Undone:
    sentence: str
    record_id: str


def _veiled(ws: Workspace, found: list[Record], given: Given) -> list[Record]:
    masks = masking.of_wordings(ws, {one.record_id: one.version for one in found}, [one.record_id for one in found])
    return [replace(one, messages=masks[one.record_id].turns(one.messages)) for one in found]


@needs("curate")
def add(ws: Workspace, transaction: Transaction, import_id: str, conversations: str, wordings: str) -> None:
    """Add records in bulk, in the order of their position, each with its first wording.

    `conversations` is a query of (record_id, position (a number that grows), source_line, external_id, rating, tags, status,
    happened_at, name, email); `wordings` one of (record_id, position, messages as JSON text).
    """
    first = transaction.rows("select coalesce(max(position) + 1, 1) as p from records")[0]["p"]
    transaction.execute(
        f"""insert into records select record_id, ?, source_line, external_id, rating, tags, position + {first}, status,
            happened_at from ({conversations})""", [import_id])
    transaction.execute(
        f"""insert into record_now select record_id, position + {first}, ?, rating, tags, 1, 'undecided'
            from ({conversations})""", [import_id])
    transaction.execute(f"""insert into record_people select record_id, name, email from ({conversations})
                            where coalesce(name, '') <> '' or coalesce(email, '') <> ''""")
    transaction.execute(f"""insert into record_versions select record_id, 1, messages, 'import', null, ?, position + {first}
                            from ({wordings})""", [ws.now()])


@needs("curate")
def add_wordings(ws: Workspace, transaction: Transaction, wordings: str) -> None:
    """A newer wording from an import for each record of the query `wordings` (record_id, messages)."""
    transaction.execute(
        f"""insert into record_versions select w.record_id, n.version + 1, w.messages, 'import', null, ?, null
            from ({wordings}) w join record_now n using (record_id)""", [ws.now()])
    transaction.execute(f"""update record_now set version = version + 1
                            where record_id in (select record_id from ({wordings}))""")
    search.reworded(transaction, f"select record_id from ({wordings})")


@needs("read")
def counts(ws: Workspace) -> Counts:
    row = ws.row("""select count(*) as total, count(*) filter (decision = 'keep') as keep,
                    count(*) filter (decision = 'drop') as drop, count(*) filter (decision = 'undecided') as undecided,
                    (select count(distinct record_id) from record_versions where who <> 'import') as edited
                    from record_now""")
    return Counts(**(row or {}))


@needs("read")
def tags(ws: Workspace) -> list[str]:
    return [row["tags"] for row in ws.rows("""select distinct tags from record_now where tags is not null
                                                order by tags limit 1000""")]


@needs("read", veil=of_one(_veiled))
def get(ws: Workspace, record_id: str) -> Record:
    """Raises StudioError when there is no such record."""
    found = every(ws, [record_id])
    if not found:
        raise StudioError(f"There is no record {record_id} in this workspace.", "Open Curate and choose one from there.")
    return found[0]


@needs("raw")
def page(ws: Workspace, chosen: Filter, limit: int, after: str = "") -> list[Record]:
    """Records in the order they came in, those behind the record `after` where one is named."""
    where, values = _where(ws, chosen, after)
    found = ws.rows(f"select record_id from record_now {where} order by position limit ?", [*values, limit])
    return every(ws, [row["record_id"] for row in found])


@needs("read", veil=_veiled)
def every(ws: Workspace, record_ids: Sequence[str]) -> list[Record]:
    """These records, in this order; those that the workspace lacks are left out."""
    now = places.find(ws, record_ids)
    return standing_at(ws, [now[record_id] for record_id in record_ids if record_id in now])


@needs("read", veil=_veiled)
def standing_at(ws: Workspace, where: Sequence[Place]) -> list[Record]:
    """The records at these places, in their order."""
    if not where:
        return []
    positions = [place.position for place in where]
    near = [min(positions), max(positions), positions]
    fields = {row["record_id"]: row for row in ws.rows(
        """select * exclude (position) from records where position between ? and ?
           and position in (select unnest(?::bigint[]))""", near)}
    texts = ws.rows("""select record_id, version, messages from record_versions where position between ? and ?
                       and position in (select unnest(?::bigint[]))
                       union all select record_id, version, messages from record_versions where position is null
                       and record_id in (select unnest(?::varchar[]))""", [*near, [place.record_id for place in where]])
    said = {(row["record_id"], row["version"]): row["messages"] for row in texts}
    return [Record(**fields[place.record_id], version=place.version, decision=place.decision,
                   messages=json.loads(said[place.record_id, place.version])) for place in where]


@needs("raw")
def wording(ws: Workspace, record_id: str, position: int, version: int) -> Turns:
    """One wording of a record, whose position is known. Raises StudioError when it never had that one."""
    found = ws.value("""select messages from record_versions where (position = ? or position is null)
                        and record_id = ? and version = ?""", [position, record_id, version])
    if found is None:
        raise StudioError(f"The record {record_id} has no wording {version}.", "Reload the page and read it again.")
    return json.loads(found)  # type: ignore[no-any-return]


@needs("label")
def decide(ws: Workspace, record_ids: Sequence[str], decision: Decision, who: str, batch_id: str | None = None,
           what: str = "") -> None:
    """Keep, drop or leave open, as one act that can be undone. `batch_id` names the act: sent again, it adds nothing.

    `what` says the act in words when it is undone; left empty, it is the decision and the records.
    """
    batch_id = batch_id or ws.new_id()
    if not record_ids:
        return
    what = what or (f"{decision} {len(record_ids)} records" if len(record_ids) > 1 else f"{decision} {record_ids[0]}")
    with ws.transaction() as transaction:
        if taken(transaction, batch_id):
            return
        _decided(ws, transaction, [(record_id, decision) for record_id in record_ids], who, batch_id)
        _batch(ws, transaction, batch_id, who, what)


@needs("curate")
def edit(ws: Workspace, record_id: str, messages: Turns, who: str, batch_id: str | None = None) -> None:
    """A new wording. Raises StudioError when it is not a conversation that ends with the agent."""
    batch_id = batch_id or ws.new_id()
    messages = check_messages(messages)
    with ws.transaction() as transaction:
        newest = get(ws, record_id)
        if taken(transaction, batch_id) or messages == newest.messages:
            return
        _worded(transaction, [_version(ws, record_id, newest.version + 1, messages, who, batch_id)])
        _batch(ws, transaction, batch_id, who, f"edit {record_id}")


@needs("curate")
def rewrite(ws: Workspace, wordings: Sequence[tuple[str, int, Turns]], who: str, what: str) -> int:
    """New wordings of many records as one act that can be undone: (record id, the version it replaces, messages).

    A record whose newest version is another by now, or whose wording stays as it is, is left alone. Returns how many changed.
    """
    batch_id = ws.new_id()
    with ws.transaction() as transaction:
        newest = {record.record_id: record for record in every(ws, [record_id for record_id, _, _ in wordings])}
        changed = [(record_id, version, check_messages(messages)) for record_id, version, messages in wordings
                   if record_id in newest and newest[record_id].version == version]
        changed = [(record_id, version, messages) for record_id, version, messages in changed
                   if messages != newest[record_id].messages]
        if changed:
            _worded(transaction, [_version(ws, record_id, version + 1, messages, who, batch_id)
                                  for record_id, version, messages in changed])
            _batch(ws, transaction, batch_id, who, what)
    return len(changed)


@needs("curate")
def undo(ws: Workspace, who: str, batch_id: str | None = None) -> Undone | None:
    """Take back the newest act of this person that still stands; None when there is none."""
    batch_id = batch_id or ws.new_id()
    with ws.transaction() as transaction:
        standing = transaction.rows(
            """select batch_id, what from curation_batches b where who = ? and undoes is null
               and not exists (from curation_batches u where u.undoes = b.batch_id) order by seq desc limit 1""", [who])
        if not standing or taken(transaction, batch_id):
            return None
        last = standing[0]
        touched = _restore(ws, transaction, last["batch_id"], who, batch_id)
        _batch(ws, transaction, batch_id, who, f"undo: {last['what']}", undoes=last["batch_id"])
    return Undone(f"Undone: {last['what']}", touched)


@needs("raw")
def newest(ws: Workspace, who: str) -> int:
    """The place in the journal of this person's newest act that still stands; 0 where there is none."""
    return int(ws.value("""select coalesce(max(seq), 0) from curation_batches b where who = ? and undoes is null
                           and not exists (from curation_batches u where u.undoes = b.batch_id)""", [who]))


def taken(read: Workspace | Transaction, batch_id: str) -> bool:
    """Whether an act of this id is stored; looked at under the write lock, because two tabs may send a press at one moment."""
    ask(read, "raw")
    return bool(read.rows("select 1 from curation_batches where batch_id = ?", [batch_id]))


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    """Delete these records with every wording they had, their people and what was decided of them. There is no undo."""
    search.forget(transaction, record_ids)
    for table in ("records", "record_now", "record_versions", "record_people", "decisions"):
        transaction.execute(f"delete from {table} where record_id in (select unnest(?::varchar[]))", [list(record_ids)])


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
    ids, said = [record_id for record_id, _ in wanted], [decision for _, decision in wanted]
    transaction.execute("""update record_now set decision = said.decision
                           from (select unnest(?::varchar[]) as record_id, unnest(?::varchar[]) as decision) said
                           where record_now.record_id = said.record_id""", [ids, said])


def _worded(transaction: Transaction, versions: Sequence[Row]) -> None:
    transaction.decided("record_versions", versions)
    transaction.execute("""update record_now set version = said.version
                           from (select unnest(?::varchar[]) as record_id, unnest(?::integer[]) as version) said
                           where record_now.record_id = said.record_id""",
                        [[row["record_id"] for row in versions], [row["version"] for row in versions]])
    search.reworded(transaction, "select unnest(?::varchar[])", [[row["record_id"] for row in versions]])


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
        _worded(transaction, [_version(ws, row["record_id"], row["newest"] + 1, json.loads(row["messages"]), who, batch_id)
                              for row in edits])
    return str((before or edits)[0]["record_id"])


def _batch(ws: Workspace, transaction: Transaction, batch_id: str, who: str, what: str, undoes: str | None = None) -> None:
    transaction.decided("curation_batches", [
        {"batch_id": batch_id, "seq": 0, "who": who, "what": what, "undoes": undoes, "said_at": ws.now()}])


def _version(ws: Workspace, record_id: str, version: int, messages: Turns, who: str, batch_id: str | None) -> Row:
    return {"record_id": record_id, "version": version, "messages": json.dumps(messages, ensure_ascii=False),
            "who": who, "batch_id": batch_id, "written_at": ws.now()}


def _where(ws: Workspace, chosen: Filter, after: str) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    behind = "position > (select r.position from record_now r where r.record_id = ?)"
    for sql, value in (("decision = ?", chosen.decision), ("tags = ?", chosen.tag), (behind, after)):
        if value:
            parts.append(sql)
            values.append(value)
    if chosen.text.strip():
        parts.append("position in (select unnest(?::bigint[]))")
        values.append(search.positions(ws, chosen.text))
    return ("where " + " and ".join(parts) if parts else ""), values
