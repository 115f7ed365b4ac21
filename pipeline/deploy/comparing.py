"""Is it the same model? What two of them read and said, compared; where they part, and how. Pure and light.

On exact terms (everything in float32) answers must be equal. Where 16 bits round, log-probabilities may lie a little apart, and
greedy answers may part where two tokens were about equally likely; both are counted, neither is a mismatch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Cause = Literal["", "template", "special_tokens", "tokenizer", "precision", "quantised", "no_adapter", "base"]
FIRST: tuple[Cause, ...] = ("template", "special_tokens", "tokenizer")
"""What is read comes before what is said of it: where this differs, the rest follows."""

EXACT_NATS, ROUNDED_NATS, TIE_NATS = 2e-3, 0.3, 0.3
"""How far log-probabilities of the first token may lie apart where nothing is rounded, and where 16 bits are; and how much
likelier one of two tokens may be for rounding to turn them over (benchmarks/parity.py measures all three)."""

METRIC_APART = 0.02
"""How far the mean of the metric may lie apart where answers were rounded; and what chance explains is no mismatch."""

NAMES = {"system": "the system prompt", "user": "the customer's turn", "assistant": "the agent's turn",
         "tool": "a tool's result"}
Turn = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What a model read of one item and said to it. `ids` none: only their number is known. `top` are the likeliest first
    tokens, as text, with their log-probabilities; `tokens` those of the answer with the likeliest ones at each place."""

    item_id: str
    text: str
    ids: tuple[int, ...] | None
    count: int
    top: tuple[tuple[str, float], ...]
    answer: str
    tokens: tuple[int, ...] = ()
    rivals: tuple[tuple[tuple[int, float], ...], ...] = ()
    stopped: bool = True


@dataclass(frozen=True)
class Difference:
    """One mismatch: where it begins, in words that hold nothing of the item's text."""

    item_id: str
    cause: Cause
    words: str


@dataclass
class Leg:
    """One model held against the adapter. `apart` are the largest distances of the first token's log-probabilities, item by
    item; `read` counts prompts that are the same, `rounded` answers that part at a near tie. `cause` is where it begins; empty:
    it is the same model."""

    name: str
    exact: bool
    items: int = 0
    read: int = 0
    differences: list[Difference] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)
    equal: int = 0
    rounded: int = 0
    cause: Cause = ""
    words: str = ""
    metric: str = ""
    values: tuple[float, float] = (0.0, 0.0)

    @property
    def mismatches(self) -> int:
        """Items that differ beyond what rounding explains; a whole folder that is wrong counts once."""
        return len({one.item_id for one in self.differences})

    def told(self) -> dict[str, Any]:
        """For the run's result."""
        kinds = Counter(one.cause for one in self.differences)
        return {"name": self.name, "exact": self.exact, "items": self.items, "read": self.read, "mismatches": self.mismatches,
                "equal": self.equal, "rounded": self.rounded, "cause": self.cause, "words": self.words,
                "kinds": dict(kinds), "first_compared": len(self.apart), "first_apart": max(self.apart, default=None),
                "metric": self.metric, "values": list(self.values)}


def compare(name: str, adapter: Sequence[Seen], other: Sequence[Seen], turns: Mapping[str, Sequence[Turn]],
            exact: bool, specials: dict[int, str]) -> Leg:
    """Hold one model against the adapter, item by item. `specials` are the special tokens by their ids."""
    leg = Leg(name, exact, len(adapter))
    for a, b in zip(adapter, other, strict=True):
        read = prompts(a, b, turns[a.item_id], specials)
        if read:
            leg.differences.append(read)
        leg.read += not read
        apart = first_apart(a, b)
        if apart is not None:
            leg.apart.append(apart)
        said = None if read else answers(a, b, exact, apart)
        leg.equal += a.answer == b.answer
        leg.rounded += not read and said is None and a.answer != b.answer
        if said:
            leg.differences.append(said)
    leg.cause = first_cause(leg.differences)
    leg.words = next((one.words for one in leg.differences if one.cause == leg.cause), "")
    return leg


