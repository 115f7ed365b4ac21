"""A few seconds of the soak (`benchmarks/soak.py`): people at desks and tables, a backup taken and restored meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import soak

pytestmark = [pytest.mark.slow]


def test_three_people_work_while_a_backup_is_taken_and_restored_and_nothing_is_lost(chromium_here: str, tmp_path: Path) -> None:
    found = soak.run(tmp_path / "ws", 0.1, (1, 1, 1), train=False)
    assert (found.errors, found.lost, found.backup) == ([], [], [])
    assert min(found.presses.values()) > 0 and found.visits > 0
