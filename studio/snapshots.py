"""Snapshots: data frozen into train, validation and test files that never change.

The same records, recipe and seed give the same bytes, whatever order the records came in: `splits` puts each group of records
in its place by a hash of the seed and its content, never by chance or position. The snapshot's id is the hash of its manifest,
and the manifest holds the hash of every line, so a changed byte is found.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from studio import cards, findings, leaks, manifests, masking, models, wording_keys
from studio.errors import StudioError
from studio.findings import Gate
from studio.manifests import File
from studio.models import Ready
from studio.permissions import Given, needs
from studio.planning import Plan, plan
from studio.records import Turns
from studio.splits import SPLITS, Piece, Recipe, SplitName, Stratify
from studio.workspace import Row, Transaction, Workspace

__all__ = ["SPLITS", "Item", "Plan", "Recipe", "Snapshot", "SplitName", "Stratify", "add_folder", "content", "every", "forget",
           "forget_lines", "freeze", "fresh_folder", "frozen", "get", "items", "lines_of", "plan", "verify", "write_lines"]


@dataclass(frozen=True)
class Snapshot:
    """`manifest` is what the file says, without its lines and repeats."""

    snapshot_id: str
    name: str
    folder: str
    train: int
    validation: int
    test: int
    frozen_at: datetime
    manifest: Row

    def file(self, split: SplitName) -> str:
        """The split's file, relative to the workspace."""
        return f"{self.folder}/{split}.jsonl"

    def count(self, split: SplitName) -> int:
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


@dataclass(frozen=True)
class Item:
    """One line of a snapshot, read back: the question's turns and the answer that ends it."""

    record_id: str
    split: str
    messages: Turns


_one_freezes = threading.Lock()


def _veiled(ws: Workspace, found: Iterable[Item], given: Given) -> list[Item]:
    lines = list(found)
    masks = masking.of_lines(ws, given["snapshot"].snapshot_id, [one.record_id for one in lines])
    return [replace(one, messages=masks[one.record_id].turns(one.messages)) for one in lines]


def _veiled_lines(ws: Workspace, found: dict[str, Item], given: Given) -> dict[str, Item]:
    return {one.record_id: one for one in _veiled(ws, found.values(), given)}


@needs("curate")
def write_lines(ws: Workspace, pieces: Sequence[Piece], path: Path) -> File:
    """Write the lines of these pieces, in this order, beside and renamed in; the database hands the texts over line by line.

    Raises StudioError, with nothing left behind, when a wording is not the one that was planned with.
    """
    raw, beside = path.with_name(f".{path.name}.raw"), path.with_name(f".{path.name}.tmp")
    name = str(raw).replace("'", "''")
    try:
        ws.rows(f"""copy (select p.place, v.messages::json as messages
                          from (select unnest(?::bigint[]) as place, unnest(?::varchar[]) as record_id,
                                       unnest(?::integer[]) as version) p
                          join record_versions v on v.record_id = p.record_id and v.version = p.version
                          order by p.place) to '{name}' (format json)""",
                [list(range(len(pieces))), [piece.record_id for piece in pieces], [piece.version for piece in pieces]])
        written = _write_checked(raw, pieces, beside)
        os.replace(beside, path)
    finally:
        raw.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
    return written


def _write_checked(raw: Path, pieces: Sequence[Piece], path: Path) -> File:
    """Lines in their one form, each compared with its hash in the plan."""
    whole, written = hashlib.sha256(), 0
    with raw.open(encoding="utf-8") as rows, path.open("w", encoding="utf-8", newline="\n") as file:
        for row, piece in zip(rows, pieces, strict=False):
            text = wording_keys.line_text(piece.record_id, json.loads(row)["messages"])
            if wording_keys.sha256(text) != piece.mark:
                break
            line = text + "\n"
            whole.update(line.encode())
            file.write(line)
            written += 1
        file.flush()
        os.fsync(file.fileno())
    if written < len(pieces):
        raise StudioError(f"Record {pieces[written].record_id} is gone, or not worded as it was planned with.", "Plan again.")
    return File(written, whole.hexdigest())


