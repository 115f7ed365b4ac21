"""The files that lie at a service: delete some, then list what is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, Stopped
from pipeline.managed import words
from pipeline.managed.service import StoredFile, Trouble, opened
from pipeline.rundir import Child
from pipeline.spec_managed import ServiceFilesSpec

OURS = "tunewright-"


def run(child: Child, spec: ServiceFilesSpec, workspace: Path) -> dict[str, Any]:
    """`deleted`: those that are gone now, also if they were before; `kept`: those that could not be deleted, with why."""
    service = opened(spec.service)
    deleted, kept = list[str](), list[dict[str, str]]()
    for number, name in enumerate(spec.delete):
        child.say("deleting", number, len(spec.delete), "files", f"Deleting {name} at {service.place}")
        if child.stop_requested():
            raise Stopped(f"{len(deleted)} of {len(spec.delete)} files were deleted.")
        try:
            service.delete(name)
            deleted.append(name)
        except Trouble as trouble:
            if trouble.status == 404:
                deleted.append(name)
            else:
                kept.append({"id": name, "words": _in_words(spec, trouble).message})
    child.say("listing", sentence=f"Asking {service.place} for its files")
    try:
        found = service.files()
    except Trouble as trouble:
        raise _in_words(spec, trouble) from None
    return {"files": [_row(one) for one in found], "deleted": deleted, "kept": kept, "place": service.place}


def done_words(data: dict[str, Any]) -> str:
    there = f"{len(data['files']):,} files are at {data['place']}."
    gone = f"{len(data['deleted']):,} files were deleted. " if data["deleted"] else ""
    return gone + (f"{len(data['kept']):,} could not be deleted. " if data["kept"] else "") + there


def _row(one: StoredFile) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "bytes": one.bytes, "purpose": one.purpose, "status": one.status, "at": one.at,
            "ours": one.name.startswith(OURS)}


def _in_words(spec: ServiceFilesSpec, trouble: Trouble) -> PipelineError:
    if trouble.status == 403:
        return PipelineError(f"{words.address(spec.service)} does not let this key do that (403).",
                             "Use a key that may read and delete files.")
    return words.in_words(trouble, spec.service, "", datetime.now(UTC).date())
