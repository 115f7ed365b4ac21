"""The label desk in Python: it hands out records of a queue, stores presses through the nouns, and acknowledges them by id.

Cards go out once: the browser asks for more with a number (`want`), and says which it holds by the last record's id. What was
refused, taken back or changed elsewhere is told to it with the record as it really is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from studio import acts, adjudicate, key_maps, labels, made, marks, queues, records, suggestions
from studio.boards import REVIEWING
from studio.components.desk import Card, Press, digest, source, visit
from studio.errors import StudioError
from studio.label_sets import LabelSet
from studio.made import Origin
from studio.marks import Mark
from studio.permissions import NotAllowed, ask
from studio.queues import Order, QueueFilter
from studio.records import Record
from studio.ui import layout
from studio.ui.formats import ago, interval
from studio.workspace import Workspace

WINDOW = 40
HEAVY_CHARACTERS = 1_500_000
"""What one window may weigh; a queue of very long records comes in smaller pieces."""
NOTHING: dict[str, Any] = {"cards": [], "lost": [], "more": False, "answered": ""}
MARKS = ("flag", "rating", "tag", "comment")
JS = ("outbox.js", "label_card.js", "label_drafts.js", "label_keys.js", "label_view.js", "label_marks.js", "label.js")


@dataclass(frozen=True)
class Want:
    """What a browser asks for: records behind `after`, to be held for its tab like those in `held`. `n` names the question."""

    n: str
    tab: str
    after: str
    held: list[str]


@dataclass(frozen=True)
class Desk:
    """What one desk needs. `window` gives the next record ids, and those that the browser holds but has lost to somebody else;
    `cards` is what is shown of records."""

    ws: Workspace
    who: str
    mode: str
    key: str
    label_set: LabelSet
    window: Callable[[Want], tuple[Sequence[str], Sequence[str]]]
    cards: Callable[[Sequence[str]], list[Card]]
    numbers: Callable[[], dict[str, int]]


def label(ws: Workspace, label_set: LabelSet, chosen: QueueFilter, order: Order, who: str) -> None:
    """Records of a queue, one by one, with the fields of the set."""
    def window(want: Want) -> tuple[Sequence[str], Sequence[str]]:
        if not want.held and not want.after:
            queues.leave(ws, want.tab)  # this tab begins anew: nothing it held before is on its screen
        lost = queues.renew(ws, label_set.set_id, who, want.tab, want.held) if chosen.show not in REVIEWING else []
        return queues.window(ws, chosen, order, who, want.tab, WINDOW, want.after), lost

    def numbers() -> dict[str, int]:
        reached = queues.progress(ws, label_set.set_id)
        mine = next((one.answered for one in reached.people if one.who == who), 0)
        return {"mine": mine, "done": reached.done, "total": reached.total}

    shown = Desk(ws, who, "label", f"label-{digest(chosen)}-{order}-{_version(label_set)}-{digest(who)}", label_set,
                 window, lambda ids: cards(ws, label_set, ids, who), numbers)
    layout.fragment(lambda: _draw(shown))


def settle(ws: Workspace, label_set: LabelSet, who: str) -> None:
    """Records on which people disagree, with everybody's answer."""
    def with_answers(ids: Sequence[str]) -> list[Card]:
        return [card | {"mine": None, "suggested": None, "answers": [
            {"who": one.who, "answer": one.answer} for one in adjudicate.get(ws, label_set.set_id, card["id"]).answers]}
            for card in cards(ws, label_set, ids, who)]

    def window(want: Want) -> tuple[Sequence[str], Sequence[str]]:
        return [one.record_id for one in adjudicate.queue(ws, label_set.set_id, WINDOW, want.after)], []

    shown = Desk(ws, who, "settle", f"settle-{_version(label_set)}-{digest(who)}", label_set,
                 window, with_answers, lambda: {"open": adjudicate.count(ws, label_set.set_id)})
    layout.fragment(lambda: _draw(shown))


