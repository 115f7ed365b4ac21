"""Seeds: real records that synthetic examples are written after. What leaves the house with them is looked at first.

Never test or validation lines of a snapshot (what is made after them would know the test), never a record with open or
unchecked personal data, never what a model wrote. """

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from studio import findings, records
from studio.permissions import needs
from studio.recipes import Recipe
from studio.records import Record
from studio.workspace import Workspace

MOST = 2_000


@dataclass(frozen=True)
class Seeds:
    """Record ids that may be used, the best first; how many others match but are kept back, by reason."""

    ids: tuple[str, ...]
    held_out: int
    personal: int
    unchecked: int

    @property
    def left_out(self) -> str:
        """What was kept back, in words; empty where nothing was."""
        said = [(self.personal, "hold personal data that nobody settled"),
                (self.unchecked, "were never checked for personal data"),
                (self.held_out, "are test or validation lines of a snapshot")]
        return "; ".join(f"{number:,} {words}" for number, words in said if number)


@needs("read")
def find(ws: Workspace, recipe: Recipe) -> Seeds:
    """The records a recipe names: by id, or by tag and rating. Kept ones come before undecided ones, better rated ones
    first."""
    rows = ws.rows(
        """select n.record_id, h.record_id is not null as held_out, c.record_id is null as unchecked
           from record_now n join imports i using (import_id)
           left join checked_now c on c.record_id = n.record_id and c.version = n.version
           left join (select distinct record_id from snapshot_items where split <> 'train') h on h.record_id = n.record_id
           where n.decision <> 'drop' and not coalesce(i.synthetic, false)
             and (len($1::varchar[]) = 0 or n.record_id in (select unnest($1::varchar[])))
             and ($2 = '' or trim(n.tags) = $2) and ($3 is null or n.rating >= $3)
           order by n.decision = 'keep' desc, n.rating desc nulls last, n.position""",
        [list(recipe.seed_ids), recipe.seed_tag, recipe.seed_stars])
    private = {one for kind in findings.KINDS if kind.group == "privacy" for one in findings.records_of(ws, kind.key)}
    free = [row for row in rows if not row["held_out"]]
    checked = [row for row in free if not row["unchecked"]]
    usable = [row["record_id"] for row in checked if row["record_id"] not in private]
    return Seeds(tuple(usable[:MOST]), len(rows) - len(free), len(checked) - len(usable), len(free) - len(checked))


@needs("raw")
def read(ws: Workspace, found: Seeds) -> list[Record]:
    """The records themselves, in the order of their ids in `found`."""
    by_id = {record.record_id: record for record in records.every(ws, found.ids)}
    return [by_id[one] for one in found.ids if one in by_id]


@needs("run", looks=True)
def write_out(ws: Workspace, found: Seeds, path: Path) -> None:
    """The seeds as the child reads them: `{"id", "messages"}` a line."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text("".join(json.dumps({"id": one.record_id, "messages": one.messages}, ensure_ascii=False) + "\n"
                              for one in read(ws, found)), encoding="utf-8")
    beside.rename(path)


@needs("run", looks=True)
def write_questions(ws: Workspace, path: Path) -> None:
    """The first question of every record that nobody dropped, as the child compares with them: `{"id", "text"}` a line."""
    beside = path.with_name(f".{path.name}.tmp")
    name = str(beside).replace("'", "''")
    ws.rows(f"""copy (select n.record_id as id, list_filter(from_json(v.messages, '[{{"role":"VARCHAR","content":"VARCHAR"}}]'),
                      lambda turn: turn.role = 'user')[1].content as text
                from record_now n join record_versions v on v.record_id = n.record_id and v.version = n.version
                where n.decision <> 'drop' order by n.position) to '{name}' (format json)""")
    beside.rename(path)
