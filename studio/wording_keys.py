"""Hashes of every wording, worked out once: with them a split is planned without reading a text again."""

from __future__ import annotations

import hashlib
import json
import threading
import unicodedata
from collections.abc import Sequence

from studio.permissions import needs
from studio.records import Turns
from studio.workspace import Row, Transaction, Workspace

_CHUNK = 20_000
_one_at_a_time = threading.Lock()
_MISSING = """from record_now n left join wording_keys k on k.record_id = n.record_id and k.version = n.version
              where k.record_id is null"""


def line_text(record_id: str, messages: Turns) -> str:
    """One line of a snapshot file, without its end."""
    return json.dumps({"id": record_id, "messages": messages}, ensure_ascii=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@needs("curate", looks=True)
def bring_up(ws: Workspace) -> int:
    """Work out what is missing for the wordings as they stand (about 30,000 a second); returns how many that were."""
    with _one_at_a_time:
        places = [row["position"] for row in ws.rows(f"select n.position {_MISSING} order by n.position")]
        for start in range(0, len(places), _CHUNK):
            chunk = places[start : start + _CHUNK]
            found = ws.rows(f"""select w.record_id, w.version, v.messages
                                from (select n.record_id, n.version {_MISSING} and n.position between ? and ?) w
                                join record_versions v on v.record_id = w.record_id and v.version = w.version""",
                            [chunk[0], chunk[-1]])
            with ws.transaction() as transaction:
                transaction.insert("wording_keys", [_keys(row) for row in found])
    return len(places)


def _keys(row: Row) -> Row:
    messages = json.loads(row["messages"])
    asked = next((turn["content"] for turn in messages if turn["role"] == "user"), "")
    normal = " ".join(unicodedata.normalize("NFKC", asked).casefold().split())
    return {"record_id": row["record_id"], "version": row["version"], "line": sha256(line_text(row["record_id"], messages)),
            "conversation": sha256(json.dumps(messages)), "question": sha256(normal)}


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    transaction.execute("delete from wording_keys where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
