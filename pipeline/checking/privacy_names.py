"""Names: those of the row's own columns, what a text itself calls a name, and what a model finds where the user has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from pipeline.checking.privacy_hits import Hit
from pipeline.checking.privacy_words import GROUP, NOBODY, ORDINARY, TITLES
from pipeline.errors import PipelineError

WORD = r"[^\W\d_](?:[^\W\d_]|['’.-](?=[^\W\d_]))*"
NAME = re.compile(rf"{WORD}(?:[ \t]{WORD}){{0,3}}")

# A cue begins with its letters and is checked for a word's start afterwards: so Python's engine skips to them.
GREETING = re.compile(
    r"(?:D(?:ear|EAR)|H(?:i|I|ello|ELLO|ey|EY)|Good (?:[Mm]orning|[Aa]fternoon|[Ee]vening)|Thank(?:s| you)|"
    r"Welcome(?: back)?),?[ ]+(?=\w)"
)
GREETED = re.compile(r"[ \t]*(?:[,!.:;\r\n]|[-–—]|\Z)")
TITLE = re.compile(r"(?:M(?:r|rs|s|x|iss|R|RS|S)|Dr|DR|Prof|m(?:r|rs|s)|dr)(?:\.[ ]?|[ ])(?=\w)")
OWNERS = (
    "[Mm]y",
    "[Hh]is",
    "[Hh]er",
    "heir",
    "['’]s",
    "[Ff]ull",
    "[Ff]irst",
    "[Ll]ast",
    "middle",
    "[Mm]aiden",
    "legal",
    "real",
)
CALLED = re.compile(
    rf"ame(?:{'|'.join(f'(?<={owner} [Nn]ame)' for owner in OWNERS)})(?:['’]s)?(?: is|:)?[ \t]+(?=\w)|"
    r"ame(?<=\b[Nn]ame)(?:(?<![A-Za-z] [Nn]ame)|(?<=[Cc]ustomer [Nn]ame)|(?<=[Cc]ontact [Nn]ame)):[ \t]+(?=\w)|"
    r"ame on (?:the|my|this) (?:account|card|order) (?:is|should be) (?=\w)|"
    r"ame of(?:(?<=in the name of)|(?<=under the name of)) (?=\w)"
)
SAID = re.compile(r"(?:[Aa]ccount holder(?: is|:)?|[Ss]igned:?|[Ss]peaking (?:to|with)|calls? me)[ \t]+(?=\w)")
INTRODUCED = re.compile(r"(?:[Tt]his is|I am|I'm|I’m)[ ](?=\w)")
INTRODUCTION = re.compile(r"[ ](?:from|calling|here|speaking|with|and I(?:'ll| will| am|'m))\b|, (?:your|and I|from)\b")
# A line's end is looked for first and the words before it afterwards: words like "best" and "thanks" are everywhere.
CLOSINGS = (
    "egards", "EGARDS", "incerely", "hanks", "HANKS", "hank you", "s again", "in advance", "heers", "est", "est wishes",
    "ours truly", "ours faithfully", "incerely yours",
)  # fmt: skip
CLOSED = (
    "egards", "EGARDS", "incerely", "hanks", "HANKS", "hank you,", "hank you\n", "hank you\r", "hank you.", "hank you!",
    "in advance", "heers", "Best", "est wishes", "ours truly", "ours faithfully",
)  # fmt: skip
SIGN_OFF = re.compile(r"\n\s*(?=\w)")
REGARDS = re.compile(r"[Rr]egards,[ ](?=\w)")
SIGNED = re.compile(r"[ \t]*[,.]?(?:[ \t\r]*\n|\s*\Z)")
ANYTHING = re.compile("")


class Cue(NamedTuple):
    """`before` ends where a name would begin and `after` must follow it; the text before it must end in one of `behind`.
    A slow one is tried only where one of its `needles` is in the text."""

    before: re.Pattern[str]
    after: re.Pattern[str]
    why: str
    needles: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


CUES = (
    Cue(GREETING, GREETED, "a name after a greeting"),
    Cue(TITLE, ANYTHING, "a name after a title"),
    Cue(CALLED, ANYTHING, "what the text calls a name", ("ame",)),
    Cue(SAID, ANYTHING, "what the text calls a name", ("ccount holder", "igned", "peaking", "call me", "calls me")),
    Cue(INTRODUCED, INTRODUCTION, "a name somebody gives for themselves", ("his is ", "I am ", "I'm ", "I’m ")),
    Cue(SIGN_OFF, SIGNED, "a name under a message", CLOSED, CLOSINGS),
    Cue(REGARDS, SIGNED, "a name under a message"),
)
LOOK_BACK = 24
# A text that greets more people is a list; each name costs a search of every turn.
MOST_LEARNED = 50


class NameFinder(Protocol):
    """What finds names and places by a model: hits of kind "name" or "address" in one text."""

    def find(self, text: str) -> list[Hit]: ...


class Known(NamedTuple):
    """A name to look for: whole in any case, and those of its words that are no ordinary ones, capitalised."""

    whole: re.Pattern[str]
    parts: re.Pattern[str] | None


def known_people(people: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """The names to look for, and the e-mail addresses in lower case, from the values of a row's columns."""
    values = [" ".join(value.split()) for value in people if value]
    return [value for value in values if "@" not in value], frozenset(value.lower() for value in values if "@" in value)