@needs("curate")
def freeze(ws: Workspace, name: str, recipe: Recipe, accepted: Gate | None = None, who: str = "",
           base: Ready | None = None) -> Snapshot:
    """Write the snapshot: files beside, renamed in whole, then its rows. Freezing the same again finds the same one.

    What a check for leaks of exactly this plan found is heeded: quarantined lines stay out, and while lines are undecided it
    raises StudioError. Without such a check the snapshot is frozen all the same, and its card says so. `accepted` is what `who`
    was shown of open and unchecked personal data before saying "freeze all the same". `base` is the base model whose chat
    template is pinned; without one the newest that is ready is.
    """
    with _one_freezes:
        planned = plan(ws, recipe)
        checked = leaks.of_plan(ws, planned.sha256)
        out = leaks.settled(checked)
        splits = {split: tuple(piece for piece in planned.splits[split] if piece.record_id not in out) for split in SPLITS}
        _check_left(splits, out)
        base = base or next(iter(models.ready(ws)), None)
        beside = fresh_folder(ws)
        try:
            files = {split: write_lines(ws, splits[split], beside / f"{split}.jsonl") for split in SPLITS}
            manifest = _manifest(planned, splits, files, out, base)
            snapshot_id = _add(ws, name, manifest, beside)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        _describe(ws, snapshot_id, planned, checked, accepted, who)
        return get(ws, snapshot_id)


@needs("read")
def get(ws: Workspace, snapshot_id: str) -> Snapshot:
    """Raises StudioError when there is no such snapshot."""
    row = ws.row("select * from snapshots where snapshot_id = ?", [snapshot_id])
    if row is None:
        raise StudioError(f"There is no snapshot {snapshot_id} in this workspace.", "Choose one on the Snapshots page.")
    return _snapshot(row)


@needs("read")
def every(ws: Workspace) -> list[Snapshot]:
    """Newest first."""
    return [_snapshot(row) for row in ws.rows("select * from snapshots order by frozen_at desc, snapshot_id")]


@needs("read")
def frozen(ws: Workspace) -> int:
    """How many snapshots there are."""
    return int(ws.value("select count(*) from snapshots"))


@needs("read")
def verify(ws: Workspace, snapshot: Snapshot) -> None:
    """Raises StudioError when a file is missing or any byte of it differs from the manifest, or the manifest from its id.

    Where somebody was forgotten the manifest was written anew, so it has to be the one that was noted then.
    """
    folder = ws.path(snapshot.folder)
    wanted = {name: facts["sha256"] for name, facts in snapshot.manifest["files"].items()}
    for name in (*wanted, manifests.NAME):
        path = folder / name
        if not path.is_file():
            raise StudioError(f"The file {name} of snapshot {snapshot.name} is gone from {snapshot.folder}.",
                              "Put it back from a backup, or freeze again.")
        if name in wanted:
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == wanted[name]
        else:
            same = _is_its_manifest(path.read_text(encoding="utf-8", errors="replace"), snapshot)
        if not same:
            raise StudioError(f"The file {name} of snapshot {snapshot.name} was changed after it was frozen.",
                              "Put it back from a backup, or freeze again: results on changed data would prove nothing.")


@needs("read", veil=_veiled)
def items(ws: Workspace, snapshot: Snapshot, split: SplitName, skip: int = 0, limit: int | None = None) -> list[Item]:
    """Lines of a split in the order of the file."""
    found = []
    with ws.path(snapshot.file(split)).open(encoding="utf-8") as file:
        for line in itertools.islice(file, skip, None if limit is None else skip + limit):
            row = json.loads(line)
            found.append(Item(row["id"], split, row["messages"]))
    return found


