"""Duplicates: which records say the same, as the newest search of each side found it, grouped by thresholds people move.

A search yields exact copies and pairs with their similarity. Groups are what hangs together through copies and through pairs at
or above the thresholds (single linkage); they are derived and written anew whenever a threshold moves. Nothing is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Row, Transaction, Workspace

SIDES = ("question", "answer", "both")
KINDS = ("near", "meaning")
HELD_TOGETHER = ("question", "both")
"""Sides whose groups splits hold together: the same question on both sides fakes a result, the same answer does not."""

NEAR_THRESHOLD, MEANING_THRESHOLD = 0.8, 0.9
Ints = np.ndarray[Any, np.dtype[np.int64]]

_TURNS = "from_json(v.messages, '[{\"role\": \"varchar\", \"content\": \"varchar\"}]')"
_ROLES = {"question": "lambda turn: turn.role = 'user'", "answer": "lambda turn: turn.role = 'assistant'",
          "both": "lambda turn: turn.role <> 'system'"}


@dataclass(frozen=True)
class Search:
    """The newest finished search of one side. `records` were looked at; `changed` are new, reworded or gone since.

    `data` is what the search said of itself (`pipeline.dedupe.engine`), its bounds included.
    """

    run_id: str
    side: str
    records: int
    searched_at: datetime
    changed: int
    data: Row


@needs("read")
def latest(ws: Workspace, side: str) -> Search | None:
    """The newest search of this side that is done and collected."""
    row = _newest(ws, side)
    if row is None:
        return None
    data = json.loads(row["data"])
    return Search(row["run_id"], side, int(data["records"]), row["ended_at"], _changed(ws, side), data)


@needs("read")
def thresholds(ws: Workspace, side: str) -> dict[str, float]:
    """From which similarity on a pair counts, by kind: the newest word said of it, or what suits the newest search."""
    row = _newest(ws, side)
    suited = (json.loads(row["data"]).get("meaning_threshold") if row else None) or MEANING_THRESHOLD
    return {"near": NEAR_THRESHOLD, "meaning": float(suited)} | _said(ws.rows(_SAID, [side]))


@needs("curate")
def set_threshold(ws: Workspace, side: str, kind: str, threshold: float, who: str) -> None:
    """Pairs of this kind count from here on, and the groups are written anew at once. Said twice, it is stored once."""
    if kind not in KINDS:
        raise StudioError(f"There is no kind of twins called {kind}.")
    if not 0 <= threshold <= 1:
        raise StudioError("A threshold lies between 0 and 1.")
    if thresholds(ws, side)[kind] == threshold:
        return
    with ws.transaction() as transaction:
        transaction.decided("duplicate_thresholds", [{
            "threshold_id": ws.new_id(), "seq": 0, "side": side, "kind": kind, "threshold": threshold, "who": who,
            "said_at": ws.now()}])
        _regroup(transaction, side, thresholds(ws, side) | {kind: threshold})


def known_side(side: str) -> str:
    """Raises StudioError for a side there is none of."""
    if side not in SIDES:
        raise StudioError(f"There is no side called {side}.", f"Choose one of {', '.join(SIDES)}.")
    return side


@needs("curate")
def regroup(ws: Workspace, side: str) -> None:
    """Write the groups of one side anew from copies, pairs and thresholds."""
    with ws.transaction() as transaction:
        _regroup(transaction, known_side(side), thresholds(ws, side))


@needs("read")
def together(ws: Workspace) -> dict[str, str]:
    """Records that must stay on one side of a split, each with the smallest id among those it hangs together with.

    The groups of the sides 'question' and 'both' united, dropped records included; records without twins are left out.
    """
    with ws.transaction() as transaction:
        found = transaction.arrow(
            """select group_id as a, record_id as b from duplicate_groups
               where list_contains(?::varchar[], side) and group_id <> record_id""", [list(HELD_TOGETHER)])
    ids, roots = _components(found)
    names = ids.to_pylist()
    return {name: names[root] for name, root in zip(names, roots, strict=True)}


@needs("own")
def forget(ws: Workspace, transaction: Transaction, record_ids: Sequence[str]) -> None:
    """Take these records out of what searches found. Where one stood for its copies, the smallest of the others does now."""
    gone = [list(record_ids)]
    transaction.execute("delete from duplicate_items where list_contains(?::varchar[], record_id)", gone)
    transaction.execute("delete from duplicate_texts where list_contains(?::varchar[], record_id)", gone)
    heirs = """(select side, copy_of as old, min(record_id) as new from duplicate_texts
                where list_contains(?::varchar[], copy_of) group by side, copy_of)"""
    for end in ("a", "b"):
        transaction.execute(f"""update duplicate_pairs set {end} = h.new from {heirs} h
                                where h.side = duplicate_pairs.side and h.old = {end}""", gone)
    transaction.execute(f"""update duplicate_texts set copy_of = h.new from {heirs} h
                            where h.side = duplicate_texts.side and h.old = copy_of""", gone)
    transaction.execute("""delete from duplicate_pairs
                           where list_contains(?::varchar[], a) or list_contains(?::varchar[], b)""", gone * 2)
    transaction.execute("update duplicate_pairs set a = b, b = a where a > b")
    for side in SIDES:
        _regroup(transaction, side, thresholds(ws, side))


# What a search needs ----------------------------------------------------------------------------------------------------

def choose(transaction: Transaction, run_id: str) -> int:
    """Note which wordings a search looks at: every record as it is now, dropped ones too; returns how many.

    What an earlier search noted is forgotten. Raises StudioError where there is no record.
    """
    transaction.execute("delete from duplicate_items")
    transaction.execute("insert into duplicate_items select ?, record_id, version from record_now", [run_id])
    total = int(transaction.rows("select count(*) as n from duplicate_items")[0]["n"])
    if not total:
        raise StudioError("There is nothing to compare: there are no records yet.", "Import tickets first.")
    return total


@needs("curate", looks=True)
def write_out(ws: Workspace, run_id: str, side: str, path: Path, chunk_texts: int) -> None:
    """The texts a search looks at, as Parquet in row groups of `chunk_texts`, written beside and renamed in. Personal data.

    `text` are all turns of the side with a line end between them, `other` those of the other side (null for 'both').
    """
    beside = path.with_name(f".{path.name}.tmp")
    name = str(beside).replace("'", "''")
    other = {"question": "answer", "answer": "question"}.get(known_side(side))
    ws.rows(f"""copy (
        select i.record_id, {_joined(side)} as text, {_joined(other) if other else 'null::varchar'} as other
        from duplicate_items i
        join record_versions v on v.record_id = i.record_id and v.version = i.version where i.run_id = ?)
        to '{name}' (format parquet, compression lz4_raw, row_group_size {chunk_texts})""", [run_id])
    beside.rename(path)


def collect(transaction: Transaction, run_id: str, side: str, copies: Path, pairs: Path,
            meaning_threshold: float | None) -> None:
    """What a search found, in place of what the earlier search of this side had found, and its groups.

    `copies`: record_id, copy_of, other_text of records that have twins; `pairs`: kind, a, b, similarity, other_similarity.
    """
    transaction.execute("delete from duplicate_texts where side = ?", [side])
    transaction.execute("""insert into duplicate_texts
        select ?, i.record_id, i.version, coalesce(c.copy_of, i.record_id), c.other_text
        from duplicate_items i left join read_parquet(?) c using (record_id) where i.run_id = ?""", [side, str(copies), run_id])
    transaction.execute("delete from duplicate_pairs where side = ?", [side])
    transaction.execute("""insert into duplicate_pairs select ?, kind, least(a, b), greatest(a, b), similarity, other_similarity
                           from read_parquet(?)""", [side, str(pairs)])
    transaction.execute("delete from duplicate_items where run_id = ?", [run_id])
    suited = {"near": NEAR_THRESHOLD, "meaning": meaning_threshold or MEANING_THRESHOLD}
    _regroup(transaction, side, suited | _said(transaction.rows(_SAID, [side])))


_SAID = "select kind, arg_max(threshold, seq) as threshold from duplicate_thresholds where side = ? group by kind"

_GROUPS = """
insert into duplicate_groups
with copied as (
    select distinct copy_of as rep from duplicate_texts where side = '{side}' and record_id <> copy_of),
