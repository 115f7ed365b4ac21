"""Forgetting: a customer's data leaves every table, file and copy of the workspace. The one act that cannot be undone.

In order: what is to go is written down in `forgetting.json`; files (raw exports, snapshots, runs); tables, in one transaction;
the journal; the database file, written anew because deleted rows stay in the old one; then the note goes. Each step may be done
again, so an act that a crash cut off is carried to its end when the studio opens next.

What stays: salted hashes of their record ids and addresses, so that the next export of the desk does not bring them back; that
somebody was forgotten, when and by whom; and whatever a model learned from them, which only another training takes out. Backups
that were taken before hold them still: `in_backups` lists those that are known.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache, reduce
from pathlib import Path

from pydantic import TypeAdapter

from studio import (
    alerts,
    arrivals,
    authored,
    backups,
    charsets,
    corrections,
    drifts,
    duplicates,
    files,
    findings,
    judges,
    label_sets,
    labels,
    log_arrivals,
    logs,
    made,
    moment,
    named,
    pins,
    playground,
    plays,
    queues,
    receiving,
    records,
    review_texts,
    review_traces,
    runs,
    scores,
    snapshots,
    traffic,
)
from studio.backups import Backup
from studio.customers import Customer
from studio.errors import StudioError
from studio.mentions import is_named, named_in
from studio.permissions import needs
from studio.workspace import Row, Transaction, Workspace

NOTE = backups.FORGETTING
_CHOSEN = (("imports", "source_name"), ("imports", "choices"), ("mappings", "name"), ("mappings", "choices"),
           ("snapshot_cards", "card"), ("runs", "spec"), ("runs", "title"), ("review_sessions", "name"),
           ("log_sources", "name"), ("log_sources", "columns"), ("log_files", "path"))
"""Where a file's name, a value that somebody filtered by, a prompt or a title can name a customer."""

_KEYS = ("review_id", "label_id", "mark_id", "adjudication_id", "ask_id", "word_id", *(kind.key for kind in named.KINDS))
_PIECE = 8 << 20
_PACKED = (".xlsx", ".xlsm", ".parquet", ".pq")


@dataclass(frozen=True)
class Order:
    """What is to go, in full: enough to carry it out again from any point."""

    forget_id: str
    who: str
    record_ids: tuple[str, ...]
    words: tuple[str, ...]
    emails: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]
    review_ids: tuple[str, ...]
    raw_files: tuple[str, ...]
    snapshot_lines: int
    spoken: tuple[str, ...] = ()
    kept_under_names: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


_READ = TypeAdapter(Order)


@dataclass(frozen=True)
class Forgotten:
    """One act of the past: how many records, lines of snapshots and files went."""

    forget_id: str
    records: int
    snapshot_lines: int
    files: int
    who: str
    said_at: datetime


@needs("own")
def forget(ws: Workspace, customer: Customer, record_ids: Sequence[str], who: str) -> Forgotten:
    """Take these records, and every trace of the customer, out of the workspace. There is no undo.

    Raises StudioError, with nothing changed, while a run or an import moves or when nothing is named.
    """
    if not record_ids and not traffic.about(ws, customer.said):
        raise StudioError("No conversation is chosen.", "Choose at least one that is to go.")
    log_arrivals.discard_idle(ws)
    receiving.settle(ws)
    with logs.alone, ws.whole:
        return _forget(ws, customer, record_ids, who)


def _forget(ws: Workspace, customer: Customer, record_ids: Sequence[str], who: str) -> Forgotten:
    playground.collect(ws)
    playground.rest(ws)
    runs.forget_copies(ws)
    arrivals.discard_idle(ws)
    order = _order(ws, customer, record_ids, who)
    note = ws.path(NOTE)
    beside = note.with_name(f".{NOTE}.tmp")
    beside.write_text(json.dumps(asdict(order), ensure_ascii=False), encoding="utf-8")
    os.replace(beside, note)
    return _carry_out(ws, order)


@needs("own")
def go_on(ws: Workspace) -> None:
    """Carry out to its end what a crash cut off; nothing where nothing was."""
    note = ws.path(NOTE)
    if not note.is_file():
        return
    with ws.whole:
        if note.is_file():  # nobody else was quicker
            _carry_out(ws, _READ.validate_json(note.read_text(encoding="utf-8")))


@needs("own", looks=True)
def every(ws: Workspace) -> list[Forgotten]:
    """Newest first."""
    return [Forgotten(**row) for row in ws.rows(
        "select forget_id, records, snapshot_lines, files, who, said_at from forgettings order by seq desc")]


