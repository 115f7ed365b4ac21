"""Drift checks of the app: begun on logs, run by a real child, read back, told, forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.drift import LEAST
from studio import alerts, customers, drifts, forgetting, records, runs, traffic
from studio.errors import StudioError
from studio.workspace import Workspace
from tests.children import collected
from tests.drifting import END, bring, frozen, questions

TOPIC = "subscription"


@pytest.fixture(scope="module")
def drifted_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace: 150 questions this week, 40 of them of a topic that neither the snapshot nor the weeks before have."""
    folder = tmp_path_factory.mktemp("drifted")
    ws = Workspace(folder / "ws")
    snapshot = frozen(ws, questions(300, 1, but=TOPIC))
    week = questions(110, 2, but=TOPIC) + questions(40, 3, only=TOPIC)
    bring(ws, folder, [week, *(questions(100, 4 + back, but=TOPIC) for back in range(3))])
    collected(ws, drifts.start(ws, snapshot, weeks=3))
    ws.close()
    return ws.root
