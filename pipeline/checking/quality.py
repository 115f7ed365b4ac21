"""Is one conversation worth learning from? Each check gives a graded score; the threshold is applied when reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from pipeline.checking import language as tongue
from pipeline.checking.finding import Finding, Kind, Messages

KINDS: tuple[Kind, ...] = (
    Kind("missing_turn", "quality", "A side is missing", "There is no customer turn or no agent turn: nothing to learn."),
    Kind("empty_turn", "quality", "Empty turn", "A turn holds no text."),
    Kind("too_short", "quality", "Answer too short", "The agent says only a few words in the whole conversation.", 0.6),
    Kind("too_long", "quality", "Too long for the model", "The conversation may not fit into what the model can read at once; "
         "training would cut it."),
    Kind("wrong_language", "quality", "Another language", "A side is not in the main language of this data.", 0.6),
    Kind("off_topic", "quality", "Does not address the question", "Question and answer share no words that matter, and the "
         "answer hardly reads as sentences.", 0.65),
    Kind("refusal", "quality", "Refusal", "The answer declines to help as a chat bot does; a tuned model would copy that."),
    Kind("boilerplate", "quality", "Mostly stock phrases", "Most of the answer is courtesy that would fit any question.", 0.6),
    Kind("role_order", "quality", "Broken order of turns", "Customer and agent do not take turns, or the last turn is not "
         "the agent's."),
    Kind("shouting", "quality", "Shouting", "A turn is written in capitals.", 0.8),
    Kind("non_text", "quality", "Not text", "Control bytes, replacement characters or long encoded runs."),
)

SHOWN_FROM = 0.2
"""Findings that score less are not kept: nobody would lower a threshold that far."""

FEW_WORDS = 9
LONG_ENOUGH = 400
ADDRESSED = 0.3
ROLES = ("system", "user", "assistant")
SIDES = {"user": "customer", "assistant": "agent", "system": "system"}

_REFUSAL = re.compile(
    r"(?P<sure>\bas an? (?:ai|artificial intelligence|large language model|language model)\b|"
    r"\bi(?:'m| am) (?:just |only )?an? (?:ai|language model)\b)"
    r"|\bi(?:'m| am) (?:sorry|afraid),? (?:but )?i (?:can ?not|can't|am unable to|am not able to|won't be able to) "
    r"(?:\w+ ){0,2}?(?:help|assist|comply|answer|do that|fulfil)"
    r"|\bi (?:can ?not|can't|am unable to|am not able to|won't) (?:help|assist)(?: you)? with (?:that|this)\b"
)
_REFUSAL_NEEDS = ("language model", "intelligence", "n ai", "sorry", "afraid", "with that", "with this")
_STOCK = re.compile(
    r"\s*(?:(?:thank you|thanks)(?: so much| very much)? for (?:contacting|reaching out|your (?:patience|understanding|e-?mail|"
    r"message|inquiry|interest|cooperation|time))"
    r"|(?:please )?(?:do not|don't|feel free to|never) hesitate to|(?:please )?feel free to|please let (?:us|me) know if"
    r"|let (?:us|me) know if (?:there is|there's|you)"
    r"|if you (?:have|need|require|encounter) any (?:other|further|more|additional|questions|issues|help|assistance)"
    r"|(?:i'm|i am|we're|we are) (?:always |just |more than )?(?:here|happy|glad|available) to (?:help|assist|support)"
    r"|we (?:sincerely |truly |deeply )?apologi[sz]e for|(?:i'm|i am|we are|we're) (?:very |so |truly )?sorry for (?:the|any)"
    r"|we appreciate your|we value your|your satisfaction is|is there anything else|have a (?:great|nice|good|wonderful)"
    r"|we (?:look forward|strive)|we will get back to you|your (?:request|ticket|message) has been received"
    r"|(?:best|kind|warm) regards|sincerely)"
)
_CAPITALS = re.compile("[A-ZÀ-ÞΑ-ΩА-Я]{3}")
_SENTENCE = re.compile(r"[^.!?\n\r]+[.!?]*")
_BYTES = re.compile("[\\x00-\\x08\\x0e-\\x1f\\x7f\ufffd]+")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])(?=[A-Za-z+/_-]{0,70}[0-9])[A-Za-z0-9+/_-]{72,}={0,2}")
_CAPITALS = re.compile("[A-ZÀ-ÞΑ-ΩА-Я]{3}")
_SENTENCE = re.compile(r"[^.!?\n\r]+[.!?]*")
_NOISE = re.compile(
    "[\\x00-\\x08\\x0e-\\x1f\\x7f\ufffd]+|(?<![A-Za-z0-9+/_-])(?=[A-Za-z+/_-]{0,70}[0-9])[A-Za-z0-9+/_-]{72,}={0,2}"
)


@dataclass(frozen=True)
class _Side:
    """All that one side says, read once for every check."""

    role: str
    first: int
    text: str

    @cached_property
    def lower(self) -> str:
        return self.text.lower().replace("’", "'")

    @cached_property
    def words(self) -> list[str]:
        return tongue.words(self.text)

    @cached_property
    def stems(self) -> set[str]:
        return tongue.stems(self.words)


def said_by(messages: Messages, role: str) -> str:
    """All that one role says, a turn a line."""
    return "\n".join(turn["content"] for turn in messages if turn["role"] == role)


def _side(messages: Messages, role: str) -> _Side:
    first = next((place for place, turn in enumerate(messages) if turn["role"] == role), -1)
    return _Side(role, first, said_by(messages, role))


def estimated_tokens(messages: Messages) -> int:
    """Tokens of a conversation without a tokenizer, off by about 20 % for European languages: UTF-8 bytes / 4 and 4 a turn for
    the template (OpenAI: "one token is about 4 characters of English"; its cookbook counts 3 to 4 a message)."""
    texts = [turn["content"] for turn in messages]
    size = sum(len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in texts)
    return size // 4 + 4 * len(texts)


def quality_findings(messages: Messages, context_tokens: int | None, language: str | None,
                     count_tokens: Callable[[Messages], int] | None = None) -> list[Finding]:
    """What is wrong with one conversation, each finding scored 0.2 to 1.

    `context_tokens` is what the model reads at once and `language` the data's main one (ISO 639-1; see
    `language.main_language`); None leaves that check out. `count_tokens` gives the real length under the model's own template
    where a tokenizer is at hand; without it the length is estimated. Pure, and raises nothing for any text.
    """
    customer, agent = _side(messages, "user"), _side(messages, "assistant")
    found = [*_missing(customer, agent), *_turn_by_turn(messages), *_order(messages)]
    if context_tokens is not None:
        found += _too_long(messages, context_tokens, count_tokens)
    if agent.text.strip():
        found += [*_too_short(agent), *_off_topic(customer, agent), *_refusal(messages, agent), *_boilerplate(agent)]
    if language is not None:
        found += [*_wrong_language(customer, language), *_wrong_language(agent, language)]
    return [finding for finding in found if finding.score >= SHOWN_FROM]


def _missing(*sides: _Side) -> Iterator[Finding]:
    for side in sides:
        if side.first < 0:
            yield Finding("missing_turn", -1, 0, 0, 1.0, f"No turn of the {SIDES[side.role]}.")


def _turn_by_turn(messages: Messages) -> Iterator[Finding]:
    for place, turn in enumerate(messages):
        content = turn["content"]
        if not content or content.isspace():
            yield Finding("empty_turn", place, 0, 0, 1.0, f"Turn {place + 1} holds no text.")
        else:
            yield from _shouting(place, content)
            yield from _non_text(place, content)


def _shouting(place: int, content: str) -> Iterator[Finding]:
    """Share of the words of three letters and more that are capitals; an order number or a stressed word is none."""
    if not _CAPITALS.search(content):
        return
    spoken = [word for word in content.split() if len(word) > 2 and word.isalpha()]
    loud = sum(map(str.isupper, spoken))
    if loud >= 4 and loud >= 0.5 * len(spoken):
        share = loud / len(spoken)
        yield Finding("shouting", place, 0, 0, share, f"{share:.0%} of the words are in capitals.")


def _non_text(place: int, content: str) -> Iterator[Finding]:
    odd = tongue.has_controls(content) or "\ufffd" in content
    runs = [match.span() for match in _BYTES.finditer(content)] if odd else []
    if max(map(len, content.split()), default=0) >= 72:
        runs += [match.span() for match in _ENCODED.finditer(content)]
    if runs:
        size = sum(end - start for start, end in runs)
        yield Finding("non_text", place, *runs[0], min(1.0, 0.5 + size / len(content)),
                      f"{size} characters are control bytes, replacement characters or an encoded run.")


def _order(messages: Messages) -> Iterator[Finding]:
    roles = [turn["role"] for turn in messages]
    spoken = [(place, role) for place, role in enumerate(roles) if role != "system"]
    for place, role in enumerate(roles):
        if role not in ROLES:
            yield Finding("role_order", place, 0, 0, 1.0, "The turn belongs to neither customer nor agent.")
        if role == "system" and place > 0:
            yield Finding("role_order", place, 0, 0, 0.7, "A system turn stands inside the conversation.")
    for (_, before), (place, role) in pairwise(spoken):
        if role == before and role in SIDES:
            yield Finding("role_order", place, 0, 0, 0.7, f"Two turns of the {SIDES[role]} in a row.")
            break
    if spoken and spoken[0][1] == "assistant":
        yield Finding("role_order", spoken[0][0], 0, 0, 0.6, "The agent speaks first.")
    if spoken and spoken[-1][1] != "assistant":
        yield Finding("role_order", spoken[-1][0], 0, 0, 0.9, "The last turn is not the agent's.")


def _too_long(messages: Messages, context: int, count: Callable[[Messages], int] | None) -> Iterator[Finding]:
    """An estimate scores 0.5 at the model's limit and 1 at 20 % above it, its own error; a real count is yes or no."""
    size = estimated_tokens(messages) if count is None else count(messages)
    score = (5 * size / context - 4) / 2 if count is None else float(size > context)
    about = "about " if count is None else ""
    yield Finding("too_long", -1, 0, 0, max(0.0, min(1.0, score)),
                  f"The conversation takes {about}{size:,} tokens; the model reads {context:,}.")


