"""Which key does what on the label desk: the acts with the keys they come with, and the changes each person made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Workspace


@dataclass(frozen=True)
class Verb:
    """One act: its name in presses, the key it comes with, the word on its button, what it does. A fixed key stays."""

    do: str
    key: str
    label: str
    help: str
    fixed: bool = False


VERBS = (
    Verb("submit", "Enter", "Answer", "Answer with what is chosen, or with the suggestion", fixed=True),
    Verb("accept", "a", "Take suggestion", "Answer with the suggestion"),
    Verb("skip", "s", "Skip", "Go on without answering"),
    Verb("back", "b", "Back", "Go back one record"),
    Verb("undo", "u", "Undo", "Take back the newest thing I did, today or earlier"),
    Verb("keep", "k", "Keep", "Keep this record for training; it stays here"),
    Verb("drop", "d", "Drop", "Drop this record: it is never frozen"),
    Verb("flag", "f", "Flag", "Flag this record, or take the flag off"),
    Verb("rate", "v", "Rate", "Rate this record: then 1 to 5"),
    Verb("tag", "t", "Tag", "Tag this record"),
    Verb("comment", "m", "Comment", "Write a comment"),
    Verb("edit", "e", "Edit", "Edit the wording of any turn"),
    Verb("history", "h", "History", "All that was done with this record"),
    Verb("guide", "g", "Guidelines", "Guidelines and examples"),
    Verb("next_field", "n", "Next field", "Go to the next field"),
    Verb("search", "/", "Find or write", "Find an option, or write in a field of text"),
    Verb("clear", "x", "Clear", "Empty the field in turn; in a field of marks, the newest mark"),
    Verb("help", "?", "Keys", "Show or hide all keys", fixed=True),
)
RESERVED = {"c": "C is a key of the page itself (it clears the cache).",
            "r": "R is a key of the page itself (it draws it again).",
            " ": "The space bar scrolls the page.", "o": "O opens another answer where a disagreement is settled."}
_BY_NAME = {verb.do: verb for verb in VERBS}


@needs("label", looks=True)
def get(ws: Workspace, who: str) -> dict[str, str]:
    """This person's key for every act."""
    row = ws.row("select keys from key_maps where who = ? order by seq desc limit 1", [who])
    changed = json.loads(row["keys"]) if row else {}
    return {verb.do: verb.key if verb.fixed else changed.get(verb.do, verb.key) for verb in VERBS}


@needs("label")
def save(ws: Workspace, who: str, keys: Mapping[str, str], map_id: str) -> dict[str, str]:
    """Store this person's keys; acts that are left out get the keys they come with. `map_id` names the press: sent again, it
    adds nothing. Raises StudioError, in a sentence, for a key that is taken or cannot be used."""
    changed = {do: key.lower() for do, key in keys.items() if do in _BY_NAME and not _BY_NAME[do].fixed}
    _check({verb.do: changed.get(verb.do, verb.key) for verb in VERBS})
    with ws.transaction() as transaction:
        if not transaction.rows("select 1 from key_maps where map_id = ?", [map_id]):
            transaction.decided("key_maps", [{"map_id": map_id, "seq": 0, "who": who, "keys": json.dumps(changed),
                                              "said_at": ws.now()}])
    return get(ws, who)


def _check(keys: Mapping[str, str]) -> None:
    owner: dict[str, str] = {}
    for do, key in keys.items():
        label = _BY_NAME[do].label
        if key in owner:
            raise StudioError(f"{key.upper()} is the key of {owner[key]} already; {label} keeps its own.",
                              f"Give {owner[key]} another key first.")
        owner[key] = label
        if _BY_NAME[do].fixed:
            continue
        if len(key) != 1 or not key.isprintable():
            raise StudioError(f"{key} cannot be a key here.", "Choose a letter or a sign.")
        if key.isdigit():
            raise StudioError("Digits choose options.", "Choose a letter or a sign.")
        if key in RESERVED:
            raise StudioError(RESERVED[key], "Choose another key.")
