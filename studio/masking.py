"""Masking: what viewers and reviewers read where personal data is open, or was not looked for.

A record's privacy status decides: in a wording that was not checked every letter is hidden; in a checked one, the open findings
of personal data, wherever their words stand in what belongs to the record (also in a model's answer to it). A hidden letter is
one █, so that places in a text stay what they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.workspace import Row, Workspace

HIDDEN = "█"


@dataclass(frozen=True)
class Mask:
    """What to hide of one record: these values, or everything."""

    values: tuple[str, ...] = ()
    all: bool = False

    def text(self, text: str) -> str:
        if self.all:
            return re.sub(r"\S", HIDDEN, text)
        for value in self.values:
            text = re.sub(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", lambda found: re.sub(r"\S", HIDDEN, found[0]), text,
                          flags=re.IGNORECASE)
        return text

    def turns(self, messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        return [{**turn, "content": self.text(turn["content"])} for turn in messages]


EVERYTHING = Mask(all=True)


def of_records(ws: Workspace, record_ids: Sequence[str]) -> dict[str, Mask]:
    """The mask of each record as it stands now."""
    from studio import places  # beside what this module guards, which imports it

    now = places.find(ws, record_ids)
    return of_wordings(ws, {record_id: place.version for record_id, place in now.items()}, record_ids)


def of_lines(ws: Workspace, snapshot_id: str, record_ids: Sequence[str]) -> dict[str, Mask]:
    """The mask of each line of a snapshot, in the wording that was frozen."""
    rows = ws.rows("""select record_id, version from snapshot_items where snapshot_id = ?
                      and record_id in (select unnest(?::varchar[]))""", [snapshot_id, list(record_ids)])
    return of_wordings(ws, {row["record_id"]: row["version"] for row in rows}, record_ids)


def of_wordings(ws: Workspace, versions: Mapping[str, int], record_ids: Sequence[str]) -> dict[str, Mask]:
    """`versions` names the wording of each record; one that it lacks is hidden whole."""
    from studio import findings

    ids = list(dict.fromkeys(record_ids))
    checked = {(row["record_id"], row["version"]) for row in ws.rows(
        "select record_id, version from checked_now where record_id in (select unnest(?::varchar[]))", [ids])}
    known = [one for one in ids if (one, versions.get(one)) in checked]
    private = [kind.key for kind in findings.KINDS if kind.group == "privacy"]
    levels = findings.thresholds(ws)
    found = ws.rows("""
        select f.record_id, f.version, f.turn, f.start, f.end_ from findings f
        join (select unnest(?::varchar[]) as kind, unnest(?::double[]) as threshold) t on t.kind = f.kind
        left join dismissed_now d on d.record_id = f.record_id and d.kind = f.kind and d.turn = f.turn and d.start = f.start
            and d.end_ = f.end_
        where d.record_id is null and f.score >= t.threshold and f.record_id in (select unnest(?::varchar[]))""",
        [private, [levels[key] for key in private], known]) if known else []
    values = _values(ws, found)
    return {one: Mask(tuple(values.get(one, ()))) if one in known else EVERYTHING for one in ids}


def _values(ws: Workspace, found: Sequence[Row]) -> dict[str, list[str]]:
    """The words that were found, by record, the longest first; of a name also its parts."""
    ids = sorted({row["record_id"] for row in found})
    if not ids:
        return {}
    worded = {(row["record_id"], row["version"]): json.loads(row["messages"]) for row in ws.rows(
        "select record_id, version, messages from record_versions where record_id in (select unnest(?::varchar[]))", [ids])}
    people = ws.rows("select record_id, name, email from record_people where record_id in (select unnest(?::varchar[]))", [ids])
    said: dict[str, set[str]] = {record_id: set() for record_id in ids}
    for row in found:
        turns = worded[row["record_id"], row["version"]]
        text = turns[row["turn"]]["content"][row["start"]:row["end_"]] if row["turn"] >= 0 else ""
        said[row["record_id"]].add(text.strip())
    for row in people:
        said[row["record_id"]] |= {(row["name"] or "").strip(), (row["email"] or "").strip()}
    return {record_id: sorted({part for value in values for part in _parts(value)}, key=len, reverse=True)
            for record_id, values in said.items()}


def _parts(value: str) -> list[str]:
    words = value.split()
    named = len(words) > 1 and all(word.strip(".,-'").isalpha() for word in words)
    return [part for part in (value, *(words if named else ())) if len(part) > 1 and (part == value or len(part) > 2)]
