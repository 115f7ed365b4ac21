"""Customers: who somebody is to this workspace, and everything here that is theirs or speaks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio import managed, models, plays, review_traces, runs, scores, snapshots, traffic
from studio.errors import StudioError
from studio.mentions import named_in
from studio.permissions import needs
from studio.workspace import Workspace

FEWEST_CHARACTERS = 2
_TEXT = "array_to_string(json_extract_string(messages, '$[*].content'), chr(10))"


@dataclass(frozen=True)
class Customer:
    """Somebody. `own` are the records of their tickets, `mentions` other records in which they are named; both in the order
    they came in. `emails` and `names` are what the tickets say of them; `said` is what they are looked for by in texts, in
    lower case: what was typed (unless it is a ticket's number), their addresses, and their full names."""

    emails: tuple[str, ...]
    names: tuple[str, ...]
    said: tuple[str, ...]
    own: tuple[str, ...]
    mentions: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """What else hangs on some records: lines of snapshots (by the snapshot's name), answers of models, verdicts of reviewers,
    the names of models that learned from them, questions of the playground that name them, services that were sent lines of
    such a snapshot, and rows of production logs that name them."""

    snapshot_lines: dict[str, int]
    answers: int
    verdicts: int
    models: tuple[str, ...]
    asks: int = 0
    services: tuple[str, ...] = ()
    log_rows: int = 0


@needs("own", looks=True)
def find(ws: Workspace, words: str) -> Customer:
    """Look for somebody by e-mail address, by name as the tickets have it, or by ticket number.

    Tickets of the same address belong together, whatever name they bear. Raises StudioError for words that are too short.
    """
    words = words.strip()
    if len(words) < FEWEST_CHARACTERS:
        raise StudioError("That is too short to be somebody.", "Type a whole e-mail address, name or ticket number.")
    tickets = _ids(ws, "select record_id from records where external_id = ?", words)
    theirs = _ids(ws, "select record_id from record_people where lower(?) in (lower(name), lower(email))", words)
    emails = sorted({row["email"] for row in _people(ws, tickets + theirs) if row["email"]})
    ids = [*tickets, *theirs, *_ids(
        ws, "select record_id from record_people where lower(email) in (select lower(unnest(?::varchar[])))", emails)]
    names = sorted({row["name"] for row in _people(ws, ids) if row["name"]})
    full = [name for name in names if " " in name.strip()]
    typed = [] if tickets and not theirs else [words]
    said = tuple(dict.fromkeys(one.strip().lower() for one in (*typed, *emails, *full)))
    mentions = set(_mentioning(ws, said)) - set(ids)
    return Customer(tuple(emails), tuple(names), said, tuple(_in_order(ws, ids)), tuple(_in_order(ws, list(mentions))))


@needs("own", looks=True)
def reach(ws: Workspace, customer: Customer, record_ids: Sequence[str]) -> Reach:
    """What hangs on these records."""
    lines = {row["name"]: row["n"] for row in ws.rows(
        """select s.name, count(*) as n from snapshot_items i join snapshots s using (snapshot_id)
           where i.record_id in (select unnest(?::varchar[])) group by s.name order by s.name""", [list(record_ids)])}
    answers = scores.holding(ws, record_ids, customer.said)
    learned = _learned_from(ws, record_ids)
    names = tuple(model.name for model in models.tuned(ws)
                  if model.run_id and runs.get(ws, model.run_id).snapshot_id in learned)
    return Reach(lines, len(answers), len(review_traces.about(ws, answers, customer.said)), names,
                 len(plays.about(ws, customer.said)), tuple(managed.sent(ws, sorted(learned))),
                 traffic.about(ws, customer.said))


@needs("own", looks=True)
def sentences(ws: Workspace, customer: Customer, record_ids: Sequence[str]) -> list[str]:
    """What would go with these records, in words; the raw files are named by `forgetting.raw_files`."""
    found = reach(ws, customer, record_ids)
    if not record_ids and not found.log_rows:
        return ["Nothing here is theirs or names them."]
    lines = ", ".join(f"{number:,} of {name}" for name, number in found.snapshot_lines.items())
    own = len(set(customer.own) & set(record_ids))
    parts = [f"{len(record_ids):,} conversations with every wording, finding, decision and label: {own:,} of their own, "
             f"{len(record_ids) - own:,} of others that name them.",
             f"Lines of snapshots: {lines}." if lines else "No snapshot holds them.",
             f"{found.answers:,} test items with the models' answers and scores, {found.verdicts:,} verdicts of reviewers."]
    if found.asks:
        parts.append(f"{found.asks:,} questions of the playground that name them, with their answers.")
    if found.services:
        parts.append(f"Lines of theirs were sent to {', '.join(found.services)} to tune a model: delete the files there, on "
                     "the Models page.")
    if found.log_rows:
        parts.append(f"{found.log_rows:,} rows of production logs that name them.")
    if found.models:
        parts.append(f"Cannot be taken back: {', '.join(found.models)} learned from them. Train again without them, and delete "
                     "that adapter.")
    return parts


def _learned_from(ws: Workspace, record_ids: Sequence[str]) -> set[str]:
    """Snapshots whose train or validation holds one of these records."""
    return {row["snapshot_id"] for row in ws.rows(
        """select distinct snapshot_id from snapshot_items where split <> 'test'
           and record_id in (select unnest(?::varchar[]))""", [list(record_ids)])}


def _people(ws: Workspace, record_ids: Sequence[str]) -> list[dict[str, str]]:
    return ws.rows("select name, email from record_people where record_id in (select unnest(?::varchar[]))", [list(record_ids)])


def _mentioning(ws: Workspace, said: Sequence[str]) -> list[str]:
    """Records of which any wording names one of the words."""
    return _ids(ws, f"""select distinct record_id from record_versions v, (select unnest(?::varchar[]) as word) w
                        where {named_in(_TEXT)}""", said)


def _ids(ws: Workspace, sql: str, value: str | Sequence[str]) -> list[str]:
    return [row["record_id"] for row in ws.rows(sql, [value if isinstance(value, str) else list(value)])]


def _in_order(ws: Workspace, record_ids: Sequence[str]) -> list[str]:
    found = ws.rows("select record_id from record_now where record_id in (select unnest(?::varchar[])) order by position",
                    [list(record_ids)])
    return [row["record_id"] for row in found]


@needs("read")
def forgotten_lines(ws: Workspace, run_id: str) -> int:
    """How many lines of the snapshot that this run used were taken out since because somebody asked to be forgotten."""
    snapshot_id = runs.get(ws, run_id).snapshot_id
    return int(snapshots.get(ws, snapshot_id).manifest.get("forgotten", 0)) if snapshot_id else 0
