"""Pins: records that a person tied to a part of every later snapshot. The newest word on a record counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from studio.permissions import needs
from studio.workspace import Transaction, Workspace

Part = Literal["train", "test"]
_NEWEST = "select record_id, arg_max(part, seq) as part, arg_max(why, seq) as why from record_pins group by record_id"


@needs("curate")
def put(ws: Workspace, record_ids: Sequence[str], part: Part, why: str, who: str, press_id: str) -> None:
    """Tie records to a part. `press_id` names the act: sent again, it adds nothing."""
    with ws.transaction() as transaction:
        if transaction.rows("select 1 from record_pins where pin_id = ?", [f"{press_id}-0"]):
            return
        transaction.decided("record_pins", [
            {"pin_id": f"{press_id}-{place}", "seq": 0, "record_id": record_id, "part": part, "why": why, "who": who,
             "said_at": ws.now()} for place, record_id in enumerate(record_ids)])


@needs("read")
def every(ws: Workspace) -> dict[str, Part]:
    """The part of each record that is tied to one."""
    return {row["record_id"]: row["part"] for row in ws.rows(_NEWEST)}


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    transaction.execute("delete from record_pins where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
