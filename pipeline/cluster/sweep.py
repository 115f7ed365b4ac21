"""`python -m pipeline.cluster.sweep WORKSPACE [--run RUN_ID]`: delete the copies of texts that a workspace has on storages.

Jobs that may still write there are ended first. Base models stay: they hold nobody's texts. Prints a sentence where it fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

from pipeline import spec_place
from pipeline.cluster import cargo
from pipeline.cluster.jobs import Jobs
from pipeline.cluster.remote import REMOTE, Remote
from pipeline.cluster.storage import Storage
from pipeline.errors import PipelineError

END_SECONDS = 8.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.cluster.sweep")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--run", default="", help="the copies of this run alone")
    given = parser.parse_args()
    try:
        sweep(given.workspace, given.run)
        return 0
    except PipelineError as error:
        print(f"{error.message}\t{error.hint}")
        return 1


def sweep(workspace: Path, run_id: str = "") -> None:
    """Raises PipelineError for a storage that cannot be reached; what was deleted before stays deleted."""
    for path in sorted((workspace / "runs").glob(f"{run_id or '*'}/{REMOTE}")):
        if (place := spec_place.of(path.parent)) and Remote(path.parent).left:
            _end_job(Jobs(place), Remote(path.parent).submission)
            if run_id:
                cargo.Cargo(path.parent, workspace, place, Remote(path.parent)).clean()
    for storage in [] if run_id else spec_place.used_storages(workspace):
        there = Storage(f"{storage}/{spec_place.workspace_id(workspace)}")
        for name in there.names(""):
            if name != "models":
                there.remove(name)
        spec_place.drop_storage(workspace, storage)


def _end_job(jobs: Jobs, submission: str) -> None:
    """A cluster that is gone runs nothing."""
    with suppress(PipelineError):
        if submission and jobs.look(submission).state in ("pending", "running"):
            jobs.stop(submission)
            until = time.monotonic() + END_SECONDS
            while jobs.look(submission).state == "running" and time.monotonic() < until:
                time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
