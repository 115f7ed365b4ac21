"""Traffic: what production was asked and answered, row by row, and the way back: rows that become records.

`studio/logs.py` brings rows in; nothing here looks at more than it is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from studio import records
from studio.mentions import named_in
from studio.permissions import ask, needs
from studio.records import Turns
from studio.workspace import Row, Transaction, Workspace

IMPORT_ID, SOURCE_NAME = "from-production", "From production"
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_TEXTS = ("question", "answer", "messages", "person", "slice", "request_id", "model")
_counted: dict[tuple[object, ...], int] = {}


@dataclass(frozen=True)
class Queued:
    """What became of rows that were sent to the records: new ones, those that are records already, and those without texts."""

    new: int
    already: int
    unusable: int


@needs("raw")
def texts(ws: Workspace, since: datetime, until: datetime, model: str | None = None) -> list[Row]:
    """Rows of row_id, at, question, answer, model from `since` on and before `until`, the oldest first; those with a
    question."""
    return ws.rows(
        """select row_id, happened_at as "at", question, answer, model from log_rows
                      where happened_at >= ? and happened_at < ? and question <> '' and (?::varchar is null or model = ?)
                      order by happened_at, row_id""",
        [since, until, model, model],
    )


@needs("raw")
def every(ws: Workspace, row_ids: Sequence[str]) -> list[Row]:
    """These rows whole, with `record_id` where they are records; in this order."""
    found = {
        row["row_id"]: row
        for row in ws.rows(
            """select l.*, q.record_id from log_rows l left join log_queued q using (row_id)
           where l.row_id in (select unnest(?::varchar[]))""",
            [list(row_ids)],
        )
    }
    return [found[row_id] for row_id in row_ids if row_id in found]


@needs("raw")
def thumbs_down(ws: Workspace, since: datetime, model: str | None = None, limit: int = 500) -> list[str]:
    """Rows rated down, or whose task failed, that are no records yet: the newest first."""
    return [
        row["row_id"]
        for row in ws.rows(
            """select row_id from log_rows where (rating = -1 or success = false) and happened_at >= ? and question <> ''
           and answer <> '' and (?::varchar is null or model = ?) and row_id not in (select row_id from log_queued)
           order by happened_at desc, row_id limit ?""",
            [since, model, model, limit],
        )
    ]


@needs("curate")
def to_queue(ws: Workspace, row_ids: Sequence[str], why: str, who: str) -> Queued:
    """Make records of rows, under an import of their own, so that people can label, correct, keep or drop them.

    A row becomes a record once. The records are unchecked, and no snapshot takes one before somebody kept it or rewrote it:
    what a model answered in production is no truth to learn from. `why` becomes their tag.
    """
    found = every(ws, list(dict.fromkeys(row_ids)))
    already = [row for row in found if row["record_id"]]
    wordings = {row["row_id"]: turns for row in found if not row["record_id"] and (turns := conversation(row))}
    fresh = [row for row in found if row["row_id"] in wordings]
    with ws.transaction() as transaction:
        here = {row["row_id"] for row in transaction.rows("select row_id from log_queued")}  # another tab may have been quicker
        fresh = [row for row in fresh if row["row_id"] not in here]
        if fresh:
            _store(ws, transaction, fresh, wordings, why, who)
    return Queued(len(fresh), len(already), len(found) - len(fresh) - len(already))


def record_id(row_id: str) -> str:
    return hashlib.sha256(f"production/{row_id}".encode()).hexdigest()[:16]


def conversation(row: Row) -> Turns:
    """A row as turns that end with its answer; empty where a text is missing. Tools' turns are left out."""
    asked: Turns = []
    for turn in json.loads(row["messages"]) if row["messages"] else []:
        role, said = ROLES.get(turn.get("role", "")), _said(turn.get("content"))
        if role and said.strip() and not (role == "system" and asked):
            asked.append({"role": role, "content": said})
    if not any(turn["role"] == "user" for turn in asked):
        asked = [{"role": "user", "content": row["question"]}]
    if not row["answer"].strip() or not asked[-1]["content"].strip():
        return []
    return [*asked, {"role": "assistant", "content": row["answer"]}]


@needs("raw")
def about(ws: Workspace, words: Sequence[str]) -> int:
    """How many rows name one of the words (lower case). Remembered for the logs as they are: a page asks with every press."""
    if not words:
        return 0
    key = (str(ws.root), tuple(words), *(ws.row("select count(*) as n, max(read_at) as at from log_sources") or {}).values())
    if key not in _counted:
        _counted.clear()
        _counted[key] = int(ws.value(f"select count(*) from log_rows where {_naming()}", [list(words)]))
    return _counted[key]


