"""Folders of a run that appear whole: each checkpoint, the adapter, each part of the work."""

from __future__ import annotations

from pathlib import Path

WHOLE = "_whole"
"""Beside the files of a folder that was put at a URL, once all are there: a folder cannot be renamed in there."""


def units(folder: Path) -> list[Path]:
    """Folders directly below, or, where one holds only folders, those in it. Hidden ones are still being made."""
    found: list[Path] = []
    for top in _folders(folder):
        inner = _folders(top)
        found += inner if inner and not any(one.is_file() for one in top.iterdir()) else [top]
    return found


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [one for one in sorted(folder.iterdir()) if one.is_dir() and not one.name.startswith(".")]
