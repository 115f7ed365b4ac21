"""remote.json: what exists at the service, written the moment it exists, and what was asked for without an answer so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pipeline import rundir
from pipeline.managed.service import Job, StoredFile

Name = Literal["train", "validation", "job"]
REMOTE = "remote.json"


class Remote:
    """Only the child of the run writes. `asked` notes a wish before it is sent: after a kill it tells that it may have come
    true."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / REMOTE
        self._now: dict[str, Any] = {"files": {}, "asked": {}}
        if self.path.exists():
            self._now |= json.loads(self.path.read_text(encoding="utf-8"))

    @property
    def job_id(self) -> str:
        return str(self._now.get("job", {}).get("id", ""))

    @property
    def job_at(self) -> float:
        return float(self._now.get("job", {}).get("at", 0))

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        return dict(self._now["files"])

    def asked(self, name: Name) -> float | None:
        """When it was last sent without an answer, unix seconds."""
        found = self._now["asked"].get(name)
        return None if found is None else float(found["last"])

    def first_asked(self, name: Name) -> float | None:
        found = self._now["asked"].get(name)
        return None if found is None else float(found["first"])

    def ask(self, name: Name, now: float) -> None:
        self._now["asked"][name] = {"first": self.first_asked(name) or now, "last": now}
        self._save()

    def refused(self, name: Name) -> None:
        """It is certain that nothing was made."""
        if self._now["asked"].pop(name, None) is not None:
            self._save()

    def keep_file(self, name: Name, stored: StoredFile, sha256: str, reused: bool) -> None:
        self._now["files"][name] = {"id": stored.id, "sha256": sha256, "bytes": stored.bytes, "reused": reused}
        self._now["asked"].pop(name, None)
        self._save()

    def keep_job(self, job: Job, reused: bool, now: float) -> None:
        self._now["job"] = {"id": job.id, "status": job.status, "reused": reused, "at": now}
        self._now["asked"].pop("job", None)
        self._save()

    def status(self, job: Job) -> None:
        if self._now["job"]["status"] != job.status:
            self._now["job"]["status"] = job.status
            self._save()

    def _save(self) -> None:
        rundir.write_atomic(self.path, json.dumps(self._now, indent=1))