def _too_short(agent: _Side) -> Iterator[Finding]:
    """1 for one word, falling to 0 at nine: shorter answers seldom hold a step, a reason or a result."""
    size = tongue.word_count(agent.text[:LONG_ENOUGH])
    if size < FEW_WORDS:
        yield Finding("too_short", agent.first, 0, 0, min(1.0, 1 - (size - 1) / (FEW_WORDS - 1)),
                      f"The agent's side has {size} word{'' if size == 1 else 's'}.")


def _off_topic(customer: _Side, agent: _Side) -> Iterator[Finding]:
    """Two signs. Lack: 1 minus the share of content stems in common (of the side that has fewer) over 0.3. Salad: how few
    of the answer's words are English function words, for answers long enough to need some. Lack alone gives at most 0.4,
    since a good answer may use other words than the question; salad lifts it to 1."""
    if not customer.stems or not agent.stems:
        return
    shared = len(customer.stems & agent.stems) / min(len(customer.stems), len(agent.stems))
    lack = 1 - min(1.0, shared / ADDRESSED)
    if lack <= 0:
        return
    glue = tongue.glue_share(agent.words)
    salad = max(0.0, 1 - glue / 0.25) * min(1.0, max(0.0, (len(agent.text.split()) - 2) / 2))
    # Words of another language look like salad to an English list, so the language is asked only here, where it matters.
    if salad and not _in_english(customer, agent):
        salad = 0.0
    words = (f"{shared:.0%} of the words that matter are shared with the question" if shared
             else "No word that matters is shared with the question")
    signs = f"; {glue:.0%} of the answer are function words, where sentences have 30 to 50 %" if salad else ""
    yield Finding("off_topic", agent.first, 0, 0, lack * (0.4 + 0.6 * salad), f"{words}{signs}.")


