"""What a freeze would do: which records would go where, planned from narrow columns alone.

The plan's hash is over its recipe and its lines in their parts: what a check for leaks found belongs to exactly that plan.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio import duplicates, intake, made, pins, records, splits, traffic, wording_keys
from studio.permissions import needs
from studio.splits import SPLITS, Division, Piece, Recipe, SplitName, Stratify
from studio.workspace import Row, Workspace

KINDS = ("question", "twins", "thread", "customer")
"""What can hold records together, as their keys begin."""

_KEPT = "n.decision = 'keep'"
_NOT_DROPPED = "n.decision <> 'drop'"
_READ = f"(n.import_id <> '{traffic.IMPORT_ID}' or n.decision = 'keep' or n.version > 1)"
"""What a model answered in production is learned from once somebody kept it or rewrote it."""
_remembered: dict[Path, tuple[object, Plan]] = {}


@dataclass(frozen=True)
class Plan:
    """What a freeze would write. `repeats` are records that say word for word what another says, with that other; they are
    left out. `ties` counts records that share a key, by its kind; `too_synthetic` were left out because a model wrote them
    and the recipe has a cap. `sha256` names the plan."""

    recipe: Recipe
    splits: dict[SplitName, tuple[Piece, ...]]
    eligible: int
    repeats: tuple[tuple[str, str], ...]
    division: Division
    ties: dict[str, int]
    too_synthetic: int
    searched: tuple[str, ...]
    thresholds: dict[str, dict[str, float]]
    sha256: str

    @property
    def identical(self) -> int:
        return len(self.repeats)

    @property
    def left_over(self) -> int:
        return self.division.left_over


@needs("read")
def usual(ws: Workspace) -> Recipe:
    """What one begins with: a tenth to validate on and a tenth to test on, of every tag or import its share; where a model
    wrote examples, at most three in ten lines."""
    likely: Stratify = "tag" if records.tags(ws) else "source" if len(intake.imports(ws)) > 1 else "none"
    return Recipe(stratify=likely, synthetic_most=0.3 if made.some(ws) else 1.0)


@needs("curate", looks=True)
def plan(ws: Workspace, recipe: Recipe) -> Plan:
    """Decide which record goes where. Raises StudioError when there is too little, or the recipe makes no sense.

    The newest plan is remembered: as long as nothing it rests on changes, it is not made again.
    """
    splits.check(recipe)
    wording_keys.bring_up(ws)
    mark = (recipe, _mark(ws))
    known = _remembered.get(ws.root)
    if known is None or known[0] != mark:
        known = _remembered[ws.root] = (mark, _plan(ws, recipe))
    return known[1]


def thread_families() -> str:
    """SQL for what a ticket's id is unique within: its help desk, or files with the same columns in the same roles."""
    return "coalesce(nullif(lower(trim(i.desk)), ''), json_extract_string(i.choices, '$.columns'))"


def _mark(ws: Workspace) -> tuple[object, ...]:
    """Another value whenever a record, a decision, a wording or a group is another one. Milliseconds."""
    now = ws.row("""select count(*) as n, bit_xor(hash(record_id, version, decision, tags, import_id)) as h
                    from record_now""") or {}
    twins = ws.row("""select count(*) as n, bit_xor(hash(side, group_id, record_id)) as h,
                      (select count(*) from duplicate_dismissals) as d, (select count(*) from duplicate_thresholds) as t,
                      (select count(*) from record_pins) as p
                      from duplicate_groups""") or {}
    return (*now.values(), *twins.values())


def _plan(ws: Workspace, recipe: Recipe) -> Plan:
    rows = _eligible(ws, recipe)
    twins = duplicates.together(ws) if recipe.twins else {}
    people = _people(ws) if recipe.customers else {}
    kept, repeats = _distinct(rows)
    kept, too_many = _capped(kept, recipe)
    keys = {row["record_id"]: _keys(row, recipe, twins, people.get(row["record_id"], ())) for row in rows}
    for name, other in repeats:  # who hangs together with a repeat hangs together with what it repeats
        keys[other] = tuple(dict.fromkeys((*keys[other], *keys[name])))
    tied = {row["record_id"]: "train" for row in kept if row["synthetic"]} | _tied(ws, repeats)
    pieces = [_piece(row, recipe, keys[row["record_id"]], tied.get(row["record_id"], "")) for row in kept]
    division = splits.divide(pieces, recipe)
    sides = tuple(side for side in duplicates.HELD_TOGETHER if duplicates.latest(ws, side)) if recipe.twins else ()
    return Plan(recipe, division.splits, len(rows), tuple(repeats), division, _ties(pieces), too_many, sides,
                {side: duplicates.thresholds(ws, side) for side in sides}, _sha256(recipe, division.splits))


