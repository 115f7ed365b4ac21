"""One question of a label set: can it be asked, does an answer fit it, and what is that answer in words. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from studio.errors import StudioError
from studio.records import Turns
from studio.workspace import Row

Kind = Literal["choice", "multi", "scale", "text", "spans"]
COMPARED = ("choice", "multi", "scale")
"""Kinds in which two people can agree word for word; texts and marks on the text are read, not counted."""
LONGEST_TEXT, WIDEST_SCALE = 10_000, 20
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_COLOUR = re.compile(r"(#[0-9a-fA-F]{6})?")


@dataclass(frozen=True)
class Option:
    """One thing to choose. `key` is the key that chooses it, empty for none; `colour` is #rrggbb or empty."""

    value: str
    title: str
    colour: str = ""
    key: str = ""


@dataclass(frozen=True)
class Field:
    """One question. `low` and `high` bound a scale of whole numbers; choices, multi-choices and spans have options."""

    key: str
    title: str
    kind: Kind
    help: str = ""
    required: bool = True
    options: tuple[Option, ...] = ()
    low: int = 1
    high: int = 5

    def title_of(self, value: str) -> str:
        """The words for an option's value; the value itself where it is not offered."""
        return next((option.title for option in self.options if option.value == value), value)


def parse(field: Row) -> Row:
    """A field's definition with every part in place. Raises StudioError with what is wrong, in a sentence."""
    key, title, kind = plain_text(field.get("key")), plain_text(field.get("title")), field.get("kind")
    if not _KEY.fullmatch(key):
        raise StudioError(f"The field key {key or '(empty)'} cannot be used.",
                          "A key starts with a letter and has small letters, digits and underscores.")
    title = title or key
    if kind not in get_args(Kind):
        raise StudioError(f"{title} is of no kind we know ({kind}).", f"The kinds are {', '.join(get_args(Kind))}.")
    options = [_option(title, option) for option in field.get("options") or []] if kind in ("choice", "multi", "spans") else []
    if kind in ("choice", "multi", "spans") and not options:
        raise StudioError(f"{title} has no options to choose from.")
    once("value", [option["value"] for option in options], f"Two options of {title}")
    once("key", [option["key"] for option in options if option["key"]], f"Two options of {title}")
    low, high = field.get("low", 1), field.get("high", 5)
    if not isinstance(low, int) or not isinstance(high, int) or not 1 <= high - low <= WIDEST_SCALE:
        raise StudioError(f"The scale of {title} must run from a whole number up to a higher one, in at most "
                          f"{WIDEST_SCALE} steps.")
    return {"key": key, "title": title, "kind": kind, "help": str(field.get("help") or ""),
            "required": bool(field.get("required", True)), "options": options, "low": low, "high": high}


def _option(field: str, option: Row) -> Row:
    value, colour, key = plain_text(option.get("value")), plain_text(option.get("colour")), plain_text(option.get("key"))
    if not value:
        raise StudioError(f"An option of {field} has no value.")
    if not _COLOUR.fullmatch(colour):
        raise StudioError(f"The colour {colour} of {value} is not written as #rrggbb.")
    if len(key) > 1:
        raise StudioError(f"The key {key} of {value} is not a single key.")
    return {"value": value, "title": plain_text(option.get("title")) or value, "colour": colour.lower(), "key": key.lower()}


def once(part: str, values: Sequence[str], whose: str) -> None:
    """Raises StudioError where one of the values comes twice."""
    twice = [value for value, number in Counter(values).items() if number > 1]
    if twice:
        raise StudioError(f"{whose} have the same {part}: {twice[0]}.")


def plain_text(value: object) -> str:
    """A piece of a definition as text, without space around it."""
    return str(value if value is not None else "").strip()


def _known(field: Field, value: object) -> str:
    if not isinstance(value, str) or value not in {option.value for option in field.options}:
        raise StudioError(f"{field.title} has no option {value}.")
    return value


def _choice(field: Field, value: object, messages: Turns) -> object:
    return _known(field, value)


def _multi(field: Field, value: object, messages: Turns) -> object:
    if not isinstance(value, list):
        raise StudioError(f"{field.title} takes a list of options.")
    chosen = {_known(field, one) for one in value}
    return [option.value for option in field.options if option.value in chosen]


def _scale(field: Field, value: object, messages: Turns) -> object:
    if not isinstance(value, int) or isinstance(value, bool) or not field.low <= value <= field.high:
        raise StudioError(f"{field.title} is a whole number from {field.low} to {field.high}, not {value}.")
    return value


def _free(field: Field, value: object, messages: Turns) -> object:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise StudioError(f"{field.title} takes a text of at most {LONGEST_TEXT:,} characters.")
    return value


def _spans(field: Field, value: object, messages: Turns) -> object:
    """Marks {turn, start, end, value}; start and end are code points of the turn, end behind the last one."""
    found = []
    for span in value if isinstance(value, list) else [value]:
        if not isinstance(span, dict) or not all(isinstance(span.get(part), int) for part in ("turn", "start", "end")):
            raise StudioError(f"{field.title} takes marks with a turn, a start and an end.")
        if not 0 <= span["turn"] < len(messages):
            raise StudioError(f"{field.title} marks turn {span['turn'] + 1}, and the record has {len(messages)}.")
        if not 0 <= span["start"] < span["end"] <= len(messages[span["turn"]]["content"]):
            raise StudioError(f"{field.title} marks a place outside turn {span['turn'] + 1}.",
                              "The record may have a newer wording; mark it again.")
        found.append({part: span[part] for part in ("turn", "start", "end")} | {"value": _known(field, span.get("value"))})
    return sorted(found, key=lambda span: (span["turn"], span["start"], span["end"], span["value"]))


_CHECKS: dict[Kind, Callable[[Field, object, Turns], object]] = {
    "choice": _choice, "multi": _multi, "scale": _scale, "text": _free, "spans": _spans}


def check(field: Field, value: object, messages: Turns) -> object:
    """A value as it is stored. Raises StudioError, in a sentence that names the field, for what it does not allow."""
    return _CHECKS[field.kind](field, value, messages)


def values_of(field: Field, value: Any) -> list[str]:
    """The options (or the number, or the text) in a field's answer."""
    if field.kind == "spans":
        return [span["value"] for span in value]
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def in_words(field: Field, value: Any) -> list[str]:
    """A field's answer as people read it, part by part."""
    if field.kind != "spans":
        return [field.title_of(one) for one in values_of(field, value)]
    return [f"{field.title_of(span['value'])} (turn {span['turn'] + 1}, {span['start']}–{span['end']})" for span in value]
