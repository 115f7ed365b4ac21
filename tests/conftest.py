"""Fixtures of real parts: a workspace in a temporary folder, the shared real data, the starter model made ready once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# As in the pipeline's own processes: threads of torch that spin while they wait take the cores from whatever runs beside.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import pytest
from filelock import FileLock

from pipeline import base_models
from pipeline.specs import BaseSource
from studio import workspace as folders
from studio.models import STARTER_NAME
from studio.workspace import Workspace
from tests.ray_cluster import ray_cluster

__all__ = ["ray_cluster"]
ROOT = Path(__file__).resolve().parent.parent
STARTER = BaseSource(kind="starter", name=STARTER_NAME)


LONG = ("test_journey", "test_banking", "test_playing", "test_training", "test_label", "test_loop_examples", "test_parity",
        "test_desk", "test_synthesis_calls")
"""The files that take longest go first, so that two processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that come last are two lines of work: those with a Ray cluster, which share one, and those about deaths."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    for item in items:
        if item.get_closest_marker("alone"):
            group = "ray" if "ray_cluster" in getattr(item, "fixturenames", ()) else "deaths"
            item.add_marker(pytest.mark.xdist_group(group))


def lacking(what: str) -> None:
    """Skip for a tool that is not here; where TUNEWRIGHT_STRICT is set, fail instead."""
    if os.environ.get("TUNEWRIGHT_STRICT"):
        pytest.fail(f"TUNEWRIGHT_STRICT is set and this is missing: {what}")
    pytest.skip(f"missing: {what}")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an empty workspace: its tables are made once, because a thousand tests begin with them."""
    home = tmp_path_factory.mktemp("empty") / "ws"
    Workspace(home).close()
    return home / "studio.duckdb"


@pytest.fixture
def ws(tmp_path: Path, empty_database: Path) -> Iterator[Workspace]:
    """An empty workspace, closed at the end."""
    (tmp_path / "ws").mkdir()
    shutil.copy(empty_database, tmp_path / "ws")
    found = Workspace(tmp_path / "ws")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    folders.close_all()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real tickets beside the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        lacking("the real data in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def starter_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose models/ holds the starter, the same for all processes of this session. It is converted (20 s) once for all
    sessions, as long as the code that converts it stays the same."""
    code = hashlib.sha256(Path(base_models.__file__).read_bytes()).hexdigest()[:12]
    kept = ROOT / ".pytest_cache" / f"starter-{code}"
    kept.mkdir(parents=True, exist_ok=True)
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "starter"
    home.mkdir(exist_ok=True)
    with FileLock(home / "lock"):
        base_models.prepare(STARTER, kept, lambda sentence: None)
        if not (home / "models").exists():
            shutil.copytree(kept / "models", home / "copying")
            (home / "copying").rename(home / "models")
    return home


@pytest.fixture(scope="session")
def evaluated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with three candidates' answers to 60 test items (`tests/evaluated.py`), made once a process."""
    from tests.evaluated import evaluated

    ws = Workspace(tmp_path_factory.mktemp("evaluated") / "ws")
    evaluated(ws, 60)
    ws.close()
    return ws.root


@pytest.fixture
def three(tmp_path: Path, evaluated_home: Path) -> Iterator[Workspace]:
    """A copy of it, open."""
    found = Workspace(Path(shutil.copytree(evaluated_home, tmp_path / "ws", symlinks=True)))
    yield found
    found.close()


@pytest.fixture
def with_starter(tmp_path: Path, starter_home: Path) -> Path:
    """A folder for a workspace where the starter is ready already."""
    home = tmp_path / "ws"
    home.mkdir()
    shutil.copytree(starter_home / "models", home / "models", copy_function=os.link)
    return home


@pytest.fixture(scope="session")
def chromium_here() -> str:
    """The path of a Chromium."""
    from tests.install_browser import find

    path = find()
    if path is None:
        lacking("a Chromium for the browser tests")
    return str(path)
