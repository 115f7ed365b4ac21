"""What can go wrong in an engine, in words for the person who started the run."""

from __future__ import annotations


class PipelineError(Exception):
    """`message` says what is wrong and where, `hint` what to do now. Neither ever holds text from the data."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it in three ways: MemoryError, the accelerator's own class, a plain RuntimeError of the CPU's allocator."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "can't allocate memory" in words


class Stopped(Exception):
    """A person asked the run to stop; what it has was saved."""
