"""Choices that were made for an export before, offered again for files of the same shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from studio.columns import Choices, Columns, Condition
from studio.permissions import needs
from studio.workspace import Transaction, Workspace


@dataclass(frozen=True)
class Mapping:
    """What somebody chose for one help desk's export."""

    mapping_id: str
    name: str
    choices: Choices
    saved_at: datetime


def shape(columns: Sequence[str]) -> str:
    """Files with the same column names, in whatever order and case, have the same shape."""
    return hashlib.sha256(json.dumps(sorted(name.strip().lower() for name in columns)).encode()).hexdigest()[:16]


@needs("curate")
def remember(ws: Workspace, transaction: Transaction, columns: Sequence[str], choices: Choices) -> None:
    """Keep choices under the name of their desk; the newest of a name counts."""
    transaction.insert("mappings", [{
        "mapping_id": ws.new_id(), "name": choices.desk.strip(), "shape": shape(columns), "choices": written(choices),
        "saved_at": ws.now()}])


@needs("curate", looks=True)
def offered(ws: Workspace, columns: Sequence[str]) -> list[Mapping]:
    """What was chosen for files of this shape, one a name, newest first."""
    found = ws.rows("""select arg_max(mapping_id, saved_at) as mapping_id, name, arg_max(choices, saved_at) as choices,
                       max(saved_at) as saved_at from mappings where shape = ? group by name order by saved_at desc""",
                    [shape(columns)])
    return [Mapping(row["mapping_id"], row["name"], read(row["choices"]), row["saved_at"]) for row in found]


def written(choices: Choices) -> str:
    return json.dumps(asdict(choices), default=str, ensure_ascii=False)


def read(text: str) -> Choices:
    """Choices as `written` left them; what an older version did not know takes its default."""
    found: dict[str, Any] = json.loads(text)
    found["columns"] = Columns(**found["columns"])
    found["conditions"] = tuple(Condition(one["column"], tuple(one["values"])) for one in found.get("conditions", ()))
    found["agents"] = tuple(found.get("agents", ()))
    for key in ("since", "until"):
        found[key] = date.fromisoformat(found[key]) if found.get(key) else None
    return Choices(**found)
