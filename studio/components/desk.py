"""The desk in Python: it hands out cards, stores presses through the nouns, and acknowledges them by their ids.

Presses carry ids made in the browser, and the nouns take an id only once; so a press that is sent again after a crash is
stored once. Refusals go back as words with the card as it really is.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from studio import record_table, records
from studio.errors import StudioError
from studio.permissions import NotAllowed, ask
from studio.records import Filter, Record
from studio.ui import layout
from studio.workspace import Workspace

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HERE = Path(__file__).resolve().parent
WINDOW = 30
Card = dict[str, Any]
Press = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """What one desk needs from the nouns. `apply` stores a press and returns (words to show, id of a card to bring back)."""

    ws: Workspace
    who: str
    key: str
    store: str
    window: Callable[[str], list[Card]]
    card: Callable[[str], Card]
    numbers: Callable[[], dict[str, int]]
    apply: Callable[[Press], tuple[str, str]]


def curate(ws: Workspace, chosen: Filter, who: str) -> None:
    """Records that match the filter, one by one: keep, drop, edit, undo, by mouse or key."""
    def apply(press: Press) -> tuple[str, str]:
        if press["do"] == "undo":
            undone = records.undo(ws, who, press["id"])
            return (undone.sentence, undone.record_id) if undone else ("There is nothing of yours to undo.", "")
        if press["do"] == "edit":
            records.edit(ws, press["card"], press["messages"], who, press["id"])
        elif press["do"] in ("keep", "drop"):
            records.decide(ws, [press["card"]], press["do"], who, press["id"])
        return "", ""

    shown = Desk(
        ws, who, f"desk-{digest(chosen)}", f"{digest(str(ws.root))}:curate:{digest(who)}",
        window=lambda after: [_record_card(r) for r in record_table.window(ws, chosen, WINDOW, after=after)],
        card=lambda card_id: _record_card(records.get(ws, card_id)),
        numbers=lambda: {key: asdict(records.counts(ws))[key] for key in ("keep", "drop", "undecided")},
        apply=apply)
    layout.fragment(lambda: _draw(shown))


def _draw(desk: Desk) -> None:
    memory = f"{desk.key}-reply"
    st.session_state.setdefault(memory, {"session": uuid.uuid4().hex, "reply": 0, "acked": [], "fresh": [], "said": "",
                                         "front": ""})

    def heard() -> None:
        with suppress(NotAllowed):
            st.session_state[memory] = _answer(desk, st.session_state[memory], st.session_state[desk.key]["outbox"]["presses"])

    ask(desk.ws, "label")
    wanted = dict(st.session_state.get(desk.key) or {}).get("want", "")
    after = wanted if isinstance(wanted, str) else ""
    cards = desk.window(after)
    data = {**visit(desk.who), "store": desk.store, "cards": cards, "asked": after,
            "more": len(cards) == WINDOW, "numbers": desk.numbers(), **st.session_state[memory]}
    component = st.components.v2.component("tunewright_desk", css=source("desk.css"),
                                           js=source("outbox.js") + source("desk.js"))
    component(key=desk.key, data=data, default={"outbox": {"n": 0, "presses": []}, "want": ""}, on_outbox_change=heard,
              on_want_change=lambda: None)


def _answer(desk: Desk, before: dict[str, Any], presses: list[Press]) -> dict[str, Any]:
    """Store presses in their order; say which are stored or refused, and which cards changed under the browser.

    Raises NotAllowed for who may not work here any more: what is not acknowledged stays in their browser.
    """
    said, front, touched = "", "", []
    for press in presses:
        try:
            words, back = desk.apply(press)
        except StudioError as error:  # the only place beside the router: a refused press must not lose the others
            ask(desk.ws, "label")
            words, back = f"Not stored: {error}", str(press.get("card", ""))
        if words:
            said, front = words, back
        if back:
            touched.append(back)
    return {"session": before["session"], "reply": before["reply"] + 1, "acked": [press["id"] for press in presses],
            "fresh": [desk.card(card_id) for card_id in dict.fromkeys(touched)], "said": said, "front": front}


def _record_card(record: Record) -> Card:
    facts = [f"line {record.source_line}" if record.source_line else "written here"]
    facts += [f"rated {record.rating:g}"] if record.rating is not None else []
    facts += [record.tags] if record.tags else []
    facts += [f"wording {record.version}"] if record.version > 1 else []
    return {"id": record.record_id, "messages": record.messages, "decision": record.decision, "facts": facts}


def visit(who: str) -> dict[str, str]:
    """Who is here, and a name for their stay: a browser that meets another one knows that the studio was restarted."""
    return {"who": who, "visit": st.session_state.setdefault("visit", uuid.uuid4().hex)}


def digest(value: DataclassInstance | str) -> str:
    """A short name for a filter or a text, the same every time."""
    text = value if isinstance(value, str) else json.dumps(asdict(value))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def source(name: str) -> str:
    """A file of this folder, as it was when this process first read it: what it sends stays of one piece."""
    return (HERE / name).read_text(encoding="utf-8")
