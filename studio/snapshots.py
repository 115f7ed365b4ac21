"""Snapshots: data frozen into train, validation and test files that never change.

The same records, recipe and seed give the same bytes, whatever order the records came in: each group of records is put
in its place by a hash of the seed and its content, never by chance or position. The snapshot's id is the hash of its
manifest, and the manifest holds the hash of every line, so a changed byte is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from studio import findings, records
from studio.errors import StudioError
from studio.findings import Gate
from studio.records import Record, Turns
from studio.workspace import Row, Transaction, Workspace

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
FILLED_FIRST: tuple[SplitName, ...] = ("test", "validation", "train")
FORMAT = "tunewright-snapshot/1"


@dataclass(frozen=True)
class Recipe:
    """How records are split. `sizes` (train, validation, test lines) goes before the shares, where given."""

    validation_share: float = 0.1
    test_share: float = 0.1
    seed: int = 1234
    only_kept: bool = False
    sizes: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Line:
    """One line of a split file: `text` is the JSON without its newline."""

    record_id: str
    version: int
    text: str
    group: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """What a freeze would write. `identical` records repeat another word for word and are left out."""

    splits: dict[SplitName, tuple[Line, ...]]
    eligible: int
    identical: int
    left_over: int


@dataclass(frozen=True)
class Snapshot:
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


@dataclass(frozen=True)
class Item:
    """One line of a snapshot, read back: the question's turns and the answer that ends it."""

    record_id: str
    split: str
    messages: Turns


def plan(ws: Workspace, recipe: Recipe) -> Plan:
    """Decide which record goes where. Raises StudioError when there is too little, or the recipe makes no sense."""
    _check(recipe)
    found = records.page(ws, records.Filter(), limit=2_000_000)
    eligible = [r for r in found if r.decision == "keep" or (r.decision == "undecided" and not recipe.only_kept)]
    lines, identical = _distinct([_line(record) for record in eligible])
    wanted = _wanted(len(lines), recipe)
    splits = _fill(lines, wanted, recipe.seed)
    taken = sum(len(part) for part in splits.values())
    short = [f"{len(splits[name])} of {wanted[name]} for {name}" for name in SPLITS if len(splits[name]) < max(1, wanted[name])]
    if short and (recipe.sizes or any(not splits[name] for name in SPLITS)):
        raise StudioError(f"There are {len(lines)} different records to freeze, too few for this split ({', '.join(short)}).",
                          "Import or keep more records, or ask for smaller parts.")
    return Plan(splits, len(eligible), identical, len(lines) - taken)


def freeze(ws: Workspace, name: str, recipe: Recipe, accepted: Gate | None = None, who: str = "") -> Snapshot:
    """Write the snapshot: files beside, renamed in whole, then its rows. Freezing the same again finds the same one.

    `accepted` is what `who` was shown of open and unchecked personal data before saying "freeze all the same"; it is noted
    beside the snapshot, whose bytes do not depend on it.
    """
    planned = plan(ws, recipe)
    manifest = _manifest(planned, recipe)
    text = _manifest_text(manifest)
    snapshot_id = "s" + hashlib.sha256(text.encode()).hexdigest()[:11]
    if ws.value("select count(*) from snapshots where snapshot_id = ?", [snapshot_id]):
        return get(ws, snapshot_id)
    folder = f"snapshots/{snapshot_id}"
    _write(ws.path(folder), planned, text)
    counts = {split: len(planned.splits[split]) for split in SPLITS}
    items = [{"snapshot_id": snapshot_id, "split": split, "position": place, "record_id": line.record_id,
              "version": line.version, "line_sha256": line.sha256}
             for split in SPLITS for place, line in enumerate(planned.splits[split])]
    with ws.transaction() as transaction:
        transaction.insert("snapshots", [{"snapshot_id": snapshot_id, "name": name.strip() or snapshot_id, "manifest": text,
                                          "folder": folder, "frozen_at": ws.now()} | counts])
        transaction.insert("snapshot_items", items)
        if accepted and not accepted.clear:
            findings.accept(ws, transaction, snapshot_id, accepted, who)
    return get(ws, snapshot_id)


