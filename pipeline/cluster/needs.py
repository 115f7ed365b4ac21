"""What a run reads beside its folder: files of snapshots, base models, adapters of other runs, files that lie elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.specs import AnySpec, BaseSource, dumps

OUTSIDE = "outside"
_FILES = ("train_file", "validation_file", "items_file", "tokenizer", "file")
_FOLDERS = ("adapter", "merged", "folder")


@dataclass(frozen=True)
class Need:
    """A file or folder here, and where it goes in the run's small workspace."""

    path: Path
    relative: str


def of(spec: AnySpec, workspace: Path) -> list[Need]:
    """Everything that it reads, base models that are ready among it; what is not there is left to the engine to miss."""
    return [need for need in named(spec, workspace) if need.path.exists()]


def named(spec: AnySpec, workspace: Path) -> list[Need]:
    """Everything that it names, there or not, each once."""
    return list({need.relative: need for need in _walk(spec.model_dump(), workspace)}.values())


def bases(spec: AnySpec) -> list[BaseSource]:
    """Base models that it names, each once."""
    found = {str(one): BaseSource(**one) for one in _dicts(spec.model_dump()) if set(one) == {"kind", "ref", "name"}}
    return list(found.values())


def told(spec: AnySpec, workspace: Path) -> str:
    """The spec as the job reads it: what lay outside the workspace is in the small one."""
    text = dumps(spec)
    for need in of(spec, workspace):
        if need.relative.startswith(f"{OUTSIDE}/"):
            text = text.replace(f'"{need.path}"', f'"{need.relative}"')
    return text


def _walk(part: Any, workspace: Path) -> Iterator[Need]:
    from pipeline.base_models import slug

    for one in _dicts(part):
        for key in (*_FILES, *_FOLDERS):
            if isinstance(said := one.get(key), str) and said:
                yield _need(said, workspace)
        if set(one) == {"kind", "ref", "name"}:
            base = BaseSource(**one)
            yield Need(Path(base.ref) if base.kind == "folder" else workspace / "models" / slug(base), f"models/{slug(base)}")
        elif set(one) == {"kind", "ref", "model"} and one["ref"] and one["kind"] != "endpoint":
            yield _need(one["ref"], workspace)


def _need(said: str, workspace: Path) -> Need:
    path = Path(said)
    if not path.is_absolute():
        return Need(workspace / said, said)
    return Need(path, f"{OUTSIDE}/{hashlib.sha256(said.encode()).hexdigest()[:8]}-{path.name}")


def _dicts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    if isinstance(part, dict | list | tuple):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _dicts(inner)