def cards(ws: Workspace, label_set: LabelSet, ids: Sequence[str], who: str) -> list[Card]:
    """What the browser shows of these records: words, what stands on them, what I said, what the model suggests."""
    said, marked = labels.of_records(ws, label_set.set_id, ids), marks.of(ws, ids)
    offered, written = suggestions.of(ws, label_set.set_id, ids), made.origins(ws, ids)
    found = []
    for record in records.every(ws, ids):
        mine = next((one for one in said.get(record.record_id, []) if one.who == who), None)
        guesses = {key: asdict(one) for key, one in offered.get(record.record_id, {}).items()}
        found.append({
            "id": record.record_id, "version": record.version, "messages": record.messages, "decision": record.decision,
            "facts": _facts(record, written.get(record.record_id)), "marks": _marks(marked.get(record.record_id, []), who),
            "mine": mine.answer if mine and mine.state == "answered" else None, "state": mine.state if mine else "",
            "suggested": guesses or None, "answers": []})
    return found


def apply(desk: Desk, press: Press) -> list[Card]:
    """Store one press; returns what the browser must be told about it, mostly nothing. Raises StudioError when refused."""
    ws, who, verb, press_id = desk.ws, desk.who, press["do"], press["id"]
    if verb == "undo":
        undone = acts.undo(ws, who, press_id)
        back = cards(ws, desk.label_set, [undone.record_id], who) if undone and desk.mode == "label" else []
        words = undone.sentence if undone else "There is nothing of yours left to take back."
        return [{"press": press_id, "kind": "undone", "words": words, "card": back[0] if back else None,
                 "front": undone.record_id if undone else ""}]
    if verb == "keys":
        keys = key_maps.save(ws, who, press["keys"], press_id)
        return [{"press": press_id, "kind": "keys", "words": {"keys": keys, "sentence": "The keys are changed."}, "card": None,
                 "front": ""}]
    record_id = press["card"]
    if verb == "answer":
        labels.answer(ws, press["set"], record_id, press["answer"], who, press_id, press.get("seconds"), press.get("suggested"),
                      press.get("set_version"), press.get("version"))
    elif verb == "skip":
        labels.skip(ws, press["set"], record_id, who, press_id, press.get("seconds"))
    elif verb == "settle":
        adjudicate.settle(ws, press["set"], record_id, press["answer"], who, press_id)
    elif verb in ("keep", "drop"):
        records.decide(ws, [record_id], verb, who, press_id)
    elif verb == "edit":
        records.edit(ws, record_id, press["messages"], who, press_id)
    elif verb in MARKS:
        marks.put(ws, record_id, verb, press.get("value", ""), who, press_id, press.get("standing", True))
    return []


def _draw(desk: Desk) -> None:
    memory = f"{desk.key}-reply"
    st.session_state.setdefault(memory, {"session": uuid.uuid4().hex, "reply": 0, "acked": [], "told": [], "served": ""})
    def heard() -> None:
        with suppress(NotAllowed):
            st.session_state[memory] |= _answer(desk, st.session_state[memory], st.session_state[desk.key]["outbox"]["presses"])

    ask(desk.ws, "label")
    asked = dict(st.session_state.get(desk.key) or {})
    want, known = Want(**asked["want"]) if asked.get("want") else None, st.session_state[memory]
    found = _window(desk, want) if want and want.n != known["served"] else dict(NOTHING)
    if want is None or found["answered"]:  # not for every press: these cost more than storing one
        known |= {"numbers": desk.numbers(), "agreed": _agreed(desk), "stamp": uuid.uuid4().hex, "set": _definition(desk),
                  "keys": key_maps.get(desk.ws, desk.who)}
    data = {**visit(desk.who), "mode": desk.mode, "store": f"{digest(str(desk.ws.root))}:label:{digest(desk.who)}",
            "verbs": [asdict(verb) for verb in key_maps.VERBS], "looked": _looked(desk, asked.get("look") or {}),
            **known, **found}
    component = st.components.v2.component("tunewright_label", css=source("desk.css") + source("label.css"),
                                           js="".join(map(source, JS)))
    component(key=desk.key, data=data, default={"outbox": {"n": 0, "presses": []}, "want": None, "look": None},
              on_outbox_change=heard, on_want_change=lambda: None, on_look_change=lambda: None)
    if want:
        known["served"] = want.n  # only now: a run that is broken off before must hand out its cards again


