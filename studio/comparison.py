"""Two snapshots side by side: what came in, what went out, what was worded anew, what changed its part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.permissions import needs
from studio.workspace import Workspace

Kind = Literal["added", "removed", "edited", "moved"]
KINDS: tuple[Kind, ...] = ("added", "removed", "edited", "moved")
_WHERE: dict[Kind, str] = {
    "added": "a.record_id is null", "removed": "b.record_id is null", "edited": "a.line_sha256 <> b.line_sha256",
    "moved": "a.split <> b.split"}
_BOTH = """from (from snapshot_items where snapshot_id = ?) a full join (from snapshot_items where snapshot_id = ?) b
           on a.record_id = b.record_id"""


@dataclass(frozen=True)
class Change:
    """One record in two snapshots: part and wording before and after, None where it is not in there."""

    record_id: str
    before: str | None
    after: str | None
    version_before: int | None
    version_after: int | None


@needs("read")
def counts(ws: Workspace, before: str, after: str) -> dict[Kind, int]:
    """How many records differ in each way; one that was edited and moved counts as both."""
    parts = ", ".join(f"count(*) filter ({_WHERE[kind]}) as {kind}" for kind in KINDS)
    row = ws.row(f"select {parts} {_BOTH}", [before, after]) or {}
    return {kind: int(row[kind]) for kind in KINDS}


@needs("read")
def changes(ws: Workspace, before: str, after: str, kind: Kind, limit: int, skip: int = 0) -> list[Change]:
    """The records that differ in one way, by id."""
    found = ws.rows(f"""select coalesce(a.record_id, b.record_id) as record_id, a.split as before, b.split as after,
                               a.version as version_before, b.version as version_after
                        {_BOTH} where {_WHERE[kind]} order by 1 limit ? offset ?""", [before, after, limit, skip])
    return [Change(**row) for row in found]
