"""Pieces of JSON that name somebody: ids and words are taken out of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any


def without(value: Any, ids: Collection[str], words: Sequence[str] = ()) -> Any:
    """A piece of JSON whose lists no longer hold these ids, and whose texts no longer hold these words (lower case)."""
    if isinstance(value, dict):
        return {key: without(part, ids, words) for key, part in value.items()}
    if isinstance(value, list):
        return [without(part, ids, words) for part in value if not (isinstance(part, str) and part in ids)]
    if isinstance(value, str) and any(word in value.lower() for word in words):
        return re.sub(rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)", "[forgotten]", value, flags=re.IGNORECASE)
    return value
