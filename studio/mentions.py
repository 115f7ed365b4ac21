"""Where somebody is named: a name or an address stands in a text as a word of its own, in any case. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_EDGE = "[^\\p{L}\\p{N}]"


def named_in(text: str) -> str:
    """SQL: whether `w.word` (lower case) stands in the SQL expression `text`, not inside a longer word or number."""
    return (f"(contains(lower({text}), w.word) and regexp_matches(lower({text}), "
            f"'(^|{_EDGE})' || regexp_escape(w.word) || '($|{_EDGE})'))")


def is_named(text: str, words: Sequence[str]) -> bool:
    """The same in Python; `words` in lower case."""
    low = text.lower()
    return any(word in low and re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", low) for word in words)


def without(text: str, words: Sequence[str]) -> str:
    """The text with "[forgotten]" where they are named."""
    for word in words:
        text = re.sub(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", "[forgotten]", text, flags=re.IGNORECASE)
    return text
