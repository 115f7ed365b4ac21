"""A snapshot's folder that was frozen elsewhere becomes one of this workspace, or nothing happens."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio import cards, manifests, records, snapshots
from studio.errors import StudioError
from studio.permissions import needs
from studio.snapshots import SPLITS, Snapshot
from studio.workspace import Row, Workspace

_AGAIN = "Copy the whole folder again, as it was frozen."


@needs("curate")
def adopt(ws: Workspace, folder: Path, name: str = "") -> Snapshot:
    """Check every byte and every line of the folder, copy it, and add its rows. One that is here already is found.

    Raises StudioError, with the workspace unchanged, where something is missing, changed, or no conversation.
    """
    if not folder.is_dir() or not (folder / manifests.NAME).is_file():
        raise StudioError(f"There is no snapshot in {folder}.", "Give the folder that holds manifest.json and its three files.")
    beside = snapshots.fresh_folder(ws)
    try:
        text = _text(folder / manifests.NAME)
        manifest = manifests.read(text)
        for split in SPLITS:
            _copy(folder / f"{split}.jsonl", beside / f"{split}.jsonl", manifest["files"][f"{split}.jsonl"])
        _check_lines(beside, manifest)
        (beside / manifests.NAME).write_text(text, encoding="utf-8", newline="\n")
        snapshot_id = snapshots.add_folder(ws, name.strip() or folder.name, text, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    snapshot = snapshots.get(ws, snapshot_id)
    card = cards.make(ws, manifest, snapshot_id, None, None, None)
    with ws.transaction() as transaction:
        if not cards.is_there(transaction, snapshot_id):
            cards.keep(ws, transaction, snapshot_id, card)
    return snapshot


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise StudioError(f"{path.name} cannot be read.", _AGAIN) from None


def _copy(source: Path, target: Path, facts: Row) -> None:
    """Copied first, then looked at: what is checked is what is kept."""
    try:
        shutil.copyfile(source, target)
    except OSError:
        raise StudioError(f"The file {source.name} is missing, or cannot be read.", _AGAIN) from None
    with target.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != facts["sha256"]:
        raise StudioError(f"The file {source.name} is not the one that the manifest names: a byte of it was changed.", _AGAIN)


def _check_lines(folder: Path, manifest: Row) -> None:
    """Every line is the one the manifest lists at its place, and a conversation with its record's id."""
    listed = iter(sorted(manifest["lines"], key=lambda line: SPLITS.index(line["split"])))
    for split in SPLITS:
        for number, text in enumerate(_lines(folder / f"{split}.jsonl"), start=1):
            wanted = next(listed, None)
            right = wanted is not None and wanted["sha256"] == hashlib.sha256(text.encode()).hexdigest()
            if not right or wanted is None or not _is_line(text, wanted["id"]):
                raise StudioError(f"Line {number} of {split}.jsonl is not what the manifest lists there, or no conversation.",
                                  _AGAIN)
    if next(listed, None) is not None:
        raise StudioError("The manifest lists more lines than the files hold.", _AGAIN)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


def _is_line(text: str, record_id: str) -> bool:
    try:
        row: Any = json.loads(text)
        records.check_messages(row["messages"])
    except (ValueError, KeyError, TypeError, AttributeError, StudioError, RecursionError):
        return False
    return bool(row["id"] == record_id)