def get(ws: Workspace, snapshot_id: str) -> Snapshot:
    """Raises StudioError when there is no such snapshot."""
    row = ws.row("select * from snapshots where snapshot_id = ?", [snapshot_id])
    if row is None:
        raise StudioError(f"There is no snapshot {snapshot_id} in this workspace.", "Choose one on the Freeze page.")
    return _snapshot(row)


def every(ws: Workspace) -> list[Snapshot]:
    """Newest first."""
    return [_snapshot(row) for row in ws.rows("select * from snapshots order by frozen_at desc")]


def verify(ws: Workspace, snapshot: Snapshot) -> None:
    """Raises StudioError when a file is missing or any byte of it differs from the manifest."""
    for name, facts in snapshot.manifest["files"].items():
        path = ws.path(snapshot.folder) / name
        if not path.is_file():
            raise StudioError(f"The file {name} of snapshot {snapshot.name} is gone from {snapshot.folder}.",
                              "Put it back from a backup, or freeze again.")
        if hashlib.sha256(path.read_bytes()).hexdigest() != facts["sha256"]:
            raise StudioError(f"The file {name} of snapshot {snapshot.name} was changed after it was frozen.",
                              "Put it back from a backup, or freeze again: results on changed data would prove nothing.")


def items(ws: Workspace, snapshot: Snapshot, split: SplitName) -> list[Item]:
    text = ws.path(snapshot.file(split)).read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.split("\n") if line]
    return [Item(line["id"], split, line["messages"]) for line in found]


def content(ws: Workspace, snapshot: Snapshot, name: str) -> bytes:
    """One file of the snapshot, byte for byte: `train.jsonl`, `validation.jsonl`, `test.jsonl` or `manifest.json`."""
    return (ws.path(snapshot.folder) / name).read_bytes()


def forget_lines(ws: Workspace, record_ids: Sequence[str]) -> int:
    """Take these records' lines out of every frozen file: the one exception to "never changes", and the manifest says so.

    Files first, each renamed in, the manifest last; done again after a crash it goes on. Returns how many lines went.
    """
    meant, taken = set(record_ids), 0
    for snapshot in every(ws):
        manifest = json.loads((ws.path(snapshot.folder) / "manifest.json").read_text(encoding="utf-8"))
        gone = [line for line in manifest["lines"] if line["id"] in meant]
        if not gone:
            continue
        for name in manifest["files"]:
            manifest["files"][name] = _without(ws.path(snapshot.folder) / name, meant)
        manifest["lines"] = [line for line in manifest["lines"] if line["id"] not in meant]
        manifest["forgotten"] = manifest.get("forgotten", 0) + len(gone)
        _put(ws.path(snapshot.folder) / "manifest.json", _manifest_text(manifest))
        taken += len(gone)
    return taken


def forget(ws: Workspace, transaction: Transaction, record_ids: Sequence[str]) -> None:
    """After `forget_lines`: bring the tables in line with the files."""
    transaction.execute("delete from snapshot_items where record_id in (select unnest(?::varchar[]))", [list(record_ids)])
    for row in transaction.rows("select snapshot_id, folder, manifest from snapshots"):
        text = (ws.path(row["folder"]) / "manifest.json").read_text(encoding="utf-8")
        if text != row["manifest"]:
            counts = [facts["lines"] for facts in (json.loads(text)["files"][f"{split}.jsonl"] for split in SPLITS)]
            transaction.execute("update snapshots set manifest = ?, train = ?, validation = ?, test = ? where snapshot_id = ?",
                                [text, *counts, row["snapshot_id"]])


