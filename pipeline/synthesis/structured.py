"""From a model's reply to the object that was asked for: what is safe to mend is mended, nothing is made up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.S | re.I)
_COMMA = re.compile(r",(\s*[}\]])")


class Unreadable(ValueError):
    """A reply that is not the object; the message says what is wrong with it, in words for the model and for people."""


def read(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The object, with exactly the schema's keys; further ones are left out. Code fences, words around the object and
    trailing commas are mended. Raises Unreadable."""
    found = _parsed(text)
    if not isinstance(found, dict):
        raise Unreadable("It holds no JSON object.")
    return _object(found, schema, "")


def words(schema: Mapping[str, Any]) -> str:
    """How the form is asked for where the server has no structured output."""
    return ("Answer with one JSON object and nothing else: no words around it, no code fence. It has the form of this JSON "
            "schema:\n" + json.dumps(schema, ensure_ascii=False))


def _parsed(text: str) -> Any:
    fenced = _FENCE.search(text)
    tries = [text, *([fenced[1]] if fenced else [])]
    tries += [one[one.find("{") : one.rfind("}") + 1] for one in tries if "{" in one and "}" in one]
    for one in tries:
        for version in (one, _COMMA.sub(r"\1", one)):
            try:
                return json.loads(version, strict=False)  # line breaks inside texts are meant
            except ValueError:
                continue
    return None


def _object(found: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    made = {}
    for key, part in schema["properties"].items():
        if key not in found:
            raise Unreadable(f"“{where}{key}” is missing.")
        made[key] = _value(found[key], part, f"{where}{key}")
    return made


def _value(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    if schema["type"] == "array":
        if not isinstance(value, list):
            raise Unreadable(f"“{where}” is no list.")
        return [_value(one, schema["items"], f"{where}[{place}]") for place, one in enumerate(value)]
    if schema["type"] == "object":
        if not isinstance(value, Mapping):
            raise Unreadable(f"“{where}” is no object.")
        return _object(value, schema, f"{where}.")
    if not isinstance(value, str):
        raise Unreadable(f"“{where}” is no text.")
    if "enum" in schema and value not in schema["enum"]:
        raise Unreadable(f"“{where}” is none of {', '.join(schema['enum'])}.")
    return value
