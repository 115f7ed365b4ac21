"""Acts: whatever a person did to records, of every kind, in one row: undo without end, and the history of a record.

Nothing is taken out: to undo is one more row, and what stood before stands again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from studio import adjudicate, duplicate_groups, findings, label_sets, labels, marks, places, records
from studio.label_sets import LabelSet
from studio.permissions import needs
from studio.records import Undone
from studio.workspace import Row, Workspace

ActKind = Literal["import", "edit", "decision", "label", "mark", "settled", "dismissal"]
_undoing = threading.Lock()
_MARK_WORDS = {"flag": "flagged", "rating": "rated", "tag": "tagged", "comment": "commented"}


@dataclass(frozen=True)
class Act:
    """One thing that happened to a record, in words. `standing` is false where it was taken back, or a newer word of the same
    person on the same thing counts; `act_id` is the press's id, or that of the import."""

    at: datetime
    who: str
    kind: ActKind
    sentence: str
    standing: bool
    act_id: str


@needs("label")
def undo(ws: Workspace, who: str, press_id: str) -> Undone | None:
    """Take back the newest act of this person that stands, of any kind and any day: a label, a skip, a mark, a decision, an
    edit, a fix, a "not a problem", a "no twins", a settled disagreement. None where nothing is left, or where the press was
    stored before. The record of a group of twins is empty."""
    with _undoing:
        if any(taken(ws, press_id) for taken in (
                labels.taken, marks.taken, records.taken, findings.taken, duplicate_groups.taken, adjudicate.taken)):
            return None
        undoers: list[tuple[int, Callable[[], Undone | None]]] = [
            (labels.newest(ws, who), lambda: labels.undo(ws, "", who, press_id)),
            (marks.newest(ws, who), lambda: marks.undo(ws, who, press_id)),
            (adjudicate.newest(ws, who), lambda: adjudicate.undo(ws, who, press_id)),
            (findings.newest(ws, who), lambda: findings.undo(ws, who, press_id)),
            (duplicate_groups.newest(ws, who), lambda: duplicate_groups.undo(ws, who, press_id)),
            (records.newest(ws, who), lambda: records.undo(ws, who, press_id))]
        newest, take_back = max(undoers, key=lambda one: one[0])
        return take_back() if newest else None


@needs("raw")
def history(ws: Workspace, record_id: str) -> list[Act]:
    """Everything that happened to a record, oldest first. Raises StudioError when there is no such record."""
    position = places.one(ws, record_id).position
    found = [*_wordings(ws, record_id, position), *_decisions(ws, record_id), *_labels(ws, record_id), *_marks(ws, record_id),
             *_settled(ws, record_id), *_dismissals(ws, record_id)]
    return [act for _, _, act in sorted(found, key=lambda one: (one[2].at, one[0], one[1]))]


_Placed = tuple[int, int, Act]
"""An act with the kind's place among what happened at the same moment (imports first), and its number in the journal."""


def _wordings(ws: Workspace, record_id: str, position: int) -> list[_Placed]:
    rows = ws.rows("""select v.version, v.who, v.written_at, v.batch_id, b.undoes from record_versions v
                      left join curation_batches b on b.batch_id = v.batch_id
                      where (v.position = ? or v.position is null) and v.record_id = ?""", [position, record_id])
    newest = max(row["version"] for row in rows)
    return [(0, row["version"], Act(
        row["written_at"], row["who"], "import" if row["who"] == "import" else "edit",
        f"came in as wording {row['version']}" if row["who"] == "import" else
        f"{'took an edit back' if row['undoes'] else 'edited it'}: wording {row['version']}",
        row["version"] == newest, row["batch_id"] or "")) for row in rows]


def _decisions(ws: Workspace, record_id: str) -> list[_Placed]:
    rows = ws.rows("""select d.decision, d.who, d.decided_at, d.seq, d.batch_id, b.undoes from decisions d
                      left join curation_batches b using (batch_id) where d.record_id = ? order by d.seq""", [record_id])
    words = {"keep": "kept it", "drop": "dropped it", "undecided": "left it open"}
    return [(1, row["seq"], Act(row["decided_at"], row["who"], "decision",
                                f"took a decision back: {row['decision']} again" if row["undoes"] else words[row["decision"]],
                                row is rows[-1], row["batch_id"])) for row in rows]


def _labels(ws: Workspace, record_id: str) -> list[_Placed]:
    rows = ws.rows("""select l.*, n.label_id is not null as standing from labels l
                      left join label_now n on n.label_id = l.label_id and n.state <> 'undone'
                      where l.record_id = ?""", [record_id])
    return [(2, row["seq"], Act(row["said_at"], row["who"], "label", _label_sentence(ws, row), row["standing"],
                                row["batch_id"])) for row in rows]


def _label_sentence(ws: Workspace, row: Row) -> str:
    newest = label_sets.get(ws, row["set_id"])
    if row["undoes"]:
        return f"took a label back in {newest.name}"
    if row["state"] == "skipped":
        return f"skipped it in {newest.name}"
    given_under = label_sets.get(ws, row["set_id"], row["set_version"])
    return f"labelled it in {newest.name}: {_answer_words(given_under, newest, row)}"


def _marks(ws: Workspace, record_id: str) -> list[_Placed]:
    rows = ws.rows("""with n as (select mark_id from marks_now where record_id = $1)
                      select m.*, n.mark_id is not null as counts from record_marks m left join n using (mark_id)
                      where m.record_id = $1""", [record_id])
    return [(3, row["seq"], Act(row["said_at"], row["who"], "mark", _mark_sentence(row), row["counts"], row["mark_id"]))
            for row in rows]


def _mark_sentence(row: Row) -> str:
    if row["undoes"]:
        return f"took a {row['kind']} back"
    value = f": {row['value']}" if row["value"] else ""
    return f"{_MARK_WORDS[row['kind']]} it{value}" if row["standing"] else f"took the {row['kind']} off{value}"


def _settled(ws: Workspace, record_id: str) -> list[_Placed]:
    rows = ws.rows("""select a.*, s.seq is not null as counts from adjudications a left join settled_now s using (seq)
                      where a.record_id = ?""", [record_id])
    return [(4, row["seq"], Act(row["said_at"], row["who"], "settled", _settled_sentence(ws, row), row["counts"],
                                row["adjudication_id"])) for row in rows]


def _settled_sentence(ws: Workspace, row: Row) -> str:
    newest = label_sets.get(ws, row["set_id"])
    if row["undoes"]:
        return f"took the settled answer back in {newest.name}"
    return f"settled {newest.name}: {_answer_words(newest, newest, row)}"


def _answer_words(given_under: LabelSet, newest: LabelSet, row: Row) -> str:
    """An answer in words; a set with a single question needs no name of it."""
    said = [("" if len(given_under.fields) == 1 else f"{part.title}: ") + part.words
            + ("" if part.offered else " (no longer offered)")
            for part in label_sets.shown(given_under, newest, json.loads(row["answer"]))]
    return "; ".join(said) or "nothing chosen"


def _dismissals(ws: Workspace, record_id: str) -> list[_Placed]:
    rows = ws.rows("select * from finding_dismissals where record_id = ? order by seq", [record_id])
    mark = ("kind", "turn", "start", "end_")
    newest = {tuple(row[part] for part in mark): row["seq"] for row in rows}
    return [(5, row["seq"], Act(row["said_at"], row["who"], "dismissal",
                                f"{'called no problem' if row['dismissed'] else 'took back no problem'}: {row['kind']}",
                                row["seq"] == newest[tuple(row[part] for part in mark)], row["dismissal_id"])) for row in rows]