@needs("read", veil=_veiled_lines)
def lines_of(ws: Workspace, snapshot: Snapshot, record_ids: Collection[str]) -> dict[str, Item]:
    """Some lines as they were frozen, by record; ids that are not in the snapshot are left out."""
    found = ws.rows("""select split, place from (
                           select split, record_id, row_number() over (partition by split order by position) - 1 as place
                           from snapshot_items where snapshot_id = ?)
                       where record_id in (select unnest(?::varchar[]))""", [snapshot.snapshot_id, list(record_ids)])
    wanted: dict[SplitName, set[int]] = {split: {row["place"] for row in found if row["split"] == split} for split in SPLITS}
    lines = {}
    for split in SPLITS:
        if wanted[split]:
            with ws.path(snapshot.file(split)).open(encoding="utf-8") as file:
                texts = [text for place, text in enumerate(file) if place in wanted[split]]
            lines.update({row["id"]: Item(row["id"], split, row["messages"]) for row in map(json.loads, texts)})
    return lines


@needs("export")
def content(ws: Workspace, snapshot: Snapshot, name: str) -> bytes:
    """One file of the snapshot, byte for byte: `train.jsonl`, `validation.jsonl`, `test.jsonl` or `manifest.json`."""
    return (ws.path(snapshot.folder) / name).read_bytes()


@needs("own")
def forget_lines(ws: Workspace, record_ids: Sequence[str]) -> int:
    """Take these records' lines out of every frozen file: the one exception to "never changes", and the manifest says so.

    Files first, each renamed in, the manifest last; done again after a crash it goes on. Returns how many lines went.
    """
    meant, taken = set(record_ids), 0
    for snapshot in every(ws):
        path = ws.path(snapshot.folder) / manifests.NAME
        manifest = json.loads(path.read_text(encoding="utf-8"))
        gone = sum(line["id"] in meant for line in manifest["lines"])
        if gone or manifests.names(manifest, meant):
            for name in manifest["files"]:
                manifest["files"][name] = _without(ws.path(snapshot.folder) / name, meant)
            _put(path, manifests.text(manifests.without(manifest, meant)))
            taken += gone
    return taken