def _answer(desk: Desk, before: dict[str, Any], presses: Sequence[Press]) -> dict[str, Any]:
    """Store presses in their order; say which are stored or refused, and what has to be told about them.

    Raises NotAllowed for who may not work here any more: what is not acknowledged stays in their browser.
    """
    told: list[Card] = []
    for press in presses:
        try:
            told += apply(desk, press)
        except StudioError as error:  # a refused press must not lose the others
            ask(desk.ws, "label")
            back = desk.cards([press["card"]]) if press.get("card") else []
            told.append({"press": press["id"], "kind": "refused", "words": f"Not stored: {error}",
                         "card": back[0] if back else None, "front": press.get("card", "") if back else ""})
    return {"reply": before["reply"] + 1, "acked": [press["id"] for press in presses], "told": told}


def _window(desk: Desk, want: Want) -> Card:
    """The next records, fewer where they are very long, whether there may be more, and what the browser lost."""
    ids, lost = desk.window(want)
    found: list[Card] = []
    weight = 0
    for card in desk.cards(ids):
        weight += sum(len(turn["content"]) for turn in card["messages"])
        if found and weight > HEAVY_CHARACTERS:
            break
        found.append(card)
    return {"cards": found, "lost": list(lost), "more": len(ids) >= WINDOW or len(found) < len(ids), "answered": want.n}


def _definition(desk: Desk) -> Card:
    label_set = desk.label_set
    examples = []
    for example in label_set.examples:
        shown = records.every(desk.ws, [example.record_id])
        if shown:
            examples.append({"messages": shown[0].messages, "why": example.why, "answer": example.answer})
    return {"id": label_set.set_id, "version": label_set.version, "name": label_set.name, "guidelines": label_set.guidelines,
            "needed": label_set.needed, "fields": [asdict(field) for field in label_set.fields], "examples": examples}


def _looked(desk: Desk, look: dict[str, Any]) -> Card | None:
    if not look:
        return None
    now = desk.ws.now()
    past = [{"who": act.who, "what": act.sentence, "when": ago(act.at, now), "standing": act.standing}
            for act in acts.history(desk.ws, look["card"])]
    return {"n": look["n"], "history": past}


def _agreed(desk: Desk) -> str:
    """How often people chose what was suggested to them, in words."""
    rates = suggestions.hit_rate(desk.ws, desk.label_set.set_id)
    return "; ".join(f"suggested {desk.label_set.field(key).title.lower()} chosen {interval(*rate.parts)} of {of:,} times"
                     for key, (rate, of) in rates.items() if any(field.key == key for field in desk.label_set.fields))


def _facts(record: Record, origin: Origin | None) -> list[str]:
    facts = [origin.words] if origin else [f"line {record.source_line}"] if record.source_line else ["written here"]
    facts += [f"customer rated {record.rating:g}"] if record.rating is not None else []
    facts += [record.tags] if record.tags else []
    return facts + ([f"wording {record.version}"] if record.version > 1 else []) + [f"record {record.record_id}"]


def _marks(found: Sequence[Mark], who: str) -> Card:
    rated = [int(mark.value) for mark in found if mark.kind == "rating" and mark.who == who]
    return {"flag": any(mark.kind == "flag" for mark in found), "rating": rated[-1] if rated else None,
            "tags": list(dict.fromkeys(mark.value for mark in found if mark.kind == "tag"))}


def _version(label_set: LabelSet) -> str:
    return f"{label_set.set_id}-{label_set.version}"
