"""The one family of errors meant for people."""

from __future__ import annotations


class StudioError(Exception):
    """Something a person can understand and mend. `message` says what is wrong and where, `hint` what to do now."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
