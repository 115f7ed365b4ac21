"""What is asked of a model and what it answers: the same of a local model and of an endpoint. Light: imports no torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pipeline.examples import Example


@dataclass(frozen=True)
class Ask:
    """One answer that is wanted: a conversation that ends with a question, and which sample of it this is (from 0)."""

    example: Example
    sample: int = 0

    def seed(self, seed: int) -> int:
        """A seed of its own for each item and sample, so that what is drawn does not depend on what is asked beside it."""
        return int.from_bytes(hashlib.sha256(f"{seed}/{self.example.id}/{self.sample}".encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Answer:
    """`finish` is "stop" when the model ended its turn, "length" at the token limit, "filter" where a server held it back.

    `seconds` is its part of a batch, or how long its request took; `cost` is money where prices are known.
    """

    item_id: str
    sample: int
    text: str
    new_tokens: int
    prompt_tokens: int | None
    seconds: float
    finish: str
    cost: float | None = None


@dataclass(frozen=True)
class Heard:
    """An answer as far as it is there: its whole text so far. `finish` is empty while it goes on, else as in `Answer`.
    Tokens are none where a server does not say them. `ids` are those of a local model's whole answer, once it has ended."""

    text: str
    new_tokens: int | None = None
    prompt_tokens: int | None = None
    finish: str = ""
    cost: float | None = None
    ids: tuple[int, ...] = ()
