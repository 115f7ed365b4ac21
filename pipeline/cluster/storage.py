"""The storage that both sides see: a folder, or anything that fsspec knows by URL. Files arrive whole, by rename or by put.

Paths are relative to the storage's root, with slashes. Only processes of runs import this: fsspec may speak to a network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

WHOLE_PUTS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "r2"}
"""Where a put appears whole or not at all, and a rename is a copy."""
PART = ".part"


@dataclass(frozen=True)
class Stamp:
    """What tells whether a file is another one than it was: its size, and its time or tag as the storage says it."""

    size: int
    tag: str


class Storage:
    """A folder on the storage. Raises PipelineError, in words, where it cannot be reached or written to."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        with _in_words(url):
            self.fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self.root = str(root).rstrip("/")
        protocol = self.fs.protocol if isinstance(self.fs.protocol, str) else self.fs.protocol[0]
        self.whole_puts = protocol in WHOLE_PUTS
        self.is_folder = "://" not in url

    def below(self, relative: str) -> Storage:
        return Storage(f"{self.url}/{relative}")

    def path(self, relative: str) -> str:
        return f"{self.root}/{relative}" if relative else self.root

    def files(self, relative: str = "") -> dict[str, Stamp]:
        """All files below a folder, by path relative to it; none where there is no such folder. Parts are left out."""
        start = self.path(relative)
        with _in_words(self.url):
            try:
                found = self.fs.find(start, detail=True)
            except FileNotFoundError:
                return {}
        return {name[len(start) + 1:]: _stamp(about) for name, about in found.items() if not name.endswith(PART)
                and len(name) > len(start)}

    def stamp(self, relative: str) -> Stamp | None:
        with _in_words(self.url):
            try:
                return _stamp(self.fs.info(self.path(relative)))
            except FileNotFoundError:
                return None

    def files_in(self, relative: str) -> dict[str, Stamp]:
        """The files that lie directly in a folder."""
        return {name: stamp for name, kind, stamp in self._listed(relative) if kind == "file" and not name.endswith(PART)}

    def folders_in(self, relative: str) -> list[str]:
        """The folders that lie directly in a folder; hidden ones are still being made."""
        return [name for name, kind, _ in self._listed(relative) if kind == "directory" and not name.startswith(".")]

    def names(self, relative: str) -> list[str]:
        """What lies directly in a folder."""
        return [name for name, _, _ in self._listed(relative)]

    def _listed(self, relative: str) -> list[tuple[str, str, Stamp]]:
        with _in_words(self.url):
            try:
                found = self.fs.ls(self.path(relative), detail=True)
            except FileNotFoundError:
                return []
        named = [(str(about["name"]).rstrip("/").rsplit("/", 1)[-1], str(about["type"]), _stamp(about)) for about in found]
        return sorted(named, key=lambda one: one[0])

    def read(self, relative: str, start: int = 0) -> bytes | None:
        """A file's bytes from a place on; None where there is no such file."""
        with _in_words(self.url):
            try:
                return bytes(self.fs.cat_file(self.path(relative), start=start))
            except FileNotFoundError:
                return None

    def write(self, relative: str, text: bytes) -> None:
        with _in_words(self.url), self._arriving(relative) as target:
            self.fs.pipe_file(target, text)

    def put(self, local: Path, relative: str) -> None:
        with _in_words(self.url), self._arriving(relative) as target:
            self.fs.put_file(str(local), target)

    def get(self, relative: str, local: Path) -> None:
        """Fetch a file; it is there whole, or as it was before."""
        local.parent.mkdir(parents=True, exist_ok=True)
        beside = local.with_name(f".{local.name}.{os.getpid()}{PART}")
        with _in_words(self.url):
            self.fs.get_file(self.path(relative), str(beside))
        os.replace(beside, local)

    def fetch_once(self, relative: str, local: Path) -> None:
        """Fetch a file or a folder that is not here yet. Processes of one node may ask for it at the same time."""
        from filelock import FileLock

        local.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{local}.lock"):
            if local.exists():
                return
            files = self.files(relative)
            if not files:
                if self.stamp(relative):
                    self.get(relative, local)
                return
            beside = local.with_name(f".{local.name}.coming")
            shutil.rmtree(beside, ignore_errors=True)
            for name in files:
                self.get(f"{relative}/{name}", beside / name)
            os.rename(beside, local)

    def remove(self, relative: str) -> None:
        """Delete a file or a folder with all in it; nothing where it is gone."""
        with _in_words(self.url):
            try:
                self.fs.rm(self.path(relative), recursive=True)
            except FileNotFoundError:
                return

    @contextmanager
    def _arriving(self, relative: str) -> Iterator[str]:
        """Where to write a file so that it appears whole."""
        target = self.path(relative)
        if self.whole_puts:
            yield target
            return
        folder, _, name = target.rpartition("/")
        self.fs.makedirs(folder, exist_ok=True)
        beside = f"{folder}/.{name}.{os.getpid()}{PART}"
        yield beside
        if hasattr(self.fs, "auto_mkdir"):  # the local file system, whose own move is no rename
            os.replace(beside, target)
        else:
            self.fs.mv(beside, target)


def _stamp(about: dict[str, Any]) -> Stamp:
    tag = next((about[key] for key in ("ETag", "etag", "mtime", "LastModified", "updated") if about.get(key)), "")
    return Stamp(int(about.get("size") or 0), str(tag))


@contextmanager
def _in_words(url: str) -> Iterator[None]:
    """What goes wrong with a storage becomes one sentence; its own text may hold keys and addresses."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (ImportError, ValueError) as error:
        if isinstance(error, ImportError) or "rotocol" in str(error):
            raise PipelineError(f"The storage {url} needs a package for {url.split('://')[0]}:// that is not installed.",
                                "Install it here and on every node (s3fs for S3, gcsfs for GCS, adlfs for Azure).") from None
        raise PipelineError(f"The storage {url} cannot be used ({type(error).__name__}).", "Look at its address.") from None
    except PipelineError:
        raise
    except Exception as error:
        raise PipelineError(f"The storage {url} cannot be used ({type(error).__name__}).",
                            "See that it can be reached, and written to, with the credentials in the environment.") from None
