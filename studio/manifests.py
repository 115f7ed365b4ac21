"""The manifest of a snapshot: what it holds, down to the hash of every line, and how it came about. Pure.

The snapshot's id is the hash of this text, so a changed byte anywhere is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from studio.errors import StudioError
from studio.splits import SPLITS, Piece, SplitName
from studio.workspace import Row

FORMAT = "tunewright-snapshot/2"
FORMATS = ("tunewright-snapshot/1", FORMAT)
NAME = "manifest.json"
NO_BASE = "No base model was ready when this was frozen, so no chat template is pinned."


class File(NamedTuple):
    """One written split file."""

    lines: int
    sha256: str


def text(manifest: Row) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def snapshot_id(text: str) -> str:
    return "s" + hashlib.sha256(text.encode()).hexdigest()[:11]


def lines(splits: Mapping[SplitName, Sequence[Piece]]) -> list[Row]:
    return [{"split": name, "id": piece.record_id, "version": piece.version, "sha256": piece.mark}
            for name in SPLITS for piece in splits[name]]


def files(written: Mapping[SplitName, File]) -> dict[str, Row]:
    return {f"{name}.jsonl": {"lines": file.lines, "sha256": file.sha256} for name, file in written.items()}


def head(manifest: Row) -> Row:
    """All but what can be as long as there are records: the lines, and the repeats that were left out."""
    return {key: value for key, value in manifest.items() if key not in ("lines", "identical")}


def names(manifest: Row, record_ids: Set[str]) -> bool:
    """Whether one of these records is named beside the lines: as a repeat that was left out, or in quarantine."""
    beside = [name for pair in manifest.get("identical", ()) for name in pair]
    return not record_ids.isdisjoint([*beside, *(line["id"] for line in manifest.get("quarantined", ()))])


def without(manifest: Row, record_ids: Set[str]) -> Row:
    """The manifest once these records are forgotten: their lines gone, and how many were taken out so far."""
    kept = [line for line in manifest["lines"] if line["id"] not in record_ids]
    found = manifest | {
        "lines": kept, "counts": {name: sum(line["split"] == name for line in kept) for name in SPLITS},
        "forgotten": manifest.get("forgotten", 0) + len(manifest["lines"]) - len(kept)}
    if "identical" in manifest:
        found["identical"] = [pair for pair in manifest["identical"] if not set(pair) & set(record_ids)]
        found["quarantined"] = [line for line in manifest["quarantined"] if line["id"] not in record_ids]
    return found


def read(text: str) -> Row:
    """A manifest of this or an earlier form. Raises StudioError when it is none, or lacks what a snapshot needs."""
    try:
        found = json.loads(text)
    except ValueError:
        raise StudioError("The manifest.json is not JSON.", "Choose the folder of a snapshot, as it was frozen.") from None
    if not isinstance(found, dict) or found.get("format") not in FORMATS:
        raise StudioError("The manifest.json is not one of a Tunewright snapshot, or of a newer Tunewright.",
                          f"Formats read here: {', '.join(FORMATS)}.")
    if not _whole(found):
        raise StudioError("The manifest.json lacks files, counts or lines, or says them in another way.",
                          "Choose the folder of a snapshot, as it was frozen.")
    return found


def _whole(found: Row) -> bool:
    """Whether files, counts and lines are there and agree with each other."""
    try:
        counts = {name: int(found["counts"][name]) for name in SPLITS}
        listed = dict.fromkeys(SPLITS, 0)
        for line in found["lines"]:
            listed[line["split"]] += 1
            if not (isinstance(line["id"], str) and isinstance(line["version"], int) and isinstance(line["sha256"], str)):
                return False
        in_files = {name: found["files"][f"{name}.jsonl"]["lines"] for name in SPLITS}
        hashes = all(isinstance(found["files"][f"{name}.jsonl"]["sha256"], str) for name in SPLITS)
        seed = isinstance(found["recipe"]["seed"], int)
    except (KeyError, TypeError, ValueError):
        return False
    return counts == listed == in_files and len(found["files"]) == len(SPLITS) and hashes and seed and min(counts.values()) > 0
