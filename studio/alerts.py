"""Alerts: a target that is missed, or drift that was found, opened once, with the rows that show it; over when it is well
again.

A subject (a target's, or drift) has at most one open alert. It is opened when new logs were read; it is over when its target is
met again, was taken back, or drift is no longer found. That somebody has seen it is a decision, and silences nothing new.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from studio import targets
from studio.errors import StudioError
from studio.mentions import named_in
from studio.permissions import Given, needs, of_one
from studio.targets import Judged
from studio.workspace import Row, Transaction, Workspace

DRIFT = "drift"
WORDLESS = "Questions or answers of production changed."
"""Drift for who may not read personal data: its topics are called by words of customers."""
LEARNABLE = ("thumbs", "success")
"""What another training may mend; it makes no server faster or cheaper."""


class DriftFound(Protocol):
    """What a search for drift says (`studio/drifts.py`)."""

    @property
    def drifted(self) -> bool: ...
    @property
    def sentence(self) -> str: ...
    @property
    def row_ids(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Alert:
    """`sentence` says what is wrong, `reason` by what rule; `evidence` are its figures. `seen_by` whoever said they saw it."""

    alert_id: str
    subject: str
    kind: Literal["target", "drift"]
    sentence: str
    reason: str
    evidence: Row
    row_ids: tuple[str, ...]
    opened_at: datetime
    over_at: datetime | None
    seen_by: str = ""
    note: str = ""

    @property
    def open(self) -> bool:
        return self.over_at is None


def _veiled(ws: Workspace, found: list[Alert], given: Given) -> list[Alert]:
    return [replace(one, note="", sentence=WORDLESS if one.kind == DRIFT else one.sentence) for one in found]


def _veiled_reasons(ws: Workspace, found: str, given: Given) -> str:
    return _reasons(_veiled(ws, every(ws), given))


@needs("read", veil=_veiled)
def every(ws: Workspace, limit: int = 100) -> list[Alert]:
    """Open ones first, then the newest."""
    rows = ws.rows(
        """select a.*, coalesce(w.who, '') as seen_by, coalesce(w.note, '') as note from alerts a left join (
                          select alert_id, arg_max(who, seq) as who, arg_max(note, seq) as note from alert_words
                          group by alert_id) w using (alert_id)
                      order by a.over_at is not null, a.opened_at desc, a.alert_id limit ?""",
        [limit],
    )
    return [_alert(row) for row in rows]


@needs("read", veil=of_one(_veiled))
def get(ws: Workspace, alert_id: str) -> Alert:
    """Raises StudioError when there is no such alert."""
    found = next((one for one in every(ws, 10_000) if one.alert_id == alert_id), None)
    if found is None:
        raise StudioError(f"There is no alert {alert_id} in this workspace.", "Choose one on the Monitor page.")
    return found


@needs("curate")
def acknowledge(ws: Workspace, alert_id: str, note: str, who: str) -> None:
    """Somebody has seen it. Raises StudioError when there is no such alert."""
    get(ws, alert_id)
    with ws.transaction() as transaction:
        transaction.decided(
            "alert_words",
            [
                {
                    "word_id": ws.new_id(),
                    "seq": 0,
                    "alert_id": alert_id,
                    "note": note.strip()[:1000],
                    "who": who,
                    "said_at": ws.now(),
                }
            ],
        )


@needs("run")
def review(ws: Workspace) -> list[Alert]:
    """Judge all targets by the newest rows: open what is missed, end what is well again. Returns what was opened now."""
    found = targets.judged(ws)
    opened = [_of(ws, one) for one in found if one.state == "missed"]
    well = {one.target.subject for one in found if one.state == "met"}
    standing = {one.target.subject for one in found}
    with ws.transaction() as transaction:
        for row in transaction.rows("select alert_id, subject from alerts where over_at is null and kind = 'target'"):
            if row["subject"] in well or row["subject"] not in standing:
                _end(ws, transaction, row["alert_id"])
        return [one for one in opened if _open(transaction, one)]


@needs("run")
def about_drift(ws: Workspace, found: DriftFound) -> list[Alert]:
    """The same for the newest search for drift."""
    with ws.transaction() as transaction:
        if not found.drifted:
            for row in transaction.rows("select alert_id from alerts where over_at is null and kind = 'drift'"):
                _end(ws, transaction, row["alert_id"])
            return []
        one = Alert(
            ws.new_id(),
            DRIFT,
            "drift",
            found.sentence,
            "Found by the newest search for drift.",
            {},
            tuple(found.row_ids[:20]),
            ws.now(),
            None,
        )
        return [one] if _open(transaction, one) else []


@needs("read", veil=_veiled_reasons)
def retrain(ws: Workspace) -> str:
    """Why another training is suggested, in a sentence; empty where nothing speaks for it."""
    return _reasons(every(ws))


def _reasons(found: Sequence[Alert]) -> str:
    standing = [one for one in found if one.open]
    reasons = [one.sentence for one in standing if one.kind == "drift"]
    reasons += [one.sentence for one in standing if one.kind == "target" and one.subject.partition("/")[0] in LEARNABLE]
    return " ".join(reasons)


@needs("raw")
def about(ws: Workspace, words: Sequence[str]) -> list[str]:
    """The notes (by their word_id) that name one of the words (lower case)."""
    return [row["word_id"] for row in ws.rows(
        f"""select distinct word_id from alert_words t, (select unnest(?::varchar[]) as word) w
            where {named_in('t.note')}""", [list(words)])]


def forget(transaction: Transaction, word_ids: Sequence[str]) -> None:
    """Delete these notes."""
    transaction.execute("delete from alert_words where word_id in (select unnest(?::varchar[]))", [list(word_ids)])


def _of(ws: Workspace, one: Judged) -> Alert:
    figure, target = one.figure, one.target
    evidence = {
        "measure": target.measure,
        "bound": target.bound,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "rows": figure.n,
        "model": target.model,
        "slice": target.slice,
        "since": one.since.isoformat(sep=" "),
    }
    reason = (
        f"The whole 99 % interval lies on the wrong side, over the last {target.hours:g} hours of the logs and at least "
        f"{target.least:,} rows."
    )
    return Alert(
        ws.new_id(), target.subject, "target", one.sentence, reason, evidence, tuple(targets.examples(ws, one)), ws.now(), None
    )


def _open(transaction: Transaction, one: Alert) -> bool:
    """Store it unless its subject has an open alert."""
    if transaction.rows("select 1 from alerts where subject = ? and over_at is null", [one.subject]):
        return False
    transaction.insert(
        "alerts",
        [
            {
                "alert_id": one.alert_id,
                "subject": one.subject,
                "kind": one.kind,
                "sentence": one.sentence,
                "reason": one.reason,
                "evidence": json.dumps(one.evidence),
                "row_ids": json.dumps(one.row_ids),
                "opened_at": one.opened_at,
                "over_at": None,
            }
        ],
    )
    return True


def _end(ws: Workspace, transaction: Transaction, alert_id: str) -> None:
    transaction.execute("update alerts set over_at = ? where alert_id = ?", [ws.now(), alert_id])


def _alert(row: Row) -> Alert:
    return Alert(**(row | {"evidence": json.loads(row["evidence"]), "row_ids": tuple(json.loads(row["row_ids"]))}))
