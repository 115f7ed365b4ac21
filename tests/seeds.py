"""Seeds for tests of synthetic examples: small conversations on topics that have no words in common."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.examples import Example, Turn

TOPICS = {"refund": "where is my refund for the jacket", "login": "password reset mail never comes",
          "tent": "how do I waterproof an old tent", "invoice": "please send an invoice with VAT"}


def seed(name: str, asked: str, answered: str = "We will look into it today.", system: str = "",
         between: Sequence[Turn] = ()) -> Example:
    first: tuple[Turn, ...] = ({"role": "system", "content": system},) if system else ()
    return Example(name, (*first, {"role": "user", "content": asked}, *between, {"role": "assistant", "content": answered}))
