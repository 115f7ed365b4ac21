"""Corrections: better answers that reviewers wrote, taken over into the data, or left.

A correction comes from a test item, and from somebody who read what a model answered to it. So whatever it becomes is tied to
train: no later snapshot puts it, or what hangs together with it, into test. The frozen test set keeps the item; a model that
learned from the correction is shown with and without it on that set (`leaks.learned`). """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio import authored, pins, records, reviews
from studio.errors import StudioError
from studio.permissions import needs
from studio.records import Turns
from studio.workspace import Transaction, Workspace

How = Literal["version", "example", "left"]


@dataclass(frozen=True)
class Correction:
    """A better answer to an item. `state` is what became of it, "" while nobody said; `has_record` whether its record is
    here."""

    card_id: str
    item_id: str
    who: str
    question: Turns
    before: str
    better: str
    state: str
    has_record: bool


@needs("curate", looks=True)
def of_session(ws: Workspace, session_id: str) -> list[Correction]:
    """All better answers of a revealed session, those that wait first. Raises StudioError before the reveal."""
    written = [one for one in reviews.standing(ws, session_id) if one.better]
    texts = reviews.texts(ws, session_id, [one.item_id for one in written])
    state = {row["card_id"]: row["how"] for row in ws.rows(
        "select card_id, arg_max(how, seq) as how from review_records where session_id = ? group by card_id", [session_id])}
    here = {record.record_id for record in records.every(ws, [one.item_id for one in written])}
    found = [Correction(one.card_id, one.item_id, one.who, texts[one.item_id].question, texts[one.item_id].reference,
                        one.better, state.get(one.card_id, ""), one.item_id in here)
             for one in written if one.item_id in texts]
    return sorted(found, key=lambda one: bool(one.state))


@needs("curate")
def take(ws: Workspace, session_id: str, one: Correction, how: How, who: str, press_id: str) -> str:
    """Make it a new version of its record, or a record of its own, or leave it; returns the record's id ("" where it was left).

    `press_id` names the act: sent again, it adds nothing.
    """
    record_id = one.item_id
    answer = {"role": "assistant", "content": one.better}
    if how == "version":
        if not one.has_record:
            raise StudioError("The record of this item is not here any more.", "Take it as a new example.")
        now = records.get(ws, one.item_id).messages
        records.edit(ws, one.item_id, [*now[:-1], answer], who, press_id)
        records.decide(ws, [one.item_id], "keep", who, f"{press_id}-keep")
        pins.put(ws, [one.item_id], "train", "review", who, f"{press_id}-pin")
    elif how == "example":
        record_id = authored.add(ws, [*one.question, answer], "review", who, press_id)
    with ws.transaction() as transaction:
        if not transaction.rows("select 1 from review_records where press_id = ?", [press_id]):
            transaction.decided("review_records", [{
                "press_id": press_id, "seq": 0, "record_id": record_id, "session_id": session_id, "card_id": one.card_id,
                "item_id": one.item_id, "how": how, "who": who, "said_at": ws.now()}])
    return record_id if how != "left" else ""


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    for column in ("record_id", "item_id"):
        transaction.execute(f"delete from review_records where {column} in (select unnest(?::varchar[]))", [list(record_ids)])