def _in_english(customer: _Side, agent: _Side) -> bool:
    code, confidence = tongue.detect(agent.text)
    if code != "en" and confidence >= 0.5:
        return False
    return tongue.is_plain_english(customer.words) or tongue.detect(customer.text)[0] in ("en", "und")


def _refusal(messages: Messages, agent: _Side) -> Iterator[Finding]:
    if not any(word in agent.lower for word in _REFUSAL_NEEDS):
        return
    for place, turn in enumerate(messages):
        match = _REFUSAL.search(turn["content"].lower().replace("’", "'")) if turn["role"] == "assistant" else None
        if match:
            early = match.start() < 200
            score = 0.95 if match["sure"] else 0.8 if early else 0.45
            start, end = match.span() if len(turn["content"].lower()) == len(turn["content"]) else (0, 0)
            yield Finding("refusal", place, start, end, score,
                          "Speaks as a chat bot about itself." if match["sure"] else "Declines to help.")
            return


def _boilerplate(agent: _Side) -> Iterator[Finding]:
    """Share of the characters that stand in stock sentences."""
    size = sum(len(sentence) for sentence in _SENTENCE.findall(agent.lower) if _STOCK.match(sentence))
    if size:
        share = min(1.0, size / len(agent.lower.strip()))
        yield Finding("boilerplate", agent.first, 0, 0, share, f"{share:.0%} of the answer are stock phrases.")


def _wrong_language(side: _Side, expected: str) -> Iterator[Finding]:
    if not side.text or (expected == "en" and tongue.is_plain_english(side.words)):
        return
    code, confidence = tongue.detect(side.text)
    if code not in (expected, "und"):
        yield Finding("wrong_language", side.first, 0, 0, confidence,
                      f"The {SIDES[side.role]}'s side reads as {code!r}; most of this data is {expected!r}.")