placed as (
    select coalesce(c.rep, l.rep) as rep, coalesce(l.root, c.rep) as root,
           case when c.rep is null then l.similarity else 1.0 end as similarity
    from copied c full join linked l on l.rep = c.rep),
members as (
    select p.root, t.record_id, p.similarity from placed p join duplicate_texts t on t.copy_of = p.rep where t.side = '{side}'),
named as (select root, min(record_id) as group_id from members group by root having count(*) > 1)
select '{side}', n.group_id, m.record_id, m.similarity from members m join named n using (root)
"""


def _regroup(transaction: Transaction, side: str, levels: dict[str, float]) -> None:
    found = transaction.arrow("""select a, b, similarity from duplicate_pairs
                                 where side = ? and similarity >= case kind when 'near' then ?::float else ?::float end""",
                              [side, levels["near"], levels["meaning"]])
    ids, roots = _components(found)
    best = np.zeros(len(ids), np.float32)
    for end in ("a", "b"):
        np.maximum.at(best, np.asarray(pc.index_in(found[end], ids)), np.asarray(found["similarity"]))
    linked = pa.table({"rep": ids, "root": ids.take(pa.array(roots)), "similarity": pa.array(best)})
    transaction.execute("delete from duplicate_groups where side = ?", [side])
    transaction.load(_GROUPS.format(side=side), "linked", linked)


def _components(edges: pa.Table) -> tuple[pa.Array, Ints]:
    """The distinct names in columns a and b, sorted, and for each the place of the first name it hangs together with."""
    ends = pa.concat_arrays([chunk for end in ("a", "b") for chunk in edges[end].cast(pa.string()).chunks] or
                            [pa.array([], pa.string())])
    ids = ends.unique()
    ids = ids.take(pc.sort_indices(ids))
    places = np.asarray(pc.index_in(ends, ids), dtype=np.int64)
    return ids, _roots(len(ids), places[: len(edges)], places[len(edges) :])


def _roots(count: int, left: Ints, right: Ints) -> Ints:
    """The smallest number that each of 0 … count - 1 hangs together with, by minimum labels and pointer jumping."""
    roots = np.arange(count, dtype=np.int64)
    while len(left):
        a, b = roots[left], roots[right]
        apart = a != b
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(roots, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(higher := roots[roots], roots):
            roots = higher
    return roots


def _said(rows: list[Row]) -> dict[str, float]:
    return {row["kind"]: row["threshold"] for row in rows}


def _newest(ws: Workspace, side: str) -> Row | None:
    return ws.row("""select r.run_id, e.data, e.ended_at from runs r join run_results e using (run_id)
                     where r.kind = 'dedupe' and e.outcome = 'done' and json_extract_string(r.spec, '$.side') = ?
                     order by e.ended_at desc, r.started_at desc limit 1""", [known_side(side)])


def _changed(ws: Workspace, side: str) -> int:
    """Records that are new, that have another wording, or that are gone since the newest search of this side."""
    return int(ws.value("""select count(*) from (select record_id, version from duplicate_texts where side = ?) t
                           full join record_now n using (record_id)
                           where t.version is distinct from n.version""", [side]))


def _joined(side: str) -> str:
    return (f"array_to_string(list_transform(list_filter({_TURNS}, {_ROLES[side]}), lambda turn: turn.content), chr(10))")
