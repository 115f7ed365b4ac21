"""The review desk in Python: it hands out cards of a session, stores presses through the nouns, and acknowledges them by id.

A card is texts and an opaque id; nothing else leaves, and nothing in its form, order or size tells the sides apart. Presses
carry ids made in the browser and are stored once. """

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import streamlit as st

from studio import opinions, reviews, word_diff
from studio.components.desk import Card, Press, digest, source, visit
from studio.errors import StudioError
from studio.opinions import CRITERIA, FAULTS, Opinion
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
    layout.fragment(lambda: _draw(ws, session, who))


def apply(ws: Workspace, session_id: str, who: str, press: Press) -> list[Card]:
    """Store one press; returns what the browser must be told about it, mostly nothing. Raises StudioError when refused."""
    if press["do"] == "undo":
        back = reviews.undo(ws, session_id, who, press["id"])
        words = "Taken back; here it is again." if back else "There is nothing of yours left to take back."
        return [{"press": press["id"], "kind": "undone", "words": words, "front": back or "",
                 "card": card(reviews.card(ws, session_id, back)) if back else None}]
    shown = reviews.card(ws, session_id, press["card"])
    said = opinions.read(press, shown.left, shown.right)
    reviews.judge(ws, session_id, press["card"], said, who, press["id"], press.get("seconds"))
    return []


def card(found: reviews.Card) -> Card:
    """What the browser gets of one card."""
    return {"id": found.card_id, "question": found.question, "left": found.left, "right": found.right,
            "reference": found.reference, "mine": _mine(found.opinion)}


def _draw(ws: Workspace, session: Session, who: str) -> None:
    key = f"review-{session.session_id}-{digest(who)}"
    memory = f"{key}-reply"
    st.session_state.setdefault(memory, {"session": uuid.uuid4().hex, "reply": 0, "acked": [], "told": [], "served": ""})

    def heard() -> None:
        presses = st.session_state[key]["outbox"]["presses"]
        st.session_state[memory] |= _answer(ws, session.session_id, who, st.session_state[memory], presses)

    asked, known = dict(st.session_state.get(key) or {}), st.session_state[memory]
    want = asked.get("want")
    found = _window(ws, session.session_id, who, want) if want and want["n"] != known["served"] else dict(NOTHING)
    if want is None or found["answered"]:  # not for every press: this costs more than storing one
        now = reviews.progress(ws, session.session_id, who)
        known |= {"numbers": {"mine": now.mine, "cards": now.cards}, "stamp": uuid.uuid4().hex}
    data = {**visit(who), "store": f"{digest(str(ws.root))}:review:{session.session_id}:{digest(who)}", **known, **found,
            "rubric": [{"key": one, "title": CRITERIA[one]} for one in session.settings.rubric],
            "faults": [{"key": one, "title": title} for one, title in FAULTS.items()],
            "looked": _apart(ws, session.session_id, asked.get("look") or {})}
    component = st.components.v2.component("tunewright_review", css=source("desk.css") + source("review.css"),
                                           js="".join(map(source, JS)))
    component(key=key, data=data, default={"outbox": {"n": 0, "presses": []}, "want": None, "look": None},
              on_outbox_change=heard, on_want_change=lambda: None, on_look_change=lambda: None)
    if want:
        known["served"] = want["n"]  # only now: a run that is broken off before must hand out its cards again


def _answer(ws: Workspace, session_id: str, who: str, before: dict[str, Any], presses: Sequence[Press]) -> dict[str, Any]:
    """Store presses in their order; say which are stored or refused, and what has to be told about them."""
    told: list[Card] = []
    for press in presses:
        try:
            told += apply(ws, session_id, who, press)
        except StudioError as error:  # a refused press must not lose the others
            told.append({"press": press["id"], "kind": "refused", "words": f"Not stored: {error}", "card": None,
                         "front": press.get("card", "")})
    return {"reply": before["reply"] + 1, "acked": [press["id"] for press in presses], "told": told}


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


def _apart(ws: Workspace, session_id: str, look: dict[str, str]) -> Card | None:
    """Where the two answers of a card differ, in characters; None where nobody asked, no stretches where they are very long."""
    if not look:
        return None
    shown = reviews.card(ws, session_id, look["card"])
    found = word_diff.apart(shown.left, shown.right)
    return {"n": look["n"], "left": found[0] if found else None, "right": found[1] if found else None}


def _mine(said: Opinion | None) -> Card | None:
    if said is None:
        return None
    return {"verdict": said.verdict, "note": said.note, **said.data()}