def prompts(a: Seen, b: Seen, turns: Sequence[Turn], specials: dict[int, str]) -> Difference | None:
    """Where what is read begins to differ, byte by byte and token by token."""
    if b.ids is None:
        return None if a.count == b.count else Difference(
            a.item_id, "template", f"{b.count:,} tokens are read there, {a.count:,} here: another chat template, or special "
            "tokens that are lost or doubled. (That server does not say which tokens.)")
    if a.text != b.text:
        for token in specials.values():
            if a.text.replace(token, "") == b.text.replace(token, ""):
                more = b.text.count(token) > a.text.count(token)
                return Difference(a.item_id, "special_tokens", f"The special token {token} is {'added' if more else 'lost'}: "
                                  f"{b.text.count(token)} of them are read there, {a.text.count(token)} here.")
        place = _parts_at(a.text, b.text)
        return Difference(a.item_id, "template", f"The chat template writes another prompt from character {place + 1} on, "
                          f"{where(a.text, place, turns)}.")
    if a.ids != b.ids:
        place = _parts_at(a.ids or (), b.ids)
        lost = specials.get(a.ids[place]) if a.ids and place < len(a.ids) else None
        if lost:
            return Difference(a.item_id, "special_tokens", f"The special token {lost} is lost: at token {place + 1} it is "
                              "read as ordinary text there.")
        return Difference(a.item_id, "tokenizer", f"The same text becomes other tokens from token {place + 1} on: another "
                          "tokenizer.")
    return None


def first_apart(a: Seen, b: Seen) -> float | None:
    """How far the log-probabilities of the adapter's likeliest first tokens lie apart; none where the other tells none.

    Tokens are known by their text. Where several have the same one (parts of a character are all written alike) they are left
    out.
    """
    theirs, lowest = dict(b.top), min((nats for _, nats in b.top), default=0.0)
    twice = {text for top in (a.top, b.top) for text, times in Counter(text for text, _ in top).items() if times > 1}
    mine = [(text, nats) for text, nats in a.top if text not in twice][:5]
    if not mine or not theirs:
        return None
    return max(abs(nats - theirs.get(text, min(lowest, nats))) for text, nats in mine)


def answers(a: Seen, b: Seen, exact: bool, apart: float | None) -> Difference | None:
    """Whether what is said differs by more than rounding explains."""
    if a.stopped and b.answer != a.answer and b.answer.startswith(a.answer) and a.answer:
        return Difference(a.item_id, "special_tokens", "The answer goes on where it should have ended: the token that ends an "
                          "answer is lost there.")
    if apart is not None and apart > (EXACT_NATS if exact else ROUNDED_NATS):
        return Difference(a.item_id, "base", f"The first token's log-probabilities lie {apart:.3f} apart.")
    if a.answer == b.answer:
        return None
    place = _parts_at(a.tokens, b.tokens)
    margin = _margin(a, b, place)
    if not exact and margin is not None and margin <= TIE_NATS:
        return None
    tie = f", where its token was {margin:.3f} nats behind" if margin is not None else ""
    return Difference(a.item_id, "base" if not exact else "precision",
                      f"The greedy answer parts at token {place + 1}{tie}.")


def first_cause(differences: Sequence[Difference]) -> Cause:
    """Where it begins: what is read first, then what is said."""
    found = [one.cause for one in differences]
    return next((cause for cause in (*FIRST, "base", "precision") if cause in found), "")


def metric_apart(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two lists of scores, item by item, differ by more than is allowed and by more than twice the standard error."""
    apart = [right - left for left, right in zip(a, b, strict=True)]
    mean = sum(apart) / len(apart)
    error = math.sqrt(sum((one - mean) ** 2 for one in apart) / max(1, len(apart) - 1) / len(apart))
    return abs(mean) > max(METRIC_APART, 2 * error)


def where(text: str, place: int, turns: Sequence[Turn]) -> str:
    """Where a character of a prompt stands, seen from its turns."""
    at, before = 0, "before the first turn"
    for turn in turns:
        content = str(turn.get("content") or "").strip()
        begin = text.find(content, at) if content else -1
        if begin < 0:
            continue
        name = NAMES.get(turn["role"], "a turn")
        if place < begin:
            return before
        if place < begin + len(content):
            return f"inside {name}"
        at, before = begin + len(content), f"after {name}"
    return before


def lost_ends(ends: Collection[int], theirs: Collection[int], specials: dict[int, str]) -> Difference | None:
    """Tokens that end an answer and that a folder does not name."""
    lost = [specials.get(one, str(one)) for one in ends if one not in theirs]
    if not lost:
        return None
    return Difference("", "special_tokens", f"The special token {', '.join(lost)} does not end an answer there: the folder's "
                      "generation config does not name it.")


def _parts_at(a: Sequence[Any], b: Sequence[Any]) -> int:
    return next((place for place, (left, right) in enumerate(zip(a, b, strict=False)) if left != right), min(len(a), len(b)))


def _margin(a: Seen, b: Seen, place: int) -> float | None:
    """How much likelier the adapter found its own token than the other's, where they part; none where that is not known."""
    if place >= len(a.rivals) or place >= len(b.tokens):
        return None
    likely = dict(a.rivals[place])
    theirs = likely.get(b.tokens[place])
    return max(likely.values()) - theirs if theirs is not None else None
