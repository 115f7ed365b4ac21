"""Runs on a real Ray cluster of two nodes: they end as local ones do, and outlive what they run on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import spec_place
from pipeline.spec_place import Place
from pipeline.specs import CheckSpec
from tests import children
from tests.ray_cluster import RayCluster

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def placed(cluster: RayCluster, **more: Any) -> Place:
    return Place(**({"cluster": "The farm", "address": cluster.address, "storage": str(cluster.storage)} | more))


def checked(home: Path, place: Place | None, run_id: str = "check1", records: int = 40, **more: Any) -> Path:
    """The folder of a check of records, to be started."""
    spec = CheckSpec(run_id=run_id, records=records, to_check=records, workers=1, **more)
    folder = children.prepared(home, spec)
    lines = [{"id": f"r{n}", "people": [], "own": [], "look": True, "messages": [
        {"role": "user", "content": f"My order {n} is late, write to anna{n}@mail.example"},
        {"role": "assistant", "content": f"Parcel {n} is on its way."}]} for n in range(records)]
    (folder / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    if place:
        spec_place.write(folder, place)
    return folder


def test_a_run_elsewhere_ends_as_a_local_one(ray_cluster: RayCluster, tmp_path: Path) -> None:
    there = children.finished(checked(tmp_path, placed(ray_cluster), "there"), tmp_path)
    here = children.finished(checked(tmp_path, None, "here"), tmp_path)
    found = [(tmp_path / f"runs/{name}/findings.jsonl").read_text() for name in ("there", "here")]
    assert (there.outcome, there.message, there.data | {"seconds": 0}) == ("done", here.message, here.data | {"seconds": 0})
    assert found[0] == found[1] and found[0]