@needs("own")
def forget(ws: Workspace, transaction: Transaction, record_ids: Sequence[str]) -> None:
    """After `forget_lines`: bring the tables in line with the files."""
    transaction.execute("delete from snapshot_items where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
    for row in transaction.rows("select snapshot_id, folder, manifest from snapshots"):
        whole = (ws.path(row["folder"]) / manifests.NAME).read_text(encoding="utf-8")
        text = manifests.text(manifests.head(json.loads(whole)))
        if text != row["manifest"]:
            counts = [json.loads(text)["files"][f"{split}.jsonl"]["lines"] for split in SPLITS]
            transaction.execute("update snapshots set manifest = ?, train = ?, validation = ?, test = ? where snapshot_id = ?",
                                [text, *counts, row["snapshot_id"]])
    leaks.forget(transaction, record_ids)
    wording_keys.forget(transaction, record_ids)


@needs("curate")
def add_folder(ws: Workspace, name: str, manifest_text: str, beside: Path) -> str:
    """Make a finished folder a snapshot: rename it in, then its rows; one that is here already is found. Returns its id."""
    manifest = json.loads(manifest_text)
    snapshot_id = manifests.snapshot_id(manifest_text)
    if ws.value("select count(*) from snapshots where snapshot_id = ?", [snapshot_id]):
        return snapshot_id
    folder = f"snapshots/{snapshot_id}"
    shutil.rmtree(ws.path(folder), ignore_errors=True)  # files without rows: a freeze that died before its transaction
    for path in beside.iterdir():
        path.chmod(0o444)
    os.rename(beside, ws.path(folder))
    places = Counter[str]()
    items = []
    for line in manifest["lines"]:
        items.append({"snapshot_id": snapshot_id, "split": line["split"], "position": places[line["split"]],
                      "record_id": line["id"], "version": line["version"], "line_sha256": line["sha256"]})
        places[line["split"]] += 1
    with ws.transaction() as transaction:
        transaction.insert("snapshots", [{
            "snapshot_id": snapshot_id, "name": name.strip() or snapshot_id, "folder": folder, "frozen_at": ws.now(),
            "manifest": manifests.text(manifests.head(manifest))} | {split: places[split] for split in SPLITS}])
        transaction.insert("snapshot_items", items)
    return snapshot_id


@needs("curate")
def fresh_folder(ws: Workspace) -> Path:
    """An empty folder beside the snapshots; what an earlier freeze that died left is swept away."""
    home = ws.path("snapshots")
    for left in home.glob(".freezing-*"):
        shutil.rmtree(left, ignore_errors=True)
    beside = home / f".freezing-{ws.new_id()}"
    beside.mkdir(parents=True)
    return beside


def _is_its_manifest(text: str, snapshot: Snapshot) -> bool:
    if "forgotten" not in snapshot.manifest:
        return manifests.snapshot_id(text) == snapshot.snapshot_id
    try:
        return manifests.head(json.loads(text)) == snapshot.manifest
    except ValueError:
        return False


def _add(ws: Workspace, name: str, manifest: Row, beside: Path) -> str:
    """The manifest is written last."""
    text = manifests.text(manifest)
    _put(beside / manifests.NAME, text)
    return add_folder(ws, name, text, beside)


def _without(path: Path, record_ids: set[str]) -> Row:
    """Write the file anew without these records' lines; returns what the manifest says of it."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line and json.loads(line)["id"] not in record_ids]
    text = "".join(line + "\n" for line in lines)
    _put(path, text)
    return {"lines": len(lines), "sha256": wording_keys.sha256(text)}


def _put(path: Path, text: str) -> None:
    """Write a file that nobody writes again beside, down to the disk, and rename it in."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.unlink(missing_ok=True)
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(0o444)
    os.replace(beside, path)


def _check_left(splits: Mapping[SplitName, Sequence[Piece]], out: frozenset[str]) -> None:
    empty = [name for name in SPLITS if not splits[name]]
    if empty:
        raise StudioError(f"Without the {len(out):,} quarantined lines nothing is left for {' and '.join(empty)}.",
                          "Accept some of them, or ask for larger parts.")


def _manifest(planned: Plan, splits: Mapping[SplitName, tuple[Piece, ...]], files: Mapping[SplitName, File],
              out: frozenset[str], base: Ready | None) -> Row:
    quarantined = [line for line in manifests.lines(planned.splits) if line["id"] in out]
    division = planned.division
    return {
        "format": manifests.FORMAT, "plan": planned.sha256, "recipe": planned.recipe.written,
        "counts": {name: len(part) for name, part in splits.items()}, "eligible": planned.eligible,
        "identical_left_out": planned.identical, "identical": [list(pair) for pair in planned.repeats],
        "left_over": planned.left_over, "quarantined": quarantined,
        "held_together": {"by": planned.ties, "groups": division.held, "largest": division.largest,
                          "twins_searched": list(planned.searched)},
        "duplicate_thresholds": planned.thresholds, "undated": division.undated if planned.recipe.by_time else None,
        "begins": {name: at.isoformat(sep=" ") for name, at in division.begins.items()},
        "base": base.pin if base else None, "base_note": "" if base else manifests.NO_BASE,
        "files": manifests.files(files), "lines": manifests.lines(splits)}


def _describe(ws: Workspace, snapshot_id: str, planned: Plan, checked: leaks.Checked | None, accepted: Gate | None,
              who: str) -> None:
    """The card, the leaks that were let in, and who accepted open personal data. Frozen again, it is described as it is now."""
    card = cards.make(ws, get(ws, snapshot_id).manifest, snapshot_id, planned, checked, accepted)
    with ws.transaction() as transaction:
        if checked:
            leaks.keep(transaction, snapshot_id, checked)
        if checked or not cards.is_there(transaction, snapshot_id):
            cards.keep(ws, transaction, snapshot_id, card)
        if accepted and not accepted.clear and not findings.accepted(ws, snapshot_id):
            findings.accept(ws, transaction, snapshot_id, accepted, who)


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(**(row | {"manifest": manifests.head(json.loads(row["manifest"]))}))