def _without(path: Path, record_ids: set[str]) -> Row:
    """Write the file anew without these records' lines; returns what the manifest says of it."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line and json.loads(line)["id"] not in record_ids]
    text = "".join(line + "\n" for line in lines)
    _put(path, text)
    return {"lines": len(lines), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _put(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    _flushed(beside, text)
    os.replace(beside, path)


def _check(recipe: Recipe) -> None:
    if recipe.sizes is not None:
        if min(recipe.sizes) < 1:
            raise StudioError("Train, validation and test each need at least one record.")
        return
    if not 0 < recipe.validation_share < 1 or not 0 < recipe.test_share < 1:
        raise StudioError("Validation and test each need a share between 0 and 1.")
    if recipe.validation_share + recipe.test_share >= 0.9:
        raise StudioError("Validation and test together take more than nine tenths: nothing is left to learn from.",
                          "Lower one of the shares.")


def _line(record: Record) -> Line:
    text = json.dumps({"id": record.record_id, "messages": record.messages}, ensure_ascii=False)
    asked = next((turn["content"] for turn in record.messages if turn["role"] == "user"), "")
    normal = " ".join(unicodedata.normalize("NFKC", asked).casefold().split())
    return Line(record.record_id, record.version, text, hashlib.sha256(normal.encode()).hexdigest())


def _distinct(lines: list[Line]) -> tuple[list[Line], int]:
    """Of records that are the same word for word, keep the one with the smallest id."""
    first: dict[str, Line] = {}
    for line in sorted(lines, key=lambda line: line.record_id):
        first.setdefault(json.dumps(json.loads(line.text)["messages"]), line)
    return list(first.values()), len(lines) - len(first)


def _wanted(n: int, recipe: Recipe) -> dict[SplitName, int]:
    if recipe.sizes:
        return dict(zip(SPLITS, recipe.sizes, strict=True))
    test, validation = max(1, round(n * recipe.test_share)), max(1, round(n * recipe.validation_share))
    return {"train": n - test - validation, "validation": validation, "test": test}


def _fill(lines: list[Line], wanted: dict[SplitName, int], seed: int) -> dict[SplitName, tuple[Line, ...]]:
    """Give whole groups (records that ask the same) to test, then validation, then train, in the order of their hash.

    A group that does not fit into what a split still lacks goes to the next split, so sizes are never passed.
    """
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.group, []).append(line)
    order = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).hexdigest())
    splits: dict[SplitName, list[Line]] = {name: [] for name in SPLITS}
    for group in order:
        members = sorted(groups[group], key=lambda line: line.record_id)
        for name in FILLED_FIRST:
            if len(splits[name]) + len(members) <= wanted[name]:
                splits[name] += members
                break
    return {name: tuple(part) for name, part in splits.items()}


def _file_text(lines: tuple[Line, ...]) -> str:
    return "".join(line.text + "\n" for line in lines)


def _manifest(planned: Plan, recipe: Recipe) -> Row:
    files = {f"{name}.jsonl": {"lines": len(part), "sha256": hashlib.sha256(_file_text(part).encode()).hexdigest()}
             for name, part in planned.splits.items()}
    lines = [{"split": name, "id": line.record_id, "version": line.version, "sha256": line.sha256}
             for name in SPLITS for line in planned.splits[name]]
    return {"format": FORMAT, "recipe": asdict(recipe), "counts": {name: len(part) for name, part in planned.splits.items()},
            "eligible": planned.eligible, "identical_left_out": planned.identical, "left_over": planned.left_over,
            "files": files, "lines": lines}


def _write(folder: Path, planned: Plan, manifest: str) -> None:
    """Everything into a folder beside, flushed, made read-only and renamed in; the manifest is written last."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)  # files without rows: a freeze that died before its transaction
    beside.mkdir(parents=True)
    for name, text in [*((f"{s}.jsonl", _file_text(planned.splits[s])) for s in SPLITS), ("manifest.json", manifest)]:
        _flushed(beside / name, text)
    os.rename(beside, folder)


def _flushed(path: Path, text: str) -> None:
    """Write a file that nobody writes again, down to the disk."""
    path.unlink(missing_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)


def _manifest_text(manifest: Row) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(**(row | {"manifest": json.loads(row["manifest"])}))
