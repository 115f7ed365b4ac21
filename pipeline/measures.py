"""What a data card needs to know of a snapshot's lines: lengths, languages, variety, and how much of it changes daily.

Pure but for the tokenizer and the language model, which are loaded when they are first needed.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.checking import language
from pipeline.checking.quality import estimated_tokens
from pipeline.examples import Turn

LENGTH_STEPS = (0, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12800)
"""Tokens at which bars of the length chart begin; the last is open."""

TURN_TOKENS = 5
"""ChatML's marks: <|im_start|>, the role, a line end, <|im_end|>, a line end."""

SAMPLE = 2_000
VARIETY_SAMPLE = 500
"""So many lines are looked at for languages and for variety: the share of different word sequences falls with the number of
texts, so it can only be compared between samples of one size."""

SURE = 0.3
"""From this confidence on a language is said: so 96 of 100 short English questions are named, and none wrongly (banking77)."""

SHORT_WORDS = 5
"""An answer of so few words is a label or a value to fill in, not a sentence."""

LONG_WORDS = 250
"""An answer of so many words is a text with several steps."""

_MONEY = re.compile(r"(?:[$€£¥₹]|\b(?:USD|EUR|GBP|CHF|INR|Rs\.?)\s?)\s?\d[\d.,]*"
                    r"|\b\d[\d.,]*\s?(?:[€£¥₹]|(?:USD|EUR|GBP|CHF|INR|dollars?|euros?|pounds?)\b)", re.IGNORECASE)
_MONTH = (r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|"
          r"nov(?:ember)?|dec(?:ember)?)")
_DATE = re.compile(rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}[./]\d{{1,2}}[./](?:\d{{4}}|\d{{2}})"
                   rf"|\d{{1,2}}(?:st|nd|rd|th)?\s{_MONTH}|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?)\b", re.IGNORECASE)
_STOCK = re.compile(r"\b(?:in stock|out of stock|back in stock|restock(?:ed|ing|s)?|sold out|(?:only )?\d+ left|"
                    r"pre-?order(?:ed|s)?|currently (?:un)?available|auf lager|ausverkauft|en stock|agotado|"
                    r"rupture de stock)\b", re.IGNORECASE)
CHANGES_DAILY = {"prices": _MONEY, "dates": _DATE, "stock": _STOCK}
"""What an answer says that is another thing tomorrow."""


class Measures:
    """Takes lines in, one after the other, and says what they are like."""

    def __init__(self, lines: int, counted_by: Path | None) -> None:
        """`lines` is how many will come; `counted_by` a tokenizer.json, or None for an estimate."""
        self._every = max(1, lines // SAMPLE)
        self._count = _counter(counted_by)
        self._by = "tokenizer" if counted_by else "estimate"
        self._tokens = array("l")
        self._words = array("l")
        self._languages: Counter[str] = Counter()
        self._answers: set[int] = set()
        self._variety: dict[str, list[str]] = {"questions": [], "answers": []}
        self._found: Counter[str] = Counter()
        self._lines = 0

    def add(self, chunk: Sequence[Sequence[Turn]]) -> None:
        """Take some conversations in."""
        self._tokens.extend(self._count(chunk))
        for messages in chunk:
            self._add(messages)

    def _add(self, messages: Sequence[Turn]) -> None:
        asked = next((turn["content"] for turn in messages if turn["role"] == "user"), "")
        answer = messages[-1]["content"]
        if self._lines % self._every == 0:
            self._languages[_language(asked)] += 1
            if len(self._variety["questions"]) < VARIETY_SAMPLE:
                self._variety["questions"].append(asked)
                self._variety["answers"].append(answer)
        self._lines += 1
        words = language.word_count(answer)
        self._words.append(words)
        self._answers.add(hash(answer))
        changing = [name for name, pattern in CHANGES_DAILY.items() if pattern.search(answer)]
        self._found.update(changing)
        self._found["changes_daily"] += bool(changing)
        self._found["short"] += words <= SHORT_WORDS
        self._found["long"] += words >= LONG_WORDS
        self._found["multi_turn"] += sum(turn["role"] == "assistant" for turn in messages) > 1

    def said(self) -> dict[str, Any]:
        tokens, words = sorted(self._tokens), sorted(self._words)
        return {
            "lines": self._lines, "looked_at": sum(self._languages.values()), "languages": dict(self._languages.most_common()),
            "tokens": {"by": self._by, "total": sum(tokens), "median": _at(tokens, 0.5), "p90": _at(tokens, 0.9),
                       "longest": tokens[-1] if tokens else 0, "steps": list(LENGTH_STEPS), "counts": _bars(tokens)},
            "answer_words": _at(words, 0.5), "distinct_answers": len(self._answers), "short_answers": self._found["short"],
            "long_answers": self._found["long"], "multi_turn": self._found["multi_turn"],
            "variety": {side: round(distinct_share(texts), 4) for side, texts in self._variety.items()},
            "changes_daily": {name: self._found[name] for name in ("changes_daily", *CHANGES_DAILY)}}


def distinct_share(texts: Sequence[str], n: int = 3) -> float:
    """Different n-word sequences over all of them, 0 to 1 (distinct-n; Li and others 2016); 1 where there are none."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        words = language.words(text)
        grams = list(zip(*(words[place:] for place in range(n)), strict=False))
        total += len(grams)
        seen.update(grams)
    return len(seen) / total if total else 1.0


def _counter(path: Path | None) -> Callable[[Sequence[Sequence[Turn]]], list[int]]:
    if path is None:
        return lambda chunk: [estimated_tokens(list(messages)) for messages in chunk]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(chunk: Sequence[Sequence[Turn]]) -> list[int]:
        lengths = iter([len(found.ids) for found in tokenizer.encode_batch(
            [turn["content"] for messages in chunk for turn in messages], add_special_tokens=False)])
        return [sum(next(lengths) + TURN_TOKENS for _ in messages) for messages in chunk]

    return count


def _language(text: str) -> str:
    if language.is_plain_english(language.words(text[: language.LOOKED_AT])):
        return "en"
    code, confidence = language.detect(text)
    return code if confidence >= SURE else "und"


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def _bars(tokens: Sequence[int]) -> list[int]:
    counts = [0] * len(LENGTH_STEPS)
    for size in tokens:
        counts[sum(size >= step for step in LENGTH_STEPS) - 1] += 1
    return counts
