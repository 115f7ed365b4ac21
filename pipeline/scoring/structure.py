"""Answers that are JSON: whether they can be read, whether they meet a schema, how many fields are right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.errors import PipelineError

_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL | re.IGNORECASE)
_NOTHING = object()


def read(text: str) -> Any:
    """What a piece of JSON says. Raises ValueError where it is none (NaN and Infinity are none)."""
    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_structured(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    return text.strip()[:1] in ("{", "[") and bool(valid(text))


def valid(text: str) -> float:
    """Whether a program can read the answer as it stands."""
    try:
        read(text)
    except ValueError:
        return 0.0
    return 1.0


def field_accuracy(reference: str, answer: str) -> float:
    """The share of fields that both have and that say the same, of all that one of them has; fields of fields count each.

    A fence around the JSON is passed over here, because what is asked is whether the values are right. 0 where the answer is no
    JSON.
    """
    try:
        wanted = dict(_fields(read(reference)))
        fenced = _FENCE.match(answer)
        said = dict(_fields(read(fenced[1] if fenced else answer)))
    except ValueError:
        return 0.0
    right = sum(_same(value, said.get(path, _NOTHING)) for path, value in wanted.items())
    return right / max(1, len(wanted.keys() | said.keys()))


def schema_check(schema: str) -> Callable[[str], float]:
    """Whether an answer, as it stands, meets a JSON schema. Raises PipelineError in words where the schema is none.

    References inside the schema are followed; nothing is fetched from elsewhere.
    """
    from jsonschema import validators
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        found = read(schema)
        kind = validators.validator_for(found, default=validators.Draft202012Validator)
        kind.check_schema(found)
    except ValueError as error:
        raise PipelineError(f"The schema is not JSON ({error}).", "Paste a JSON schema.") from None
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its beginning"
        raise PipelineError(f"The schema is no JSON schema (at {place}).", "Mend it there, then score again.") from None
    validator = kind(found, registry=Registry())

    def check(text: str) -> float:
        try:
            return float(validator.is_valid(read(text)))
        except Unresolvable:
            raise PipelineError("The schema points to another one that is not in it.",
                                "Copy that part into the schema: nothing is fetched.") from None
        except ValueError:
            return 0.0

    return check


def _fields(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf with its way there; what is empty is a leaf."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _fields(part, (*path, f".{key}"))
    elif isinstance(value, list) and value:
        for at, part in enumerate(value):
            yield from _fields(part, (*path, f"[{at}]"))
    else:
        yield path, value


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