def _known(names: Iterable[str], texts: Sequence[tuple[int, str]]) -> list[Known]:
    """Patterns for those names of which a word is in the texts: building one costs more than the search."""
    lowered = "\n".join(text for _, text in texts).lower() if names else ""
    tokens = [[token for token in re.findall(WORD, name) if token.lower().rstrip(".") not in TITLES] for name in names]
    near = [words for words in tokens if any(word.lower() in lowered for word in words)]
    return [pattern for words in near if (pattern := _patterns(words))]


def _patterns(tokens: list[str]) -> Known | None:
    parts = sorted({token for token in tokens if len(token) > 2 and token.lower() not in ORDINARY | NOBODY}, key=len)
    if len(tokens) == 1 and not parts:
        return None
    shapes = [r"[\s.]+".join(map(re.escape, tokens))]
    if len(tokens) > 1:
        shapes.append(rf"{re.escape(tokens[-1])}, {re.escape(tokens[0])}")
    # One word alone is searched capitalised only, like the parts: "art" and "mai" stay words.
    whole = re.compile(_whole_words(shapes), re.IGNORECASE if len(tokens) > 1 else 0)
    cased = [
        shape for part in parts for shape in dict.fromkeys((re.escape(part[0].upper() + part[1:]), re.escape(part.upper())))
    ]
    return Known(whole, re.compile(_whole_words(cased)) if cased else None)


def _whole_words(shapes: Iterable[str]) -> str:
    return rf"(?<![\w@])(?:{'|'.join(shapes)})(?![\w@])"


def names_in(texts: Sequence[tuple[int, str]], people: Sequence[str]) -> list[tuple[int, Hit]]:
    """Names of every turn: `(turn, text)` in, `(turn, hit)` out. What one turn calls a name is looked for in all."""
    called = [(turn, hit, text[hit.start : hit.end]) for turn, text in texts for hit in _called(text)]
    own = _known(people, texts)
    also = _known(list(dict.fromkeys(name for _, _, name in called))[:MOST_LEARNED], texts)
    found = [(turn, hit) for turn, hit, _ in called]
    for turn, text in texts if own or also else ():
        found += [(turn, hit) for hit in _of_known(text, own, "the name of the row's own customer")]
        found += [(turn, hit) for hit in _of_known(text, also, "a name given elsewhere in the conversation")]
    return found


def _of_known(text: str, known: Iterable[Known], why: str) -> Iterator[Hit]:
    for person in known:
        for match in person.whole.finditer(text):
            if any(letter.isupper() for letter in match[0]) or " " in match[0]:
                yield Hit("name", *match.span(), 1.0, why)
        for match in person.parts.finditer(text) if person.parts else ():
            yield Hit("name", *match.span(), 0.8, why)


def _called(text: str) -> Iterator[Hit]:
    for cue in CUES:
        if cue.needles and not any(map(text.__contains__, cue.needles)):
            continue
        for match in cue.before.finditer(text):
            at = match.start()
            if at and match[0][0].isalnum() and text[at - 1].isalnum() and cue.before is not CALLED:
                continue
            if cue.behind and not text[max(0, at - LOOK_BACK) : at].rstrip(" \t\r,.!-").endswith(cue.behind):
                continue
            start = _past_title(text, match.end())
            end = _capitalised(text, start)
            if end > start and cue.after.match(text, end):
                yield Hit("name", start, end, 0.8, cue.why)


def _past_title(text: str, start: int) -> int:
    title = TITLE.match(text, start)
    return title.end() if title else start


def _capitalised(text: str, start: int) -> int:
    """The end of the name that begins here: its capitalised words up to the first that is nobody's. `start` where none is."""
    match = NAME.match(text, start)
    end = start
    for token in re.finditer(WORD, match[0]) if match else ():
        word = token[0].lower()
        if word in GROUP:
            return start
        if not token[0][0].isupper() or word in NOBODY:
            break
        end = start + token.end()
    return end


@cache
def name_finder(model: str) -> NameFinder:
    """The named spaCy model (`en_core_web_lg`) or a folder that holds one, loaded once; nothing is downloaded.

    Raises PipelineError when it is not installed, cannot be read, or recognises no entities.
    """
    try:
        import spacy

        pipeline = spacy.load(model, exclude=["lemmatizer", "textcat"])
    except (ImportError, OSError, ValueError) as error:
        raise PipelineError(
            f"The model {model!r} for names is not installed here, or is not a spaCy model.",
            "Install it (python -m spacy download en_core_web_lg), give the folder it lies in, or go on without one.",
        ) from error
    if not {"ner", "entity_ruler", "beam_ner"} & set(pipeline.pipe_names):
        raise PipelineError(
            f"The spaCy model {model!r} recognises no names.", "Choose one with an entity recogniser, or go on without one."
        )
    return SpacyNames(pipeline)


# Towns and countries alone score 0.4: kept, and shown once the threshold is lowered.
ENTITIES = {
    "PERSON": ("name", 0.85),
    "PER": ("name", 0.85),
    "FAC": ("address", 0.6),
    "LOC": ("address", 0.4),
    "GPE": ("address", 0.4),
}


class SpacyNames:
    """A spaCy pipeline as a `NameFinder`: persons as "name", places as "address"."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def find(self, text: str) -> list[Hit]:
        entities = [entity for entity in self.pipeline(text).ents if entity.label_ in ENTITIES and "\ufffc" not in entity.text]
        return [
            Hit(
                kind,
                entity.start_char,
                entity.end_char,
                score,
                f"a {'person' if kind == 'name' else 'place'} found by the model",
            )
            for entity in entities
            for kind, score in [ENTITIES[entity.label_]]
        ]
