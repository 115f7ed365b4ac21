"""Authored: records that were written here, not imported: a reviewer's better answer, a prompt of the playground.

They stand under an import of their own, one an origin, and are kept: somebody wanted them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

from studio import pins, records
from studio.permissions import needs
from studio.rebuilds import REBUILD_AUTHORED
from studio.records import Turns
from studio.workspace import Transaction, Workspace

Origin = Literal["review", "playground"]
_NOW = """insert into record_now
    select r.record_id, r.position, r.import_id, r.rating, r.tags, 1, 'undecided' from records r
    where r.record_id = ? and r.record_id not in (select record_id from record_now)"""


@needs("curate")
def add(ws: Workspace, messages: Turns, origin: Origin, who: str, press_id: str, tags: str = "",
        part: Literal["train", "test"] = "train") -> str:
    """Write a record, keep it, and tie it to a part of later snapshots; returns its id.

    `press_id` names the act: sent again, it adds nothing. Raises StudioError for what is no conversation that ends with
    an answer.
    """
    messages = records.check_messages(messages)
    record_id = hashlib.sha256(f"{origin}/{press_id}".encode()).hexdigest()[:16]
    with ws.transaction() as transaction:
        if not transaction.rows("select 1 from authored where record_id = ?", [record_id]):
            transaction.decided("authored", [{
                "record_id": record_id, "seq": 0, "origin": origin, "messages": json.dumps(messages, ensure_ascii=False),
                "tags": tags, "who": who, "said_at": ws.now()}])
            transaction.execute(REBUILD_AUTHORED)
            transaction.execute(_NOW, [record_id])
    records.decide(ws, [record_id], "keep", who, f"{press_id}-keep")
    pins.put(ws, [record_id], part, origin, who, f"{press_id}-pin")
    return record_id


@needs("read")
def origins(ws: Workspace, record_ids: Sequence[str]) -> dict[str, str]:
    """Where these records were written, of those that were written here."""
    return {row["record_id"]: row["origin"] for row in ws.rows(
        "select record_id, origin from authored where record_id in (select unnest(?::varchar[]))", [record_ids])}


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    transaction.execute("delete from authored where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