def _eligible(ws: Workspace, recipe: Recipe) -> list[Row]:
    return ws.rows(f"""
        select n.record_id, n.version, n.tags, i.source_name, r.external_id, r.happened_at, k.line, k.conversation, k.question,
               {thread_families()} as family, coalesce(i.synthetic, false) as synthetic
        from record_now n
        join wording_keys k on k.record_id = n.record_id and k.version = n.version
        join records r on r.record_id = n.record_id
        join imports i on i.import_id = n.import_id
        where {_KEPT if recipe.only_kept else _NOT_DROPPED} and {_READ} order by n.record_id""")


def _people(ws: Workspace) -> dict[str, tuple[str, ...]]:
    """By record, what names its customer: the e-mail address and the name, each by itself."""
    found = ws.rows("select record_id, lower(trim(name)) as name, lower(trim(email)) as email from record_people")
    return {row["record_id"]: tuple(f"customer:{row[part]}" for part in ("name", "email") if row[part]) for row in found}


def _distinct(rows: Sequence[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
    """Of records that are the same word for word, keep the one with the smallest id; rows come in the order of their ids."""
    first: dict[str, str] = {}
    kept, repeats = [], []
    for row in rows:
        other = first.setdefault(row["conversation"], row["record_id"])
        if other == row["record_id"]:
            kept.append(row)
        else:
            repeats.append((row["record_id"], other))
    return kept, repeats


def _keys(row: Row, recipe: Recipe, twins: dict[str, str], people: Iterable[str]) -> tuple[str, ...]:
    keys = [f"question:{row['question']}", *people]
    if row["record_id"] in twins:
        keys.append(f"twins:{twins[row['record_id']]}")
    if recipe.threads and row["external_id"]:
        keys.append(f"thread:{row['family']}:{row['external_id']}")
    return tuple(keys)


def _piece(row: Row, recipe: Recipe, keys: tuple[str, ...], pin: str) -> Piece:
    stratum = {"none": "", "tag": row["tags"] or "", "source": row["source_name"]}[recipe.stratify]
    return Piece(row["record_id"], row["version"], row["line"], keys, stratum, row["happened_at"], pin)


def _capped(rows: list[Row], recipe: Recipe) -> tuple[list[Row], int]:
    """Without the synthetic ones that are too many, and how many these are; the same ones go whatever the order of rows."""
    made = [row for row in rows if row["synthetic"]]
    share = recipe.synthetic_most
    room = len(made) if share >= 1 else int(share * (len(rows) - len(made)) / (1 - share))
    by_hash = sorted(made, key=lambda row: hashlib.sha256(f"{recipe.seed}:{row['line']}".encode()).hexdigest())
    out = {row["record_id"] for row in by_hash[room:]}
    return [row for row in rows if row["record_id"] not in out], len(out)


def _tied(ws: Workspace, repeats: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The part that each record is tied to; what is tied of a repeat is tied of the record that says the same."""
    tied: dict[str, str] = dict(pins.every(ws))
    for name, other in repeats:
        if name in tied:
            tied[other] = "train" if "train" in (tied[name], tied.get(other)) else tied[name]
    return tied


def _ties(pieces: Sequence[Piece]) -> dict[str, int]:
    """How many records share a key with another, by the key's kind."""
    times = Counter(key for piece in pieces for key in piece.keys)
    shared = Counter(kind for piece in pieces for kind in {key.split(":", 1)[0] for key in piece.keys if times[key] > 1})
    return {kind: shared[kind] for kind in KINDS}


def _sha256(recipe: Recipe, parts: dict[SplitName, tuple[Piece, ...]]) -> str:
    whole = hashlib.sha256(json.dumps(recipe.written, sort_keys=True).encode())
    for name in SPLITS:
        whole.update("".join(f"\n{name}:{piece.mark}" for piece in parts[name]).encode())
    return whole.hexdigest()
