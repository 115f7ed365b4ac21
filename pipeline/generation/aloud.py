"""A local model that answers aloud: one answer, token by token, with its text as it grows."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

from pipeline.errors import PipelineError
from pipeline.generation.answer import Ask, Heard
from pipeline.generation.batches import Ears, Row, Table
from pipeline.generation.local import LocalModel
from pipeline.specs import Decoding

DECODE_SECONDS = 0.08
"""Tokens become text no more often. All of an answer is decoded each time: a character can be cut between two tokens."""

HALF = "\ufffd"
"""What a decoder writes for a character whose bytes are not all there yet."""

LOOK_SECONDS = 0.2


def answer(model: LocalModel, ask: Ask, decoding: Decoding, ears: Ears | None = None) -> Generator[Heard, None, None]:
    """The answer after every token (on a GPU after some); the last one says how it ended. To stop, close the iterator. `ears`
    hear each step, of a model that takes a memory.

    Raises PipelineError where the conversation leaves no room for an answer in what the model reads.
    """
    ids = model.prompt(ask.example)
    if len(ids) >= model.context:
        raise PipelineError(f"The conversation has {len(ids):,} tokens, and the model reads {model.context:,} at once.",
                            "Begin a new conversation.")
    row = Row(0, ids, ask.seed(decoding.seed), min(decoding.max_new_tokens, model.context - len(ids)))
    steps = Table(model.quick, [row], decoding, 1, ears).aloud() if model.takes_memory else _of_its_own(model, row, decoding)
    said, tokens, ended, decoded_at = "", list[int](), False, 0.0
    for step in steps:
        tokens, ended = step
        if time.perf_counter() - decoded_at >= DECODE_SECONDS:
            said, decoded_at = _text(model.tokenizer, tokens).lstrip().rstrip(HALF), time.perf_counter()
        yield Heard(said, len(tokens), len(ids))
    whole = _text(model.tokenizer, tokens).rstrip(HALF).strip()
    yield Heard(whole, len(tokens) + ended, len(ids), "stop" if ended else "length", ids=tuple(tokens))


def _text(tokenizer: Any, tokens: list[int]) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def _of_its_own(model: LocalModel, row: Row, decoding: Decoding) -> Iterator[tuple[list[int], bool]]:
    """The same through transformers' `generate`, which runs to its end, so it runs in a thread and is held after each token."""
    ears = _Ears()

    def work() -> None:
        try:
            model.own_answer(row, decoding, ears)
            ears.tell(None)
        except _NobodyListens:
            return
        except Exception as error:
            ears.tell(error)

    threading.Thread(target=work, name="aloud", daemon=True).start()
    tokens: list[int] = []
    try:
        while (heard := ears.heard.get()) is not None:
            if isinstance(heard, Exception):
                raise heard
            if heard in model.ends:
                yield tokens, True
                return
            tokens.append(heard)
            yield tokens, False
    finally:
        ears.gone.set()


class _NobodyListens(Exception):
    """The answer was stopped."""


class _Ears:
    """A streamer as transformers calls it: it hears the prompt first, then each token."""

    def __init__(self) -> None:
        self.heard: queue.Queue[int | Exception | None] = queue.Queue(maxsize=1)
        self.gone = threading.Event()

    def put(self, value: Any) -> None:
        if value.dim() == 1 and not self.tell(int(value[0])):
            raise _NobodyListens

    def end(self) -> None:
        """Its thread tells the end."""

    def tell(self, what: int | Exception | None) -> bool:
        """Hand it over; False where nobody takes it any more."""
        while not self.gone.is_set():
            try:
                self.heard.put(what, timeout=LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
