"""How many tokens a service counts in an example, as OpenAI's cookbook counts them ("Data preparation and analysis for chat
model fine-tuning"). Offline: bpe-openai carries the encodings and gives what tiktoken gives; tiktoken itself would fetch them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from pipeline.errors import PipelineError
from pipeline.managed.lines import Line

Basis = Literal["o200k_base", "cl100k_base", "estimated"]
PER_MESSAGE, PER_NAME, PER_EXAMPLE, CHARACTERS = 3, 1, 3, 4
ENCODINGS: tuple[tuple[str, Basis], ...] = (
    ("gpt-4o", "o200k_base"), ("gpt-4.1", "o200k_base"), ("gpt-4.5", "o200k_base"), ("gpt-5", "o200k_base"),
    ("chatgpt-4o", "o200k_base"), ("o1", "o200k_base"), ("o3", "o200k_base"), ("o4", "o200k_base"),
    ("gpt-4", "cl100k_base"), ("gpt-3.5", "cl100k_base"), ("gpt-35", "cl100k_base"))
LIMITS = (("gpt-4o", 65_536), ("gpt-4.1", 65_536), ("gpt-3.5-turbo-0613", 4_096), ("gpt-3.5-turbo", 16_385),
          ("gpt-4-0613", 8_192))
"""Tokens of an example that a model learns from; beginnings of names, the longer one first (OpenAI's guide)."""

TARGET_EPOCHS, LEAST_EPOCHS, MOST_EPOCHS, LEAST_EXAMPLES, MOST_EXAMPLES = 3, 1, 25, 100, 25_000


def basis(model: str) -> Basis:
    """The encoding of a model by its name; where that says nothing, an estimate of four characters a token."""
    return next((encoding for start, encoding in ENCODINGS if _base(model).startswith(start)), "estimated")


def limit(model: str) -> int | None:
    return next((most for start, most in LIMITS if _base(model).startswith(start)), None)


def counter(chosen: Basis) -> Callable[[Line], int]:
    """Counts the tokens of a line. Raises PipelineError where the encodings are not installed."""
    if chosen == "estimated":
        return lambda one: _count(one, lambda text: -(-len(text) // CHARACTERS))
    try:
        import bpe_openai
    except ImportError:
        raise PipelineError("The package bpe-openai is not installed.",
                            "Install it: pip install 'tunewright[hosted]'.") from None
    encoding: Any = bpe_openai.get_encoding(chosen)
    return lambda one: _count(one, lambda text: len(encoding.encode_ordinary(text)))


def auto_epochs(examples: int) -> int:
    """What OpenAI's own choice mostly is, by its cookbook: three, more for few examples, fewer for very many."""
    if examples * TARGET_EPOCHS < LEAST_EXAMPLES:
        return min(MOST_EPOCHS, LEAST_EXAMPLES // max(1, examples))
    if examples * TARGET_EPOCHS > MOST_EXAMPLES:
        return max(LEAST_EPOCHS, MOST_EXAMPLES // examples)
    return TARGET_EPOCHS


def _count(one: Line, of: Callable[[str], int]) -> int:
    total = PER_EXAMPLE + (of(json.dumps(one["tools"], ensure_ascii=False)) if one.get("tools") else 0)
    for turn in one["messages"]:
        total += PER_MESSAGE
        for key, value in turn.items():
            if key == "tool_calls":
                total += of(json.dumps(value, ensure_ascii=False))
            elif isinstance(value, str):
                total += of(value) + (PER_NAME if key == "name" else 0)
    return total


def _base(model: str) -> str:
    return model.removeprefix("ft:")