@needs("own", looks=True)
def in_backups(ws: Workspace, one: Forgotten) -> list[Backup]:
    """Backups that are still there and hold who was forgotten then."""
    return backups.holding(ws, one.said_at)


@needs("own", looks=True)
def raw_files(ws: Workspace, customer: Customer, record_ids: Sequence[str]) -> list[str]:
    """Files under uploads/ that hold the customer, relative to the workspace: the kept exports of the desks the records came
    from, and any other file in which one of the words stands."""
    desks = ws.rows("""select source_sha256 from imports where desk in (
                       select desk from imports where import_id in (select import_id from records
                       where record_id in (select unnest(?::varchar[]))))""", [list(record_ids)])
    kept = {sha for row in desks for sha in row["source_sha256"].split()}
    uploads = ws.path("uploads")
    return [str(path.relative_to(ws.root)) for path in sorted(uploads.rglob("*"))
            if path.is_file() and (path.stem in kept or _holds(path, path.stat().st_mtime_ns, customer.said))]


def _order(ws: Workspace, customer: Customer, record_ids: Sequence[str], who: str) -> Order:
    asks = tuple(plays.about(ws, customer.said))
    answers = [*scores.holding(ws, record_ids, customer.said), *((review_texts.PLAYGROUND, one) for one in asks)]
    lines = ws.value("select count(*) from snapshot_items where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
    return Order(ws.new_id(), who, tuple(record_ids), customer.said, customer.emails, tuple(answers),
                 tuple(review_traces.about(ws, answers, customer.said)), tuple(raw_files(ws, customer, record_ids)), lines,
                 (*labels.about(ws, customer.said), *alerts.about(ws, customer.said)), tuple(named.about(ws, customer.said)),
                 asks)


def _carry_out(ws: Workspace, order: Order) -> Forgotten:
    moment.sweep(ws)
    for name in order.raw_files:
        ws.path(name).unlink(missing_ok=True)
    _clean_runs(ws, order)
    for damaged in ws.root.glob("journal.jsonl.damaged-at-*"):
        damaged.unlink()
    snapshots.forget_lines(ws, order.record_ids)
    with ws.transaction() as transaction:
        _clean_tables(ws, transaction, order)
    ws.journal.forget(lambda table, row: _told(order, table, row))
    ws.rewrite()
    queues.forget(ws)
    _holds.cache_clear()
    ws.path(NOTE).unlink()
    return next(one for one in every(ws) if one.forget_id == order.forget_id)


def _told(order: Order, table: str, row: Row) -> bool:
    """Whether a row of the journal is about them."""
    if table == "label_sets":
        return label_sets.about(row, order.record_ids, order.words)
    said = {*order.review_ids, *order.spoken, *order.kept_under_names, *order.asks}
    return any(row.get(key) in {*order.record_ids, *order.asks} for key in ("record_id", "item_id")) or any(
        row.get(key) in said for key in _KEYS)


def _clean_tables(ws: Workspace, transaction: Transaction, order: Order) -> None:
    records.forget(transaction, order.record_ids)
    authored.forget(transaction, order.record_ids)
    pins.forget(transaction, order.record_ids)
    corrections.forget(transaction, order.record_ids)
    findings.forget(transaction, order.record_ids)
    duplicates.forget(ws, transaction, order.record_ids)
    labels.forget(transaction, order.record_ids, order.spoken, order.words)
    label_sets.forget(ws, transaction, order.record_ids, order.words)
    review_traces.forget(transaction, order.answers, order.review_ids)
    scores.forget(transaction, order.answers)
    judges.forget(transaction, order.answers, order.words)
    made.forget(transaction, order.record_ids, order.words)
    named.forget(transaction, order.kept_under_names)
    plays.forget(transaction, order.asks)
    gone = traffic.naming(transaction, order.record_ids, order.words)
    runs.forget(transaction, [*order.record_ids, *gone], order.words)
    traffic.forget(transaction, order.record_ids, order.words)
    alerts.forget(transaction, order.spoken)
    drifts.forget(transaction, order.words)
    snapshots.forget(ws, transaction, order.record_ids)
    transaction.execute(f"""update refused_rows set excerpt = '' where exists (
        from (select unnest(?::varchar[]) as word) w where {named_in('refused_rows.excerpt')})""", [list(order.words)])
    for table, column in _CHOSEN:
        for word in order.words:
            transaction.execute(
                f"""update {table} set {column} = regexp_replace({column}, regexp_escape(?), '[forgotten]', 'gi')
                    where contains(lower({column}), ?)""", [word, word])
    if transaction.rows("select 1 from forgettings where forget_id = ?", [order.forget_id]):
        return
    transaction.decided("forgotten", _hashes(transaction, order))
    transaction.decided("forgettings", [{
        "forget_id": order.forget_id, "seq": 0, "records": len(order.record_ids), "snapshot_lines": order.snapshot_lines,
        "files": len(order.raw_files), "who": order.who, "said_at": ws.now()}])


def _hashes(transaction: Transaction, order: Order) -> list[Row]:
    """As `studio/plans.py` computes them again for every row that arrives."""
    salt = transaction.rows("select salt from forgetting_salt")[0]["salt"]
    emails = {one.lower() for one in (*order.emails, *(word for word in order.words if "@" in word))}
    said = [f"record:{one}" for one in order.record_ids] + [f"email:{one}" for one in sorted(emails)]
    return [{"sha256": hashlib.sha256(f"{salt}{one}".encode()).hexdigest(), "forget_id": order.forget_id} for one in said]


def _clean_runs(ws: Workspace, order: Order) -> None:
    """Lines of run folders (answers, samples, previews) about these records, or in which one of the words stands; and the
    lists of records, and sentences, in how runs ended."""
    ids, rows = set(order.record_ids), traffic.naming(ws, order.record_ids, order.words)
    for path in sorted(ws.path("runs").glob("*/*.jsonl")):
        before = path.read_text(encoding="utf-8").split("\n")
        kept = [line for line in before if not _about(line, ids, order.words)]
        if len(kept) < len(before):
            beside = path.with_name(f".{path.name}.tmp")
            beside.write_text("\n".join(kept), encoding="utf-8")
            os.replace(beside, path)
    cards = [*ws.path("runs").glob("*/card.md"), *ws.path("exports").glob("*/*/README.md")]
    for path in (*ws.path("runs").glob("*/spec.json"), *cards):  # prompts, rubrics, and the names that people gave
        said = path.read_text(encoding="utf-8")
        if any(word in said.lower() for word in order.words):
            beside = path.with_name(f".{path.name}.tmp")
            beside.write_text(reduce(_without, order.words, said), encoding="utf-8")
            os.replace(beside, path)
    for path in sorted(ws.path("runs").glob("*/result.json")):
        ended = json.loads(path.read_text(encoding="utf-8"))
        words = drifts.pieces(order.words) if "comparisons" in ended["data"] else order.words
        if (without := runs.without(ended, {*ids, *rows}, words)) != ended:
            beside = path.with_name(f".{path.name}.tmp")
            beside.write_text(json.dumps(without, ensure_ascii=False, indent=1), encoding="utf-8")
            os.replace(beside, path)


def _without(text: str, word: str) -> str:
    return re.sub(re.escape(word), "[forgotten]", text, flags=re.IGNORECASE)


def _about(line: str, record_ids: set[str], words: Sequence[str]) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return is_named(line, words)
    if isinstance(found, dict) and any(found.get(key) in record_ids for key in ("id", "item_id", "record_id", "train_id")):
        return True
    return is_named("\n".join(_texts(found)), words)


def _texts(value: object) -> Iterator[str]:
    """Every string in a piece of JSON, as it reads."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


@lru_cache(maxsize=256)
def _holds(path: Path, changed_ns: int, words: tuple[str, ...]) -> bool:
    """Whether one of the words (lower case) stands in a file: in its cells where it is packed, else in its text.

    Remembered for the file as it was last changed, because a page asks again with every press.
    """
    try:
        if path.suffix.lower() in _PACKED:
            return any(is_named(cell, words) for line in files.lines(files.open_source(path)) for cell in line.cells)
        with path.open("rb") as file:
            codec = charsets.encoding_of(path, file.read(charsets.HEAD_BYTES), "")
    except StudioError:
        codec = "latin-1"  # no table: looked through as it is
    return any(is_named(piece, words) for piece in _pieces(path, codec, max(map(len, words), default=0) + 1))


def _pieces(path: Path, codec: str, overlap: int) -> Iterator[str]:
    """The file's text, each piece beginning with the end of the one before."""
    with path.open("r", encoding=codec, errors="replace", newline="") as file:
        end = ""
        while piece := file.read(_PIECE):
            yield end + piece
            end = piece[-overlap:]
