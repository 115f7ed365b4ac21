"""Archives: a workspace's files in one tar file, with a manifest of their hashes as its last member.

The last member makes it whole: an archive without a manifest is no backup. Files are packed as they are, uncompressed, so that
what is inside can also be read with any tar. Pure: knows nothing of a workspace's tables.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import TypeAdapter

from studio.errors import StudioError

MANIFEST = "manifest.json"
FORMAT = 1
_PIECE = 1 << 20
_LONGEST_MANIFEST = 256 << 20


@dataclass(frozen=True)
class Part:
    """One file to pack: where it lies, its name in the archive, and how many of its first bytes are meant."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Manifest:
    """What an archive holds. `tables` counts rows; `journal` and `sha` are the number and the hash of the journal's last line;
    `files` are names with their bytes and SHA-256."""

    workspace: str
    taken_at: str
    journal: int
    sha: str
    models: bool
    tables: dict[str, int]
    files: dict[str, tuple[int, str]]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        return sum(size for size, _ in self.files.values())


_READ = TypeAdapter(Manifest)


def pack(target: Path, parts: Sequence[Part], made: Callable[[dict[str, tuple[int, str]]], Manifest],
         say: Callable[[float], None] = lambda share: None) -> Manifest:
    """Write an archive beside `target`, read it back, and rename it in. `made` is the manifest of the files as they were
    packed; `say` hears the share that is done, 0 to 1. It is readable by its owner alone: texts of customers are in it."""
    beside, files = target.with_name(f".{target.name}.part"), dict[str, tuple[int, str]]()
    whole, done = max(1, sum(part.size for part in parts)), 0
    try:
        with open(beside, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for part in parts:
                    with part.path.open("rb") as source:
                        reader = _Hashing(source, part.size)
                        tar.addfile(_info(part.name, part.size), reader)  # type: ignore[arg-type]
                    files[part.name] = part.size, reader.sha.hexdigest()
                    done += part.size
                    say(0.6 * done / whole)
                manifest = made(files)
                told = json.dumps(asdict(manifest), ensure_ascii=False, indent=1).encode()
                tar.addfile(_info(MANIFEST, len(told)), io.BytesIO(told))
            file.flush()
            os.fsync(file.fileno())
        verify(beside)
        os.replace(beside, target)
    except OSError as error:
        raise StudioError(f"The backup could not be written: {error.strerror or error}.",
                          "Make room there, or choose another folder.") from None
    finally:
        beside.unlink(missing_ok=True)
    return manifest


def verify(archive: Path) -> Manifest:
    """Read every byte and hold it against the manifest. Raises StudioError where something is not as it was packed."""
    return _through(archive, lambda name: None)


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write its files into a folder, each held against the manifest. Raises StudioError where something is not as it was."""
    def opened(name: str) -> IO[bytes]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")

    return _through(archive, opened)


def _through(archive: Path, opened: Callable[[str], IO[bytes] | None]) -> Manifest:
    found: dict[str, tuple[int, str]] = {}
    told: bytes | None = None
    try:
        with tarfile.open(archive, mode="r:") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                if told is not None or source is None or not _is_inside(member.name):
                    raise _damaged(archive, f"{member.name[:80]!r} has no place in it")
                if member.name == MANIFEST:
                    told = source.read(_LONGEST_MANIFEST)
                else:
                    found[member.name] = _copied(source, opened(member.name))
    except (FileNotFoundError, IsADirectoryError):
        raise StudioError(f"There is no file {archive}.", "Give the path of a backup, a file that ends in .tar.") from None
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(archive, str(error)) from None
    except OSError as error:
        raise StudioError(f"{archive.name} could not be read, or its files not written: {error.strerror}.",
                          "Make room on the disk, or choose another folder.") from None
    manifest = _manifest(archive, told)
    for name in sorted(found.keys() | manifest.files.keys()):
        if found.get(name) != manifest.files.get(name):
            raise _damaged(archive, f"{name} is not as it was packed")
    return manifest


def _manifest(archive: Path, told: bytes | None) -> Manifest:
    if told is None:
        raise _damaged(archive, "it has no manifest, so its writing was cut off")
    try:
        if json.loads(told).get("format", FORMAT) > FORMAT:  # looked at first: a newer one may have another form
            raise StudioError(f"{archive.name} was written by a newer Tunewright.", "Update this installation first.")
        return _READ.validate_json(told)
    except (ValueError, AttributeError, TypeError):
        raise _damaged(archive, "its manifest cannot be read") from None


def _copied(source: IO[bytes], target: IO[bytes] | None) -> tuple[int, str]:
    """Bytes and SHA-256 of what was read; written to `target` where there is one."""
    sha, size = hashlib.sha256(), 0
    for piece in _pieces(source):
        sha.update(piece)
        size += len(piece)
        if target:
            target.write(piece)
    if target:
        target.close()
    return size, sha.hexdigest()


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


class _Hashing:
    """The first bytes of a file, hashed as they are read."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source, self._left = source, size
        self.sha = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._source.read(min(size, self._left))
        self._left -= len(piece)
        self.sha.update(piece)
        return piece


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


def _is_inside(name: str) -> bool:
    """Whether a name stays below the folder it is unpacked into."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\x00" not in name


def _damaged(archive: Path, why: str) -> StudioError:
    return StudioError(f"The backup {archive.name.removesuffix('.part').lstrip('.')} is damaged: {why}.",
                       "Take another one; the newest that is whole is on the Server page.")
