"""Many read, or one works alone: while the database file is exchanged nobody else may be in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Readers come and go freely; `alone` waits until all are out and holds the others back meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._alone: int | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._alone in (None, threading.get_ident()))
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, patience_seconds: float | None = None) -> Iterator[bool]:
        """Only one thread at a time may ask for this. With a patience it is False where others were not out in time."""
        with self._changed:
            self._alone = threading.get_ident()
            is_alone = self._changed.wait_for(lambda: self._readers == 0, patience_seconds)
            if not is_alone:
                self._open()
        try:
            yield is_alone
        finally:
            with self._changed:
                self._open()

    def _open(self) -> None:
        self._alone = None
        self._changed.notify_all()
