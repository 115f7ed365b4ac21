"""The review desk in Python: it hands out cards of a session, stores presses through the nouns, and acknowledges them by id.

A card is texts and an opaque id; nothing else leaves, and nothing in its form, order or size tells the sides apart. Presses
carry ids made in the browser and are stored once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from studio import opinions, reviews, word_diff
from studio.components.desk import Card, Press, digest, source, visit
from studio.errors import StudioError
from studio.opinions import CRITERIA, FAULTS, Opinion
from studio.permissions import NotAllowed, ask
from studio.reviews import Session
from studio.ui import layout
from studio.workspace import Workspace

WINDOW, PAST = 30, 5
HEAVY_CHARACTERS = 1_500_000
"""What one window may weigh; very long answers come in smaller pieces."""
NOTHING: dict[str, Any] = {"cards": [], "past": [], "more": False, "answered": ""}
JS = ("outbox.js", "label_card.js", "review_drafts.js", "review_view.js", "review_marks.js", "review.js")


def draw(ws: Workspace, session: Session, who: str) -> None:
    """This person's cards, one after the other."""
    memory = _memory(session.session_id, who)
    st.session_state.setdefault(memory, {"session": uuid.uuid4().hex, "reply": 0, "acked": [], "told": [], "served": "",
                                         "compared": ""})
    st.session_state[memory] |= _numbers(ws, session.session_id, who)  # the whole page runs again when a deck has grown
    layout.fragment(lambda: _draw(ws, session, who))


def apply(ws: Workspace, session_id: str, who: str, press: Press) -> list[Card]:
    """Store one press; returns what the browser must be told about it, mostly nothing. Raises StudioError when refused."""
    if press["do"] == "undo":
        back = reviews.undo(ws, session_id, who, press["id"])
        words = "Taken back; here it is again." if back else "There is nothing of yours left to take back."
        return [{"press": press["id"], "kind": "undone", "words": words, "front": back or ""}]
    left, right = "", ""
    if press.get("faults"):  # only marks are held against the texts, and reading these costs more than storing a verdict
        shown = reviews.card(ws, session_id, press["card"])
        left, right = shown.left, shown.right
    said = opinions.read(press, left, right)
    reviews.judge(ws, session_id, press["card"], said, who, press["id"], press.get("seconds"))
    return []


def answer(ws: Workspace, session_id: str, who: str, before: dict[str, Any], presses: Sequence[Press]) -> dict[str, Any]:
    """Store presses in their order; say which are stored or refused, and what has to be told about them.

    A press that comes a second time was stored by a run that was broken off before the browser heard of it. A count that was
    sent meanwhile held that press already, and the browser put it on top: so it is counted anew. Raises NotAllowed for who may
    not review here any more: what is not acknowledged stays in their browser.
    """
    repeated = reviews.stored(ws, [press["id"] for press in presses])
    told: list[Card] = []
    for press in presses:
        try:
            told += apply(ws, session_id, who, press)
        except StudioError as error:  # a refused press must not lose the others
            ask(ws, "review")
            told.append({"press": press["id"], "kind": "refused", "words": f"Not stored: {error}",
                         "front": press.get("card", "")})
    told = [one | {"card": _as_it_is(ws, session_id, one["front"])} for one in told]  # a later press may have changed it
    counted = _numbers(ws, session_id, who) if told or repeated else {}
    return {"reply": before["reply"] + 1, "acked": [press["id"] for press in presses], "told": told, **counted}


def card(found: reviews.Card) -> Card:
    """What the browser gets of one card."""
    return {"id": found.card_id, "question": found.question, "left": found.left, "right": found.right,
            "reference": found.reference, "mine": _mine(found.opinion)}


def _draw(ws: Workspace, session: Session, who: str) -> None:
    key, memory = _key(session.session_id, who), _memory(session.session_id, who)

    def heard() -> None:
        presses = st.session_state[key]["outbox"]["presses"]
        with suppress(NotAllowed):
            st.session_state[memory] |= answer(ws, session.session_id, who, st.session_state[memory], presses)

    ask(ws, "review")
    asked, known = dict(st.session_state.get(key) or {}), st.session_state[memory]
    want, look = asked.get("want"), asked.get("look")
    found = _window(ws, session.session_id, who, want) if want and want["n"] != known["served"] else dict(NOTHING)
    if found["answered"]:  # not for every press: this costs more than storing one
        known |= _numbers(ws, session.session_id, who)
    data = {**visit(who), "store": f"{digest(str(ws.root))}:review:{session.session_id}:{digest(who)}", **known, **found,
            "rubric": [{"key": one, "title": CRITERIA[one]} for one in session.settings.rubric],
            "faults": [{"key": one, "title": title} for one, title in FAULTS.items()],
            "looked": _apart(ws, session.session_id, look) if look and look["n"] != known["compared"] else None}
    component = st.components.v2.component("tunewright_review", css=source("desk.css") + source("review.css"),
                                           js="".join(map(source, JS)))
    component(key=key, data=data, default={"outbox": {"n": 0, "presses": []}, "want": None, "look": None},
              on_outbox_change=heard, on_want_change=lambda: None, on_look_change=lambda: None)
    # Only now: a run that is broken off before must answer again.
    known |= ({"served": want["n"]} if want else {}) | ({"compared": look["n"]} if look else {})


def _key(session_id: str, who: str) -> str:
    return f"review-{session_id}-{digest(who)}"


def _memory(session_id: str, who: str) -> str:
    return f"{_key(session_id, who)}-reply"


def _numbers(ws: Workspace, session_id: str, who: str) -> dict[str, Any]:
    """How far this person is, and a name for this count: the browser puts on top what is not stored yet."""
    now = reviews.progress(ws, session_id, who)
    return {"numbers": {"mine": now.mine, "cards": now.cards}, "stamp": uuid.uuid4().hex}


def _as_it_is(ws: Workspace, session_id: str, card_id: str) -> Card | None:
    """The card that is told about, where there is one."""
    try:
        return card(reviews.card(ws, session_id, card_id))
    except StudioError:
        return None


def _window(ws: Workspace, session_id: str, who: str, want: dict[str, str]) -> Card:
    """The next cards, fewer where they are very long, and whether there may be more; for a desk that is drawn anew also the
    last that were judged, to go back to."""
    waiting = reviews.window(ws, session_id, who, WINDOW, want["after"])
    found: list[Card] = []
    weight = 0
    for one in waiting:
        weight += len(one.left) + len(one.right)
        if found and weight > HEAVY_CHARACTERS:
            break
        found.append(card(one))
    past = [] if want["after"] else [card(one) for one in reversed(reviews.mine(ws, session_id, who, PAST))]
    return {"cards": found, "past": past, "more": len(waiting) >= WINDOW or len(found) < len(waiting), "answered": want["n"]}


def _apart(ws: Workspace, session_id: str, look: dict[str, str]) -> Card:
    """Where the two answers of a card differ, in characters; no stretches where they are too long to be compared."""
    shown = reviews.card(ws, session_id, look["card"])
    found = word_diff.apart(shown.left, shown.right)
    return {"n": look["n"], "left": found[0] if found else None, "right": found[1] if found else None}


def _mine(said: Opinion | None) -> Card | None:
    if said is None:
        return None
    return {"verdict": said.verdict, "note": said.note, **said.data()}