def naming(read: Workspace | Transaction, record_ids: Sequence[str], words: Sequence[str]) -> list[str]:
    """Rows that became one of these records or name one of the words: what `forget` deletes."""
    ask(read, "raw")
    found = read.rows(f"""select row_id from log_rows where {_naming()}
                          union select row_id from log_queued where record_id in (select unnest(?::varchar[]))""",
                      [list(words), list(record_ids)])
    return [row["row_id"] for row in found]


def forget(transaction: Transaction, record_ids: Sequence[str], words: Sequence[str]) -> None:
    """Delete rows that became one of these records or name one of the words, and what was kept of lines that were no rows."""
    transaction.execute(
        f"""create or replace temp table gone_rows as select row_id from log_rows where {_naming()}
                            union select row_id from log_queued where record_id in (select unnest(?::varchar[]))""",
        [list(words), list(record_ids)],
    )
    for alert in transaction.rows("select alert_id, row_ids from alerts where row_ids <> '[]'"):
        ids = json.loads(alert["row_ids"])
        gone = {
            row["row_id"]
            for row in transaction.rows("select row_id from gone_rows where row_id in (select unnest(?::varchar[]))", [ids])
        }
        if gone:
            transaction.execute(
                "update alerts set row_ids = ? where alert_id = ?",
                [json.dumps([one for one in ids if one not in gone]), alert["alert_id"]],
            )
    for table in ("log_rows", "log_queued"):
        transaction.execute(f"delete from {table} where row_id in (select row_id from gone_rows)")
    transaction.execute("drop table gone_rows")
    transaction.execute(
        f"""update log_refused set excerpt = '' where exists (
        from (select unnest(?::varchar[]) as word) w where {named_in("log_refused.excerpt")})""",
        [list(words)],
    )
    _counted.clear()


def _naming() -> str:
    whole = "concat_ws(chr(10), " + ", ".join(f"log_rows.{name}" for name in _TEXTS) + ")"
    return f"exists (from (select unnest(?::varchar[]) as word) w where {named_in(whole)})"


def _said(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _store(
    ws: Workspace, transaction: Transaction, fresh: Sequence[Row], wordings: dict[str, Turns], why: str, who: str
) -> None:
    if not transaction.rows("select 1 from imports where import_id = ?", [IMPORT_ID]):
        transaction.insert(
            "imports",
            [
                {
                    "import_id": IMPORT_ID,
                    "source_name": SOURCE_NAME,
                    "source_sha256": "",
                    "choices": "{}",
                    "rows_in": 0,
                    "rows_imported": 0,
                    "rows_filtered": 0,
                    "rows_refused": 0,
                    "rows_already_here": 0,
                    "conversations": 0,
                    "imported_at": ws.now(),
                    "desk": "production",
                    "synthetic": False,
                }
            ],
        )
    transaction.execute(
        """create or replace temp table arriving as select unnest(?::varchar[]) as record_id,
        unnest(?::bigint[]) as position, unnest(?::varchar[]) as messages, unnest(?::varchar[]) as row_id""",
        [
            [record_id(row["row_id"]) for row in fresh],
            list(range(len(fresh))),
            [json.dumps(wordings[row["row_id"]], ensure_ascii=False) for row in fresh],
            [row["row_id"] for row in fresh],
        ],
    )
    tag = "'" + why.replace("'", "''") + "'"
    records.add(
        ws,
        transaction,
        IMPORT_ID,
        f"""
        select a.record_id, a.position, 0 as source_line, nullif(l.request_id, '') as external_id, l.score as rating,
               {tag} as tags, null as status, l.happened_at,
               case when contains(l.person, '@') then null else nullif(l.person, '') end as name,
               case when contains(l.person, '@') then l.person end as email
        from arriving a join log_rows l using (row_id)""",
        "select record_id, position, messages from arriving",
    )
    transaction.execute("insert into log_queued select row_id, record_id, ?, ?, ? from arriving", [why, who, ws.now()])
    transaction.execute("drop table arriving")
    transaction.execute(
        """update imports set rows_in = n, rows_imported = n, conversations = n
                           from (select count(*) as n from records where import_id = ?) where import_id = ?""",
        [IMPORT_ID, IMPORT_ID],
    )
